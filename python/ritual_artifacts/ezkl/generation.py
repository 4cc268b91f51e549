"""From an ONNX model to a circuit with its keys."""

import contextlib
import json
import logging
import os
import re
import shutil
import stat
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from ritual_artifacts.artifact.manifest import read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.core.hashing import copy_files, make_folder
from ritual_artifacts.errors import ArtifactError, CircuitError, ConflictError
from ritual_artifacts.ezkl.artifact import ArtifactGenerationArgs, EZKLArtifact
from ritual_artifacts.ezkl.process import Step, StepFailed, require_ezkl, run_in_thread, run_steps
from ritual_artifacts.ezkl.srs import INSECURE_SRS_NAME, SRS_NAME, check_fits, find_downloaded, read_logrows
from ritual_artifacts.manager import RitualArtifactManager
from ritual_artifacts.names import component_problem

log = logging.getLogger(__name__)

# The names are infernet-ml's: people fetch single files of a repository by them.
_COMPILED: Final = "model.compiled"
_SETTINGS: Final = "settings.json"
_CALIBRATION: Final = "calibration.json"
_VERIFYING_KEY: Final = "test.vk"
_PROVING_KEY: Final = "test.pk"
_TAKEN: Final = {
    _COMPILED,
    _SETTINGS,
    _CALIBRATION,
    _VERIFYING_KEY,
    _PROVING_KEY,
    SRS_NAME,
    INSECURE_SRS_NAME,
    MANIFEST_FILENAME,
}

_SEED: Final = 0  # the same model is calibrated with the same numbers
_INSECURE: Final = (
    "the SRS of this circuit is generated on this machine, and whoever generates one can forge proofs: "
    "use it for tests, and give the SRS of a public ceremony as srs_path in production"
)


async def generate_ezkl_artifacts(args: ArtifactGenerationArgs) -> EZKLArtifact:
    """Make a circuit and its keys from an ONNX model.

    The folder of the artifact appears all at once, when everything is there, and has a manifest, so that
    `RitualArtifactManager.from_dir` opens it. Nothing is downloaded. ezkl runs in a process of its own, which
    ends where the caller is cancelled.

    Args:
        args: The model, and how to treat it.

    Returns:
        Where the files are; model and SRS as copies in the folder of the artifact.

    Raises:
        CircuitError: the model cannot be read or made a circuit, a file is missing, the SRS is too small, or
            a setting is wrong; nothing was written.
        ConflictError: something else is in `output_dir`.
        ArtifactError: ezkl is not installed.
        OSError: a file cannot be read, or the disk is full.
    """
    if args.generate_insecure_srs and args.srs_path is None:
        warnings.warn(_INSECURE, UserWarning, stacklevel=2)
    return await run_in_thread(lambda cancel: _generate(args, cancel))


def _generate(args: ArtifactGenerationArgs, cancel: threading.Event) -> EZKLArtifact:
    version = require_ezkl()
    model = _find_source(args.onnx_path, "ONNX model")
    calibration = args.calibration_path and _find_source(args.calibration_path, "calibration data")
    srs = _find_srs(args)
    _clear_up(_choose_target(args))
    target = _find_target(args)
    make_folder(target.parent)
    with _work_folder(target) as folder:
        artifact = _name_files(folder, args)
        sources = {artifact.onnx_path: model, artifact.calibration_path: calibration}
        copy_files([(source, place) for place, source in sources.items() if source is not None])
        logrows = _compile(args, artifact, cancel)
        if srs is None and not args.generate_insecure_srs:
            srs = _find_source(find_downloaded(logrows), "SRS")
        if srs is not None:
            check_fits(srs, logrows)
            copy_files([(srs, artifact.srs_path)])
        _make_keys(artifact, logrows, cancel, generate_srs=srs is None)
        manifest = RitualArtifactManager(artifact=artifact).manifest()
        (folder / MANIFEST_FILENAME).write_bytes(manifest.to_bytes())
        _sync(folder)
        _land(folder, target, overwrite=args.overwrite)
    log.info("ezkl %s made a circuit of 2^%d rows from %s in %s", version, logrows, model, target)
    return _name_files(target, args)


# --- before anything is done -------------------------------------------------------------------------------


def _find_source(path: Path, what: str) -> Path:
    """Return where a file really is: a link to it is as good.

    Raises:
        CircuitError: it is missing, empty, or no regular file.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        message = f"there is no {what} at {path}"
        raise CircuitError(message) from None
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        problem = "is empty" if stat.S_ISREG(status.st_mode) else "is no regular file"
        message = f"the {what} {path} {problem}"
        raise CircuitError(message)
    return path.resolve()


def _find_srs(args: ArtifactGenerationArgs) -> Path | None:
    if args.srs_path is None:
        return None
    if args.generate_insecure_srs:
        message = "srs_path and generate_insecure_srs were both given; choose one"
        raise CircuitError(message)
    srs = _find_source(args.srs_path, "SRS")
    read_logrows(srs)  # whatever is no SRS at all is refused before the work
    return srs


def _choose_target(args: ArtifactGenerationArgs) -> Path:
    if args.output_dir is None:
        return args.onnx_path.absolute().with_suffix(".ezkl")
    return args.output_dir.absolute()


def _find_target(args: ArtifactGenerationArgs) -> Path:
    target = _choose_target(args)
    if args.overwrite and _is_circuit(target):
        _refuse_others_files(target)
        return target.resolve() if target.is_symlink() else target
    _refuse_occupied(target)
    return target


def _is_circuit(folder: Path) -> bool:
    try:
        return read_manifest(folder / MANIFEST_FILENAME).artifact_type == EZKLArtifact.__name__
    except (ArtifactError, OSError):
        return False


def _refuse_others_files(folder: Path) -> None:
    """Refuse to replace a circuit's folder that has files which are not the circuit's."""
    own = {entry.path for entry in read_manifest(folder / MANIFEST_FILENAME).files} | {MANIFEST_FILENAME}
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
    if others := [name for name in found if name not in own]:
        message = f"{folder} has files that are not its circuit's, such as {others[0]!r}: move them away"
        raise ConflictError(message)


def _refuse_occupied(target: Path) -> None:
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    hint = "; overwrite=True replaces it" if _is_circuit(target) else ""
    message = f"{target} is there already: move it away, or choose another output_dir{hint}"
    raise ConflictError(message)


def _name_files(folder: Path, args: ArtifactGenerationArgs) -> EZKLArtifact:
    name = args.onnx_path.name
    if component_problem(name) or name.casefold() in _TAKEN:
        name = "model.onnx"
    return EZKLArtifact(
        compiled_model_path=folder / _COMPILED,
        settings_path=folder / _SETTINGS,
        onnx_path=folder / name,
        calibration_path=folder / _CALIBRATION,
        srs_path=folder / (INSECURE_SRS_NAME if args.generate_insecure_srs else SRS_NAME),
        verifier_key_path=folder / _VERIFYING_KEY,
        prover_key_path=folder / _PROVING_KEY,
    )


# --- the work ----------------------------------------------------------------------------------------------


def _compile(args: ArtifactGenerationArgs, artifact: EZKLArtifact, cancel: threading.Event) -> int:
    """Make settings and circuit, and return the binary logarithm of the rows that it has."""
    model, settings = str(artifact.onnx_path), str(artifact.settings_path)
    calibration = str(artifact.calibration_path)
    run_args = _collect_run_args(args)
    randomly: dict[str, Any] = {"model": model, "output": calibration, "seed": _SEED}
    if "variables" in run_args:
        randomly["variables"] = run_args["variables"]
    calibrate: dict[str, Any] = {
        "data": calibration,
        "model": model,
        "settings": settings,
        "target": args.calibration_target,
    }
    if args.max_logrows is not None:
        calibrate["max_logrows"] = args.max_logrows
    steps: list[Step] = [("gen_settings", {"model": model, "output": settings, "py_run_args": run_args})]
    if args.calibration_path is None:
        log.info("calibrating %s with random inputs", args.onnx_path)
        steps.append(("gen_random_data", randomly))
    steps += [
        ("calibrate_settings", calibrate),
        (
            "compile_circuit",
            {
                "model": model,
                "compiled_circuit": str(artifact.compiled_model_path),
                "settings_path": settings,
            },
        ),
    ]
    try:
        run_steps(steps, cancel)
    except StepFailed as error:
        problem = "is no ONNX model" if "proto model" in error.reason else "cannot be made a circuit"
        message = f"{args.onnx_path} {problem}: {error}"
        raise CircuitError(message) from None
    return int(json.loads(artifact.settings_path.read_bytes())["run_args"]["logrows"])


def _collect_run_args(args: ArtifactGenerationArgs) -> dict[str, Any]:
    run_args = dict(args.run_args)
    variables = run_args.get("variables")
    if isinstance(variables, Mapping):
        run_args["variables"] = list(variables.items())
    for name in ("input_visibility", "output_visibility", "param_visibility"):
        if name in run_args:
            message = f"{name} has an argument of its own; leave it out of run_args"
            raise CircuitError(message)
        run_args[name] = getattr(args, name)
    try:
        json.dumps(run_args, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"run_args has a value that is no setting of a circuit: {error}"
        raise CircuitError(message) from None
    return run_args


def _make_keys(artifact: EZKLArtifact, logrows: int, cancel: threading.Event, *, generate_srs: bool) -> None:
    srs, model = str(artifact.srs_path), str(artifact.compiled_model_path)
    witness = artifact.settings_path.with_name("witness.json")
    setup = {
        "model": model,
        "vk_path": str(artifact.verifier_key_path),
        "pk_path": str(artifact.prover_key_path),
        "srs_path": srs,
    }
    steps: list[Step] = []
    if generate_srs:
        steps.append(("gen_srs", {"srs_path": srs, "logrows": logrows}))
    if _has_fixed_values(artifact):  # their values are part of the keys
        data = {"data": str(artifact.calibration_path), "model": model, "output": str(witness)}
        steps.append(("gen_witness", data))
        setup["witness_path"] = str(witness)
    try:
        run_steps([*steps, ("setup", setup)], cancel)
    except StepFailed as error:
        message = f"no keys can be made for {artifact.onnx_path.name}: {error}"
        raise CircuitError(message) from None
    witness.unlink(missing_ok=True)


def _has_fixed_values(artifact: EZKLArtifact) -> bool:
    run_args = json.loads(artifact.settings_path.read_bytes())["run_args"]
    return "Fixed" in [run_args["input_visibility"], run_args["output_visibility"]]  # others may be objects


# --- where it lands ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """Yield a folder beside the target, which is gone afterwards unless it was renamed.

    The lock beside it tells other processes that it is in use.
    """
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    lock = _lock_path(folder)
    try:
        with FileLock(lock):
            try:
                folder.mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # another process looks at it just now, and removes it
            lock.unlink(missing_ok=True)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _aside_path(folder: Path) -> Path:
    """Return where the circuit waits that is being replaced by the one in a work folder."""
    return folder.with_name(f"{folder.name}.old")


def _clear_up(target: Path) -> None:
    """Remove what killed processes left beside the target, and bring back what they had put aside."""
    target = target.resolve() if target.is_symlink() else target
    name = re.compile(rf"(\.{re.escape(target.name)}\.[0-9a-f]{{32}})\.lock")
    found = [match[1] for path in _list(target.parent) if (match := name.fullmatch(path.name))]
    for folder in map(target.with_name, found):
        aside = _aside_path(folder)
        with contextlib.suppress(OSError):  # a timeout, too: it is in use
            with FileLock(_lock_path(folder), timeout=0):
                if _is_circuit(aside) and not os.path.lexists(target):
                    aside.rename(target)
                for left in (folder, aside):
                    shutil.rmtree(left, ignore_errors=True)
                log.info("removed %s, which a killed process left", folder)
            _lock_path(folder).unlink(missing_ok=True)


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it is not there yet, or cannot be read
        return []


def _sync(folder: Path) -> None:
    """Bring the files to the disk, so that what is renamed next is whole after a power cut, too."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _land(folder: Path, target: Path, *, overwrite: bool) -> None:
    aside = None
    if overwrite and _is_circuit(target):
        _refuse_others_files(target)
        aside = _aside_path(folder)
        target.rename(aside)
    try:
        if aside is None and target.is_dir() and os.name == "nt":  # where no rename replaces a folder
            target.rmdir()
        folder.rename(target)
    except OSError as error:
        if aside is not None:
            aside.rename(target)
            raise
        with contextlib.suppress(FileNotFoundError):
            _refuse_occupied(target)  # by somebody who was faster
        raise error from None
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)

"""Generation of a circuit and its keys from an ONNX model."""

import contextlib
import json
import logging
import os
import re
import shutil
import stat
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ritual_artifacts.artifact.manifest import read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.core.hashing import copy_files, make_folder
from ritual_artifacts.errors import ArtifactError, CircuitError, ConflictError
from ritual_artifacts.ezkl.artifact import ArtifactGenerationArgs, EZKLArtifact
from ritual_artifacts.ezkl.process import Cancel, Step, StepFailed, require_ezkl, run_in_thread, run_steps
from ritual_artifacts.ezkl.srs import INSECURE_SRS_NAME, SRS_NAME, check_fits, find_downloaded, read_logrows
from ritual_artifacts.locks import ProcessLock
from ritual_artifacts.manager import RitualArtifactManager
from ritual_artifacts.names import component_problem

log = logging.getLogger(__name__)

# The names are those of infernet-ml, because users download single files of a repository by name.
_COMPILED: Final = "model.compiled"
_SETTINGS: Final = "settings.json"
_CALIBRATION: Final = "calibration.json"
_VERIFYING_KEY: Final = "test.vk"
_PROVING_KEY: Final = "test.pk"
_RESERVED_NAMES: Final = {
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
    "the SRS of this circuit is generated on this machine, and its creator can forge proofs: "
    "use it for tests only, and pass the SRS of a public ceremony as srs_path in production"
)


async def generate_ezkl_artifacts(args: ArtifactGenerationArgs) -> EZKLArtifact:
    """Generate a circuit and its keys from an ONNX model.

    The artifact's folder appears only when it is complete. It has a manifest, so that
    `RitualArtifactManager.from_dir` can open it. Nothing is downloaded. ezkl runs in its own process, which
    is ended if the caller is cancelled.

    Args:
        args: The model, and the settings of the circuit.

    Returns:
        The paths of the files. Model and SRS are copies in the artifact's folder.

    Raises:
        CircuitError: the model cannot be read or compiled to a circuit, a file is missing, the SRS is too
            small, or a setting is invalid; nothing was written.
        ConflictError: something else exists at `output_dir`.
        ArtifactError: ezkl is not installed.
        OSError: a file cannot be read, or the disk is full.
    """
    if args.generate_insecure_srs and args.srs_path is None:
        warnings.warn(_INSECURE, UserWarning, stacklevel=2)
    return await run_in_thread(lambda cancel: _generate(args, cancel))


def _generate(args: ArtifactGenerationArgs, cancel: Cancel) -> EZKLArtifact:
    version = require_ezkl()
    model = _find_source(args.onnx_path, "ONNX model")
    calibration = args.calibration_path and _find_source(args.calibration_path, "calibration data")
    srs = _find_srs(args)
    _clean_up(_choose_target(args))
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
        _move_into_place(folder, target, overwrite=args.overwrite)
    log.info("ezkl %s generated a circuit of 2^%d rows from %s in %s", version, logrows, model, target)
    return _name_files(target, args)


# --- checks before the work --------------------------------------------------------------------------------


def _find_source(path: Path, what: str) -> Path:
    """Return the path of a source file, with symbolic links resolved.

    Raises:
        CircuitError: it is missing, empty, or not a regular file.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        message = f"the {what} {path} does not exist"
        raise CircuitError(message) from None
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        problem = "is empty" if stat.S_ISREG(status.st_mode) else "is not a regular file"
        message = f"the {what} {path} {problem}"
        raise CircuitError(message)
    return path.resolve()


def _find_srs(args: ArtifactGenerationArgs) -> Path | None:
    if args.srs_path is None:
        return None
    if args.generate_insecure_srs:
        message = "srs_path and generate_insecure_srs exclude each other; pass one of them"
        raise CircuitError(message)
    srs = _find_source(args.srs_path, "SRS")
    read_logrows(srs)  # refuse an invalid SRS before the work
    return srs


def _choose_target(args: ArtifactGenerationArgs) -> Path:
    if args.output_dir is None:
        return args.onnx_path.absolute().with_suffix(".ezkl")
    return args.output_dir.absolute()


def _find_target(args: ArtifactGenerationArgs) -> Path:
    target = _choose_target(args)
    if args.overwrite and _is_circuit(target):
        _refuse_foreign_files(target)
        return target.resolve() if target.is_symlink() else target
    _refuse_occupied(target)
    return target


def _is_circuit(folder: Path) -> bool:
    try:
        return read_manifest(folder / MANIFEST_FILENAME).artifact_type == EZKLArtifact.__name__
    except (ArtifactError, OSError):
        return False


def _refuse_foreign_files(folder: Path) -> None:
    """Refuse to replace a circuit's folder that has other files too."""
    own = {entry.path for entry in read_manifest(folder / MANIFEST_FILENAME).files} | {MANIFEST_FILENAME}
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
    if others := [name for name in found if name not in own]:
        message = f"{folder} has files that do not belong to its circuit, such as {others[0]!r}; move them"
        raise ConflictError(message)


def _refuse_occupied(target: Path) -> None:
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    hint = ", or pass overwrite=True to replace it" if _is_circuit(target) else ""
    message = f"{target} already exists; move it or choose another output_dir{hint}"
    raise ConflictError(message)


def _name_files(folder: Path, args: ArtifactGenerationArgs) -> EZKLArtifact:
    name = args.onnx_path.name
    if component_problem(name) or name.casefold() in _RESERVED_NAMES:
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


# --- ezkl's steps ------------------------------------------------------------------------------------------


def _compile(args: ArtifactGenerationArgs, artifact: EZKLArtifact, cancel: Cancel) -> int:
    """Generate the settings and the circuit; return the binary logarithm of its number of rows."""
    model, settings = str(artifact.onnx_path), str(artifact.settings_path)
    calibration = str(artifact.calibration_path)
    run_args = _collect_run_args(args)
    random_data: dict[str, Any] = {"model": model, "output": calibration, "seed": _SEED}
    if "variables" in run_args:
        random_data["variables"] = run_args["variables"]
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
        steps.append(("gen_random_data", random_data))
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
        is_onnx = "proto model" not in error.reason
        problem = "cannot be compiled to a circuit" if is_onnx else "is not a valid ONNX model"
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
            message = f"{name} is a separate argument; remove it from run_args"
            raise CircuitError(message)
        run_args[name] = getattr(args, name)
    try:
        json.dumps(run_args, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"run_args has a value that JSON cannot represent: {error}"
        raise CircuitError(message) from None
    return run_args


def _make_keys(artifact: EZKLArtifact, logrows: int, cancel: Cancel, *, generate_srs: bool) -> None:
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
        message = f"the keys for {artifact.onnx_path.name} could not be generated: {error}"
        raise CircuitError(message) from None
    witness.unlink(missing_ok=True)


def _has_fixed_values(artifact: EZKLArtifact) -> bool:
    run_args = json.loads(artifact.settings_path.read_bytes())["run_args"]
    return "Fixed" in [run_args["input_visibility"], run_args["output_visibility"]]  # others may be objects


# --- the target folder -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """Yield a folder beside the target, which is removed afterwards unless it was renamed.

    A lock file beside it is held while it is in use.
    """
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    lock = _lock_path(folder)
    try:
        with ProcessLock(lock):
            try:
                folder.mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # another process has it open, and will remove it
            lock.unlink(missing_ok=True)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _backup_path(folder: Path) -> Path:
    """Return the backup path of the circuit that is being replaced by the one in a work folder."""
    return folder.with_name(f"{folder.name}.old")


def _clean_up(target: Path) -> None:
    """Remove the work folders of killed processes beside the target, and restore their backups."""
    target = target.resolve() if target.is_symlink() else target
    name = re.compile(rf"(\.{re.escape(target.name)}\.[0-9a-f]{{32}})\.lock")
    found = [match[1] for path in _list(target.parent) if (match := name.fullmatch(path.name))]
    for folder in map(target.with_name, found):
        backup = _backup_path(folder)
        with contextlib.suppress(OSError):  # also a timeout: the folder is in use
            with ProcessLock(_lock_path(folder), timeout=0):
                if _is_circuit(backup) and not os.path.lexists(target):
                    backup.rename(target)
                for leftover in (folder, backup):
                    shutil.rmtree(leftover, ignore_errors=True)
                log.info("removed %s, left by a killed process", folder)
            _lock_path(folder).unlink(missing_ok=True)


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it does not exist yet, or cannot be read
        return []


def _sync(folder: Path) -> None:
    """Sync the files to the disk, so that the renamed folder is complete even after a power failure."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _move_into_place(folder: Path, target: Path, *, overwrite: bool) -> None:
    backup = None
    if overwrite and _is_circuit(target):
        _refuse_foreign_files(target)
        backup = _backup_path(folder)
        target.rename(backup)
    try:
        if backup is None and target.is_dir() and os.name == "nt":  # a rename cannot replace a folder there
            target.rmdir()
        folder.rename(target)
    except OSError as error:
        if backup is not None:
            backup.rename(target)
            raise
        with contextlib.suppress(FileNotFoundError):
            _refuse_occupied(target)  # another process was faster
        raise error from None
    if backup is not None:
        shutil.rmtree(backup, ignore_errors=True)

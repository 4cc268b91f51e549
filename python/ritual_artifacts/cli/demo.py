"""The command `demo`: a whole round trip with any model folder, in a temporary folder."""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.cli.locations import parse_path
from ritual_artifacts.cli.output import JsonOption, human_size, show, show_json, show_manifest
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactError, IntegrityError, Mismatch
from ritual_artifacts.models.artifact import plan_model
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.transfer.downloading import Target, download, read_revision_manifest
from ritual_artifacts.transfer.publishing import publish

_REPO = "local/demo/model/v1"
_SAMPLE_SIZE = 4 << 20


def demo(
    path: Annotated[
        Path | None,
        typer.Argument(parser=parse_path, help="A model's folder or file; default: a small sample."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a model, download it, and detect tampering.

    The download runs in a second process. Everything happens in a temporary store, which is removed at the
    end.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ritual-artifacts-demo-")))
        stack.enter_context(_settings_in(folder))
        model = path or _write_sample(folder / "sample")
        steps = _run(model, folder, quiet=as_json)
    if as_json:
        show_json(steps)
    if not steps["tampering_caught"] or not steps["downloaded_equal"]:
        raise typer.Exit(1)


def _run(model: Path, work_folder: Path, *, quiet: bool) -> dict[str, Any]:
    def tell(text: str) -> None:
        if not quiet:
            show(text)

    context = Context.create()
    backend = LocalBackend(context.settings.store_dir)
    repo_id = RitualRepoId.from_unique_id(_REPO)

    tell(f"1. upload {model} to {_REPO}")
    plan = plan_model(model)
    result, manifest = publish(plan, backend, repo_id, context)
    if not quiet:
        show_manifest(manifest, "   the manifest")
    tell(f"   {human_size(result.bytes_sent)} stored, {human_size(result.bytes_reused)} already in the store")
    again, _ = publish(plan, backend, repo_id, context)
    tell(f"   the same upload again: {human_size(again.bytes_sent)} stored")

    target = work_folder / "downloaded"
    tell("2. download it in a second process, every byte verified")
    downloaded = _run_in_second_process(["download", _REPO, str(target)])
    equal = downloaded["digest"] == manifest.digest
    tell(f"   {len(downloaded['files'])} files, digest {'equal' if equal else 'DIFFERENT'}")

    largest = max(manifest.files, key=lambda entry: entry.size)
    tell(f"3. {_tamper(target / largest.path)} of the downloaded {largest.path}, then verify the copy")
    verified = _run_in_second_process(["verify", str(target)])
    for mismatch in verified["mismatches"]:
        tell(f"   detected: {mismatch['path']}")
        tell(f"      expected {mismatch['expected']}")
        tell(f"      got      {mismatch['actual']}")
    caught = [mismatch["path"] for mismatch in verified["mismatches"]] == [largest.path]

    stored = backend.layout.object_path(largest.sha256)
    stored.chmod(0o644)
    tell(f"4. {_tamper(stored)} of the same file in the store, then download again")
    refused = work_folder / "refused"
    mismatches = _try_download(backend, repo_id, refused, context)
    for found in mismatches:
        tell(f"   refused: {found.path}")
        tell(f"      expected {found.expected}")
        tell(f"      got      {found.actual}")
    exists = (refused / largest.path).exists()
    tell(f"   {largest.path} {'IS' if exists else 'is not'} in the target folder")
    return {
        "digest": manifest.digest,
        "bytes_sent": result.bytes_sent,
        "bytes_sent_again": again.bytes_sent,
        "downloaded_equal": equal,
        "tampering_caught": caught and bool(mismatches) and not exists,
    }


def _try_download(
    backend: LocalBackend, repo_id: RitualRepoId, target: Path, context: Context
) -> tuple[Mismatch, ...]:
    revision = backend.open(repo_id)
    manifest = read_revision_manifest(revision)
    try:
        download(revision, manifest, Selection(), Target(folder=target), context)
    except IntegrityError as error:
        return error.mismatches
    return ()


@contextmanager
def _settings_in(folder: Path) -> Iterator[None]:
    """Keep the store, the cache and the locks in `folder`, for this process and its children."""
    before = dict(os.environ)
    os.environ.update(
        {f"RITUAL_{name.upper()}_DIR": str(folder / name) for name in ("store", "cache", "state")}
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_in_second_process(arguments: list[str]) -> dict[str, Any]:
    # -P: do not import modules from the current folder.
    command = [sys.executable, "-P", "-m", "ritual_artifacts", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter and arguments
    if not done.stdout:
        message = f"the second process failed: {done.stderr.strip()}"
        raise ArtifactError(message)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _tamper(path: Path) -> str:
    """Change a file as little as possible, and return a description of the change."""
    middle = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(middle)
        byte = file.read(1)
        file.seek(middle)
        file.write(bytes([byte[0] ^ 1]) if byte else b"\0")
    return "flip one bit" if byte else "add a byte to the end"


def _write_sample(folder: Path) -> Path:
    """Write a small model folder: one tensor in the safetensors format, and a config."""
    folder.mkdir()
    weights = random.Random(0).randbytes(_SAMPLE_SIZE)  # noqa: S311 - sample data, the same on each run
    tensor = {"dtype": "F32", "shape": [_SAMPLE_SIZE // 4], "data_offsets": [0, _SAMPLE_SIZE]}
    header = json.dumps({"weight": tensor}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weights)
    (folder / "config.json").write_text(json.dumps({"architectures": ["Sample"], "hidden_size": 1024}))
    return folder

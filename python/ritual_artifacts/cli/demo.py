"""`demo`: the whole round trip, with any model folder, in a temporary place."""

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
        typer.Argument(parser=parse_path, help="A model's folder or file; default a small sample."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a whole round trip: upload, download in a second process, tampering caught.

    The store is a temporary one, and nothing is left behind.
    """
    with ExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ritual-artifacts-demo-")))
        stack.enter_context(_settings_in(room))
        model = path or _write_sample(room / "sample")
        steps = _run(model, room, quiet=as_json)
    if as_json:
        show_json(steps)
    if not steps["tampering_caught"] or not steps["downloaded_equal"]:
        raise typer.Exit(1)


def _run(model: Path, room: Path, *, quiet: bool) -> dict[str, Any]:
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
    tell(f"   {human_size(result.bytes_sent)} stored, {human_size(result.bytes_reused)} were there already")
    again, _ = publish(plan, backend, repo_id, context)
    tell(f"   the same upload once more: {human_size(again.bytes_sent)} stored")

    target = room / "downloaded"
    tell("2. download it in a second process, every byte verified")
    downloaded = _run_in_second_process(["download", _REPO, str(target)])
    equal = downloaded["digest"] == manifest.digest
    tell(f"   {len(downloaded['files'])} files, digest {'equal' if equal else 'DIFFERENT'}")

    victim = max(manifest.files, key=lambda entry: entry.size)
    tell(f"3. {_tamper(target / victim.path)} of the downloaded {victim.path}, then verify the copy")
    verified = _run_in_second_process(["verify", str(target)])
    for mismatch in verified["mismatches"]:
        tell(f"   caught: {mismatch['path']}")
        tell(f"      expected {mismatch['expected']}")
        tell(f"      got      {mismatch['actual']}")
    caught = [mismatch["path"] for mismatch in verified["mismatches"]] == [victim.path]

    stored = backend.layout.object_path(victim.sha256)
    stored.chmod(0o644)
    tell(f"4. {_tamper(stored)} of that file in the store itself, then download again")
    refused = room / "refused"
    mismatches = _try_download(backend, repo_id, refused, context)
    for found in mismatches:
        tell(f"   refused: {found.path}")
        tell(f"      expected {found.expected}")
        tell(f"      got      {found.actual}")
    left = (refused / victim.path).exists()
    tell(f"   {victim.path} {'IS' if left else 'is not'} in the target folder")
    return {
        "digest": manifest.digest,
        "bytes_sent": result.bytes_sent,
        "bytes_sent_again": again.bytes_sent,
        "downloaded_equal": equal,
        "tampering_caught": caught and bool(mismatches) and not left,
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
def _settings_in(room: Path) -> Iterator[None]:
    """Keep the store, the cache and the locks in `room`, here and in processes started from here."""
    before = dict(os.environ)
    os.environ.update(
        {f"RITUAL_{name.upper()}_DIR": str(room / name) for name in ("store", "cache", "state")}
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_in_second_process(arguments: list[str]) -> dict[str, Any]:
    # -P: no module in the current folder may stand in for one of ours.
    command = [sys.executable, "-P", "-m", "ritual_artifacts", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter and arguments
    if not done.stdout:
        message = f"the second process failed: {done.stderr.strip()}"
        raise ArtifactError(message)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _tamper(path: Path) -> str:
    """Change a file as little as possible, and say how."""
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

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

from ritual_artifacts import transfer
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.cli.artifacts import plan_path
from ritual_artifacts.cli.output import JsonOption, human_size, show, show_json, show_manifest
from ritual_artifacts.errors import ArtifactError
from ritual_artifacts.repo_id import RitualRepoId

_REPO = "local/demo/model/v1"
_SAMPLE_SIZE = 4 << 20


def demo(
    path: Annotated[
        Path | None, typer.Argument(help="A model's folder; default a small sample written for this.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a model to a local store, download it in a second process, and tamper with it. Leaves nothing."""
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

    backend = LocalBackend()
    repo_id = RitualRepoId.from_unique_id(_REPO)

    tell(f"1. upload {model} to {_REPO}")
    plan = plan_path(model)
    result, manifest = transfer.upload(plan, backend, repo_id)
    if not quiet:
        show_manifest(manifest, "   the manifest")
    tell(f"   {human_size(result.bytes_sent)} stored, {human_size(result.bytes_reused)} were there already")
    again, _ = transfer.upload(plan, backend, repo_id)
    tell(f"   the same upload once more: {human_size(again.bytes_sent)} stored")

    target = room / "downloaded"
    tell("2. download it in a second process, every byte verified")
    downloaded = _run_in_second_process(["download", _REPO, str(target)])
    equal = downloaded["digest"] == manifest.digest
    tell(f"   {len(downloaded['files'])} files, digest {'equal' if equal else 'DIFFERENT'}")

    tell("3. flip one bit of the downloaded copy, then verify it")
    victim = max(manifest.files, key=lambda entry: entry.size or 0).path
    _flip_one_bit(target / victim)
    verified = _run_in_second_process(["verify", str(target)])
    for mismatch in verified["mismatches"]:
        tell(f"   caught: {mismatch['path']} expected {mismatch['expected']}")
        tell(f"   {'':{len(mismatch['path'])}}              got {mismatch['actual']}")

    tell("4. flip one bit in the store itself, then download again")
    stored = backend.object_path(next(e.sha256 for e in manifest.files if e.path == victim))
    stored.chmod(0o644)
    _flip_one_bit(stored)
    refused = room / "refused"
    try:
        revision, _ = transfer.read_manifest(backend, repo_id)
        transfer.download(backend, repo_id, revision, manifest, refused)
    except ArtifactError as error:
        tell(f"   refused: {error}")
    left = (refused / victim).exists()
    tell(f"   {victim} {'IS' if left else 'is not'} in the target folder")
    return {
        "digest": manifest.digest,
        "bytes_sent": result.bytes_sent,
        "bytes_sent_again": again.bytes_sent,
        "downloaded_equal": equal,
        "tampering_caught": [m["path"] for m in verified["mismatches"]] == [victim] and not left,
    }


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
    command = [sys.executable, "-m", "ritual_artifacts", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter and arguments
    if not done.stdout:
        message = f"the second process failed: {done.stderr.strip()}"
        raise ArtifactError(message)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _flip_one_bit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1) or b"\0"
        file.seek(-len(byte), os.SEEK_CUR) if path.stat().st_size else None
        file.write(bytes([byte[0] ^ 1]))


def _write_sample(folder: Path) -> Path:
    """Write a small model folder: one tensor in the safetensors format, and a config."""
    folder.mkdir()
    weights = random.Random(0).randbytes(_SAMPLE_SIZE)  # noqa: S311 - sample data, the same on each run
    tensor = {"dtype": "F32", "shape": [_SAMPLE_SIZE // 4], "data_offsets": [0, _SAMPLE_SIZE]}
    header = json.dumps({"weight": tensor}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weights)
    (folder / "config.json").write_text(json.dumps({"architectures": ["Sample"], "hidden_size": 1024}))
    return folder

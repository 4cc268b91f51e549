"""Ways to run the command line: inside this process, and in one of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from ritual_artifacts import cli
from tests.backends.stores import default_store

REPO = "local/me/model/v1"
MANIFEST = "ritual_manifest.json"


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def words(text: str) -> str:
    """Return the text of a framed and wrapped usage error, on one line."""
    return " ".join(re.sub(r"[│╭╮╰╯─]+", " ", text).split())


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def lose_objects(run: Run, model: Path) -> None:
    """Publish `model` as `REPO`, remove two of its files from the store and damage a third."""
    files = json.loads(run("upload", model, REPO, "--json").out)["files"]
    places = {file["path"]: default_store().layout.object_path(file["sha256"]) for file in files}
    places["config.json"].unlink()
    places["weights.bin"].unlink()
    places["empty"].chmod(0o644)
    places["empty"].write_bytes(b"not empty")


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command in this process, by the same entry point as users."""

    def run_command(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ritual-artifacts", *map(str, arguments)])
        capfdbinary.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = (part.decode(errors="surrogateescape") for part in capfdbinary.readouterr())
        assert isinstance(code, int)
        return Outcome(code, out, err)

    return run_command


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Return a function that gives this process other bytes as its standard input."""
    with ExitStack() as stack:

        def feed_bytes(content: bytes) -> None:
            path = tmp_path / "standard-input"
            path.write_bytes(content)
            monkeypatch.setattr(sys, "stdin", stack.enter_context(path.open()))

        yield feed_bytes


@pytest.fixture
def run_process(tmp_path: Path) -> Run:
    """Return a function that runs a command in a process of its own, in the test's folder."""

    def run_command(*arguments: object, environment: Mapping[str, str] | None = None) -> Outcome:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "ritual_artifacts", *map(str, arguments)],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, **(environment or {})},
        )
        out, err = (part.decode(errors="surrogateescape") for part in (done.stdout, done.stderr))
        return Outcome(done.returncode, out, err)

    return run_command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a folder with a model that has names and bytes of several kinds."""
    folder = tmp_path / "model"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "empty").write_bytes(b"")
    (folder / "tokenizer" / "[red]größe[bold] :smile:.txt").write_text("x")
    return folder

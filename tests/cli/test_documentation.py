"""The commands that the how-to guide shows work as they are written."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "command-line.md"
TUTORIAL = GUIDE.parent.parent / "tutorial" / "first-artifact.md"
CLASS = re.compile(r"^class MyZkMlArtifact\(BaseModel\):\n(?:    .*\n)+", re.MULTILINE)

Run = Callable[..., Any]


def find_commands() -> list[str]:
    """Return the commands of the guide, in order, each on one line."""
    blocks = re.findall(
        r"^```console\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    text = "".join(blocks).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


@pytest.fixture
def workplace(tmp_path: Path, model: Path, run: Run) -> Path:
    """Make the files that the guide speaks of, and the artifacts that a reader would have by then."""
    for folder in ("path/to/folder", "path/to/a/model/folder", "my_package"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("path/to/folder", "path/to/a/model/folder", "."):
        (tmp_path / folder / "circuit.bin").write_bytes(b"circuit")
        (tmp_path / folder / "model.onnx").write_bytes(b"model")
    cls = CLASS.search(TUTORIAL.read_text(encoding="utf-8"))
    assert cls is not None
    (tmp_path / "my_package" / "artifacts.py").write_text(
        f"from pathlib import Path\nfrom pydantic import BaseModel\n\n\n{cls[0]}"
    )
    for version in ("v1", "v2"):
        run("upload", tmp_path / "path/to/folder", f"local/me/my-model/{version}")
    run("download", "local/me/my-model/v1")
    shutil.rmtree(model)
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="the guide is written for a POSIX shell")
def test_every_command_of_the_guide_works(workplace: Path) -> None:
    commands = find_commands()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    failed = []
    for command in commands:
        done = subprocess.run(  # noqa: S602 - the guide's own commands
            command,
            shell=True,
            cwd=workplace,
            env={**os.environ, "PATH": path},
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            failed.append((command, done.stderr.decode()))

    assert failed == []
    assert len(commands) > 20
    assert any("--type" in command for command in commands)

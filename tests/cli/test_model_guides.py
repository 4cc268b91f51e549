"""What the guides on models and on moving from infernet-ml show works as it is written."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.migration.rewriting import rewrite
from ritual_artifacts.models import ModelManager
from tests.models import write_network

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "how-to"

Run = Callable[..., Any]


def find_blocks(guide: str, language: str) -> list[str]:
    text = (GUIDES / guide).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_guide_on_models_works_from_top_to_bottom(tmp_path: Path) -> None:
    write_network(tmp_path / "path" / "to" / "iris" / "iris.onnx")
    (tmp_path / "path" / "to" / "iris" / "notes.txt").write_text("more\n")
    code = "".join(find_blocks("models.md", "python"))

    done = subprocess.run(  # noqa: S603 - the guide's own code
        [sys.executable, "-c", f"{code}\nprint(scores.shape, artifact.files, manager.has_model(model_id))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    digest, result = done.stdout.splitlines()
    assert digest.startswith("sha256:")
    assert result.startswith(("(1, 3) [PosixPath(", "(1, 3) [WindowsPath("))
    assert result.endswith(" False")  # the guide has cleared the cache
    assert [path.name for path in (tmp_path / "path" / "to" / "output").iterdir()] == ["iris.onnx"]


def test_the_command_of_the_guide_on_models_publishes_the_same(tmp_path: Path, run: Run) -> None:
    text = (GUIDES / "models.md").read_text(encoding="utf-8")
    command = re.search(r"`ritual-artifacts (upload [^`]*)`", text)
    assert command is not None

    verb, folder, repo = command[1].split()
    write_network(tmp_path / folder / "iris.onnx")
    done = run(verb, tmp_path / folder, repo)

    result = ModelManager.upload_model(tmp_path / folder, "local/you/iris")
    assert done.code == 0
    assert done.out == f"local/me/iris/v1 {result.digest}\n"


def test_the_commands_of_the_migration_guide_work(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "path" / "to" / "project" / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text("from infernet_ml.utils.specs.ml_type import MLType\n")
    monkeypatch.chdir(tmp_path)
    (block, *_) = find_blocks("move-from-infernet-ml.md", "console")
    commands = re.findall(r"^\$ ritual-artifacts (.*)$", block, re.MULTILINE)

    codes = [run(*command.split()).code for command in commands]

    assert codes == [0, 0]
    assert path.read_text() == "from ritual_artifacts.models import MLType\n"


def test_the_code_of_the_migration_guide_needs_no_migration() -> None:
    for block in find_blocks("move-from-infernet-ml.md", "python"):
        assert rewrite(block.encode()).source.decode() == block

"""`migrate`: a project is shown what would change, changed, and told what is left."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.core.hashing import write_file
from ritual_artifacts.errors import SourceChangedError
from ritual_artifacts.migration.project import survey

Run = Callable[..., Any]

OLD = "from infernet_ml.resource.artifact_manager import RitualArtifactManager  # ours\n"
NEW = "from ritual_artifacts import RitualArtifactManager  # ours\n"
PARTLY = "from infernet_ml.utils.model_manager import ModelManager, log\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with a file that can be migrated, one that cannot wholly, and one that need not."""
    root = tmp_path / "project"
    (root / "package").mkdir(parents=True)
    (root / "package" / "good.py").write_text(OLD)
    (root / "package" / "partly.py").write_text(PARTLY)
    (root / "other.py").write_text("import os\n")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_a_project_is_migrated_and_what_is_left_is_named(project: Path, run: Run) -> None:
    done = run("migrate", project)

    assert done.code == 1
    assert done.out == (
        f"migrated {project}/package/good.py\n"
        f"migrated {project}/package/partly.py\n"
        f"{project}/package/partly.py:1: infernet_ml.utils.model_manager.log: is not in this package; "
        f"this package has no equivalent; keep infernet-ml installed for it\n"
    )
    assert done.err == "2 files changed; 1 place needs manual changes\n"
    assert (project / "package" / "good.py").read_text() == NEW
    assert (project / "package" / "partly.py").read_text() == (
        "from ritual_artifacts.models import ModelManager\nfrom infernet_ml.utils.model_manager import log\n"
    )
    assert (project / "other.py").read_text() == "import os\n"


def test_a_migrated_project_stays_as_it_is(project: Path, run: Run) -> None:
    (project / "package" / "partly.py").unlink()
    first = run("migrate", project)
    before = contents(project)

    second = run("migrate", project)

    assert (first.code, second.code, second.out) == (0, 0, "")
    assert second.err == "0 files changed; no manual changes needed\n"
    assert contents(project) == before


def test_a_diff_shows_the_change_and_writes_nothing(project: Path, run: Run) -> None:
    before = contents(project)

    done = run("migrate", project / "package" / "good.py", "--diff")

    path = project / "package" / "good.py"
    assert done.out == f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{OLD}+{NEW}"
    assert (done.code, done.err) == (0, "1 file would change; no manual changes needed\n")
    assert contents(project) == before


def test_a_diff_has_tabs_and_no_other_control_characters(project: Path, run: Run) -> None:
    path = project / "package" / "good.py"
    path.write_text(f"if True:\n\t{OLD}\tx = '\x1b[2J'\n\f\n")

    done = run("migrate", path, "--diff")

    assert f"+\t{NEW} \tx = '\\x1b[2J'\n \\x0c\n" in done.out


@pytest.mark.parametrize("option", [[], ["--diff"]])
def test_the_report_is_printed_as_json(option: list[str], project: Path, run: Run) -> None:
    done = run("migrate", project, "--json", *option)

    report = json.loads(done.out)
    assert done.code == 1
    assert report["written"] is not bool(option)
    assert [Path(item["path"]).name for item in report["changed"]] == ["good.py", "partly.py"]
    assert f"+{NEW}" in report["changed"][0]["diff"]
    assert report["problems"] == [
        {
            "path": str(project / "package" / "partly.py"),
            "line": 1,
            "what": "infernet_ml.utils.model_manager.log",
            "why": "is not in this package",
            "hint": "this package has no equivalent; keep infernet-ml installed for it",
        }
    ]


@pytest.mark.parametrize(
    "folder", [".venv/lib", ".git", "node_modules/x", "env/lib/site-packages/x", "a/__pycache__", "myenv/lib"]
)
def test_folders_of_tools_and_dependencies_are_skipped(folder: str, project: Path, run: Run) -> None:
    (project / folder).mkdir(parents=True)
    (project / folder / "theirs.py").write_text(OLD)
    (project / "myenv").mkdir(exist_ok=True)
    (project / "myenv" / "pyvenv.cfg").touch()

    run("migrate", project)

    assert (project / folder / "theirs.py").read_text() == OLD


def test_links_are_not_followed(project: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lib.py").write_text(OLD)
    (project / "linked").symlink_to(tmp_path / "elsewhere")
    (project / "lib.py").symlink_to(tmp_path / "elsewhere" / "lib.py")

    done = run("migrate", project)

    assert (tmp_path / "elsewhere" / "lib.py").read_text() == OLD
    assert (project / "lib.py").is_symlink()
    assert f"{project}/lib.py:1: the file: is a link to {tmp_path}/elsewhere/lib.py" in done.out


def test_a_link_that_is_named_is_followed_to_its_file(project: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "link.py").symlink_to(project / "package" / "good.py")

    done = run("migrate", tmp_path / "link.py")

    assert done.code == 0
    assert (tmp_path / "link.py").is_symlink()
    assert (project / "package" / "good.py").read_text() == NEW


def test_a_file_with_a_syntax_error_is_reported_and_left_alone(project: Path, run: Run) -> None:
    (project / "package" / "partly.py").write_text(f"{OLD}\ndef broken(:\n")
    (project / "bad.py").write_bytes(OLD.encode() + b"# \xff\n")

    done = run("migrate", project)

    assert done.code == 1
    assert f"{project}/package/partly.py:3: the file: cannot be parsed as Python" in done.out
    assert f"{project}/bad.py:" in done.out
    assert (project / "package" / "partly.py").read_text() == f"{OLD}\ndef broken(:\n"
    assert (project / "package" / "good.py").read_text() == NEW


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("requirements-dev.txt", "requests\ninfernet-ml==2.0.0\n", ":2: the requirement infernet-ml"),
        ("pyproject.toml", 'dependencies = ["infernet_ml[onnx]"]\n', ":1: the requirement infernet_ml"),
        (
            "setup.py",
            "setup(\n  install_requires=['infernet-ml[onnx]>=2'])\n",
            ":2: the requirement infernet-ml",
        ),
        ("requirements/base.txt", "infernet-ml\n", ":1: the requirement infernet-ml"),
        ("requirements.in", "infernet-ml\n", ":1: the requirement infernet-ml"),
        ("constraints.txt", "infernet-ml<3\n", ":1: the requirement infernet-ml"),
        ("notebook.ipynb", '{"cells": ["import infernet_ml"]}', ":1: the notebook"),
    ],
)
def test_a_file_that_is_not_source_is_reported_and_left_alone(
    name: str, text: str, what: str, project: Path, run: Run
) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(text)

    done = run("migrate", project)

    assert f"{project}/{name}{what}" in done.out
    assert (project / name).read_text() == text


def test_bytes_that_are_not_the_imports_stay(project: Path, run: Run) -> None:
    source = f"# coding: latin-1\r\n{OLD.strip()} größe\r\n\r\n\r\nx  =  [ 1,2 ]  \t\r\n".encode("latin-1")
    path = project / "package" / "good.py"
    path.write_bytes(source)
    path.chmod(0o755)

    run("migrate", path)

    old, new = (
        f"from {module} import" for module in ("infernet_ml.resource.artifact_manager", "ritual_artifacts")
    )
    assert path.read_bytes() == source.replace(old.encode(), new.encode())
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o755
    assert sorted(p.name for p in path.parent.iterdir()) == ["good.py", "partly.py"]


def test_a_file_that_changed_meanwhile_is_not_overwritten(project: Path) -> None:
    path = project / "package" / "good.py"
    (found,) = survey(path)
    path.write_text("edited\n")

    with pytest.raises(SourceChangedError, match=r"good\.py changed"):
        found.write()

    assert path.read_text() == "edited\n"


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_file_that_cannot_be_written_is_listed_and_the_others_are_written(
    option: list[str], project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_one(path: Path, data: bytes) -> None:
        if path.name == "good.py":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        write_file(path, data)

    monkeypatch.setattr("ritual_artifacts.migration.project.write_file", refuse_one)

    done = run("migrate", project, *option)

    assert done.code == 1
    assert "could not be written (Permission denied)" in done.out
    assert "migrated " + str(project / "package" / "good.py") not in done.out
    assert (project / "package" / "good.py").read_text() == OLD
    assert (project / "package" / "partly.py").read_text() != PARTLY


def test_a_missing_path_is_an_error(tmp_path: Path, run: Run) -> None:
    done = run("migrate", tmp_path / "nowhere")

    assert (done.code, done.err) == (1, f"error: {tmp_path}/nowhere does not exist\n")
    assert run("migrate").code == 2


def test_without_its_library_the_extra_is_named(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("ritual_artifacts.migration")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "libcst", None)

    done = run("migrate", project)

    assert (done.code, done.out) == (1, "")
    assert "ritual-artifacts[migrate]" in done.err

"""`upload`: folders, files, and typed artifacts."""

import json
from pathlib import Path

import pytest

from ritual_artifacts import Manifest
from tests.cli.conftest import MANIFEST, REPO, Run, files_below, words


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module with a model's class into the current folder and return its `module:Class`."""
    name = f"artifacts_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(
        "from pathlib import Path\n"
        "from pydantic import BaseModel, FilePath\n"
        "class Circuit(BaseModel):\n"
        "    circuit: FilePath\n"
        "    weights: list[Path] = []\n"
        "    version: str\n"
        "    size: int | None = None\n"
        "    tags: dict[str, int] = {}\n"
        "    class Inner(BaseModel):\n"
        "        file: Path\n"
        "not_a_model = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{name}:Circuit"


# --- folders and files -------------------------------------------------------------------------------------


def test_a_folder_is_downloaded_with_all_its_files(run: Run, model: Path, tmp_path: Path) -> None:
    uploaded = run("upload", model, REPO)
    downloaded = run("download", REPO, tmp_path / "out")

    found = files_below(tmp_path / "out")
    manifest = Manifest.from_bytes(found.pop(MANIFEST))
    assert (uploaded.code, downloaded.code) == (0, 0)
    assert uploaded.out == f"{REPO} {manifest.digest}\n"
    assert downloaded.out == f"{tmp_path / 'out'}\n"
    assert "4 files published: 10.2 kB stored, 0 bytes already there" in uploaded.err
    assert str(manifest.digest) in downloaded.err
    assert found == files_below(model)
    assert manifest.artifact_type == "ModelArtifact"


def test_upload_prints_everything_as_json(run: Run, model: Path) -> None:
    printed = json.loads(run("upload", model, REPO, "--json").out)

    assert printed["repo_id"] == REPO
    assert printed["bytes_sent"] + printed["bytes_reused"] == 10_243
    assert printed["digest"] == f"sha256:{printed['revision']}"
    assert [entry["path"] for entry in printed["files"]] == sorted(files_below(model))


def test_a_single_file_is_an_artifact_too(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model / "weights.bin", REPO)
    run("download", REPO, tmp_path / "out")

    assert files_below(tmp_path / "out").keys() == {"weights.bin", MANIFEST}


def test_a_downloaded_folder_is_published_as_what_it_is(run: Run, model: Path, tmp_path: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]
    run("download", REPO, tmp_path / "out")
    (tmp_path / "out" / "note.txt").write_text("mine")

    again = run("upload", tmp_path / "out", "local/me/again", "--json")

    assert json.loads(again.out)["digest"] == digest
    assert "1 file that its manifest does not name, left out" in again.err


def test_a_tampered_folder_is_not_published(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")
    (tmp_path / "out" / "weights.bin").write_bytes(b"tampered")

    outcome = run("upload", tmp_path / "out", "local/me/again")

    assert (outcome.code, outcome.out) == (1, "")
    assert "weights.bin" in outcome.err
    assert run("inspect", "local/me/again").code == 1


def test_a_folder_called_like_a_storage_is_a_folder(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "local" / "me" / "other")
    monkeypatch.chdir(tmp_path)

    assert run("upload", "local/me/other", "local/me/again").code == 0
    assert run("verify", "./local/me/other").code == 0


def test_a_storage_name_that_is_also_a_path_is_explained(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local").mkdir()
    monkeypatch.chdir(tmp_path)

    outcome = run("verify", "local")

    assert outcome.code == 2
    assert "for the path of that name, write ./local" in outcome.err


def test_a_missing_path_is_an_error(run: Run, tmp_path: Path) -> None:
    outcome = run("upload", tmp_path / "missing", REPO)

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"error: {tmp_path / 'missing'}: No such file or directory\n"


def test_an_empty_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    outcome = run("upload", tmp_path / "empty", REPO)

    assert outcome.code == 1
    assert outcome.err == f"error: {tmp_path / 'empty'} has no files\n"


def test_a_version_never_changes(run: Run, model: Path) -> None:
    run("upload", model, REPO)
    (model / "config.json").write_text("changed")

    outcome = run("upload", model, REPO)

    assert outcome.code == 1
    assert "upload under a new version" in outcome.err


# --- typed artifacts ---------------------------------------------------------------------------------------


def test_a_typed_artifact_is_published(run: Run, model: Path, typed: str) -> None:
    outcome = run(
        "upload", model, REPO, "--type", typed,
        "--set", "circuit=config.json", "--set", 'weights=["weights.bin", "empty"]',
        "--set", "version=1", "--set", "size=3", "--set", 'tags={"a": 1}',
    )  # fmt: skip

    shown = json.loads(run("inspect", REPO, "--json").out)
    assert outcome.code == 0
    assert shown["artifact_type"] == "Circuit"
    assert shown["fields"] == {
        "circuit": "config.json",
        "weights": ["weights.bin", "empty"],
        "version": "1",
        "size": 3,
        "tags": {"a": 1},
    }


def test_a_text_field_may_look_like_json(run: Run, model: Path, typed: str) -> None:
    run("upload", model, REPO, "--type", typed, "--set", "circuit=config.json", "--set", "version=[x=y]")

    assert json.loads(run("inspect", REPO, "--json").out)["fields"]["version"] == "[x=y]"


def test_a_class_inside_a_class_is_found(run: Run, model: Path, typed: str) -> None:
    assert run("upload", model, REPO, "--type", f"{typed}.Inner", "--set", "file=config.json").code == 0


def test_the_module_is_found_in_the_current_folder(run_process: Run, model: Path, typed: str) -> None:
    outcome = run_process(
        "upload", model, REPO, "--type", typed, "--set", "circuit=config.json", "--set", "version=1"
    )

    assert outcome.code == 0


VALID = ["--set", "circuit=config.json", "--set", "version=1"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{}"], "the values do not fit Circuit: circuit: Field required; version: Field required"),
        (["{}", *VALID, "--set", "size=big"], "do not fit Circuit: size: Input should be a valid integer"),
        (["{}", *VALID, "--set", "circuit=missing"], "circuit: Path does not point to a file"),
        (["{}", *VALID, "--set", "nonsense=1"], "with a field of Circuit: circuit, weights, version, size"),
        (["{}", *VALID, "--set", "nonsense"], "--set 'nonsense' must be field=value"),
        (["{}", *VALID, "--set", "[red]x=1"], "--set '[red]x=1' must be field=value"),
        (
            ["{}", *VALID, "--set", "weights=[oops"],
            "--set weights: the value looks like JSON, but is not valid",
        ),
        (["{}", *VALID, "--set", "weights=one.bin"], "expected file names at weights"),
        (["{}.Missing"], "cannot be imported as module:Class: AttributeError"),
        (["no_such_module:X"], "cannot be imported as module:Class: ModuleNotFoundError"),
        (["not valid"], "cannot be imported as module:Class: ValueError"),
        (["json:dumps"], "is not a Pydantic model"),
        (["json"], "is not a Pydantic model"),
    ],
)
def test_invalid_values_are_explained(
    arguments: list[str], problem: str, run: Run, model: Path, typed: str
) -> None:
    outcome = run("upload", model, REPO, "--type", *(argument.format(typed) for argument in arguments))

    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err
    # Frames cut long words at the edge.
    assert problem.replace(" ", "") in words(outcome.err).replace(" ", "")


def test_a_module_that_fails_is_explained(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_artifacts.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))

    outcome = run("upload", model, REPO, "--type", "broken_artifacts:X")

    assert outcome.code == 2
    assert "ZeroDivisionError" in outcome.err
    assert "Traceback" not in outcome.err


def test_values_need_a_type(run: Run, model: Path) -> None:
    outcome = run("upload", model, REPO, "--set", "a=1")

    assert outcome.code == 2
    assert "--set needs --type" in words(outcome.err)

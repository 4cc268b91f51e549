"""`download`, `inspect`, `diff` and `copy`."""

import json
from pathlib import Path

import pytest

from ritual_artifacts import Manifest, RitualArtifactManager
from tests.cli.conftest import MANIFEST, REPO, Run, lose_objects, words

# --- download ----------------------------------------------------------------------------------------------


def test_without_a_folder_the_cache_is_filled(run: Run, model: Path, own_folders: Path) -> None:
    run("upload", model, REPO)

    outcome = run("download", REPO, "--json")

    assert json.loads(outcome.out)["path"] == str(own_folders / "cache" / REPO)
    assert RitualArtifactManager.has_artifact(REPO)


def test_the_digest_pins_a_download(run: Run, model: Path, tmp_path: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]

    right = run("download", REPO, tmp_path / "right", "--digest", digest)
    wrong = run("download", REPO, tmp_path / "wrong", "--digest", "0" * 64)
    malformed = run("download", REPO, tmp_path / "malformed", "--digest", "abc")

    assert (right.code, wrong.code, malformed.code) == (0, 1, 2)
    assert digest in wrong.err
    assert "got 'abc'" in words(malformed.err)
    assert not (tmp_path / "wrong").exists()


def test_a_file_of_the_user_is_replaced_only_with_overwrite(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("mine")

    refused = run("download", REPO, tmp_path / "out")
    kept = (tmp_path / "out" / "config.json").read_text()
    replaced = run("download", REPO, tmp_path / "out", "--overwrite")

    assert (refused.code, kept, replaced.code) == (1, "mine", 0)
    assert (tmp_path / "out" / "config.json").read_text() == "{}"


# --- inspect and diff --------------------------------------------------------------------------------------


def test_a_manifest_is_shown_without_reading_the_files(run: Run, model: Path, tmp_path: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]
    run("download", REPO, tmp_path / "out")
    (tmp_path / "out" / "weights.bin").unlink()

    outcome = run("inspect", tmp_path / "out")

    lines = outcome.out.splitlines()
    assert lines[0] == str(tmp_path / "out")
    assert lines[1].split() == ["file", "size", "sha256"]
    assert [line.split()[0] for line in lines[2:6]] == [
        "config.json",
        "empty",
        "tokenizer/[red]größe[bold]",
        "weights.bin",
    ]
    assert lines[6:] == ["type    ModelArtifact", "field   metadata = {}", f"digest  {digest}"]


def test_a_manifest_is_shown_as_json(run: Run, model: Path) -> None:
    uploaded = json.loads(run("upload", model, REPO, "--json").out)

    shown = json.loads(run("inspect", REPO, "--json").out)

    assert shown["digest"] == uploaded["digest"]
    assert shown["files"] == uploaded["files"]
    assert shown["fields"]["files"] == [entry["path"] for entry in uploaded["files"]]


def test_equal_artifacts_have_no_difference(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")

    text = run("diff", REPO, tmp_path / "out")
    printed = run("diff", REPO, tmp_path / "out", "--json")

    assert (text.code, text.out) == (0, "")
    assert text.err.startswith("no difference: sha256:")
    assert json.loads(printed.out) == {"equal": True, "type": {}, "fields": {}, "files": {}}


def test_every_difference_is_shown(run: Run, model: Path) -> None:
    run("upload", model, REPO)
    (model / "config.json").write_text("[]")
    (model / "empty").unlink()
    (model / "new").write_text("new")
    run("upload", model, "local/me/model/v2")

    text = run("diff", REPO, "local/me/model/v2")
    printed = run("diff", REPO, "local/me/model/v2", "--json")

    assert (text.code, printed.code) == (1, 1)
    assert [line.split(":")[0] for line in text.out.splitlines()] == [
        "~ field files",
        "~ file config.json",
        "- file empty",
        "+ file new",
    ]
    changes = json.loads(printed.out)
    assert changes["equal"] is False
    assert {name: sorted(change) for name, change in changes["files"].items()} == {
        "config.json": ["new", "old"],
        "empty": ["old"],
        "new": ["new"],
    }


def test_a_field_that_became_null_is_not_shown_as_removed(run: Run, tmp_path: Path) -> None:
    fields: dict[str, dict[str, int | None]] = {"a": {"x": 1}, "b": {"x": None}, "c": {}}
    for name, values in fields.items():
        (tmp_path / name).mkdir()
        document: dict[str, object] = {"artifact_type": "T", "file_hashes": {}, **values}
        (tmp_path / name / MANIFEST).write_text(json.dumps(document))

    nulled = run("diff", tmp_path / "a", tmp_path / "b")
    gone = run("diff", tmp_path / "b", tmp_path / "c")

    assert nulled.out == "~ field x: 1 -> null\n"
    assert gone.out == "- field x: null\n"


def test_manifests_with_numbers_beyond_json_are_compared(run: Run, tmp_path: Path) -> None:
    for name, number in (("a", 2**60), ("b", 2**60 + 1)):
        (tmp_path / name).mkdir()
        document = {"artifact_type": "T", "file_hashes": {}, "x": number}
        (tmp_path / name / MANIFEST).write_text(json.dumps(document))

    outcome = run("diff", tmp_path / "a", tmp_path / "b")

    assert outcome.out == f"~ field x: {2**60} -> {2**60 + 1}\n"


# --- copy --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(run: Run, model: Path, tmp_path: Path) -> Path:
    """Download `REPO` and return its folder."""
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "folder")
    return tmp_path / "folder"


@pytest.mark.parametrize("source", ["folder", "repository"])
@pytest.mark.parametrize("target", ["folder", "repository"])
def test_a_copy_is_the_same_artifact(
    source: str, target: str, run: Run, folder: Path, tmp_path: Path
) -> None:
    first = {"folder": str(folder), "repository": REPO}[source]
    second = {"folder": str(tmp_path / "copy"), "repository": "local/me/copy"}[target]

    text = run("copy", first, second)
    again = run("copy", first, second, "--json")

    assert (text.code, again.code) == (0, 0)
    assert text.out.startswith(second)
    assert json.loads(again.out)["digest"] == Manifest.read(folder / MANIFEST).digest
    assert run("diff", first, second).code == 0
    assert run("verify", second).code == 0


def test_a_copy_in_a_folder_names_its_repository(run: Run, folder: Path, tmp_path: Path) -> None:
    run("copy", folder, tmp_path / "copy")

    assert Manifest.read(tmp_path / "copy" / MANIFEST).repo_id == Manifest.read(folder / MANIFEST).repo_id
    assert Manifest.read(tmp_path / "copy" / MANIFEST).repo_id is not None


@pytest.mark.parametrize("target", ["copy", "local/me/copy"])
def test_a_tampered_source_is_not_copied(
    target: str, run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "weights.bin").write_bytes(bytes(10_240))
    monkeypatch.chdir(tmp_path)

    outcome = run("copy", folder, target)

    assert (outcome.code, outcome.out) == (1, "")
    assert "1 file does not match the manifest: 'weights.bin'" in outcome.err
    assert not (tmp_path / "copy").exists()
    assert run("inspect", target).code == 1


def test_a_copy_replaces_a_file_of_the_user_only_with_overwrite(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "config.json").write_text("mine")

    refused = run("copy", folder, tmp_path / "copy")
    kept = (tmp_path / "copy" / "config.json").read_text()
    replaced = run("copy", folder, tmp_path / "copy", "--overwrite")

    assert (refused.code, kept, replaced.code) == (1, "mine", 0)


def test_copy_names_every_lost_file(run: Run, model: Path, tmp_path: Path) -> None:
    lose_objects(run, model)

    outcome = run("copy", REPO, tmp_path / "out")

    assert (outcome.code, outcome.out) == (1, "")
    assert "2 files do not match" in outcome.err
    assert "'config.json'" in outcome.err
    assert "'weights.bin'" in outcome.err
    assert not (tmp_path / "out").exists()

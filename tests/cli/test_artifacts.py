"""`upload`, `download`, `copy`, `verify`, `inspect` and `diff`."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import Manifest, RitualArtifactManager
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.settings import load_settings

REPO = "local/me/model/v1"
MANIFEST = "ritual_manifest.json"

Run = Callable[..., Any]


def words(text: str) -> str:
    """Return what a framed and wrapped usage error says, on one line."""
    return " ".join(re.sub(r"[│╭╮╰╯─]+", " ", text).split())


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


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


# --- upload ------------------------------------------------------------------------------------------------


def test_a_folder_comes_back_with_all_its_files(run: Run, model: Path, tmp_path: Path) -> None:
    uploaded = run("upload", model, REPO)
    downloaded = run("download", REPO, tmp_path / "out")

    found = files_below(tmp_path / "out")
    manifest = Manifest.from_bytes(found.pop(MANIFEST))
    assert (uploaded.code, downloaded.code) == (0, 0)
    assert uploaded.out == f"{REPO} {manifest.digest}\n"
    assert downloaded.out == f"{tmp_path / 'out'}\n"
    assert "4 files published: 10.2 kB stored, 0 bytes there already" in uploaded.err
    assert str(manifest.digest) in downloaded.err
    assert found == files_below(model)
    assert manifest.artifact_type == "ModelArtifact"


def test_upload_tells_everything_as_json(run: Run, model: Path) -> None:
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


def test_an_id_that_is_a_path_by_mistake_is_explained(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local").mkdir()
    monkeypatch.chdir(tmp_path)

    outcome = run("verify", "local")

    assert outcome.code == 2
    assert "for the path of that name write ./local" in outcome.err


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


# --- upload --type -----------------------------------------------------------------------------------------


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


def test_the_module_is_found_beside_the_user(run_process: Run, model: Path, typed: str) -> None:
    outcome = run_process(
        "upload", model, REPO, "--type", typed, "--set", "circuit=config.json", "--set", "version=1"
    )

    assert outcome.code == 0


GOOD = ["--set", "circuit=config.json", "--set", "version=1"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{}"], "the values do not fit Circuit: circuit: Field required; version: Field required"),
        (["{}", *GOOD, "--set", "size=big"], "do not fit Circuit: size: Input should be a valid integer"),
        (["{}", *GOOD, "--set", "circuit=missing"], "circuit: Path does not point to a file"),
        (["{}", *GOOD, "--set", "nonsense=1"], "with a field of Circuit: circuit, weights, version, size"),
        (["{}", *GOOD, "--set", "nonsense"], "--set 'nonsense' must be field=value"),
        (["{}", *GOOD, "--set", "[red]x=1"], "--set '[red]x=1' must be field=value"),
        (["{}", *GOOD, "--set", "weights=[oops"], "--set weights: the value begins like JSON, but is none"),
        (["{}", *GOOD, "--set", "weights=one.bin"], "expected file names at weights"),
        (["{}.Missing"], "cannot be imported as module:Class: AttributeError"),
        (["no_such_module:X"], "cannot be imported as module:Class: ModuleNotFoundError"),
        (["not valid"], "cannot be imported as module:Class: ValueError"),
        (["json:dumps"], "is not a Pydantic model"),
        (["json"], "is not a Pydantic model"),
    ],
)
def test_bad_values_are_explained(
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


# --- download ----------------------------------------------------------------------------------------------


def test_without_a_folder_the_cache_is_filled(run: Run, model: Path, own_folders: Path) -> None:
    run("upload", model, REPO)

    outcome = run("download", REPO, "--json")

    assert json.loads(outcome.out)["path"] == str(own_folders / "cache" / REPO)
    assert RitualArtifactManager.has_artifact(REPO)


def test_the_digest_pins_a_download(run: Run, model: Path, tmp_path: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]

    good = run("download", REPO, tmp_path / "good", "--digest", digest)
    bad = run("download", REPO, tmp_path / "bad", "--digest", "0" * 64)
    malformed = run("download", REPO, tmp_path / "malformed", "--digest", "abc")

    assert (good.code, bad.code, malformed.code) == (0, 1, 2)
    assert digest in bad.err
    assert "got 'abc'" in words(malformed.err)
    assert not (tmp_path / "bad").exists()


def test_a_file_of_the_users_is_replaced_only_when_asked(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("mine")

    refused = run("download", REPO, tmp_path / "out")
    kept = (tmp_path / "out" / "config.json").read_text()
    replaced = run("download", REPO, tmp_path / "out", "--overwrite")

    assert (refused.code, kept, replaced.code) == (1, "mine", 0)
    assert (tmp_path / "out" / "config.json").read_text() == "{}"


# --- verify ------------------------------------------------------------------------------------------------


def test_an_intact_artifact_verifies(run: Run, model: Path, tmp_path: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]
    run("download", REPO, tmp_path / "out")

    for where in (REPO, tmp_path / "out"):
        outcome = run("verify", where, "--digest", digest)

        assert outcome.code == 0
        assert outcome.out == f"OK {where}: 4 files, 10.2 kB, all match the manifest\n"
    assert json.loads(run("verify", REPO, "--json").out) == {"ok": True, "mismatches": []}


def test_every_mismatch_is_named(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")
    (tmp_path / "out" / "config.json").unlink()
    (tmp_path / "out" / "weights.bin").write_bytes(b"tampered")

    text = run("verify", tmp_path / "out")
    printed = run("verify", tmp_path / "out", "--json")

    assert (text.code, printed.code) == (1, 1)
    assert [line.partition(":")[0] for line in text.out.splitlines()] == [
        f"MISMATCH 'config.json' from {tmp_path / 'out'}",
        f"MISMATCH 'weights.bin' from {tmp_path / 'out'}",
    ]
    found = json.loads(printed.out)
    assert found["ok"] is False
    assert [(m["path"], m["actual"]) for m in found["mismatches"]] == [
        ("config.json", "missing"),
        ("weights.bin", "8 bytes"),
    ]


def test_another_digest_is_a_mismatch(run: Run, model: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]

    outcome = run("verify", REPO, "--digest", f"sha256:{'0' * 64}", "--json")

    assert outcome.code == 1
    (mismatch,) = json.loads(outcome.out)["mismatches"]
    assert (mismatch["expected"], mismatch["actual"]) == (f"sha256:{'0' * 64}", digest)


def test_files_that_the_manifest_does_not_name_are_told_of(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")
    (tmp_path / "out" / "more.bin").write_bytes(b"")

    outcome = run("verify", tmp_path / "out")

    assert (outcome.code, outcome.out[:2]) == (0, "OK")
    assert outcome.err == f"{tmp_path / 'out'} has 1 file that its manifest does not name, not verified\n"


def test_a_file_is_not_a_folder_of_an_artifact(run: Run, model: Path) -> None:
    for command in ("verify", "inspect"):
        outcome = run(command, model / "weights.bin")

        assert (outcome.code, outcome.out) == (1, "")
        assert "is not a folder; name the folder that holds the artifact's manifest" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["upload", "", REPO],
        ["upload", ".", REPO, "--type", ""],
        ["download", REPO, ""],
        ["verify", ""],
        ["inspect", ""],
        ["copy", "", REPO],
        ["demo", ""],
    ],
    ids=" ".join,
)
def test_an_empty_argument_is_not_the_current_folder(
    arguments: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"x")

    outcome = run(*arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")
@pytest.mark.timeout(20)
def test_a_manifest_that_is_a_fifo_is_not_waited_for(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MANIFEST)

    for command in ("verify", "inspect"):
        outcome = run(command, tmp_path)

        assert (outcome.code, outcome.out) == (1, "")
        assert "is not a regular file" in outcome.err


def test_a_damaged_store_does_not_verify(run: Run, model: Path) -> None:
    files = json.loads(run("upload", model, REPO, "--json").out)["files"]
    victim = LocalBackend(load_settings().store_dir).layout.object_path(
        next(f["sha256"] for f in files if f["path"] == "config.json")
    )
    victim.chmod(0o644)
    victim.write_bytes(b"[]")

    outcome = run("verify", REPO)

    assert outcome.code == 1
    assert outcome.out.startswith("MISMATCH 'config.json' from local/me/model/v1: expected ")


def lose_objects(run: Run, model: Path) -> None:
    """Publish `model` as `REPO`, lose two of its files and damage a third."""
    files = json.loads(run("upload", model, REPO, "--json").out)["files"]
    places = {
        file["path"]: LocalBackend(load_settings().store_dir).layout.object_path(file["sha256"])
        for file in files
    }
    places["config.json"].unlink()
    places["weights.bin"].unlink()
    places["empty"].chmod(0o644)
    places["empty"].write_bytes(b"not empty")


def test_every_lost_and_every_wrong_file_of_a_repository_is_named(run: Run, model: Path) -> None:
    lose_objects(run, model)

    text, printed = run("verify", REPO), run("verify", REPO, "--json")

    assert (text.code, printed.code, text.err) == (1, 1, "")
    assert text.out.count("MISMATCH") == 3
    assert [(m["path"], m["actual"]) for m in json.loads(printed.out)["mismatches"]] == [
        ("config.json", "missing"),
        ("empty", "9 bytes"),
        ("weights.bin", "missing"),
    ]


def test_every_lost_file_of_what_is_copied_is_named(run: Run, model: Path, tmp_path: Path) -> None:
    lose_objects(run, model)

    outcome = run("copy", REPO, tmp_path / "out")

    assert (outcome.code, outcome.out) == (1, "")
    assert "2 files do not match" in outcome.err
    assert "'config.json'" in outcome.err
    assert "'weights.bin'" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_folder_without_a_manifest_is_no_artifact(command: str, run: Run, model: Path) -> None:
    outcome = run(command, model)

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"error: {model} has no {MANIFEST}, so it is not an artifact's folder\n"


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_missing_folder_is_an_error_that_says_how_repositories_are_named(command: str, run: Run) -> None:
    outcome = run(command, "me/model")

    assert outcome.code == 1
    assert outcome.err == (
        "error: me/model does not exist; a repository id starts with a storage, such as 'local/'\n"
    )


def test_an_altered_manifest_is_refused(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")
    manifest = tmp_path / "out" / MANIFEST
    manifest.write_text(manifest.read_text().replace("ModelArtifact", "OtherArtifact"))

    outcome = run("verify", tmp_path / "out")

    assert (outcome.code, outcome.out) == (1, "")
    assert "was altered" in outcome.err


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


def test_a_field_that_became_null_did_not_vanish(run: Run, tmp_path: Path) -> None:
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
    """Return a downloaded artifact's folder; its repository is `REPO`."""
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


def test_a_copy_replaces_a_file_of_the_users_only_when_asked(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "config.json").write_text("mine")

    refused = run("copy", folder, tmp_path / "copy")
    kept = (tmp_path / "copy" / "config.json").read_text()
    replaced = run("copy", folder, tmp_path / "copy", "--overwrite")

    assert (refused.code, kept, replaced.code) == (1, "mine", 0)

"""`ls`, `cache …`, `store …` and `doctor`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.backends.stores import default_store
from tests.cli.conftest import MANIFEST, REPO, Run


@pytest.fixture
def uploaded(run: Run, model: Path) -> dict[str, Any]:
    """Publish the model as `REPO` and return what `upload` printed."""
    printed: dict[str, Any] = json.loads(run("upload", model, REPO, "--json").out)
    return printed


@pytest.fixture
def cached(run: Run, uploaded: dict[str, Any]) -> Path:
    """Download `REPO` to the cache and return its folder."""
    assert uploaded
    return Path(run("download", REPO).out.strip())


def damage_store(uploaded: dict[str, Any]) -> Path:
    path = default_store().layout.object_path(uploaded["files"][0]["sha256"])
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    return path


# --- ls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["ls"], ["cache", "ls"], ["store", "ls"]], ids=" ".join)
def test_an_empty_machine_says_so(command: list[str], run: Run, own_folders: Path) -> None:
    text, printed = run(*command), run(*command, "--json")

    assert (text.code, text.out) == (0, "")
    assert "no artifacts yet" in text.err
    assert json.loads(printed.out) == []
    assert not own_folders.exists()


@pytest.mark.usefixtures("cached")
def test_store_and_cache_are_listed(run: Run, uploaded: dict[str, Any]) -> None:
    outcome = run("ls")

    header, *rows = [line.split() for line in outcome.out.splitlines()]
    digest = uploaded["digest"].removeprefix("sha256:")[:12]
    assert header == ["where", "repository", "version", "files", "size", "date", "digest"]
    assert [row[:-2] for row in rows] == [
        ["store", "local/me/model", "v1,", "latest", "4", "10.2", "kB"],
        ["cache", "local/me/model", "v1", "4", "10.2", "kB"],
    ]
    assert [row[-1] for row in rows] == [digest, digest]


@pytest.mark.usefixtures("cached")
def test_a_list_as_json_has_whole_digests(run: Run, uploaded: dict[str, Any]) -> None:
    rows = json.loads(run("ls", "--json").out)

    assert [(row["where"], row["version"], row["state"], row["digest"]) for row in rows] == [
        ("store", ["v1", "latest"], "complete", uploaded["digest"]),
        ("cache", ["v1"], "complete", uploaded["digest"]),
    ]


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("storage", "count"), [("local", 2), ("huggingface", 0), ("arweave", 0)])
def test_one_storage_is_listed(storage: str, count: int, run: Run) -> None:
    assert len(json.loads(run("ls", storage, "--json").out)) == count


def test_an_unknown_storage_is_wrong_usage(run: Run) -> None:
    assert run("ls", "ftp").code == 2


# --- cache -------------------------------------------------------------------------------------------------


def test_an_artifact_is_removed_from_the_cache(run: Run, cached: Path) -> None:
    outcome = run("cache", "rm", REPO)

    assert outcome.code == 0
    assert outcome.out.endswith("freed\n")
    assert not cached.exists()
    assert run("verify", REPO).code == 0  # the store still has it


def test_an_artifact_that_is_not_in_the_cache_cannot_be_removed(run: Run) -> None:
    outcome = run("cache", "rm", REPO)

    assert outcome.code == 1
    assert "'ritual-artifacts cache ls' lists what it has" in outcome.err


def test_a_malformed_id_is_wrong_usage(run: Run) -> None:
    assert run("cache", "rm", "local/..").code == 2
    assert run("store", "rm", "me/model").code == 2


def test_pruning_removes_interrupted_downloads_only_with_incomplete(run: Run, cached: Path) -> None:
    broken = cached.parent / "v2"
    (broken / ".ritual-partial").mkdir(parents=True)
    (broken / ".ritual-partial" / "bytes").write_bytes(b"12345")

    kept = run("cache", "prune", "--json")
    was_kept = broken.exists()
    outcome = run("cache", "prune", "--incomplete", "--json")

    assert (json.loads(kept.out), was_kept) == ({"bytes_freed": 0}, True)
    assert json.loads(outcome.out) == {"bytes_freed": 5}
    assert cached.exists()
    assert not broken.exists()


def test_pruning_keeps_files_of_other_programs(run: Run, own_folders: Path) -> None:
    mine = own_folders / "cache" / "huggingface" / "me" / "model" / "default" / "model.onnx"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")

    outcome = run("cache", "prune", "--json")

    assert json.loads(outcome.out) == {"bytes_freed": 0}
    assert mine.exists()


def test_an_intact_cache_is_verified(run: Run, cached: Path) -> None:
    assert cached.exists()

    text, printed = run("cache", "verify"), run("cache", "verify", "--json")

    assert (text.code, text.out) == (0, "OK artifacts in the cache: 1, all match their manifests\n")
    assert json.loads(printed.out) == {"ok": True, "mismatches": []}


def test_a_damaged_cache_fails_verification(run: Run, cached: Path) -> None:
    (cached / "config.json").write_text("[]")
    (cached / "weights.bin").unlink()

    text, printed = run("cache", "verify"), run("cache", "verify", "--json")

    assert (text.code, printed.code) == (1, 1)
    assert text.out.count("MISMATCH") == 2
    assert [m["path"] for m in json.loads(printed.out)["mismatches"]] == ["config.json", "weights.bin"]


def test_an_invalid_manifest_in_the_cache_fails_verification(run: Run, cached: Path) -> None:
    (cached / MANIFEST).write_text("{}")

    assert run("cache", "verify").code == 1


def test_a_folder_without_a_manifest_is_skipped_by_verification(run: Run, cached: Path) -> None:
    (cached / MANIFEST).unlink()

    verified, listed = run("cache", "verify"), run("cache", "ls")

    assert verified.code == 0
    assert f"skipped {REPO}, which is not a complete artifact" in verified.err
    assert "cache: incomplete" in listed.out


# --- store -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("uploaded")
def test_garbage_collection_frees_the_files_of_a_removed_version(run: Run, own_folders: Path) -> None:
    removed = run("store", "rm", REPO)
    freed = run("store", "gc", "--json")

    assert removed.out == f"1 revision of {REPO} removed\n"
    assert "run 'ritual-artifacts store gc'" in removed.err
    assert json.loads(freed.out) == {"bytes_freed": 10_243}
    assert [path for path in (own_folders / "store" / "objects").rglob("*") if path.is_file()] == []
    assert run("verify", REPO).code == 1


@pytest.mark.usefixtures("uploaded")
def test_a_label_is_removed_without_the_artifact(run: Run, model: Path) -> None:
    run("upload", model, "local/me/model/stable")

    text = run("store", "rm", REPO)

    assert text.out == f"0 revisions of {REPO} removed\n"
    assert "only the label was removed" in text.err
    assert run("verify", "local/me/model/stable").code == 0


def test_a_revision_that_has_labels_is_not_removed_by_its_name(run: Run, uploaded: dict[str, Any]) -> None:
    outcome = run("store", "rm", f"local/me/model/{uploaded['revision']}")

    assert (outcome.code, outcome.out) == (1, "")
    assert "still has a label; remove v1 instead" in outcome.err
    assert run("verify", REPO).code == 0


@pytest.mark.usefixtures("uploaded")
def test_garbage_collection_keeps_the_files_of_versions(run: Run) -> None:
    assert run("store", "gc").out == "0 bytes freed\n"
    assert run("verify", REPO).code == 0


def test_only_the_local_store_has_versions_to_remove(run: Run) -> None:
    outcome = run("store", "rm", "huggingface/me/model")

    assert outcome.code == 2
    assert "is not in the local store" in outcome.err


@pytest.mark.usefixtures("uploaded")
def test_an_intact_store_is_verified(run: Run) -> None:
    assert run("store", "verify").out == "OK all files in the local store match their digests\n"
    assert json.loads(run("store", "verify", "--json").out) == {"ok": True, "mismatches": []}


def test_a_damaged_store_fails_verification(run: Run, uploaded: dict[str, Any]) -> None:
    path = damage_store(uploaded)

    text, printed = run("store", "verify"), run("store", "verify", "--json")

    assert (text.code, printed.code) == (1, 1)
    assert text.out.startswith(f"MISMATCH 'objects/{path.parent.name}/{path.name}'")
    assert json.loads(printed.out)["ok"] is False


def test_a_file_that_the_store_lost_fails_verification(run: Run, uploaded: dict[str, Any]) -> None:
    lost = uploaded["files"][0]
    default_store().layout.object_path(lost["sha256"]).unlink()

    text, printed = run("store", "verify"), run("store", "verify", "--json")

    assert (text.code, printed.code) == (1, 1)
    source = f"local/me/model/{uploaded['revision']}"
    assert text.out == f"MISMATCH {lost['path']!r} from {source}: expected {lost['sha256']}, got missing\n"
    (mismatch,) = json.loads(printed.out)["mismatches"]
    assert (mismatch["path"], mismatch["actual"], mismatch["source"]) == (lost["path"], "missing", source)


# --- doctor ------------------------------------------------------------------------------------------------


def test_doctor_reports_the_installation(
    run: Run, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "3")

    text, printed = run("doctor"), run("doctor", "--json")

    report = json.loads(printed.out)
    assert (text.code, printed.code, text.err) == (0, 0, "")
    assert report["workers"] == 3
    assert report["folders"]["store"]["path"] == str(own_folders / "store")
    assert report["folders"]["store"] | {"free_bytes": 0} == {
        "path": str(own_folders / "store"),
        "exists": False,
        "writable": True,
        "free_bytes": 0,
    }
    assert report["backends"] == {
        "local": "ready",
        "arweave": "ready",
        "huggingface": "ready",
    }
    assert report["credentials"] == {"HF_TOKEN": True, "ARWEAVE_WALLET_FILE_PATH": False}
    assert "hf_secret" not in text.out + printed.out
    assert not own_folders.exists()


def test_doctor_aligns_its_columns(run: Run) -> None:
    sections = run("doctor").out.split("\n\n")

    assert [section.splitlines()[0] for section in sections[1:]] == ["folders", "backends", "credentials"]
    for section in [sections[0], *(section.partition("\n")[2] for section in sections[1:])]:
        lines = section.splitlines()
        width = max(len(line.split()[0]) for line in lines) + (len(lines[0]) - len(lines[0].lstrip()))
        assert all(line[width : width + 2] == "  " and line[width + 2] != " " for line in lines)


def test_doctor_fails_if_a_folder_cannot_be_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RITUAL_CACHE_DIR", str(tmp_path / "file"))

    outcome = run("doctor")

    assert outcome.code == 1
    assert f"{tmp_path / 'file'} (NOT WRITABLE" in outcome.out


def test_doctor_names_an_invalid_setting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "many")

    outcome = run("doctor")

    assert (outcome.code, outcome.out) == (1, "")
    assert "RITUAL_MAX_WORKERS" in outcome.err

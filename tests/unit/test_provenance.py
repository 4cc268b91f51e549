"""Provenance: where an artifact's files are from, and what has changed since."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, DirectoryPath, SecretStr

from ritual_artifacts.artifact.introspection import describe
from ritual_artifacts.artifact.manifest import LegacyEntry, LegacyManifest, Manifest
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.artifact.provenance import Description, Origin, Stamp, try_describe
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.errors import IntegrityError

Write = Callable[..., Path]


class Model(BaseModel):
    weights: Path
    tokenizer: DirectoryPath
    note: str = ""


class Downloaded:
    """An artifact in a folder, and its origin."""

    def __init__(self, write: Write) -> None:
        self.folder = write("out/model.bin").parent
        write("out/tokenizer/config.json")
        write("out/tokenizer/sub/words.txt")
        self.artifact = Model(weights=self.folder / "model.bin", tokenizer=self.folder / "tokenizer")
        plan = plan_files(self.artifact)
        self.manifest = Manifest.build(plan, hash_files([file.source for file in plan.files]))
        self.selection = Selection.of_model(Model, self.manifest)
        self.nodes = describe(self.artifact)
        self.origin = Origin.of_folder(self.nodes, self.folder, self.manifest, self.selection)

    def expect(self) -> dict[str, str]:
        return self.origin.expect(plan_files(self.artifact, self.origin.names))


@pytest.fixture
def downloaded(write: Write) -> Downloaded:
    return Downloaded(write)


# --- origin ---


def test_files_of_an_origin_are_expected_unchanged_and_others_are_new(
    downloaded: Downloaded, write: Write
) -> None:
    expected = {entry.path: entry.sha256 for entry in downloaded.manifest.files}
    assert downloaded.expect() == expected

    downloaded.artifact.weights = write("elsewhere/newer.bin")

    assert downloaded.expect() == {name: expected[name] for name in expected if name != "model.bin"}


def test_an_origin_keeps_the_names_of_its_files(downloaded: Downloaded, tmp_path: Path) -> None:
    moved = tmp_path / "1234"
    downloaded.folder.rename(moved)
    origin = Origin.of_folder(None, moved, downloaded.manifest, downloaded.selection)

    assert origin.names[moved / "tokenizer"] == "tokenizer"
    assert origin.entries[moved / "model.bin"].path == "model.bin"
    assert origin.places["tokenizer/sub/words.txt"] == moved / "tokenizer/sub/words.txt"


def test_a_directory_of_an_origin_must_have_exactly_its_files(downloaded: Downloaded) -> None:
    (downloaded.folder / "tokenizer/config.json").unlink()
    (downloaded.folder / "tokenizer/planted.py").write_text("")

    with pytest.raises(IntegrityError, match="download them again") as caught:
        downloaded.expect()

    assert {(m.path, m.actual) for m in caught.value.mismatches} == {
        ("tokenizer/config.json", "missing"),
        ("tokenizer/planted.py", "a file"),
    }


def test_changed_fields_are_named_with_both_values(downloaded: Downloaded, write: Write) -> None:
    assert downloaded.origin.find_changed_fields(downloaded.artifact, "here") == []

    downloaded.artifact.note = "edited"
    downloaded.artifact.weights = write("elsewhere/newer.bin")

    found = {
        m.field: (m.expected, m.actual)
        for m in downloaded.origin.find_changed_fields(downloaded.artifact, "here")
    }
    assert found.keys() == {"note", "weights"}
    assert found["note"] == ('""', '"edited"')
    assert str(downloaded.folder) in found["weights"][0]


def test_a_missing_file_is_an_integrity_error_only_where_it_is_of_the_origin(downloaded: Downloaded) -> None:
    error = downloaded.origin.missing(str(downloaded.folder / "model.bin"))

    assert error is not None
    assert [(m.path, m.actual) for m in error.mismatches] == [("model.bin", "missing")]
    assert downloaded.origin.missing("elsewhere.bin") is None


def test_the_origin_of_a_part_is_about_that_part(downloaded: Downloaded) -> None:
    part = Selection(names=frozenset({"model.bin"}), left_out=frozenset({"tokenizer"}))

    origin = Origin.of_folder(None, downloaded.folder, downloaded.manifest, part)

    assert [entry.path for entry in origin.manifest.files] == ["model.bin"]
    assert origin.manifest.fields == {"weights": "model.bin", "note": ""}
    assert origin.places.keys() == {"model.bin"}


def test_the_origin_of_a_plan_is_where_the_users_files_are(downloaded: Downloaded) -> None:
    plan = plan_files(downloaded.artifact)

    origin = Origin.of_plan(downloaded.artifact, plan, downloaded.manifest)

    assert origin.places == {file.path: file.source for file in plan.files}
    assert origin.directories == {"tokenizer": downloaded.folder / "tokenizer"}
    assert origin.names == {}  # nothing is expected of files that are the user's own
    assert origin.find_changed_fields(downloaded.artifact, "here") == []


# --- stamp ---


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def edit_behind_the_time(path: Path) -> None:
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_a_copy(path: Path) -> None:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    status = path.stat()
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)


@pytest.mark.parametrize("change", [touch, edit_behind_the_time, replace_by_a_copy])
def test_a_stamp_changes_with_a_file(change: Callable[[Path], None], write: Write) -> None:
    path = write("a.bin")
    before = Stamp.of({"file": "a.bin"}, {"a.bin": path})
    assert Stamp.of({"file": "a.bin"}, {"a.bin": path}) == before

    change(path)

    assert Stamp.of({"file": "a.bin"}, {"a.bin": path}) != before


def test_a_stamp_changes_with_fields_names_and_places(write: Write) -> None:
    path, other = write("a.bin"), write("b.bin")
    stamps = {
        Stamp.of({"x": 1}, {"a.bin": path}),
        Stamp.of({"x": 2}, {"a.bin": path}),
        Stamp.of({"x": 1}, {"b.bin": path}),
        Stamp.of({"x": 1}, {"a.bin": other}),
        Stamp.of({"x": 1}, {"a.bin": path, "b.bin": other}),
    }

    assert len(stamps) == 5
    with pytest.raises(FileNotFoundError):
        Stamp.of({}, {"a.bin": path.with_name("missing")})


# --- description ---


def test_verified_files_of_an_unchanged_model_are_described_without_hashing(downloaded: Downloaded) -> None:
    description = Description.of_origin(downloaded.nodes, downloaded.origin)

    assert description is not None
    assert description.manifest == downloaded.manifest
    assert description.stamp == Stamp.of_plan(plan_files(downloaded.artifact, downloaded.origin.names))


def test_a_model_with_other_fields_or_files_is_not_described(downloaded: Downloaded) -> None:
    edited = downloaded.artifact.model_copy(update={"note": "edited"})
    legacy = LegacyManifest(
        artifact_type="Model",
        fields=downloaded.manifest.fields,
        files=tuple(LegacyEntry(path=e.path, sha256=e.sha256) for e in downloaded.manifest.files),
    )
    unsized = Origin.of_folder(downloaded.nodes, downloaded.folder, legacy, downloaded.selection)
    extra = downloaded.manifest.model_copy(
        update={
            "files": (
                *downloaded.manifest.files,
                downloaded.manifest.files[0].model_copy(update={"path": "x"}),
            )
        }
    )
    more = Origin.of_folder(downloaded.nodes, downloaded.folder, extra, downloaded.selection)

    assert Description.of_origin(describe(edited), downloaded.origin) is None
    assert Description.of_origin(downloaded.nodes, unsized) is None
    assert Description.of_origin(downloaded.nodes, more) is None


def test_a_model_that_cannot_be_published_is_not_described(write: Write) -> None:
    class Secretive(BaseModel):
        file: Path
        key: SecretStr

    assert try_describe(Secretive(file=write("a.bin"), key=SecretStr("hunter2"))) is None

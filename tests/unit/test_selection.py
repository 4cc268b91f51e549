"""Selections: which files of an artifact are wanted, and which fields they belong to."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, DirectoryPath

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.artifact.selection import Selection, names_below
from ritual_artifacts.errors import ArtifactModelError, ManifestError

NAMES = ["a.bin", "b.bin", "config.json", "tokenizer/config.json", "tokenizer/sub/words.txt"]


class Parts(BaseModel):
    model: Path | None = None
    shards: list[Path] = []
    tokenizer: DirectoryPath | None = None
    version: str = "v1"


class Required(BaseModel):
    model: Path
    shards: list[Path] = []


def manifest(names: list[str] = NAMES, **fields: object) -> Manifest:
    sha256 = hashlib.sha256(b"").hexdigest()
    entries = tuple(ManifestEntry(path=name, size=0, sha256=sha256) for name in sorted(names))
    return Manifest(artifact_type="Parts", fields=fields, files=entries)


WHOLE = manifest(model="config.json", shards=["a.bin", "b.bin"], tokenizer="tokenizer", version="v2")


def test_without_fields_every_file_is_wanted_and_knows_its_field() -> None:
    selection = Selection.of_model(Parts, WHOLE)

    assert selection.names is None
    assert selection.is_all_of(WHOLE)
    assert selection.choose(WHOLE) == list(WHOLE.files)
    assert selection.values(WHOLE) == WHOLE.fields
    assert selection.directories == {"tokenizer": "tokenizer"}
    assert selection.fields == {
        "a.bin": "shards",
        "b.bin": "shards",
        "config.json": "model",
        "tokenizer/config.json": "tokenizer",
        "tokenizer/sub/words.txt": "tokenizer",
    }


@pytest.mark.parametrize(
    ("fields", "names", "directories"),
    [
        (["model"], {"config.json"}, {}),
        (["shards"], {"a.bin", "b.bin"}, {}),
        (
            ["tokenizer"],
            {"tokenizer/config.json", "tokenizer/sub/words.txt"},
            {"tokenizer": "tokenizer"},
        ),
        (["shards", "model"], {"a.bin", "b.bin", "config.json"}, {}),
        ([], set(), {}),
    ],
)
def test_the_wanted_fields_choose_the_files(
    fields: list[str], names: set[str], directories: dict[str, str]
) -> None:
    selection = Selection.of_model(Parts, WHOLE, fields)

    assert {entry.path for entry in selection.choose(WHOLE)} == names
    assert selection.names == frozenset(names)
    assert selection.directories == directories
    assert selection.left_out == {"model", "shards", "tokenizer"} - set(fields)
    assert selection.values(WHOLE).keys() == {"version", *fields}
    assert not selection.is_all_of(WHOLE)


def test_a_selection_of_every_field_is_the_whole_artifact() -> None:
    assert Selection.of_model(Parts, WHOLE, ["model", "shards", "tokenizer"]).is_all_of(WHOLE)


def test_a_file_of_two_fields_comes_with_each_of_them() -> None:
    shared = manifest(["tokenizer/config.json"], model="tokenizer/config.json", tokenizer="tokenizer")

    for fields, owner in ((["model"], "model"), (["tokenizer"], "tokenizer"), (None, "model")):
        selection = Selection.of_model(Parts, shared, fields)
        assert [entry.path for entry in selection.choose(shared)] == ["tokenizer/config.json"]
        assert selection.fields == {"tokenizer/config.json": owner}


def test_a_file_of_no_field_is_wanted_only_with_all_others() -> None:
    extra = manifest([*NAMES, "README.md"], **WHOLE.fields)

    everything = Selection.of_model(Parts, extra)
    fields = Selection.of_model(Parts, extra, ["model", "shards", "tokenizer"])

    assert everything.is_all_of(extra)
    assert "README.md" not in everything.fields
    assert not fields.is_all_of(extra)


def test_a_wrong_choice_of_fields_is_refused() -> None:
    with pytest.raises(ArtifactModelError, match=r"'version'|Parts\.version"):
        Selection.of_model(Parts, WHOLE, ["version"])
    with pytest.raises(ArtifactModelError, match=r"\['model'\]"):
        Selection.of_model(Parts, WHOLE, "model")
    with pytest.raises(ArtifactModelError, match=r"Required\.model cannot be left out"):
        Selection.of_model(Required, manifest(["a.bin"], model="a.bin", shards=[]), ["shards"])
    with pytest.raises(ManifestError, match="model"):
        Selection.of_model(Required, manifest(["a.bin"], shards=["a.bin"]))


@given(st.permutations(NAMES), st.sets(st.sampled_from(NAMES)))
def test_files_are_chosen_in_the_manifests_order(order: list[str], wanted: set[str]) -> None:
    names = [name for name in order if name in wanted]

    some = Selection.of_files(names, "files")
    whole = Selection.of_files(names, "files", all_files=True)

    assert [entry.path for entry in some.choose(WHOLE)] == sorted(wanted)
    assert some.is_all_of(WHOLE) == (wanted == set(NAMES))
    assert whole.choose(WHOLE) == list(WHOLE.files)
    assert list(some.fields) == list(whole.fields) == names


def test_places_have_the_names_of_files_and_directories() -> None:
    folder = Path("/out")

    assert names_below(folder, manifest(["a.bin", "tokenizer/sub/words.txt"])) == {
        folder / "a.bin": "a.bin",
        folder / "tokenizer": "tokenizer",
        folder / "tokenizer/sub": "tokenizer/sub",
        folder / "tokenizer/sub/words.txt": "tokenizer/sub/words.txt",
    }

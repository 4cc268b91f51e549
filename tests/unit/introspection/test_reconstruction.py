"""Fields of a manifest, which a stranger may have written, become a model or an error."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, NewPath, PrivateAttr, ValidationError, create_model

from ritual_artifacts.artifact.canonical import Json as JsonTree
from ritual_artifacts.artifact.introspection import explain, file_names, rebuild
from ritual_artifacts.errors import ArtifactModelError, ManifestError
from tests.unit.introspection.artifacts import Part


class Target(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: Path
    files: list[Path] = []
    pair: tuple[int, Path] | None = None
    named: dict[str, Path] = {}
    part: Part | None = None
    number: int = 0


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"file": 3},
        {"file": None},
        {"file": ["a"]},
        {"file": "a", "files": "a"},
        {"file": "a", "files": [["a"]]},
        {"file": "a", "files": [None]},
        {"file": "a", "pair": ["a"]},
        {"file": "a", "pair": [1, 2]},
        {"file": "a", "named": ["a"]},
        {"file": "a", "part": "a"},
        {"file": "a", "part": {}},
        {"file": "a", "part": {"file": {}}},
        {"file": "a", "number": "many"},
        {"file": "a", "unknown": 1},
    ],
    ids=str,
)
def test_fields_that_do_not_fit_the_class_are_refused(values: dict[str, JsonTree]) -> None:
    with pytest.raises(ManifestError):
        rebuild(Target, values, Path)


def test_only_what_the_type_calls_a_file_is_resolved() -> None:
    asked: list[str] = []

    def resolve(name: str) -> Path:
        asked.append(name)
        return Path("/root") / name

    class Texts(BaseModel):
        file: Path
        text: str
        texts: list[str]

    again = rebuild(Texts, {"file": "a", "text": "../b", "texts": ["/etc/passwd"]}, resolve)

    assert asked == ["a"]
    assert again == Texts(file=Path("/root/a"), text="../b", texts=["/etc/passwd"])


class CopyInPrivate(BaseModel):
    out: NewPath
    _copies: dict[str, list[Path]] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: Any) -> None:
        self._copies["out"] = [self.out]


class CopyInExcluded(BaseModel):
    out: NewPath
    copied: Path | None = Field(default=None, exclude=True)

    def model_post_init(self, _context: Any) -> None:
        self.copied = self.out


class MovedIntoText(BaseModel):
    out: NewPath | None
    name: str = ""

    def model_post_init(self, _context: Any) -> None:
        if self.out:
            self.name, self.out = self.out.stem, None


@dataclasses.dataclass
class CopyInDataclass:
    out: NewPath

    def __post_init__(self) -> None:
        self.copied = self.out


@pytest.mark.parametrize("cls", [CopyInPrivate, CopyInExcluded, MovedIntoText, CopyInDataclass])
def test_a_model_that_copies_a_new_path_to_where_it_has_no_files_is_refused(
    cls: type, tmp_path: Path
) -> None:
    holder = create_model("Holder", part=(cls, ...))

    with pytest.raises(ArtifactModelError, match=r"Holder copies the path of a NewPath.*declare .* as Path"):
        rebuild(holder, {"part": {"out": "a.bin"}}, tmp_path.joinpath)


def test_a_new_path_that_is_copied_into_another_file_field_is_rebuilt(tmp_path: Path) -> None:
    class Listing(BaseModel):
        out: NewPath
        files: list[Path] = []
        _owner: "Listing | None" = PrivateAttr(None)

        def model_post_init(self, _context: Any) -> None:
            self.files, self._owner = [self.out], self

    again = rebuild(Listing, {"out": "a.bin"}, tmp_path.joinpath)

    assert (again.out, again.files) == (tmp_path / "a.bin", [tmp_path / "a.bin"])


def test_the_names_of_each_field_are_listed() -> None:
    values: dict[str, JsonTree] = {
        "file": "a",
        "files": ["b", "c"],
        "pair": [1, "d"],
        "part": {"file": "e", "note": "x"},
    }

    names = file_names(Target, values)

    assert names == {"file": ("a",), "files": ("b", "c"), "pair": ("d",), "named": (), "part": ("e",)}


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ManifestError, match="no field 'file', which Target requires"):
        file_names(Target, {"files": []})


def test_an_explanation_is_short_and_safe_for_a_terminal() -> None:
    hostile: dict[str, JsonTree] = {f"\x1b[2J\u202e{i}{'x' * 1000}": 1 for i in range(50)}

    with pytest.raises(ManifestError) as caught:
        rebuild(Target, {"file": "a", **hostile}, Path)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 3000


def test_an_explanation_says_how_many_problems_it_leaves_out() -> None:
    with pytest.raises(ValidationError) as caught:
        Target.model_validate({"file": "a", **{f"field{i}": 1 for i in range(7)}})

    assert explain(caught.value, "it").endswith("; and 2 more")

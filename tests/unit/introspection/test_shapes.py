"""What the type of a field says about files."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pydantic import DirectoryPath, FilePath, NewPath, create_model
from typing_extensions import TypedDict, TypeVar

from ritual_artifacts.artifact.introspection.records import required_fields
from ritual_artifacts.artifact.introspection.shapes import (
    METADATA,
    Choice,
    File,
    FixedItems,
    Items,
    Record,
    Shape,
    Values,
    record_fields,
)
from ritual_artifacts.errors import ArtifactModelError
from tests.unit.introspection.artifacts import Part, Plain


@dataclasses.dataclass
class Row:
    file: Path
    count: int = 0
    names: list[str] = dataclasses.field(default_factory=list)


class Options(TypedDict, total=False):
    file: Path


BoundT = TypeVar("BoundT", bound=Path)
ConstrainedT = TypeVar("ConstrainedT", Path, int)
DefaultT = TypeVar("DefaultT", default=list[Path])
FreeT = TypeVar("FreeT")


def shape_of(annotation: Any) -> Shape:
    return record_fields(create_model("Holder", value=(annotation, ...)))["value"]


SHAPES: dict[str, tuple[Any, Shape]] = {
    "str": (str, METADATA),
    "any": (Any, METADATA),
    "bare list": (list, METADATA),
    "model without files": (Plain, METADATA),
    "free type variable": (FreeT, METADATA),
    "path": (Path, File("file")),
    "file path": (FilePath, File("file")),
    "directory": (DirectoryPath, File("directory")),
    "new path": (NewPath, File("new")),
    "list": (list[Path], Items(File("file"))),
    "tuple": (tuple[DirectoryPath, ...], Items(File("directory"))),
    "fixed tuple": (tuple[int, Path], FixedItems((METADATA, File("file")))),
    "dict": (dict[str, list[Path]], Values(Items(File("file")))),
    "model": (Part, Record(Part)),
    "dataclass": (Row, Record(Row)),
    "typed dict": (Options, Record(Options)),
    "optional": (
        Path | None,
        Choice((File("file"), METADATA), frozenset({"string"}), frozenset({"null"})),
    ),
    "records": (
        Part | Plain,
        Choice((Record(Part), Record(Plain)), frozenset({"object"}), frozenset({"record"})),
    ),
    "bound": (BoundT, File("file")),
    "constrained": (
        ConstrainedT,
        Choice((File("file"), METADATA), frozenset({"string"}), frozenset({"number"})),
    ),
    "default": (DefaultT, Items(File("file"))),
}


@pytest.mark.parametrize("case", SHAPES)
def test_the_type_decides_what_is_a_file(case: str) -> None:
    annotation, expected = SHAPES[case]

    assert shape_of(annotation) == expected


@pytest.mark.parametrize(
    ("cls", "required"), [(Part, {"file"}), (Row, {"file"}), (Options, set()), (Plain, {"note"})]
)
def test_the_fields_that_a_record_needs_are_known(cls: type, required: set[str]) -> None:
    assert required_fields(cls) == required


def test_a_dataclass_that_names_an_unknown_type_is_refused() -> None:
    @dataclasses.dataclass
    class Lost:
        file: "NowhereDefined"  # type: ignore[name-defined]  # noqa: F821 - that is the point

    with pytest.raises(ArtifactModelError, match=r"Lost has annotations that cannot be resolved"):
        record_fields(Lost)

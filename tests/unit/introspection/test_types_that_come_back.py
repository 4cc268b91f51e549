"""Every type of field: its files are found, and its values come back equal."""

import enum
import os
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional, Union
from uuid import UUID

import pytest
from pydantic import (
    BaseModel,
    DirectoryPath,
    Discriminator,
    Field,
    FilePath,
    Json,
    JsonValue,
    RootModel,
    Tag,
    create_model,
)
from typing_extensions import TypeAliasType, TypedDict

from tests.unit.introspection.artifacts import (
    Box,
    Colour,
    Kind,
    Part,
    PathList,
    Plain,
    Point,
    Shard,
    T,
    Words,
    assert_comes_back,
    come_back,
)


class Tree(BaseModel):
    file: Path | None = None
    children: list["Tree"] = []


class PathTree(RootModel[Path | list["PathTree"]]):
    pass


class Options(TypedDict):
    file: Path
    rate: NotRequired[float]


class OtherOptions(TypedDict):
    files: list[Path]


class Many(BaseModel):
    files: list[Path]


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class OnnxModel(BaseModel):
    kind: Literal[Kind.ONNX] = Kind.ONNX
    weights: Path


class TorchModel(BaseModel):
    kind: Literal[Kind.TORCH] = Kind.TORCH
    weights: list[Path]


class RemoteModel(BaseModel):
    kind: Literal["remote"] = "remote"
    weights: str


Alias = TypeAliasType("Alias", list[Path])


GenericAlias = TypeAliasType("GenericAlias", dict[str, T], type_params=(T,))


WeightsFile = NewType("WeightsFile", Path)


FileTree = TypeAliasType("FileTree", "Path | dict[str, FileTree]")


PartTree = TypeAliasType("PartTree", Union[Path, "list[PartNode]"])


NestedList = TypeAliasType("NestedList", "T | list[NestedList[T]]", type_params=(T,))


class PartNode(BaseModel):
    name: str
    below: PartTree


def _kind_of(value: object) -> str:
    keys = value if isinstance(value, dict) else type(value).__annotations__
    return "many" if "files" in keys else "one"


FILE_TYPES: dict[str, tuple[Any, Callable[[Path, Path], object], int]] = {
    "Path": (Path, lambda a, _: a, 1),
    "FilePath": (FilePath, lambda a, _: a, 1),
    "PathLike": (os.PathLike[str], lambda a, _: a, 1),
    "DirectoryPath": (DirectoryPath, lambda a, _: a.parent, 1),
    "optional": (Optional[Path], lambda a, _: a, 1),  # noqa: UP045 - the old spelling is another object
    "optional none": (FilePath | None, lambda *_: None, 0),
    "list": (list[Path], lambda a, b: [a, b], 2),
    "empty list": (list[Path], lambda *_: [], 0),
    "list of directories": (list[DirectoryPath], lambda a, b: [a.parent, b.parent], 2),
    "one file twice": (list[Path], lambda a, _: [a, a], 1),
    "list of optionals": (list[Path | None], lambda a, b: [a, None, b], 2),
    "tuple": (tuple[Path, ...], lambda a, b: (a, b), 2),
    "fixed tuple": (tuple[int, Path, str], lambda a, _: (1, a, "x"), 1),
    "nested tuple": (tuple[tuple[Path, int], ...], lambda a, b: ((a, 1), (b, 2)), 2),
    "set": (set[Path], lambda a, b: {a, b}, 2),
    "frozenset": (frozenset[FilePath], lambda a, b: frozenset({a, b}), 2),
    "set of models": (set[Part], lambda a, b: {Part(file=a), Part(file=b, note="x")}, 2),
    "sequence": (Sequence[Path], lambda a, b: [a, b], 2),
    "deque": (deque[Path], lambda a, b: deque([a, b]), 2),
    "dict": (dict[str, Path], lambda a, b: {"b": b, "a": a}, 2),
    "dict of numbers": (dict[int, Path], lambda a, b: {2: b, 1: a}, 2),
    "mapping": (Mapping[str, Path | None], lambda a, _: {"b": None, "a": a}, 1),
    "dict of lists": (dict[str, list[Path]], lambda a, b: {"x": [a, b], "y": []}, 2),
    "ordered dict": (OrderedDict[str, Path], lambda a, b: OrderedDict(b=b, a=a), 2),
    "default dict": (defaultdict[str, list[Path]], lambda a, _: defaultdict(list, a=[a]), 1),
    "nested model": (Part, lambda a, _: Part(file=a), 1),
    "list of models": (list[Part], lambda a, b: [Part(file=a), Part(file=b, note="n")], 2),
    "recursive": (Tree, lambda a, b: Tree(file=a, children=[Tree(), Tree(children=[Tree(file=b)])]), 2),
    "root model": (PathList, lambda a, b: PathList([a, b]), 2),
    "recursive root": (PathTree, lambda a, b: PathTree([PathTree(a), PathTree([PathTree(b)])]), 2),
    "dataclass": (Shard, lambda a, _: Shard(a, 3), 1),
    "typed dict": (Options, lambda a, _: {"file": a, "rate": 0.5}, 1),
    "typed dict, key left out": (Options, lambda a, _: {"file": a}, 1),
    "Annotated": (Annotated[Path, "a note"], lambda a, _: a, 1),
    "Annotated deep": (Annotated[list[Annotated[Path, 1]], Field(min_length=1)], lambda a, _: [a], 1),
    "generic": (Box[Path], lambda a, _: Box[Path](content=a), 1),
    "generic of generic": (Box[Box[list[Path]]], lambda a, _: Box(content=Box(content=[a])), 1),
    "type alias": (Alias, lambda a, b: [a, b], 2),
    "generic type alias": (GenericAlias[Path], lambda a, _: {"x": a}, 1),
    "NewType": (WeightsFile, lambda a, _: WeightsFile(a), 1),
    "recursive alias": (FileTree, lambda a, b: {"x": {"y": {"z": a}}, "w": b}, 2),
    "recursive alias, outermost": (FileTree, lambda a, _: a, 1),
    "optional recursive alias": (list[FileTree | None], lambda a, _: [None, {"x": a}], 1),
    "recursive alias through a model": (
        PartTree,
        lambda a, b: [PartNode(name="x", below=[PartNode(name="y", below=a)]), PartNode(name="z", below=b)],
        2,
    ),
    "generic recursive alias": (NestedList[Path], lambda a, b: [[a, [b]], []], 2),
    "tagged union": (
        Annotated[OnnxModel | TorchModel | RemoteModel, Field(discriminator="kind")],
        lambda a, b: TorchModel(weights=[a, b]),
        2,
    ),
    "tagged union, other member": (
        Annotated[OnnxModel | TorchModel | RemoteModel, Field(discriminator="kind")],
        lambda a, _: OnnxModel(weights=a),
        1,
    ),
    "tagged union, member without files": (
        Annotated[OnnxModel | TorchModel | RemoteModel, Field(discriminator="kind")],
        lambda *_: RemoteModel(weights="file-0"),
        0,
    ),
    "callable discriminator": (
        Annotated[Annotated[Part, Tag("one")] | Annotated[Many, Tag("many")], Discriminator(_kind_of)],
        lambda a, b: Many(files=[a, b]),
        2,
    ),
    "union of models": (Part | Many, lambda a, _: Many(files=[a]), 1),
    "union with a model without files": (Part | Plain, lambda *_: Plain(note="file-0"), 0),
    "union of typed dicts": (Options | OtherOptions, lambda a, b: {"files": [a, b]}, 2),
    "file or files": (Path | list[Path], lambda a, b: [a, b], 2),
    "file or number": (Path | int, lambda *_: 3, 0),
    "file or model": (Union[Path, Plain, None], lambda a, _: a, 1),  # noqa: UP007 - as above
}


@pytest.mark.parametrize("case", FILE_TYPES)
def test_files_come_back_by_type(case: str, write: Callable[..., Path]) -> None:
    annotation, make, files = FILE_TYPES[case]
    model = create_model("Case", value=(annotation, ...))
    artifact = model(value=make(write("one/a.bin"), write("two/b.bin")))

    assert_comes_back(artifact, files=files)


METADATA: dict[str, tuple[Any, object]] = {
    "str": (str, "größe 日本 \x00 \u2028"),
    "int": (int, 2**53 - 1),
    "negative": (int, -(2**53) + 1),
    "float": (float, 0.1 + 0.2),
    "small float": (float, 5e-324),
    "bool": (bool, True),
    "none": (int | None, None),
    "datetime": (datetime, datetime(2024, 2, 29, 12, 30, 1, 123456, tzinfo=UTC)),
    "datetime with offset": (datetime, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3.5)))),
    "naive datetime": (datetime, datetime(1, 1, 1)),  # noqa: DTZ001 - naive ones come back too
    "date": (date, date(9999, 12, 31)),
    "time": (time, time(23, 59, 59, 999999)),
    "timedelta": (timedelta, timedelta(days=-3, microseconds=1)),
    "enum": (Colour, Colour.BLUE),
    "int enum": (Level, Level.HIGH),
    "str enum": (Kind, Kind.TORCH),
    "enum keys": (dict[Colour, int], {Colour.RED: 1}),
    "literal": (Literal["a", 1] | None, 1),
    "bytes": (bytes, b"text \x00"),
    "decimal": (Decimal, Decimal("1.500")),
    "big decimal": (Decimal, Decimal("123456789012345678901234567890.000000001")),
    "uuid": (UUID, UUID(int=5)),
    "complex": (complex, 1 + 2j),
    "nested": (Plain, Plain(note="x")),
    "list": (list[date], [date(2024, 1, 1)]),
    "tuple": (tuple[int, str], (1, "x")),
    "named tuple": (Point, Point(1, 2)),
    "set": (set[str], {"a", "b"}),
    "nested sets": (frozenset[frozenset[int]], frozenset({frozenset({1, 2}), frozenset()})),
    "dict": (dict[str, dict[int, Decimal]], {"a": {1: Decimal("0.10")}}),
    "dates as keys": (dict[date, int], {date(2024, 1, 1): 1}),
    "json": (JsonValue, {"a": [1, None, True, {"b": 0.5}], "": "x"}),
    "json text": (Json[list[int]], "[1, 2]"),
    "any": (Any, {"a": [1, "x", None]}),
    "new type": (Words, Words("x")),
    "dataclass": (list[Annotated[Plain, "note"]], [Plain(note="x")]),
}


@pytest.mark.parametrize("case", METADATA)
def test_metadata_comes_back_by_type(case: str, write: Callable[..., Path]) -> None:
    annotation, value = METADATA[case]
    model = create_model("Case", file=(Path, ...), value=(annotation, ...))

    artifact = model(file=write("a"), value=value)

    assert_comes_back(artifact, files=1)
    assert type(getattr(come_back(artifact), "value", None)) is type(getattr(artifact, "value", None))

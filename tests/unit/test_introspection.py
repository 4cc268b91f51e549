"""Model → files and metadata → equal model, by type."""

import base64
import dataclasses
import enum
import os
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Self,
    TypeVar,
    Union,
)
from uuid import UUID

import pydantic.dataclasses
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    DirectoryPath,
    Discriminator,
    Field,
    FilePath,
    Json,
    JsonValue,
    NewPath,
    PrivateAttr,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    SerializerFunctionWrapHandler,
    SocketPath,
    Tag,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import TypeAliasType, TypedDict

from ritual_artifacts.canonical import MAX_DEPTH
from ritual_artifacts.canonical import Json as JsonTree
from ritual_artifacts.errors import ArtifactModelError, ManifestError
from ritual_artifacts.introspection import (
    check_comes_back,
    check_model,
    describe,
    explain,
    file_names,
    file_refs,
    fill,
    rebuild,
)
from ritual_artifacts.planning import plan_files

T = TypeVar("T")


def publish(artifact: BaseModel) -> tuple[dict[str, JsonTree], dict[str, Path]]:
    """Return the manifest's fields, and where the file or directory of each name is."""
    described = describe(artifact)
    check_comes_back(artifact, described)
    places: dict[str, Path] = {}

    def name_of(path: Path) -> str:
        name = f"file-{sorted({ref.path for ref in refs}).index(path)}"
        places[name] = path
        return name

    refs = file_refs(described)
    return {key: fill(node, lambda ref: name_of(ref.path)) for key, node in described.items()}, places


def come_back(artifact: BaseModel) -> BaseModel:
    """Publish a model and build it again, with the same paths in the places of its files."""
    fields, places = publish(artifact)
    return rebuild(type(artifact), fields, places.__getitem__)


def assert_comes_back(artifact: BaseModel, *, files: int) -> None:
    fields, places = publish(artifact)

    again = rebuild(type(artifact), fields, places.__getitem__)

    assert again == artifact
    assert publish(again) == (fields, places), "publishing it again is another artifact"
    assert len(places) == files, "a file was taken for metadata, or metadata for a file"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    file: Path
    note: str = "-"


class Plain(BaseModel):
    note: str


class Tree(BaseModel):
    file: Path | None = None
    children: list["Tree"] = []


class PathList(RootModel[list[Path]]):
    pass


class PathTree(RootModel[Path | list["PathTree"]]):
    pass


@dataclasses.dataclass
class Shard:
    file: Path
    rows: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class SlottedShard:
    out: NewPath
    rows: tuple[int, ...] = ()


class Options(TypedDict):
    file: Path
    rate: NotRequired[float]


class OtherOptions(TypedDict):
    files: list[Path]


class Box(BaseModel, Generic[T]):
    content: T


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Kind(enum.StrEnum):
    ONNX = "onnx"
    TORCH = "torch"


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
Words = NewType("Words", str)


def _kind_of(value: object) -> str:
    keys = value if isinstance(value, dict) else type(value).__annotations__
    return "many" if "files" in keys else "one"


class Many(BaseModel):
    files: list[Path]


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


def test_binary_bytes_come_back_as_base64(write: Callable[..., Path]) -> None:
    class Binary(BaseModel):
        model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

        file: Path
        blob: bytes

    artifact = Binary(file=write("a"), blob=bytes(range(256)))

    fields, _ = publish(artifact)

    assert base64.urlsafe_b64decode(str(fields["blob"])) == artifact.blob
    assert_comes_back(artifact, files=1)


def test_a_new_path_comes_back_though_the_file_exists_then(write: Callable[..., Path]) -> None:
    class Output(BaseModel):
        model_config = ConfigDict(frozen=True)

        out: NewPath
        shards: dict[str, list[NewPath | None]]
        slotted: SlottedShard
        point: Point
        options: tuple[int, NewPath]

        @field_validator("out")
        @classmethod
        def _has_suffix(cls, path: Path) -> Path:
            if path.suffix != ".bin":
                message = "not a .bin file"
                raise ValueError(message)
            return path

    folder = write("folder/x").parent
    artifact = Output(
        out=folder / "a.bin",
        shards={"x": [folder / "b", None]},
        slotted=SlottedShard(folder / "c"),
        point=Point(1, 2),
        options=(1, folder / "d"),
    )
    for name in ("a.bin", "b", "c", "d"):
        write(f"folder/{name}")

    assert_comes_back(artifact, files=4)
    assert {path.name for path in folder.iterdir()} == {"x", "a.bin", "b", "c", "d"}


def test_aliases_do_not_change_the_manifest(write: Callable[..., Path]) -> None:
    class Aliased(BaseModel):
        file: Path = Field(alias="File")
        given: Annotated[int, Field(validation_alias=AliasChoices("Given", AliasPath("deep", 0)))]
        written: int = Field(serialization_alias="Written")
        nested: list["Aliased"] = Field(default=[], alias="Nested")

    inner = Aliased.model_validate({"File": write("b"), "deep": [1], "written": 2})
    artifact = Aliased.model_validate({"File": write("a"), "Given": 1, "written": 2, "Nested": [inner]})

    fields, _ = publish(artifact)

    assert fields.keys() == {"file", "given", "written", "nested"}
    assert_comes_back(artifact, files=2)


def test_an_alias_that_is_another_field_s_name_does_not_swap_them(write: Callable[..., Path]) -> None:
    class Swapped(BaseModel):
        first: Path = Field(alias="second")
        second: Path = Field(alias="first")

    one, two = write("one"), write("two")

    assert_comes_back(Swapped.model_validate({"second": one, "first": two}), files=2)


def test_a_tag_with_an_alias_is_found(write: Callable[..., Path]) -> None:
    class First(BaseModel):
        kind: Literal["first"] = Field("first", alias="Kind")
        value: Path

    class Second(BaseModel):
        kind: Literal["second"] = Field("second", alias="Kind")
        value: str

    class Tagged(BaseModel):
        file: Path
        parts: list[Annotated[First | Second, Field(discriminator="kind")]]

    artifact = Tagged(file=write("a"), parts=[Second(value="file-1"), First(value=write("b"))])

    assert_comes_back(artifact, files=2)


def test_inherited_fields_and_default_factories_come_back(write: Callable[..., Path]) -> None:
    default = write("default.bin")

    class Base(BaseModel):
        files: list[Path] = Field(default_factory=lambda: [default])
        created: datetime = Field(default_factory=lambda: datetime.now(UTC))

    class Child(Base):
        extra_file: Path | None = None

    assert_comes_back(Child(), files=1)
    assert_comes_back(Child(extra_file=write("x"), files=[]), files=1)


def test_private_and_computed_fields_are_not_published(write: Callable[..., Path]) -> None:
    class Computing(BaseModel):
        file: Path
        _token: str = PrivateAttr(default="hunter2")

        @computed_field  # type: ignore[prop-decorator]  # pydantic's documented form
        @property
        def stem(self) -> str:
            return self.file.stem

    artifact = Computing(file=write("a.bin"))

    fields, _ = publish(artifact)

    assert fields == {"file": "file-0"}
    assert come_back(artifact) == artifact


@pytest.mark.parametrize(
    "config",
    [
        ConfigDict(frozen=True),
        ConfigDict(extra="forbid"),
        ConfigDict(extra="allow"),
        ConfigDict(strict=True),
        ConfigDict(defer_build=True),
        ConfigDict(use_enum_values=True),
        ConfigDict(validate_by_name=True, serialize_by_alias=True),
        ConfigDict(ser_json_timedelta="float", validate_assignment=True),
        ConfigDict(validate_default=True, revalidate_instances="always"),
    ],
    ids=str,
)
def test_every_configuration_comes_back(config: ConfigDict, write: Callable[..., Path]) -> None:
    class Configured(BaseModel):
        model_config = config

        file: Path
        parts: tuple[Part, ...]
        names: set[str] = Field(alias="Names")
        taken: timedelta
        kind: Kind
        number: Decimal
        raw: bytes

    artifact = Configured.model_validate(
        {
            "file": write("a"),
            "parts": (Part(file=write("b")),),
            "Names" if not config.get("validate_by_name") else "names": {"x", "y"},
            "taken": timedelta(milliseconds=1500),
            "kind": Kind.ONNX,
            "number": Decimal("1.10"),
            "raw": b"x",
        }
    )

    assert_comes_back(artifact, files=2)


def test_extra_values_come_back(write: Callable[..., Path]) -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

        file: Path

    artifact = Open.model_validate({"file": write("a"), "author": "me", "tags": ["x", 1]})

    assert_comes_back(artifact, files=1)


def test_validators_and_serializers_of_the_model_are_used(write: Callable[..., Path]) -> None:
    class Custom(BaseModel):
        file: Path
        files: list[Path]
        tags: list[str]
        upper: Annotated[str, AfterValidator(str.upper)]

        @field_serializer("file")
        def _only_name(self, path: Path) -> str:
            return path.name

        @field_serializer("tags")
        def _joined(self, tags: list[str]) -> str:
            return ",".join(tags)

        @field_validator("tags", mode="before")
        @classmethod
        def _split(cls, value: object) -> object:
            return value.split(",") if isinstance(value, str) else value

        @model_validator(mode="after")
        def _check(self) -> Self:
            assert self.tags
            return self

    artifact = Custom(file=write("a"), files=[write("b")], tags=["x", "y"], upper="abc")

    fields, _ = publish(artifact)

    assert fields == {"file": "file-0", "files": ["file-1"], "tags": "x,y", "upper": "ABC"}
    assert_comes_back(artifact, files=2)


def test_excluded_fields_are_left_out(write: Callable[..., Path]) -> None:
    @pydantic.dataclasses.dataclass
    class Inner:
        file: Path
        token: SecretStr | None = Field(default=None, exclude=True)

    class Noted(TypedDict):
        file: Path
        token: NotRequired[Annotated[str, Field(exclude=True)]]

    class Excluding(BaseModel):
        file: Path
        token: SecretStr = Field(SecretStr("x"), exclude=True)
        cache: Path | None = Field(None, exclude=True)
        inner: Inner
        noted: Noted

    inner = Inner(write("b"), SecretStr("hunter2"))
    artifact = Excluding(
        file=write("a"), token=SecretStr("hunter2"), cache=Path("/x"), inner=inner, noted={"file": write("c")}
    )

    fields, places = publish(artifact)
    again = rebuild(Excluding, fields, places.__getitem__)

    assert "hunter2" not in str(fields)
    assert fields.keys() == {"file", "inner", "noted"}
    assert again.inner == Inner(inner.file)
    assert again.cache is None


def test_a_final_field_comes_back(write: Callable[..., Path]) -> None:
    fixed = create_model("Fixed", file=(Final[Path], ...))

    assert_comes_back(fixed(file=write("a")), files=1)


def test_models_that_refer_to_each_other_come_back(write: Callable[..., Path]) -> None:
    class Left(BaseModel):
        right: "Right | None" = None

    class Right(BaseModel):
        left: Left | None = None
        file: Path

    class Both(BaseModel):
        left: Left
        right: Right

    Left.model_rebuild(_types_namespace={"Right": Right})
    one, two = write("a"), write("b")

    assert_comes_back(
        Both(left=Left(right=Right(left=Left(), file=one)), right=Right(file=two, left=None)), files=2
    )


def test_a_recursive_model_beside_a_mapping_of_files_is_not_ambiguous(write: Callable[..., Path]) -> None:
    class Node(BaseModel):
        file: Path
        below: "dict[str, Path] | Node | None" = None

    artifact = Node(file=write("a"), below=Node(file=write("b"), below={"x": write("c")}))

    assert_comes_back(artifact, files=3)


def test_equal_dictionaries_give_their_files_in_one_order(write: Callable[..., Path]) -> None:
    class Holder(BaseModel):
        files: dict[str, Path]

    one, two = write("one"), write("two")

    first = file_refs(describe(Holder(files={"a": one, "b": two})))
    second = file_refs(describe(Holder(files={"b": two, "a": one})))

    assert first == second


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["repo_id", "artifact_type", "file_hashes", "ritual_artifacts"])
def test_reserved_field_names_are_refused(name: str) -> None:
    fields: dict[str, Any] = {"file": (Path, ...), name: (str, "")}

    with pytest.raises(ArtifactModelError, match=f"'{name}'.*rename it"):
        check_model(create_model("Reserving", **fields))


def test_reserved_names_are_refused_as_extra_values(write: Callable[..., Path]) -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

        file: Path

    artifact = Open.model_validate({"file": write("a"), "file_hashes": {}})

    with pytest.raises(ArtifactModelError, match="'file_hashes'"):
        describe(artifact)


def test_reserved_names_are_refused_from_a_serializer(write: Callable[..., Path]) -> None:
    class Serializing(BaseModel):
        file: Path

        @model_serializer(mode="wrap")
        def _add(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
            return {**handler(self), "artifact_type": "Other"}

    with pytest.raises(ArtifactModelError, match=r"serializer of Serializing.*'artifact_type'"):
        describe(Serializing(file=write("a")))


def test_a_reserved_name_in_a_nested_model_is_fine(write: Callable[..., Path]) -> None:
    class Inner(BaseModel):
        repo_id: str

    class Outer(BaseModel):
        file: Path
        inner: Inner

    assert_comes_back(Outer(file=write("a"), inner=Inner(repo_id="x")), files=1)


@pytest.mark.parametrize(
    "annotation",
    [
        SecretStr,
        SecretBytes,
        Secret[date],
        SecretStr | None,
        list[SecretStr],
        dict[str, SecretBytes],
        dict[SecretStr, int],
        tuple[int, Secret[int]],
        Box[SecretStr],
        Annotated[SecretStr, Field(min_length=1)],
        TypeAliasType("SecretAlias", SecretStr | None),
        NewType("NewSecret", SecretStr),
        Annotated[Literal["x"] | SecretStr, "note"],
    ],
    ids=str,
)
def test_a_secret_type_is_refused_by_type(annotation: Any) -> None:
    model = create_model("Leaky", file=(Path, ...), token=(annotation, ...))

    with pytest.raises(ArtifactModelError, match=r"(Leaky\.token|content).*secret.*exclude=True"):
        check_model(model)


@pytest.mark.parametrize(
    "value",
    [SecretStr("hunter2"), [SecretStr("hunter2")], {"a": (SecretBytes(b"hunter2"),)}, {SecretStr("hunter2")}],
    ids=["str", "list", "tuple", "set"],
)
def test_a_secret_in_an_untyped_field_is_refused_and_not_shown(
    value: object, write: Callable[..., Path]
) -> None:
    class Untyped(BaseModel):
        file: Path
        anything: Any

    with pytest.raises(ArtifactModelError, match=r"anything.*secret") as caught:
        describe(Untyped(file=write("a"), anything=value))

    assert "hunter2" not in str(caught.value)


def test_a_secret_as_key_is_refused_and_not_shown(write: Callable[..., Path]) -> None:
    class Untyped(BaseModel):
        file: Path
        anything: Any

    with pytest.raises(ArtifactModelError, match="anything") as caught:
        publish(Untyped(file=write("a"), anything={SecretStr("hunter2"): 1}))

    assert "hunter2" not in str(caught.value)


AMBIGUOUS = [
    Path | str,
    str | None | FilePath,
    Path | date,
    Path | Decimal,
    Path | Colour,
    Path | Literal["auto"],
    Path | Words,
    Path | Any,
    Path | JsonValue,
    list[Path] | list[str],
    list[Path] | set[int],
    dict[str, Path] | dict[str, int],
    dict[str, Path] | Plain,
    Part | dict[str, int],
    Annotated[Path | None, "note"] | str,
    Path | RootModel[str],
    RootModel[Path] | str,
    TypeAliasType("MaybeFile", Path | int) | str,
    Path | TypeAliasType("Text", str),
]


@pytest.mark.parametrize("annotation", AMBIGUOUS, ids=str)
def test_a_union_in_which_a_file_cannot_be_told_is_refused(annotation: Any) -> None:
    model = create_model("Unclear", file=(Path, ...), value=(annotation, ...))

    with pytest.raises(ArtifactModelError, match=r"Unclear\.value.*cannot tell a file"):
        check_model(model)


def test_models_that_cannot_be_told_apart_are_refused_when_published(write: Callable[..., Path]) -> None:
    class AsFile(BaseModel):
        value: Path

    class AsText(BaseModel):
        value: str

    class Unclear(BaseModel):
        file: Path
        either: AsFile | AsText

    with pytest.raises(ArtifactModelError, match="Unclear"):
        publish(Unclear(file=write("a"), either=AsText(value="hello")))


def test_text_that_would_be_taken_for_a_file_is_refused(write: Callable[..., Path]) -> None:
    def pick(value: object) -> str:
        text = isinstance(value, AsText) or (isinstance(value, dict) and value["mode"] == "text")
        return "text" if text else "file"

    class AsFile(BaseModel):
        mode: str
        value: Path

    class AsText(BaseModel):
        mode: str
        value: str

    class Unclear(BaseModel):
        file: Path
        either: Annotated[
            Annotated[AsFile, Tag("file")] | Annotated[AsText, Tag("text")], Discriminator(pick)
        ]

    with pytest.raises(ArtifactModelError, match="'hello' could be a file or not"):
        publish(Unclear(file=write("a"), either=AsText(mode="text", value="hello")))


@pytest.mark.parametrize(
    "annotation", [dict[Path, int], Mapping[tuple[Path, int], int], dict[FilePath, Path]], ids=str
)
def test_paths_as_keys_are_refused(annotation: Any) -> None:
    with pytest.raises(ArtifactModelError, match=r"Keys\.value has paths as keys"):
        check_model(create_model("Keys", value=(annotation, ...)))


def test_a_named_tuple_with_files_is_refused() -> None:
    class Pair(NamedTuple):
        file: Path
        rows: int

    with pytest.raises(ArtifactModelError, match=r"Holder\.pair is a NamedTuple"):
        check_model(create_model("Holder", pair=(Pair, ...)))


def test_a_socket_path_is_refused() -> None:
    with pytest.raises(ArtifactModelError, match=r"Holder\.socket.*socket"):
        check_model(create_model("Holder", socket=(SocketPath, ...)))


@pytest.mark.parametrize(
    "wrap",
    [lambda p: p, lambda p: [p], lambda p: {"x": {"y": p}}, lambda p: {p}, lambda p: Part(file=p)],
    ids=["bare", "list", "dict", "set", "model"],
)
def test_a_path_that_the_type_does_not_declare_is_refused(
    wrap: Callable[[Path], object], write: Callable[..., Path]
) -> None:
    class Untyped(BaseModel):
        file: Path
        anything: Any

    with pytest.raises(ArtifactModelError, match=r"anything.*declare it as Path"):
        describe(Untyped(file=write("a"), anything=wrap(write("b"))))


def _circular() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


LOST: dict[str, object] = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "-infinity": [float("-inf")],
    "2^53": 2**53,
    "-2^53": -(2**53),
    "2^64": {"a": 2**64},
    "no utf-8": b"\xff\xfe",
    "surrogate": "\ud800",
    "object": object(),
    "function": lambda: None,
    "circle": _circular(),
    "a bit too deep": _nested(MAX_DEPTH),
    "much too deep": _nested(5000),
    "number as key": {1: 2},
    "set": (1, {2}),
    "enum": Colour.RED,
    "date": date(2024, 1, 1),
    "complex": 1 + 2j,
    "two keys made one": {1: "a", "1": "b"},
    "model": Plain(note="x"),
}


@pytest.mark.parametrize("case", LOST)
def test_a_value_that_would_not_come_back_is_refused_by_field(case: str, write: Callable[..., Path]) -> None:
    class Untyped(BaseModel):
        file: Path
        anything: Any

    with pytest.raises(ArtifactModelError, match="anything"):
        publish(Untyped(file=write("a"), anything=LOST[case]))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_float_field_that_json_cannot_hold_is_refused(value: float, write: Callable[..., Path]) -> None:
    model = create_model("Numbers", file=(Path, ...), rate=(float, ...))

    with pytest.raises(ArtifactModelError, match="rate"):
        publish(model(file=write("a"), rate=value))


def test_binary_bytes_are_refused_with_a_way_out(write: Callable[..., Path]) -> None:
    model = create_model("Binary", file=(Path, ...), blob=(bytes, ...))

    with pytest.raises(ArtifactModelError, match=r"Binary\.blob.*val_json_bytes to 'base64'"):
        describe(model(file=write("a"), blob=b"\xff"))


def test_a_subclass_that_would_come_back_as_its_base_is_refused(write: Callable[..., Path]) -> None:
    class Larger(Part):
        more: int = 1

    class Holder(BaseModel):
        part: Part

    with pytest.raises(ArtifactModelError, match=r"Holder\.part would not come back equal"):
        publish(Holder(part=Larger(file=write("a"))))


def test_a_validator_that_changes_its_own_result_is_refused(write: Callable[..., Path]) -> None:
    class Growing(BaseModel):
        file: Path
        note: Annotated[str, AfterValidator(lambda text: f"{text}!")]

    with pytest.raises(ArtifactModelError, match=r"Growing\.note would not come back equal"):
        publish(Growing(file=write("a"), note="x"))


@pytest.mark.parametrize("written", [[], ["x"], "x", {"a": "x"}], ids=str)
def test_a_serializer_that_hides_files_is_refused(written: object, write: Callable[..., Path]) -> None:
    class Hiding(BaseModel):
        files: list[Path]

        @field_serializer("files")
        def _hide(self, _files: list[Path]) -> object:
            return written

    with pytest.raises(ArtifactModelError, match=r"files.*serializer of its own"):
        describe(Hiding(files=[write("a"), write("b")]))


@pytest.mark.parametrize("annotation", [Json[list[Path]], Iterable[Path]], ids=str)
def test_files_in_a_form_that_cannot_be_followed_are_refused(
    annotation: Any, write: Callable[..., Path]
) -> None:
    model = create_model("Odd", value=(annotation, ...))
    path = str(write("a"))

    with pytest.raises(ArtifactModelError, match="value"):
        publish(model(value=f'["{path}"]' if annotation != Iterable[Path] else [path]))


def test_keys_that_json_makes_one_are_refused(write: Callable[..., Path]) -> None:
    model = create_model("Keys", value=(dict[Any, Path], ...))

    with pytest.raises(ArtifactModelError, match="value"):
        publish(model(value={1: write("a"), "1": write("b")}))


def test_a_value_that_is_not_of_its_type_is_refused(write: Callable[..., Path]) -> None:
    artifact = Part(file=write("a")).model_copy(update={"file": str(write("a"))})

    with pytest.raises(ArtifactModelError, match=r"file does not hold what its type says"):
        describe(artifact)


def test_a_root_model_is_refused() -> None:
    with pytest.raises(ArtifactModelError, match="PathList is a root model"):
        check_model(PathList)


@pytest.mark.parametrize("cls", [Shard, dict, "Part", list[Path]], ids=str)
def test_what_is_no_model_is_refused(cls: Any) -> None:
    with pytest.raises(ArtifactModelError, match="Pydantic model"):
        check_model(cls)


def test_annotations_that_cannot_be_resolved_are_refused() -> None:
    class Lost(BaseModel):
        value: "NowhereDefined | None" = None  # type: ignore[name-defined]  # noqa: F821 - that is the point

    with pytest.raises(ArtifactModelError, match=r"Lost.*cannot be resolved"):
        check_model(Lost)


# --- what comes from a manifest ----------------------------------------------------------------------------


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
    with pytest.raises(pydantic.ValidationError) as caught:
        Target.model_validate({"file": "a", **{f"field{i}": 1 for i in range(7)}})

    assert explain(caught.value, "it").endswith("; and 2 more")


def test_planning_and_describing_agree_on_the_order_of_sets(write: Callable[..., Path]) -> None:
    class Holder(BaseModel):
        files: set[Path]

    artifact = Holder(files={write(f"{i}/x.bin") for i in range(12)})

    names = plan_files(artifact).fields["files"]

    assert isinstance(names, list)
    assert names == sorted(names)
    assert len(names) == 12

"""Models with settings, aliases, validators and references of their own come back equal."""

import base64
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, NotRequired, Self

import pydantic.dataclasses
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    NewPath,
    PrivateAttr,
    SecretStr,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from ritual_artifacts.artifact.introspection import describe, file_refs, rebuild
from ritual_artifacts.artifact.planning import plan_files
from tests.unit.introspection.artifacts import Kind, Part, Point, assert_comes_back, come_back, publish


@dataclasses.dataclass(frozen=True, slots=True)
class SlottedShard:
    out: NewPath
    rows: tuple[int, ...] = ()


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

    assert fields == {"file": "file-0.bin"}
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


def test_a_reserved_name_in_a_nested_model_is_fine(write: Callable[..., Path]) -> None:
    class Inner(BaseModel):
        repo_id: str

    class Outer(BaseModel):
        file: Path
        inner: Inner

    assert_comes_back(Outer(file=write("a"), inner=Inner(repo_id="x")), files=1)


def test_planning_and_describing_agree_on_the_order_of_sets(write: Callable[..., Path]) -> None:
    class Holder(BaseModel):
        files: set[Path]

    artifact = Holder(files={write(f"{i}/x.bin") for i in range(12)})

    names = plan_files(artifact).fields["files"]

    assert isinstance(names, list)
    assert names == sorted(names)
    assert len(names) == 12

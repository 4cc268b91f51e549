"""Values that cannot be published, or would not come back equal."""

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Json,
    SecretBytes,
    SecretStr,
    SerializerFunctionWrapHandler,
    Tag,
    create_model,
    field_serializer,
    model_serializer,
)

from ritual_artifacts.artifact.canonical import MAX_DEPTH
from ritual_artifacts.artifact.introspection import describe
from ritual_artifacts.errors import ArtifactModelError
from tests.unit.introspection.artifacts import Colour, Part, Plain, publish


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

    with pytest.raises(ArtifactModelError, match=r"serialized Serializing.*'artifact_type'"):
        describe(Serializing(file=write("a")))


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

    with pytest.raises(ArtifactModelError, match="'hello' may or may not be a file"):
        publish(Unclear(file=write("a"), either=AsText(mode="text", value="hello")))


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

    with pytest.raises(ArtifactModelError, match=r"Holder\.part would have a different value"):
        publish(Holder(part=Larger(file=write("a"))))


def test_a_validator_that_changes_its_own_result_is_refused(write: Callable[..., Path]) -> None:
    class Growing(BaseModel):
        file: Path
        note: Annotated[str, AfterValidator(lambda text: f"{text}!")]

    with pytest.raises(ArtifactModelError, match=r"Growing\.note would have a different value"):
        publish(Growing(file=write("a"), note="x"))


@pytest.mark.parametrize("written", [[], ["x"], "x", {"a": "x"}], ids=str)
def test_a_serializer_that_hides_files_is_refused(written: object, write: Callable[..., Path]) -> None:
    class Hiding(BaseModel):
        files: list[Path]

        @field_serializer("files")
        def _hide(self, _files: list[Path]) -> object:
            return written

    with pytest.raises(ArtifactModelError, match=r"files.*custom serializer"):
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

    with pytest.raises(ArtifactModelError, match=r"file does not match its declared type"):
        describe(artifact)

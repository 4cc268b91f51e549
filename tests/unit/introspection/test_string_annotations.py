"""Models whose annotations are strings, because their module postpones them."""

from __future__ import annotations

import dataclasses
from pathlib import Path  # noqa: TC003 - Pydantic resolves the annotations
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, DirectoryPath, Field, create_model
from typing_extensions import TypedDict

from tests.unit.introspection.artifacts import come_back, publish

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Whole(BaseModel):
    """Names classes that are defined further down."""

    model_dir: DirectoryPath
    parts: list[Part] = []
    row: Row | None = None
    options: Options
    box: Box[list[Path]]
    either: Annotated[First | Second, Field(discriminator="kind")]


class Part(BaseModel):
    file: Path
    below: list[Part] = []


@dataclasses.dataclass
class Row:
    file: Path


class Options(TypedDict):
    file: Path | None


class Box(BaseModel, Generic[T]):
    content: T


class First(BaseModel):
    kind: Literal["first"] = "first"
    file: Path


class Second(BaseModel):
    kind: Literal["second"] = "second"
    file: str


def test_postponed_annotations_come_back(write: Callable[..., Path]) -> None:
    files = [write(f"{i}.bin") for i in range(6)]
    artifact = Whole(
        model_dir=write("folder/x").parent,
        parts=[Part(file=files[0], below=[Part(file=files[1])])],
        row=Row(files[2]),
        options={"file": files[3]},
        box=Box(content=[files[4]]),
        either=First(file=files[5]),
    )

    _, places = publish(artifact)

    assert set(places.values()) == {*files, artifact.model_dir}
    assert come_back(artifact) == artifact


def test_classes_of_a_function_come_back(write: Callable[..., Path]) -> None:
    class Local(BaseModel):
        file: Path
        more: list[Local] = []

    holder = create_model("Holder", local=(Local, ...))
    artifact = holder(local=Local(file=write("a"), more=[Local(file=write("b"))]))

    _, places = publish(artifact)

    assert len(places) == 2

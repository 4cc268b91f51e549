"""Models that several tests of introspection use, and ways to publish and rebuild them."""

import dataclasses
import enum
from pathlib import Path
from typing import Generic, NamedTuple, NewType, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel

from ritual_artifacts.artifact.canonical import Json as JsonTree
from ritual_artifacts.artifact.introspection import check_round_trip, describe, file_refs, fill, rebuild

T = TypeVar("T")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    file: Path
    note: str = "-"


class Plain(BaseModel):
    note: str


class PathList(RootModel[list[Path]]):
    pass


@dataclasses.dataclass
class Shard:
    file: Path
    rows: int = 0


class Box(BaseModel, Generic[T]):
    content: T


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Kind(enum.StrEnum):
    ONNX = "onnx"
    TORCH = "torch"


Words = NewType("Words", str)


def publish(artifact: BaseModel) -> tuple[dict[str, JsonTree], dict[str, Path]]:
    """Return the manifest's fields, and where the file or directory of each name is."""
    described = describe(artifact)
    check_round_trip(artifact, described)
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

"""Models that several tests of introspection use, and ways to publish and rebuild them."""

import dataclasses
import enum
from pathlib import Path
from typing import Generic, NamedTuple, NewType, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel

from ritual_artifacts.artifact.canonical import Json as JsonTree
from ritual_artifacts.artifact.introspection import describe, file_refs, fill, rebuild
from ritual_artifacts.artifact.planning import PlannedFile
from ritual_artifacts.artifact.preview import check_comes_back

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
    paths = sorted({ref.path for ref in file_refs(described)})
    names = {path: f"file-{index}{path.suffix}" for index, path in enumerate(paths)}
    files = [
        PlannedFile(f"{name}{str(file).removeprefix(str(path))}", file, file.stat().st_size)
        for path, name in names.items()
        for file in ([path] if path.is_file() else sorted(path.rglob("*")))
        if file.is_file()
    ]
    fields = {key: fill(node, lambda ref: names[ref.path]) for key, node in described.items()}
    check_comes_back(artifact, fields, [(names[ref.path], ref.path) for ref in file_refs(described)], files)
    return fields, {name: path for path, name in names.items()}


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

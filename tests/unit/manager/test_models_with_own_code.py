"""Values that a model derives from the path of a file: refused, with a cure that works."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import (
    BaseModel,
    DirectoryPath,
    Field,
    FilePath,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from ritual_artifacts import ArtifactModelError, RitualArtifactManager
from tests.unit.manager.artifacts import REPO, Write, assert_comes_back

Make = Callable[[Write], BaseModel]


# --- values that are derived from a path -------------------------------------------------------------------


class FromParent(BaseModel):
    weights: FilePath
    step: int = -1

    @model_validator(mode="after")
    def _read_step(self) -> Self:
        found = re.search(r"checkpoint-(\d+)", self.weights.parent.name)
        self.step = int(found[1]) if found else -1
        return self


class FromResolvedParent(BaseModel):
    weights: FilePath
    run: str = ""

    @model_validator(mode="after")
    def _read_run(self) -> Self:
        self.run = self.weights.resolve().parent.name
        return self


class FromDepth(BaseModel):
    weights: Path
    depth: int = 0

    @field_validator("depth", mode="before")
    @classmethod
    def _count(cls, _given: object, info: Any) -> int:
        return len(info.data["weights"].parts)


class FromDefault(BaseModel):
    weights: Path
    folder: str = Field(default_factory=lambda data: str(data["weights"].parent))

    @model_validator(mode="after")
    def _set(self) -> Self:
        self.folder = str(self.weights.parent)
        return self


class FromTime(BaseModel):
    weights: Path
    written: datetime = datetime.fromtimestamp(0, UTC)

    @model_validator(mode="after")
    def _read_time(self) -> Self:
        self.written = datetime.fromtimestamp(int(self.weights.stat().st_mtime), UTC)
        return self


class WrittenPath(BaseModel):
    weights: Path
    place: str = ""

    @field_serializer("place")
    def _write(self, _place: str) -> str:
        return str(self.weights)


class NestedFromParent(BaseModel):
    parts: dict[str, FromParent]


class SortedShards(BaseModel):
    shards: list[Path]

    @field_validator("shards")
    @classmethod
    def _sort(cls, shards: list[Path]) -> list[Path]:
        return sorted(shards, reverse="z" in str(shards[0].parent.name))


class Joined(BaseModel):
    weights: Path

    @field_validator("weights")
    @classmethod
    def _find(cls, path: Path) -> Path:
        return path / "weights"


class BesideTheFile(BaseModel):
    weights: FilePath

    @field_validator("weights")
    @classmethod
    def _check(cls, path: Path) -> Path:
        if not path.with_suffix(".json").exists():
            message = "no configuration beside the weights"
            raise ValueError(message)
        return path


class InCheckpoint(BaseModel):
    weights: FilePath

    @field_validator("weights")
    @classmethod
    def _check(cls, path: Path) -> Path:
        if not path.parent.name.startswith("checkpoint-"):
            message = "expected a folder checkpoint-*"
            raise ValueError(message)
        return path


class Raising(BaseModel):
    weights: Path

    @field_validator("weights")
    @classmethod
    def _check(cls, path: Path) -> Path:
        if path.parent.name != "source":
            raise RuntimeError(path.parent.name)
        return path


class Executable(BaseModel):
    program: Path

    @field_validator("program")
    @classmethod
    def _check(cls, path: Path) -> Path:
        if not os.access(path, os.X_OK):
            message = f"{path} is not executable"
            raise ValueError(message)
        return path


def _executable(write: Write) -> BaseModel:
    write("run.sh").chmod(0o755)
    return Executable(program=write("run.sh"))


def _beside(write: Write) -> BaseModel:
    write("model.json")
    return BesideTheFile(weights=write("model.bin"))


def _joined(write: Write) -> BaseModel:
    return Joined(weights=write("model/weights").parent)


DEPENDENT: dict[str, tuple[Make, str]] = {
    "parent": (
        lambda write: FromParent(weights=write("checkpoint-500/w.bin")),
        r"FromParent\.step .*\(-1, not 500\)",
    ),
    "resolved parent": (
        lambda write: FromResolvedParent(weights=write("run-3/w.bin")),
        r"FromResolvedParent\.run ",
    ),
    "depth": (lambda write: FromDepth(weights=write("a/b/w.bin"), depth=0), r"FromDepth\.depth "),
    "default": (lambda write: FromDefault(weights=write("w.bin")), r"FromDefault\.folder "),
    "time": (lambda write: FromTime(weights=write("w.bin")), r"FromTime\.written "),
    "nested": (
        lambda write: NestedFromParent(parts={"a": FromParent(weights=write("checkpoint-5/w.bin"))}),
        r"NestedFromParent\.parts\.a\.step ",
    ),
    "beside": (_beside, "weights: no configuration"),
    "folder's name": (
        lambda write: InCheckpoint(weights=write("checkpoint-1/w.bin")),
        "expected a folder checkpoint",
    ),
    "another error": (
        lambda write: Raising(weights=write("source/w.bin")),
        "Raising could not be rebuilt.*RuntimeError",
    ),
    "executable": (_executable, r"program: \(the folder of the download\)/run\.sh is not"),
}


@pytest.mark.parametrize("case", DEPENDENT)
def test_a_model_that_depends_on_where_its_files_are_is_refused_with_a_cure(case: str, write: Write) -> None:
    make, named = DEPENDENT[case]
    manager = RitualArtifactManager(artifact=make(write))

    with pytest.raises(
        ArtifactModelError, match=rf"{named}.*path of a file.*DirectoryPath.*exclude=True"
    ) as caught:
        manager.to_repo(REPO)

    assert "ritual-" not in str(caught.value), "the temporary folder is of no use to anybody"
    assert not RitualArtifactManager.has_artifact(REPO)


class StepOfFolder(BaseModel):
    checkpoint: DirectoryPath
    step: int = -1

    @model_validator(mode="after")
    def _read_step(self) -> Self:
        self.step = int(self.checkpoint.name.partition("-")[2])
        return self


class Excluding(FromParent):
    step: int = Field(default=-1, exclude=True)


class Keeping(BaseModel):
    weights: FilePath
    step: int

    @model_validator(mode="before")
    @classmethod
    def _read_step(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {"step": int(Path(data["weights"]).parent.name.partition("-")[2] or "-1"), **data}


@pytest.mark.parametrize(
    "make",
    [
        lambda write: StepOfFolder(checkpoint=write("checkpoint-500/w.bin").parent),
        lambda write: Excluding(weights=write("checkpoint-500/w.bin")),
        lambda write: Keeping.model_validate({"weights": write("checkpoint-500/w.bin")}),
    ],
    ids=["directory", "excluded", "kept"],
)
def test_the_cures_work(make: Make, write: Write, tmp_path: Path) -> None:
    artifact = make(write)

    again = assert_comes_back(artifact, tmp_path)

    assert again.model_dump(include={"step"}) == artifact.model_dump(include={"step"})


# --- serializers -------------------------------------------------------------------------------------------


class Dropping(BaseModel):
    weights: Path
    extra: Path | None
    note: str | None
    steps: int | None

    @model_serializer(mode="wrap")
    def _drop(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Filling(Dropping):
    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {"extra": None, "note": None, "steps": None, **data}


class Renaming(BaseModel):
    weights: Path
    step: int

    @model_serializer(mode="wrap")
    def _rename(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        written["global_step"] = written.pop("step")
        return written

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {("step" if name == "global_step" else name): value for name, value in data.items()}


class RenamingFile(BaseModel):
    weights: Path
    other: Path

    @model_serializer(mode="wrap")
    def _rename(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        written["model"] = written.pop("weights")
        return written

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {("weights" if name == "model" else name): value for name, value in data.items()}


@pytest.mark.parametrize(
    "make",
    [
        lambda write: Filling(weights=write("w"), extra=None, note=None, steps=None),
        lambda write: Filling(weights=write("w"), extra=write("e"), note="", steps=0),
        lambda write: Renaming(weights=write("w"), step=3),
    ],
    ids=["dropped", "kept", "renamed"],
)
def test_a_serializer_with_a_matching_validator_comes_back(make: Make, write: Write, tmp_path: Path) -> None:
    artifact = make(write)

    again = assert_comes_back(artifact, tmp_path)

    files = {"weights", "extra"}
    assert again.model_dump(exclude=files) == artifact.model_dump(exclude=files)


def test_a_serializer_that_drops_a_field_without_a_default_is_refused(write: Write) -> None:
    artifact = Dropping(weights=write("w"), extra=None, note=None, steps=1)

    with pytest.raises(
        ArtifactModelError, match=r"Dropping could not be rebuilt.*'extra'.*give them a default"
    ):
        RitualArtifactManager(artifact=artifact).to_repo(REPO)


@pytest.mark.parametrize(
    ("make", "named"),
    [(lambda write: WrittenPath(weights=write("w.bin")), "WrittenPath.place"), (_joined, "Joined.weights")],
    ids=["path", "joined"],
)
def test_what_changes_each_time_is_refused(make: Make, named: str, write: Write) -> None:
    with pytest.raises(ArtifactModelError, match=rf"{named} would have a different value .*validators keep"):
        RitualArtifactManager(artifact=make(write)).to_repo(REPO)


def test_a_serializer_that_renames_a_file_is_refused(write: Write) -> None:
    artifact = RenamingFile(weights=write("w"), other=write("o"))

    with pytest.raises(ArtifactModelError, match=r"RenamingFile\.weights has files, but .*renames it"):
        RitualArtifactManager(artifact=artifact).to_repo(REPO)

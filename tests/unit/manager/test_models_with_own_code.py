"""Models whose validators or serializers look at paths and files: they come back equal, or are refused."""

import json
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
    NewPath,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from ritual_artifacts import ArtifactModelError, ManifestError, RitualArtifactManager
from ritual_artifacts.artifact.planning import plan_files
from tests.unit.manager.artifacts import MANIFEST, REPO, Write

Make = Callable[[Write], BaseModel]


def assert_comes_back(artifact: BaseModel, tmp_path: Path) -> BaseModel:
    """Publish an artifact, download it twice, and publish it again: it stays the same."""
    manager = RitualArtifactManager(artifact=artifact)
    result = manager.to_repo(REPO)
    again = RitualArtifactManager.from_repo(type(artifact), REPO, tmp_path / "checkpoint-7")
    cached = RitualArtifactManager.from_repo(type(artifact), REPO, expected_digest=result.digest)
    assert again.digest == cached.digest == result.digest
    assert cached.to_repo("local/me/again").digest == result.digest
    assert RitualArtifactManager(artifact=cached.artifact).digest == result.digest
    RitualArtifactManager.from_dir(type(artifact), tmp_path / "checkpoint-7").verify()
    return cached.artifact


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


# --- models that need the layout of their files ------------------------------------------------------------


class Rooted(BaseModel):
    root: DirectoryPath
    entry: FilePath

    @model_validator(mode="after")
    def _check(self) -> Self:
        assert self.entry.is_relative_to(self.root), "the entry is not in the root"
        assert self.entry.resolve().is_relative_to(self.root.resolve()), "the entry is not in the root"
        return self


class Nested(BaseModel):
    outer: DirectoryPath
    inner: DirectoryPath
    files: list[FilePath] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        assert all(path.is_relative_to(self.outer) for path in (self.inner, *self.files))
        return self


class Part(BaseModel):
    index: FilePath
    shards: list[FilePath] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in json.loads(self.index.read_text()):
            assert (self.index.parent / name).is_file(), f"no {name} beside the index"
        return self


class Parts(BaseModel):
    parts: dict[str, Part]


class Header(BaseModel):
    weights: FilePath
    size: int = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        with self.weights.open("rb") as file:
            assert file.read(4) == b"HEAD"
        self.size = self.weights.stat().st_size
        return self


class Output(BaseModel):
    log: NewPath
    weights: FilePath

    @model_validator(mode="after")
    def _check(self) -> Self:
        assert self.log.suffix == ".txt"
        assert self.log.parent == self.weights.parent
        return self


class Before(BaseModel):
    one: FilePath
    two: Path
    items: list[Path]
    folder: DirectoryPath
    found: dict[str, tuple[Path, int]]
    when: datetime

    @field_validator("one", "two", "folder", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Path:
        return Path(value).expanduser().resolve()

    @field_validator("items", mode="before")
    @classmethod
    def _expand_items(cls, value: list[Any]) -> list[Path]:
        return [Path(item).expanduser() for item in value]

    @model_validator(mode="before")
    @classmethod
    def _expand_found(cls, data: dict[str, Any]) -> dict[str, Any]:
        found = {key: (Path(path), number) for key, (path, number) in data["found"].items()}
        return {**data, "found": found}


class Strictly(BaseModel, strict=True):
    inner: list[Before]


def _rooted(write: Write) -> BaseModel:
    write("model/config.json")
    return Rooted(root=write("model/sub/entry.bin").parents[1], entry=write("model/sub/entry.bin"))


def _nested(write: Write) -> BaseModel:
    path = write("model/sub/deep/entry.bin")
    return Nested(outer=path.parents[2], inner=path.parents[1], files=[path, write("model/x")])


def _parts(write: Write) -> BaseModel:
    parts = {}
    for name in ("en", "de", "fr"):
        shards = [write(f"{name}/{i}.bin", content=f"{name}{i}".encode()) for i in range(2)]
        shards.append(write(f"{name}/only-{name}.bin"))
        index = write(f"{name}/index.json", content=json.dumps([path.name for path in shards]).encode())
        parts[name] = Part(index=index, shards=shards)
    return Parts(parts=parts)


def _output(write: Write) -> BaseModel:
    path = write("run/w.bin")
    artifact = Output(log=path.with_name("log.txt"), weights=path)
    write("run/log.txt")
    return artifact


def _before(write: Write) -> Before:
    return Before.model_validate(
        {
            "one": write("one.bin"),
            "two": str(write("two.bin")),
            "items": [write("x/1"), write("x/2")],
            "folder": write("folder/a").parent,
            "found": {"a": [write("found"), 3]},
            "when": datetime(2024, 1, 1, tzinfo=UTC),
        }
    )


LAYOUTS: dict[str, Make] = {
    "entry in a root": _rooted,
    "directory in a directory": _nested,
    "indexes beside shards": _parts,
    "content": lambda write: Header(weights=write("w.bin", content=b"HEAD" + bytes(100))),
    "new path": _output,
    "validators before": _before,
    "validators before, strict and nested": lambda write: Strictly(inner=[_before(write)]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_that_validators_check_comes_back(case: str, write: Write, tmp_path: Path) -> None:
    artifact = LAYOUTS[case](write)

    again = assert_comes_back(artifact, tmp_path)

    hidden = {"index", "shards", "weights", "log", "root", "entry"}
    assert again.model_dump(exclude=hidden).keys() == artifact.model_dump(exclude=hidden).keys()


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_comes_back_to_a_folder_behind_a_link(case: str, write: Write, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    artifact = LAYOUTS[case](write)
    digest = RitualArtifactManager(artifact=artifact).to_repo(REPO).digest

    again = RitualArtifactManager.from_repo(type(artifact), REPO, tmp_path / "link" / "out")

    again.verify()
    assert again.digest == digest


def test_a_damaged_file_of_a_layout_is_downloaded_again(write: Write) -> None:
    artifact = _rooted(write)
    RitualArtifactManager(artifact=artifact).to_repo(REPO)
    first = RitualArtifactManager.from_repo(Rooted, REPO).artifact
    first.entry.write_bytes(b"damaged")

    again = RitualArtifactManager.from_repo(Rooted, REPO)

    again.verify()


def test_a_file_in_a_directory_of_the_model_is_published_once(write: Write) -> None:
    plan = plan_files(_rooted(write))

    assert [file.path for file in plan.files] == ["model/config.json", "model/sub/entry.bin"]
    assert plan.fields == {"root": "model", "entry": "model/sub/entry.bin"}


class LooseRoot(BaseModel):
    root: DirectoryPath | None = None
    entry: FilePath | None = None


@pytest.mark.parametrize(
    ("field", "files"),
    [("root", ["model/config.json", "model/sub/entry.bin"]), ("entry", ["model/sub/entry.bin"])],
)
def test_a_wanted_field_gets_its_files_also_where_another_field_has_them(
    field: str, files: list[str], write: Write, tmp_path: Path
) -> None:
    rooted = _rooted(write)
    RitualArtifactManager(artifact=LooseRoot.model_validate(rooted.model_dump())).to_repo(REPO)

    part = RitualArtifactManager.from_repo(LooseRoot, REPO, tmp_path / "out", fields=[field])

    part.verify()
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert sorted(found - {MANIFEST}) == files


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


# --- after a download --------------------------------------------------------------------------------------


class Plain(BaseModel):
    weights: FilePath
    step: int = -1


def test_a_download_that_would_be_another_artifact_fails(write: Write, tmp_path: Path) -> None:
    RitualArtifactManager(artifact=Plain(weights=write("checkpoint-5/w"), step=5)).to_repo(REPO)

    with pytest.raises(ManifestError, match=r"FromParent\.step in .* differs from the manifest"):
        RitualArtifactManager.from_repo(FromParent, REPO, tmp_path / "out")
    with pytest.raises(ManifestError, match=r"FromParent\.step in .* differs from the manifest"):
        RitualArtifactManager.from_dir(FromParent, tmp_path / "out")

    assert RitualArtifactManager.from_repo(FromParent, REPO, tmp_path / "checkpoint-5").artifact.step == 5


def test_only_the_fields_that_both_have_are_compared(write: Write) -> None:
    class Fewer(BaseModel):
        weights: FilePath

    class More(Plain):
        note: str = "new"
        nested: dict[str, int] = {}

    RitualArtifactManager(artifact=Plain(weights=write("w"), step=5)).to_repo(REPO)

    assert RitualArtifactManager.from_repo(Fewer, REPO).artifact.weights.is_file()
    assert RitualArtifactManager.from_repo(More, REPO).artifact.step == 5

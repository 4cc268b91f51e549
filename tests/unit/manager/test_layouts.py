"""Models that need the layout of their files, and models that are another artifact after a download."""

import cProfile
import json
import pstats
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import (
    BaseModel,
    DirectoryPath,
    FilePath,
    NewPath,
    field_validator,
    model_validator,
)

from ritual_artifacts import ManifestError, RitualArtifactManager
from ritual_artifacts.artifact.planning import plan_files
from tests.unit.manager.artifacts import MANIFEST, REPO, Write, assert_comes_back

Make = Callable[[Write], BaseModel]


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
def test_a_field_brings_its_files_although_another_field_has_them_too(
    field: str, files: list[str], write: Write, tmp_path: Path
) -> None:
    rooted = _rooted(write)
    RitualArtifactManager(artifact=LooseRoot.model_validate(rooted.model_dump())).to_repo(REPO)

    part = RitualArtifactManager.from_repo(LooseRoot, REPO, tmp_path / "out", fields=[field])

    part.verify()
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert sorted(found - {MANIFEST}) == files


# --- after a download --------------------------------------------------------------------------------------


class Plain(BaseModel):
    weights: FilePath
    step: int = -1


class FromParent(Plain):
    @model_validator(mode="after")
    def _read_step(self) -> Self:
        self.step = int(self.weights.parent.name.partition("checkpoint-")[2] or "-1")
        return self


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


def test_a_download_describes_the_model_once_and_builds_it_twice(write: Write, tmp_path: Path) -> None:
    RitualArtifactManager(artifact=Plain(weights=write("w"))).to_repo(REPO)
    profile = cProfile.Profile()

    profile.runcall(RitualArtifactManager.from_repo, Plain, REPO, tmp_path / "out")

    calls = {
        function: count
        for (file, _, function), (_, count, *_) in pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
        if "introspection" in file
    }
    assert calls["file_names"] == calls["describe"] == 1
    assert calls["rebuild"] == 2

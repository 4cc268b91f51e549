"""Artifacts that the manager's tests publish, and ways to look at them and to damage them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, DirectoryPath

from ritual_artifacts import BackendError, RitualArtifactManager
from tests.artifacts import Circuit

REPO = "local/me/circuit"
PINNED = "local/me/circuit/v1"
MANIFEST = "ritual_manifest.json"

Write = Callable[..., Path]


class Loose(BaseModel):
    """An artifact all of whose files may be left out."""

    model: Path | None = None
    shards: list[Path] = []
    folder: DirectoryPath | None = None
    version: str = "v1"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    version: str


class Other(BaseModel):
    file: Path


def flip_one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def contents(artifact: Circuit) -> list[bytes]:
    return [path.read_bytes() for path in (artifact.circuit_file, *artifact.weights)]


def fill_folder(write: Write, name: str) -> Path:
    for part in ("config.json", "sub/tokens.txt"):
        write(f"{name}/{part}")
    return write(f"{name}/last.bin").parent


def no_backend(storage: str) -> AbstractContextManager[object]:
    return pytest.raises(
        BackendError,
        match=f"no backend for '{storage}' is installed; this installation has huggingface, local",
    )


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

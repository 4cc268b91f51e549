"""What a download does if the storage cannot be reached, and with manifests that have no digest."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from ritual_artifacts import (
    ArtifactNotFoundError,
    AuthenticationError,
    ManifestError,
    RitualArtifactManager,
    TransferError,
)
from ritual_artifacts.backends import registry
from ritual_artifacts.backends.memory import (
    MemoryBackend,
    MemoryOptions,
    MemoryRevision,
    MemorySpace,
    MemoryStorage,
)
from ritual_artifacts.context import Context
from ritual_artifacts.repo_id import RitualRepoId
from tests.artifacts import Circuit
from tests.backends.streaming import Server

REPO = "memory/me/circuit"


@dataclass
class Failing(MemorySpace):
    """A space that fails with an error, either when a version is looked up or when its manifest is read."""

    on_open: Exception | None = None
    on_manifest: Exception | None = None


class FailingStorage(MemoryStorage):
    title: ClassVar[str] = "the test storage"
    offline_hint: ClassVar[str] = "TEST_OFFLINE"

    def connect(self, options: Mapping[str, Any], context: Context) -> "FailingBackend":
        del context
        return FailingBackend(MemoryOptions.parse(options).space)


class FailingBackend(MemoryBackend):
    def open(self, repo_id: RitualRepoId) -> MemoryRevision:
        assert isinstance(self.space, Failing)
        if self.space.on_open is not None:
            raise self.space.on_open
        return FailingRevision(super().open(repo_id), self.space.on_manifest)


class FailingRevision(MemoryRevision):
    def __init__(self, revision: MemoryRevision, error: Exception | None) -> None:
        super().__init__(revision.repo_id, revision.name, revision.stored)
        self._error = error

    def manifest_bytes(self) -> bytes:
        if self._error is not None:
            raise self._error
        return super().manifest_bytes()


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch, test_storages: None) -> Failing:
    del test_storages
    find = registry.find_storage
    for module in ("backends.registry", "transfer.fetching", "transfer.cache", "manager"):
        monkeypatch.setattr(
            f"ritual_artifacts.{module}.find_storage",
            lambda name: FailingStorage() if name == "memory" else find(name),
        )
    return Failing()


def load(space: Failing, directory: Path | None = None, **options: Any) -> RitualArtifactManager[Circuit]:
    repo = options.pop("repo", REPO)
    return RitualArtifactManager.from_repo(
        Circuit, repo, directory, repo_manager_kwargs={"space": space}, **options
    )


@pytest.fixture
def digest(space: Failing, manager: RitualArtifactManager[Circuit]) -> str:
    return manager.to_repo(REPO, repo_manager_kwargs={"space": space}).digest


@pytest.mark.parametrize("stage", ["on_open", "on_manifest"])
@pytest.mark.parametrize("fields", [None, ["circuit_file", "weights"]], ids=["whole", "fields"])
def test_a_copy_is_loaded_with_a_warning_if_the_storage_cannot_be_reached(
    *,
    stage: str,
    fields: list[str] | None,
    space: Failing,
    digest: str,
    circuit: Circuit,
    caplog: pytest.LogCaptureFixture,
) -> None:
    load(space)
    setattr(space, stage, TransferError("connection refused", retryable=True))
    caplog.clear()

    again = load(space, fields=fields)

    assert again.artifact.circuit_file.read_bytes() == circuit.circuit_file.read_bytes()
    assert again.digest == digest
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    for part in ("the test storage", "connection refused", REPO, digest, "newer version", "TEST_OFFLINE"):
        assert part in record.getMessage()


@pytest.mark.usefixtures("digest")
def test_a_damaged_copy_is_not_loaded(space: Failing) -> None:
    load(space).artifact.circuit_file.write_bytes(b"damaged")
    space.on_open = TransferError("connection refused")

    with pytest.raises(TransferError, match="connection refused"):
        load(space)


@pytest.mark.usefixtures("digest")
def test_a_part_is_no_copy_of_the_whole(space: Failing, tmp_path: Path) -> None:
    space.on_open = TransferError("connection refused")

    with pytest.raises(TransferError, match="connection refused"):
        load(space)
    with pytest.raises(TransferError, match="connection refused"):
        load(space, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("digest")
@pytest.mark.parametrize("error", [ArtifactNotFoundError("gone"), AuthenticationError("not yours")], ids=repr)
def test_a_storage_that_answers_is_believed(error: Exception, space: Failing) -> None:
    load(space)
    space.on_open = error

    with pytest.raises(type(error), match=str(error)):
        load(space)


def test_a_folder_of_the_user_is_a_copy_only_of_the_artifact_that_it_names(
    space: Failing, digest: str, tmp_path: Path
) -> None:
    load(space, tmp_path / "out")
    space.on_open = TransferError("connection refused")

    assert load(space, tmp_path / "out").digest == digest
    for repo in ("memory/me/other", f"{REPO}/v2"):
        with pytest.raises(TransferError, match="connection refused"):
            load(space, tmp_path / "out", repo=repo)


# --- infernet-ml's manifests -------------------------------------------------------------------------------


class Seeded(BaseModel):
    file: Path
    seed: int


def plant_legacy(server: Server, seed: int) -> None:
    """Store an artifact as infernet-ml does, with a field that may be too large for a digest."""
    sha256 = hashlib.sha256(b"x").hexdigest()
    document = {"file": "a.bin", "seed": seed, "artifact_type": "Seeded", "file_hashes": {"a.bin": sha256}}
    repo = RitualRepoId.from_unique_id("streaming/me/seeded")
    server.plant(repo, json.dumps(document).encode(), {"a.bin": b"x"})


@pytest.mark.parametrize("seed", [2**53, -(2**63), 2**200])
@pytest.mark.usefixtures("test_storages")
def test_a_legacy_artifact_without_a_digest_is_downloaded(seed: int, tmp_path: Path) -> None:
    server = Server()
    plant_legacy(server, seed)
    options = {"space": server}

    for directory in (None, None, tmp_path / "out", tmp_path / "out"):
        found = RitualArtifactManager.from_repo(
            Seeded, "streaming/me/seeded", directory, repo_manager_kwargs=options
        )
        assert found.artifact.seed == seed
        assert found.artifact.file.read_bytes() == b"x"
        found.verify()
    assert RitualArtifactManager.from_dir(Seeded, tmp_path / "out").artifact.seed == seed
    with pytest.raises(ManifestError, match="has no digest"):
        RitualArtifactManager.from_dir(Seeded, tmp_path / "out", expected_digest="0" * 64)


@pytest.mark.usefixtures("test_storages")
def test_nothing_is_downloaded_if_a_digest_is_expected_of_what_has_none(tmp_path: Path) -> None:
    server = Server()
    plant_legacy(server, 2**53)

    with pytest.raises(ManifestError, match=r"streaming/me/seeded has no digest.*leave expected_digest out"):
        RitualArtifactManager.from_repo(
            Seeded,
            "streaming/me/seeded",
            tmp_path / "out",
            repo_manager_kwargs={"space": server},
            expected_digest="0" * 64,
        )

    assert server.requests == []

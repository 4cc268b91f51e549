"""Streams that end too early or too late, manifests that lie or have no sizes: a server that misbehaves."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.errors import IntegrityError, ManifestError, TransferError
from ritual_artifacts.testing import Sample
from tests.backends.streaming import Server


class Storage:
    """The faulty server, and an artifact on it."""

    def __init__(self) -> None:
        self.server = Server()
        self.options: Mapping[str, Any] = {"space": self.server}

    def upload(self, artifact: BaseModel, version: str = "v1") -> Any:
        manager = RitualArtifactManager(artifact=artifact)
        return manager.to_repo(f"streaming/alice/model/{version}", repo_manager_kwargs=self.options)

    def download(self, folder: Path, **options: Any) -> RitualArtifactManager[Sample]:
        return RitualArtifactManager.from_repo(
            Sample, "streaming/alice/model/v1", folder, repomanager_kwargs=self.options, **options
        )

    def fail_to_download(self, sample: Sample, folder: Path) -> TransferError:
        """Publish, fail to download, and let the server behave and forget what was requested."""
        self.upload(sample)
        with pytest.raises(TransferError) as caught:
            self.download(folder)
        self.server.behave()
        self.server.forget_requests()
        return caught.value


@pytest.fixture
def storage(test_storages: None, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Return a server from which files are fetched one after the other."""
    del test_storages
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "1")
    return Storage()


@pytest.fixture
def sample(write: Callable[..., Path]) -> Sample:
    return Sample(
        circuit=write("circuit.bin", 50_000), shards=[write("a.bin", 9000), write("b.bin", 0)], note="ø"
    )


# --- lengths ---


def test_a_cut_connection_is_continued_where_it_ended(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    server = storage.server
    server.cut_after, server.cut_with_error = {"circuit.bin": 20_000}, True
    error = storage.fail_to_download(sample, tmp_path / "out")

    manager = storage.download(tmp_path / "out")

    assert error.retryable
    assert "20000" in str(error)
    assert server.requests == [("circuit.bin", 20_000)]
    assert server.served == {"circuit.bin": 30_000}
    assert manager.artifact.contents() == sample.contents()


def test_a_body_that_is_too_short_is_continued(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    storage.server.cut_after = {"circuit.bin": 12_345}
    error = storage.fail_to_download(sample, tmp_path / "out")

    manager = storage.download(tmp_path / "out")

    assert error.retryable
    assert "12345 of 50000" in str(error)
    assert storage.server.requests == [("circuit.bin", 12_345)]
    assert manager.artifact.contents() == sample.contents()
    assert not (tmp_path / "out" / ".ritual-partial").exists()


def test_a_partial_file_with_wrong_bytes_is_fetched_again_from_its_start(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    server = storage.server
    server.cut_after, server.flipped = {"circuit.bin": 30_000}, {"circuit.bin"}
    storage.fail_to_download(sample, tmp_path / "out")

    manager = storage.download(tmp_path / "out")

    assert server.requests == [("circuit.bin", 30_000), ("circuit.bin", 0)]
    assert manager.artifact.contents() == sample.contents()


def test_from_a_server_that_ignores_the_offset_the_file_is_fetched_again_from_its_start(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    storage.server.cut_after = {"circuit.bin": 30_000}
    storage.fail_to_download(sample, tmp_path / "out")
    storage.server.ignores_offset = True

    manager = storage.download(tmp_path / "out")

    assert manager.artifact.contents() == sample.contents()


def test_bytes_beyond_the_expected_size_are_not_stored(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    storage.upload(sample)
    storage.server.appended = {"circuit.bin": bytes(1_000_000), "b.bin": b"not empty"}

    manager = storage.download(tmp_path / "out")

    assert manager.artifact.contents() == sample.contents()
    assert storage.server.served["circuit.bin"] < 60_000
    assert storage.server.served["b.bin"] == 0


def test_a_file_that_was_fetched_before_an_error_is_not_requested_again(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    server = storage.server
    server.cut_after, server.cut_with_error = {"circuit.bin": 0}, True
    storage.fail_to_download(sample, tmp_path / "out")

    storage.download(tmp_path / "out")

    assert server.requests == [("circuit.bin", 0)]


def test_a_file_that_is_in_place_is_not_fetched(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    storage.upload(sample)
    storage.download(tmp_path / "out")
    storage.server.forget_requests()

    storage.download(tmp_path / "out")

    assert storage.server.requests == []


# --- lies ---


def test_swapped_files_are_caught(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    storage.upload(sample)
    storage.server.swapped = {"a.bin": "circuit.bin"}

    with pytest.raises(IntegrityError, match=r"a\.bin"):
        storage.download(tmp_path / "out")

    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".ritual-partial"}


def test_a_manifest_that_lies_about_its_digest_is_refused(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    storage.upload(sample)
    storage.server.lie = lambda data: data.replace(b'"note": "', b'"note": "hacked')

    with pytest.raises(ManifestError, match="altered"):
        storage.download(tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_manifest_of_another_revision_is_refused(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    other = storage.upload(sample.model_copy(update={"note": "other"}), "v2")
    asked = storage.upload(sample, "v1")
    repository = storage.server.repositories["streaming/alice/model"]
    storage.server.lie = lambda _: repository.revisions[other.revision].manifest

    with pytest.raises(IntegrityError, match=f"expected {asked.digest}, got {other.digest}"):
        storage.download(tmp_path / "out")

    assert not (tmp_path / "out").exists()


# --- manifests without sizes ---


def without_sizes(data: bytes) -> bytes:
    document = json.loads(data)
    del document["ritual_artifacts"]
    return json.dumps(document).encode()


def test_a_manifest_without_sizes_is_completed(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    digest = storage.upload(sample).digest
    storage.server.lie = without_sizes

    manager = storage.download(tmp_path / "out", expected_digest=digest)

    assert manager.digest == digest
    assert Manifest.read(tmp_path / "out" / "ritual_manifest.json").digest == digest


def test_without_sizes_a_short_or_long_body_is_a_mismatch(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    storage.upload(sample)
    storage.server.lie = without_sizes
    storage.server.cut_after = {"circuit.bin": 20_000}
    storage.server.appended = {"a.bin": b"more"}

    with pytest.raises(IntegrityError) as caught:
        storage.download(tmp_path / "out")

    assert [mismatch.path for mismatch in caught.value.mismatches] == ["a.bin", "circuit.bin"]


def test_without_sizes_the_digest_is_checked_before_any_file_is_in_place(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    digest = storage.upload(sample).digest
    storage.server.lie = lambda data: without_sizes(data).replace(b'"note": "', b'"note": "hacked')

    with pytest.raises(IntegrityError, match=digest):
        storage.download(tmp_path / "out", expected_digest=digest)

    assert not (tmp_path / "out" / "circuit.bin").exists()


def test_without_sizes_a_part_cannot_be_checked_against_an_expected_digest(
    storage: Storage, tmp_path: Path, write: Callable[..., Path]
) -> None:
    class Pair(BaseModel):
        circuit: Path | None = None
        proof: Path | None = None

    digest = storage.upload(Pair(circuit=write("c"), proof=write("p"))).digest
    storage.server.lie = without_sizes

    with pytest.raises(ManifestError, match="no sizes"):
        RitualArtifactManager.from_repo(
            Pair,
            "streaming/alice/model/v1",
            tmp_path / "out",
            repomanager_kwargs=storage.options,
            fields=["proof"],
            expected_digest=digest,
        )

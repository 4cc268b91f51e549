"""The manager with a backend that is not on this machine."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ritual_artifacts import (
    IntegrityError,
    Manifest,
    ManifestEntry,
    RitualArtifactManager,
    RitualRepoId,
)
from ritual_artifacts import (
    manager as manager_module,
)
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import contents, flip_one_bit


class Remote:
    """A backend that has one artifact in memory and counts what it is asked for."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self.files = files
        self.calls: list[str] = []

    def resolve(self, repo_id: RitualRepoId) -> str:
        self.calls.append(f"resolve {repo_id}")
        return "revision"

    def read_manifest(self, *_: object) -> bytes:
        self.calls.append("manifest")
        return self.manifest.to_bytes()

    def read_file(
        self, _repo_id: object, _revision: str, entry: ManifestEntry, *, offset: int
    ) -> Iterator[bytes]:
        self.calls.append(f"file {entry.path} from {offset}")
        yield self.files[entry.path][offset:]

    def find_local_file(self, *_: object) -> None:
        return None


@pytest.fixture
def remote(
    manager: RitualArtifactManager[Circuit], circuit: Circuit, monkeypatch: pytest.MonkeyPatch
) -> Remote:
    files = {path.name: path.read_bytes() for path in (circuit.circuit_file, *circuit.weights)}
    backend = Remote(manager.manifest(), files)
    monkeypatch.setattr(manager_module, "load_backend", lambda *_: backend)
    return backend


def test_a_remote_artifact_is_resolved_once_and_each_file_read_once(remote: Remote, circuit: Circuit) -> None:
    again = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x")

    assert contents(again.artifact) == contents(circuit)
    assert remote.calls[:2] == ["resolve huggingface/me/x", "manifest"]
    assert sorted(remote.calls[2:]) == [
        "file a.safetensors from 0",
        "file b.safetensors from 0",
        "file circuit.bin from 0",
    ]


def test_a_cached_remote_artifact_is_not_read_again(remote: Remote) -> None:
    digest = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x").digest
    remote.calls.clear()

    RitualArtifactManager.from_repo(Circuit, "huggingface/me/x")
    assert remote.calls == ["resolve huggingface/me/x", "manifest"]
    remote.calls.clear()

    RitualArtifactManager.from_repo(Circuit, "huggingface/me/x", expected_digest=digest)
    assert remote.calls == []


def test_only_the_damaged_file_of_a_cached_remote_artifact_is_read_again(
    remote: Remote, own_folders: Path
) -> None:
    digest = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x").digest
    flip_one_bit(own_folders / "cache/huggingface/me/x/default/a.safetensors")
    remote.calls.clear()

    again = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x", expected_digest=digest)

    assert again.verify().digest == digest
    assert remote.calls == ["resolve huggingface/me/x", "manifest", "file a.safetensors from 0"]


def test_a_lying_remote_is_refused(remote: Remote, tmp_path: Path) -> None:
    remote.files = {**remote.files, "b.safetensors": b"!"}

    with pytest.raises(IntegrityError, match=r"'b\.safetensors' \(field 'weights'\) from huggingface/me/x"):
        RitualArtifactManager.from_repo(Circuit, "huggingface/me/x", tmp_path / "out")

    assert [path.name for path in (tmp_path / "out").iterdir()] == [".ritual-partial"]

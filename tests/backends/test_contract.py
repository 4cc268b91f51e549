"""The contract suite on each of our backends: memory, a server, the local store, the Hub, Arweave.

Holds only how each storage is reached and damaged without its backend. What one storage does beyond the
contract has tests of its own.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import RitualRepoId
from ritual_artifacts.artifact import manifest as manifest_module
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.backends.memory import MemorySpace, StoredArtifact
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, ManifestError, SourceChangedError
from ritual_artifacts.testing import BackendContract, ImmutableVersionsContract, Sample
from tests.backends.streaming import Server, flip_one_bit
from tests.servers.arweave.faults import refuse
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key
from tests.servers.faults import flip_bit
from tests.servers.hub import Hub

MANIFEST = "ritual_manifest.json"


class OnEveryBackend(BackendContract):
    """What the pipelines do in the same way on every backend, and what only our own tests can look at."""

    def test_a_link_among_the_partial_files_is_never_a_file_of_the_artifact(
        self, sample: Sample, tmp_path: Path
    ) -> None:
        digest = self.upload(sample).digest
        key = hashlib.sha256(digest.encode()).hexdigest()[:32]
        name = hashlib.sha256(b"circuit.bin").hexdigest()[:32]
        partial = tmp_path / "out" / ".ritual-partial" / key / name
        partial.parent.mkdir(parents=True)
        partial.symlink_to(sample.circuit)

        manager = self.download(tmp_path / "out")

        assert not manager.artifact.circuit.is_symlink()
        assert manager.artifact.contents() == sample.contents()

    def test_a_manifest_that_no_reader_accepts_is_refused_before_anything_is_published(
        self, sample: Sample, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(manifest_module, "MAX_MANIFEST_BYTES", 100)
            with pytest.raises(ManifestError, match="the manifest is too large"):
                self.upload(sample)

        with pytest.raises(ArtifactNotFoundError):
            self.open()


@pytest.mark.usefixtures("test_storages")
class TestMemory(OnEveryBackend, ImmutableVersionsContract):
    storage_name = "memory"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {"space": MemorySpace()}

    def _newest(self, repo_id: RitualRepoId) -> StoredArtifact:
        repository = self.connection_options["space"].repositories[str(repo_id)]
        stored: StoredArtifact = repository.revisions[repository.newest]
        return stored

    def raw_read(self, repo_id: RitualRepoId, name: str) -> bytes:
        stored = self._newest(repo_id)
        return stored.manifest if name == MANIFEST else stored.files[name]

    def damage(self, repo_id: RitualRepoId, names: Collection[str]) -> None:
        files = self._newest(repo_id).files
        files.update({name: flip_one_bit(files[name]) for name in names})

    def test_a_file_that_changes_during_the_upload_is_named(self, sample: Sample) -> None:
        backend, plan = self.connect(), plan_files(sample)

        with backend.start_upload(plan, self.repo(), backend.upload_options({}), Context.create()) as session:
            manifest = Manifest.build(plan, session.read_files(), self.repo())
            sample.circuit.write_bytes(b"changed")
            with pytest.raises(SourceChangedError, match=r"circuit\.bin.*nothing was published"):
                session.publish(manifest)


class TestStreaming(TestMemory):
    storage_name = "streaming"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {"space": Server()}

    def damage(self, repo_id: RitualRepoId, names: Collection[str]) -> None:
        del repo_id
        self.connection_options["space"].flipped.update(names)


class TestLocal(OnEveryBackend, ImmutableVersionsContract):
    storage_name = "local"

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"root": tmp_path / "store"}

    def _manifest_path(self, repo_id: RitualRepoId) -> Path:
        folder = self.connection_options["root"] / "repos" / repo_id.owner / repo_id.name
        return Path(folder / "revisions" / (folder / "latest").read_text())

    def _path(self, repo_id: RitualRepoId, name: str) -> Path:
        sha256 = json.loads(self._manifest_path(repo_id).read_bytes())["file_hashes"][name]
        return Path(self.connection_options["root"] / "objects" / sha256[:2] / sha256)

    def raw_read(self, repo_id: RitualRepoId, name: str) -> bytes:
        path = self._manifest_path(repo_id) if name == MANIFEST else self._path(repo_id, name)
        return path.read_bytes()

    def damage(self, repo_id: RitualRepoId, names: Collection[str]) -> None:
        for path in [self._path(repo_id, name) for name in names]:
            path.chmod(0o644)
            path.write_bytes(flip_one_bit(path.read_bytes()))


class TestHub(OnEveryBackend):
    storage_name = "huggingface"  # a version is a branch, which moves

    @pytest.fixture
    def options(self, hub: Hub) -> Mapping[str, Any]:
        self.hub = hub
        return {"endpoint": hub.endpoint, "token": hub.token}

    def raw_read(self, repo_id: RitualRepoId, name: str) -> bytes:
        return self.hub.read(self.hub.repo(f"{repo_id.owner}/{repo_id.name}"), name)

    def damage(self, repo_id: RitualRepoId, names: Collection[str]) -> None:
        del repo_id
        for name in names:
            self.hub.faults.add(f"*{name}", flip_bit())


class TestArweave(OnEveryBackend, ImmutableVersionsContract):
    storage_name = "arweave"

    @pytest.fixture
    def options(self, make_arweave: Callable[..., ArweaveNode], wallet: Key) -> Mapping[str, Any]:
        self.node = make_arweave(auto_mine=True)
        self.node.mint(wallet.address)
        self.owner = wallet.address
        return {"gateways": self.node.url, "wallet_path": wallet.path}

    def _newest(self) -> dict[str | None, str]:
        return {transaction.tag("File-Name"): transaction.id for transaction in self.node.transactions()}

    def raw_read(self, repo_id: RitualRepoId, name: str) -> bytes:
        del repo_id
        return self.node.read(self._newest()[name])

    def damage(self, repo_id: RitualRepoId, names: Collection[str]) -> None:
        """Flip a bit wherever the gateway serves these files; their chunks are not served."""
        del repo_id
        newest = self._newest()
        for name in names:
            for address in ("/raw/{}", "/{}", "/tx/{}/data"):
                self.node.faults.add(address.format(newest[name]), flip_bit())
        self.node.faults.add("/chunk/*", refuse(404), kind="chunk")

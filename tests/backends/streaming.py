"""A storage for tests: in memory, without local files, streaming from offsets, and misbehaving on demand."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.backends import Backend, UploadResult, UploadSession
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    SourceChangedError,
    TransferError,
)
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId

BLOCK_SIZE = 4096


def flip_one_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@dataclass
class Repository:
    revisions: dict[str, tuple[bytes, dict[str, bytes]]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    latest: str | None = None


@dataclass
class Server:
    """What is stored, what was asked for, and what goes wrong; file names are those inside the artifact."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, int]] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)

    flipped: set[str] = field(default_factory=set)
    swapped: dict[str, str] = field(default_factory=dict)
    cut_after: dict[str, int] = field(default_factory=dict)
    cut_with_error: bool = False
    appended: dict[str, bytes] = field(default_factory=dict)
    ignores_offset: bool = False
    lie: Callable[[bytes], bytes] = bytes
    on_block: Callable[[str], object] = len

    def behave(self) -> None:
        self.flipped.clear()
        self.swapped.clear()
        self.cut_after.clear()
        self.appended.clear()
        self.ignores_offset = False
        self.lie = bytes

    def forget_requests(self) -> None:
        self.requests.clear()
        self.served.clear()

    def serve(self, data: bytes, name: str, offset: int) -> Iterator[bytes]:
        self.requests.append((name, offset))
        if name in self.flipped:
            data = flip_one_bit(data)
        data += self.appended.get(name, b"")
        end = min(len(data), self.cut_after.get(name, len(data)))
        for start in range(0 if self.ignores_offset else offset, end, BLOCK_SIZE):
            block = data[start : min(start + BLOCK_SIZE, end)]
            self.served[name] += len(block)
            self.on_block(name)
            yield block
        if self.cut_with_error and name in self.cut_after:
            message = f"the connection was lost after {end} bytes of {name}"
            raise TransferError(message, retryable=True)


class StreamingBackend:
    """Talks to a `Server`."""

    def __init__(self, server: Server | None = None) -> None:
        self.server = server or Server()

    @contextlib.contextmanager
    def start_upload(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> Iterator[UploadSession]:
        if options:
            message = f"an upload takes no options, but got {sorted(options)}"
            raise BackendError(message)
        yield _Session(self.server, repo_id)

    def resolve(self, repo_id: RitualRepoId) -> str:
        repository = self.server.repositories.get(str(repo_id.without_version()), Repository())
        revision = repository.labels.get(repo_id.version) if repo_id.version else repository.latest
        if revision is None:
            message = f"the server has no {repo_id}"
            raise ArtifactNotFoundError(message)
        return revision

    def _revision(self, repo_id: RitualRepoId, revision: str) -> tuple[bytes, dict[str, bytes]]:
        return self.server.repositories[str(repo_id.without_version())].revisions[revision]

    def read_manifest(self, repo_id: RitualRepoId, revision: str) -> bytes:
        return self.server.lie(self._revision(repo_id, revision)[0])

    def read_file(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, *, offset: int = 0
    ) -> Iterator[bytes]:
        files = self._revision(repo_id, revision)[1]
        name = self.server.swapped.get(entry.path, entry.path)
        return self.server.serve(files.get(name, b"whatever"), entry.path, offset)

    def find_local_file(self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry) -> Path | None:
        del repo_id, revision, entry
        return None


class _Session:
    def __init__(self, server: Server, repo_id: RitualRepoId) -> None:
        self._server = server
        self._repo_id = repo_id

    def read_files(self, plan: ArtifactPlan, progress: ProgressCallback | None) -> list[FileDigest]:
        meter = ProgressMeter(progress, "upload", plan.size)
        return hash_files([f.source for f in plan.files], follow_symlinks=False, progress=meter.advance)

    def publish(
        self, manifest: Manifest, plan: ArtifactPlan, progress: ProgressCallback | None
    ) -> UploadResult:
        del progress
        assert manifest.digest is not None
        revision = manifest.digest.removeprefix("sha256:")
        repository = self._server.repositories.setdefault(str(self._repo_id.without_version()), Repository())
        label = self._repo_id.version
        if label and repository.labels.get(label, revision) != revision:
            message = f"{self._repo_id} is already another artifact"
            raise ConflictError(message)
        files = {file.path: file.source.read_bytes() for file in plan.files}
        for entry in manifest.files:
            if hashlib.sha256(files[entry.path]).hexdigest() != entry.sha256:
                message = f"{entry.path} changed while it was uploaded"
                raise SourceChangedError(message)
        known = revision in repository.revisions
        repository.revisions[revision] = (manifest.to_bytes(), files)
        if label is None or label not in repository.labels:
            repository.latest = revision
        if label:
            repository.labels[label] = revision
        return UploadResult(
            repo_id=self._repo_id,
            revision=revision,
            url=f"test:{self._repo_id}",
            digest=manifest.digest,
            files=manifest.files,
            bytes_sent=0 if known else manifest.size,
            bytes_reused=manifest.size if known else 0,
        )


def _check_protocol(backend: StreamingBackend) -> Backend:
    return backend

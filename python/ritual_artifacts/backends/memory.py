"""The reference backend: artifacts in the memory of this process, with no more than the protocol requires.

To write a storage of your own, copy this file, rename the classes, replace the dictionaries of `MemorySpace`
by calls to your service, and name the `Storage` class in an entry point of your package::

    [project.entry-points."ritual_artifacts.backends"]
    shelf = "my_package.shelf:ShelfStorage"

This package has no entry point for `MemoryStorage`: ids that begin with `memory/` need a program that
registers it, as the tests of this package do. Methods that are missing here have a fitting default in `base`.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from pydantic import Field, InstanceOf

from ritual_artifacts.backends import (
    AnyEntry,
    ArtifactPlan,
    Backend,
    Context,
    Digest,
    FileDigest,
    Manifest,
    Options,
    RemoteFile,
    Revision,
    RitualRepoId,
    Storage,
    UploadResult,
    UploadSession,
    hash_files,
)
from ritual_artifacts.errors import ArtifactNotFoundError, ConflictError, SourceChangedError

_BLOCK_SIZE: Final = 1 << 20


@dataclass
class StoredArtifact:
    """One immutable version: its artifact's digest, its manifest file, and its files by name."""

    digest: Digest
    manifest: bytes
    files: dict[str, bytes]


@dataclass
class StoredRepository:
    """Versions by revision, the revision of each label, and the newest revision."""

    revisions: dict[str, StoredArtifact] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    newest: str | None = None


@dataclass
class MemorySpace:
    """A place for artifacts in memory; pass the same one to each call.

    Attributes:
        repositories: By id, without the version.
        lock: Held while a version becomes visible.
    """

    repositories: dict[str, StoredRepository] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryOptions(Options):
    """Options of every call. A `Flag` beside a field would put the option on the command line."""

    title: ClassVar[str] = "the memory backend"

    space: InstanceOf[MemorySpace] = Field(description="The object that keeps the artifacts.")


class MemoryUploadOptions(Options):
    """Further options of an upload; there are none."""

    title: ClassVar[str] = "an upload to memory"


class MemoryStorage(Storage):
    """The description of the storage. A storage that needs a client library imports it in `connect`."""

    name: ClassVar[str] = "memory"
    title: ClassVar[str] = "memory"
    connection_options: ClassVar[type[Options]] = MemoryOptions
    upload_options: ClassVar[type[Options]] = MemoryUploadOptions

    def connect(self, options: Mapping[str, Any], context: Context) -> "MemoryBackend":
        """Check the options and return a backend; see `Storage`."""
        del context  # its settings are for storages that need some
        return MemoryBackend(MemoryOptions.parse(options).space)

    def is_pinned(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> bool:
        """Return whether the id has a version, whose content never changes here."""
        del options
        return repo_id.version is not None

    def check(self, context: Context) -> None:
        """Do nothing: no library can be missing. The default would connect without the required option."""


class MemoryBackend(Backend[MemoryUploadOptions]):
    """A connection to a space."""

    def __init__(self, space: MemorySpace) -> None:
        """Connect to `space`; nothing is sent."""
        self.space = space

    def upload_options(self, given: Mapping[str, Any]) -> MemoryUploadOptions:
        """Check the options of an upload; see `Backend`."""
        return MemoryUploadOptions.parse(given)

    def open(self, repo_id: RitualRepoId) -> "MemoryRevision":
        """Open the version that the id names now; a version is a label."""
        repository = self.space.repositories.get(str(repo_id.without_version()), StoredRepository())
        name = repository.labels.get(repo_id.version) if repo_id.version else repository.newest
        if name is None:
            known = ", ".join(repository.labels) or "none"
            message = f"there is no {repo_id} in memory; versions there: {known}"
            raise ArtifactNotFoundError(message)
        return MemoryRevision(repo_id, name, repository.revisions[name])

    @contextmanager
    def start_upload(
        self, plan: ArtifactPlan, repo_id: RitualRepoId, options: MemoryUploadOptions, context: Context
    ) -> Iterator[UploadSession]:
        """Start an upload; there is nothing to discard at its end, because only `publish` stores anything."""
        del options
        yield MemoryUpload(self.space, plan, repo_id, context)


class MemoryRevision(Revision):
    """One opened version; `name` is the SHA-256 of its manifest file."""

    def __init__(self, repo_id: RitualRepoId, name: str, stored: StoredArtifact) -> None:
        """Open a version that exists."""
        super().__init__(repo_id, name)
        self.stored = stored

    @property
    def digest(self) -> Digest:
        """The digest of the artifact."""
        return self.stored.digest

    def manifest_bytes(self) -> bytes:
        """Return the manifest file, unchecked; see `Revision`."""
        return self.stored.manifest

    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        """Yield a file's bytes, unchecked, from `offset` to its end; see `Revision`."""
        data = self.stored.files.get(entry.path)
        if data is None:
            message = f"{self.repo_id} has no file {entry.path!r} in memory"
            raise ArtifactNotFoundError(message)
        for start in range(offset, len(data), _BLOCK_SIZE):
            yield data[start : start + _BLOCK_SIZE]

    def listing(self) -> Mapping[str, RemoteFile]:
        """Return size and SHA-256 of each file as it is stored now, whatever the manifest says."""
        files = self.stored.files.items()
        return {path: RemoteFile(len(data), hashlib.sha256(data).hexdigest()) for path, data in files}


@dataclass
class MemoryUpload(UploadSession):
    """One upload: hash the files, then read them into memory and make them visible."""

    space: MemorySpace
    plan: ArtifactPlan
    repo_id: RitualRepoId
    context: Context

    def read_files(self) -> list[FileDigest]:
        """Hash each file once and return the digests, in the plan's order."""
        return hash_files(
            [file.source for file in self.plan.files],
            follow_symlinks=False,
            max_workers=self.context.settings.max_workers,
            progress=self.context.meter("hash", self.plan.size).advance,
        )

    def publish(self, manifest: Manifest) -> UploadResult:
        """Read the files into memory, then make the version visible in one step."""
        files, label = self._read_again(manifest), self.repo_id.version
        repository_id = self.repo_id.without_version()
        document = manifest.with_repo_id(repository_id).to_bytes()
        with self.space.lock:
            repository = self.space.repositories.setdefault(str(repository_id), StoredRepository())
            named = repository.labels.get(label) if label else None
            if named is not None and repository.revisions[named].digest != manifest.digest:
                message = f"{self.repo_id} already names another artifact; upload under a new version label"
                raise ConflictError(message)
            revision = named or hashlib.sha256(document).hexdigest()
            is_new = revision not in repository.revisions
            if is_new:
                repository.revisions[revision] = StoredArtifact(manifest.digest, document, files)
            if named is None:  # to publish a label again changes nothing
                repository.newest = revision
            if label:
                repository.labels[label] = revision
        sent = manifest.size if is_new else 0
        return UploadResult(
            repo_id=self.repo_id,
            revision=revision,
            url=f"memory:{self.repo_id}",
            digest=manifest.digest,
            files=manifest.files,
            bytes_sent=sent,
            bytes_reused=manifest.size - sent,
        )

    def _read_again(self, manifest: Manifest) -> dict[str, bytes]:
        files = {}
        meter = self.context.meter("upload", manifest.size)
        for entry, file in zip(manifest.files, self.plan.files, strict=True):
            data = file.source.read_bytes()
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                message = f"{file.source} changed while it was uploaded; nothing was published"
                raise SourceChangedError(message)
            files[entry.path] = data
            meter.advance(len(data))
        return files

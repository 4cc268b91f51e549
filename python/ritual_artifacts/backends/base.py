"""What a storage backend is: it moves bytes, and leaves hashing and comparing to the pipeline."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import JsonValue

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.core.hashing import FileDigest
from ritual_artifacts.events import ProgressCallback
from ritual_artifacts.repo_id import RitualRepoId


@dataclass(frozen=True)
class UploadResult:
    """Where an artifact went.

    Attributes:
        repo_id: The repository, with the owner and version that it really has.
        revision: The immutable name of what was published.
        url: Where it can be looked at.
        digest: The artifact's digest, `sha256:` and hex.
        files: The files, with sizes and digests.
        bytes_sent: Bytes that had to be stored.
        bytes_reused: Bytes that the storage had already.
    """

    repo_id: RitualRepoId
    revision: str
    url: str
    digest: str
    files: tuple[ManifestEntry, ...]
    bytes_sent: int
    bytes_reused: int

    def details(self) -> dict[str, JsonValue]:
        """Return what this storage has to say besides, as JSON."""
        return {}


@dataclass(frozen=True)
class RemoteFile:
    """What a storage says about a file that it has, without sending it.

    Attributes:
        size: Bytes.
        sha256: SHA-256 in lower-case hex, where the storage knows it.
        git_sha1: Git's object id, in lower-case hex, where that is all that the storage knows.
    """

    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@runtime_checkable
class ListsFiles(Protocol):
    """A backend whose storage says what it has without sending it; not every one does."""

    def list_files(self, repo_id: RitualRepoId, revision: str) -> Mapping[str, RemoteFile]:
        """Return what the storage says about each file of a revision, by unchecked name.

        Raises:
            ArtifactNotFoundError: there is no such revision.
        """
        ...


@runtime_checkable
class NamesRevisions(Protocol):
    """A backend whose revisions can be found by their name alone."""

    def identify(self, revision: str) -> RitualRepoId:
        """Return the id of the repository and version that a revision is, with this revision as the version.

        Raises:
            ArtifactNotFoundError: there is no such revision.
        """
        ...


@runtime_checkable
class FindsDamage(Protocol):
    """A backend that can tell which bytes of a copy are wrong, so that only these are fetched again."""

    def find_good_prefix(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, path: Path
    ) -> int | None:
        """Return how many bytes at the beginning of a wrong copy are the published ones.

        Whoever has sent the first wrong byte is not asked for it again, so that this ends.

        Returns:
            None where nobody could send anything better: the published bytes are others than promised.
        """
        ...


@runtime_checkable
class ChoosesOwner(Protocol):
    """A backend that publishes under an owner of its own, such as a wallet's address; not every one does."""

    def choose_owner(self, repo_id: RitualRepoId) -> RitualRepoId:
        """Return the id under which an upload to `repo_id` would be published; nothing is sent.

        Raises:
            RepoIdError: the id names an owner that cannot publish from here.
        """
        ...


class UploadSession(Protocol):
    """One upload, from reading the files to the moment at which everybody can see them."""

    def read_files(self, plan: ArtifactPlan, progress: ProgressCallback | None) -> list[FileDigest]:
        """Read the plan's files once and return their digests, in the plan's order.

        A backend that can store bytes before it knows their digest does so here; all others call
        `hashing.hash_files`. Nothing that is stored here can be seen yet.

        Raises:
            ArtifactModelError: a file turned into something that cannot be an artifact file.
            SourceChangedError: a file changed while it was read.
            OSError: a file cannot be read, or the storage is full.
        """
        ...

    def publish(
        self, manifest: Manifest, plan: ArtifactPlan, progress: ProgressCallback | None
    ) -> UploadResult:
        """Store what is not stored yet, then make the artifact visible in one step.

        Raises:
            ConflictError: the version label names another artifact.
            SourceChangedError: a file is no longer what `read_files` saw.
            BackendError: the storage refused or failed.
        """
        ...


class Backend(Protocol):
    """One kind of storage. Found by `StorageId`; see `ritual_artifacts.backends.load_backend`."""

    def start_upload(
        self, repo_id: RitualRepoId, options: Mapping[str, Any]
    ) -> AbstractContextManager[UploadSession]:
        """Start an upload; leaving the context drops everything that was not published.

        Args:
            repo_id: Where it goes.
            options: What this kind of storage lets the user say of an upload, such as a commit message.

        Raises:
            BackendError: there is no such option.
        """
        ...

    def resolve(self, repo_id: RitualRepoId) -> str:
        """Return the immutable revision that the id names now.

        A storage that names revisions by content uses the 64 hex digits of the artifact's digest: a revision
        that looks like them is compared with the manifest.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
        """
        ...

    def read_manifest(self, repo_id: RitualRepoId, revision: str) -> bytes:
        """Return the manifest file of a revision, unchecked, at most `MAX_MANIFEST_BYTES + 1` bytes.

        Raises:
            ArtifactNotFoundError: the revision has no manifest.
        """
        ...

    def read_file(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, *, offset: int = 0
    ) -> Iterator[bytes]:
        """Stream a file's bytes from `offset` to its end, unchecked; several threads do so at once.

        Raises:
            ArtifactNotFoundError: the revision has no such file.
            TransferError: the bytes stopped arriving.
        """
        ...

    def find_local_file(self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry) -> Path | None:
        """Return where this file's bytes are on this machine, so that they can be cloned; else None.

        A storage that has lost them returns where they would be, and `read_file` raises.
        """
        ...

"""The protocol of a storage: it moves bytes, and `transfer` hashes and compares them.

A storage is written as three classes. `Storage` says what it is like and is light to import; `Backend` is a
connection to it; `Revision` is one opened, immutable version. Uploads go through an `UploadSession`.
`ritual_artifacts.backends.memory` is a complete, short example, and `ritual_artifacts.testing` has the
contract suite that every backend passes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import JsonValue

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyEntry, Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.backends.options import Options
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest
from ritual_artifacts.errors import RepoIdError
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import Settings

UploadOptionsT = TypeVar("UploadOptionsT", bound=Options)


@dataclass(frozen=True)
class UploadResult:
    """The result of an upload.

    Attributes:
        repo_id: The repository, with its actual owner and version.
        revision: The immutable name of what was published.
        url: The address of its page or file.
        digest: The artifact's digest, `sha256:` and hex.
        files: The files, with sizes and digests.
        bytes_sent: Bytes that were stored.
        bytes_reused: Bytes that the storage already had.
    """

    repo_id: RitualRepoId
    revision: str
    url: str
    digest: Digest
    files: tuple[ManifestEntry, ...]
    bytes_sent: int
    bytes_reused: int

    def details(self) -> dict[str, JsonValue]:
        """Return further details from this storage, as JSON."""
        return {}

    def summary(self) -> list[str]:
        """Return further lines for people, such as the price that was paid."""
        return []


@dataclass(frozen=True)
class RemoteFile:
    """A storage's description of one of its files, without the content.

    Attributes:
        size: Bytes.
        sha256: SHA-256 in lower-case hex, if the storage knows it.
        git_sha1: Git's object id in lower-case hex, if the storage knows no SHA-256.
    """

    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class Credential:
    """How the user passes a storage's credential.

    Attributes:
        option: The connection option that holds it.
        argument: The argument of `to_repo` and `from_repo` that fills this option.
        variable: The environment variable that is used if the option is not given.
    """

    option: str
    argument: str
    variable: str


@dataclass(frozen=True)
class Price:
    """What an upload costs.

    Attributes:
        amount: In the storage's smallest unit.
        text: The amount for people, with its unit.
        details: Details as JSON.
    """

    amount: int
    text: str
    details: Mapping[str, JsonValue]


class Revision(ABC):
    """One immutable version of a repository, opened for one download or verification.

    Several threads read from it at once.

    Attributes:
        name: The version's immutable name on its storage, such as a commit.
        repo_id: The id that was opened.
    """

    def __init__(self, repo_id: RitualRepoId, name: str) -> None:
        """Name the version."""
        self.repo_id = repo_id
        self.name = name

    @property
    def digest(self) -> Digest | None:
        """The artifact's digest, if the storage knows it; the manifest must then match it."""
        return None

    @abstractmethod
    def manifest_bytes(self) -> bytes:
        """Return the manifest file, unchecked, at most `MAX_MANIFEST_BYTES + 1` bytes of it.

        Raises:
            ArtifactNotFoundError: the version has no manifest.
        """

    @abstractmethod
    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        """Yield a file's bytes, unchecked, from `offset` to its end.

        Raises:
            ArtifactNotFoundError: the version has no such file.
            TransferError: the bytes stopped arriving.
        """

    def local_path(self, entry: AnyEntry) -> Path | None:
        """Return the path of the file's bytes on this machine, so that they can be cloned or copied.

        None if they are not on this machine. If there is no file at the path, the storage has lost the bytes,
        and `read` raises.
        """
        del entry
        return None

    def listing(self) -> Mapping[str, RemoteFile] | None:
        """Return the storage's description of each file, by unchecked name; None if it has none.

        Raises:
            ArtifactNotFoundError: the version is gone.
        """
        return None

    def repair_point(self, entry: AnyEntry, path: Path) -> int | None:
        """Return how many bytes at the start of an invalid copy are valid; the rest is then downloaded again.

        A source that sent an invalid byte must not be used for it again, so that repairs end.

        Args:
            entry: The file.
            path: A whole copy that does not match the manifest.

        Returns:
            None if that is not known: the whole file is then downloaded again.

        Raises:
            IntegrityError: no source has other bytes.
        """
        del entry, path
        return None


class UploadSession(ABC):
    """One upload, from reading the files until the artifact becomes visible."""

    @abstractmethod
    def read_files(self) -> list[FileDigest]:
        """Read each planned file once and return their digests, in the plan's order.

        A backend that can store bytes before their digest is known stores them here. All others call
        `hash_files`. Nothing is visible yet.

        Raises:
            ArtifactModelError: a file turned into something that cannot be an artifact file.
            SourceChangedError: a file changed while it was read.
            OSError: a file cannot be read, or the storage is full.
        """

    @abstractmethod
    def publish(self, manifest: Manifest) -> UploadResult:
        """Store the remaining bytes, then make the artifact visible in one step.

        Raises:
            ConflictError: the version label names another artifact.
            SourceChangedError: a file changed after `read_files`.
            BackendError: the backend refused or failed.
        """


class Backend(ABC, Generic[UploadOptionsT]):
    """A connection to one kind of storage, created by `Storage.connect` without sending anything."""

    @abstractmethod
    def open(self, repo_id: RitualRepoId) -> Revision:
        """Open the version that the id names now; no version in the id means the newest.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
        """

    @abstractmethod
    def start_upload(
        self, plan: ArtifactPlan, repo_id: RitualRepoId, options: UploadOptionsT, context: Context
    ) -> AbstractContextManager[UploadSession]:
        """Start an upload; leaving the context discards everything that was not published.

        Args:
            plan: The artifact's files.
            repo_id: The repository.
            options: The options of this upload.
            context: The call that this upload belongs to.

        Raises:
            BackendError: the options contradict each other or the connection.
        """

    @abstractmethod
    def upload_options(self, given: Mapping[str, Any]) -> UploadOptionsT:
        """Check the options of an upload, usually with `Options.parse`.

        Raises:
            BackendError: an option does not exist, or has an invalid value.
        """

    def choose_owner(self, repo_id: RitualRepoId) -> RitualRepoId:
        """Return the id under which an upload to `repo_id` would be published; nothing is sent.

        Raises:
            RepoIdError: the id names an owner that cannot publish from here.
        """
        return repo_id

    def identify(self, name: str) -> RitualRepoId:
        """Return the id of the version that has this immutable name.

        Raises:
            RepoIdError: the storage cannot find a version by its name alone.
            ArtifactNotFoundError: there is no such version.
        """
        message = f"repository id {name!r} must have an owner and a name"
        raise RepoIdError(message)

    def estimate(self, plan: ArtifactPlan, repo_id: RitualRepoId, options: UploadOptionsT) -> Price | None:
        """Return what this upload would cost; None: uploads are free.

        Raises:
            TransferError: the price could not be requested.
        """
        del plan, repo_id, options
        return None


class Storage(ABC):
    """The description of a kind of storage, whose class the entry point names. It has no connection.

    Nothing here uses the network or imports client libraries.
    """

    name: ClassVar[str]
    """The first part of repository ids."""
    title: ClassVar[str]
    """Its name for people."""
    connection_options: ClassVar[type[Options]]
    """Options of every call that talks to it."""
    upload_options: ClassVar[type[Options]]
    """Further options of an upload."""
    credential: ClassVar[Credential | None] = None
    offline_hint: ClassVar[str] = ""
    """How the user turns offline mode on, for messages."""

    @abstractmethod
    def connect(self, options: Mapping[str, Any], context: Context) -> Backend[Any]:
        """Check the connection options and make a backend.

        Args:
            options: The options that the user passed, by name.
            context: The call that the connection belongs to.

        Raises:
            AuthenticationError: the credential cannot be valid.
            BackendError: an option does not exist or has an invalid value, or a library is missing.
        """

    def is_pinned(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> bool:
        """Return whether the id can only ever name one artifact, so that a complete copy can be used."""
        del repo_id, options
        return False

    def cache_version(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> str | None:
        """Return the version under which the cache keeps a download; None for no version."""
        del options
        return repo_id.version

    def is_offline(self, options: Mapping[str, Any], settings: Settings) -> bool:
        """Return whether only copies on this machine may be used."""
        del options, settings
        return False

    def check(self, context: Context) -> None:
        """Check, without the network, whether this installation can use the storage.

        Raises:
            BackendError: it cannot; the message says what is missing.
        """
        self.connect({}, context)

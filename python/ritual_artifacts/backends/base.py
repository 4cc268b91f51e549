"""What a storage is, for this package: it moves bytes, and leaves hashing and comparing to `transfer`.

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
    digest: Digest
    files: tuple[ManifestEntry, ...]
    bytes_sent: int
    bytes_reused: int

    def details(self) -> dict[str, JsonValue]:
        """Return what else this storage says about the upload, as JSON."""
        return {}

    def summary(self) -> list[str]:
        """Return lines that tell a person what else happened, such as what was paid."""
        return []


@dataclass(frozen=True)
class RemoteFile:
    """What a storage says about a file that it has, without sending it.

    Attributes:
        size: Bytes.
        sha256: SHA-256 in lower-case hex, where the storage knows it.
        git_sha1: Git's object id, in lower-case hex, where the storage knows nothing better.
    """

    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class Credential:
    """What a storage needs to know who is asking.

    Attributes:
        option: The connection option that holds it.
        argument: The argument of `to_repo` and `from_repo` that fills this option.
        variable: The environment variable that is used where the option is not given.
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
        details: What it is made of, as JSON.
    """

    amount: int
    text: str
    details: Mapping[str, JsonValue]


class Revision(ABC):
    """One immutable version of a repository, opened for one download or verification.

    Several threads read from it at once.

    Attributes:
        name: The version's immutable name on its storage, such as a commit.
        repo_id: The id that it was opened by.
    """

    def __init__(self, repo_id: RitualRepoId, name: str) -> None:
        """Name the version."""
        self.repo_id = repo_id
        self.name = name

    @property
    def digest(self) -> Digest | None:
        """The digest of the artifact, where the storage names versions by it; it is compared then."""
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
        """Return where the file's bytes are on this machine, so that they can be cloned or copied.

        None: they are not on this machine. A path with no file means that the storage has lost the bytes;
        `read` then raises.
        """
        del entry
        return None

    def listing(self) -> Mapping[str, RemoteFile] | None:
        """Return what the storage says about each file, by unchecked name; None: it cannot say.

        Raises:
            ArtifactNotFoundError: the version is gone.
        """
        return None

    def repair_point(self, entry: AnyEntry, path: Path) -> int | None:
        """Return how many bytes at the start of a wrong copy are right, so that the rest is fetched again.

        A source that sent a wrong byte is not asked for it again, so that repairs come to an end.

        Args:
            entry: The file.
            path: A whole copy that does not match the manifest.

        Returns:
            None: the storage cannot say, and the copy is fetched again from its start.

        Raises:
            IntegrityError: no other bytes can be had.
        """
        del entry, path
        return None


class UploadSession(ABC):
    """One upload, from reading the files to the moment at which the artifact becomes visible."""

    @abstractmethod
    def read_files(self) -> list[FileDigest]:
        """Read each planned file once and return their digests, in the plan's order.

        A backend that can store bytes before it knows their digest does so here; all others call
        `hash_files`. Nothing that is stored here is visible yet.

        Raises:
            ArtifactModelError: a file turned into something that cannot be an artifact file.
            SourceChangedError: a file changed while it was read.
            OSError: a file cannot be read, or the storage is full.
        """

    @abstractmethod
    def publish(self, manifest: Manifest) -> UploadResult:
        """Store what is not stored yet, then make the artifact visible in one step.

        Raises:
            ConflictError: the version label names another artifact.
            SourceChangedError: a file is no longer what `read_files` saw.
            BackendError: the backend refused or failed.
        """


class Backend(ABC, Generic[UploadOptionsT]):
    """A connection to one kind of storage, made by `Storage.connect`. Making it sends nothing."""

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
        """Start an upload; leaving the context drops everything that was not published.

        Args:
            plan: What is going to be published.
            repo_id: Under which id.
            options: What the user says about this upload.
            context: The call that this upload belongs to.

        Raises:
            BackendError: the options contradict each other or the connection.
        """

    @abstractmethod
    def upload_options(self, given: Mapping[str, Any]) -> UploadOptionsT:
        """Check what the user says about an upload, as a rule with `Options.parse`.

        Raises:
            BackendError: there is no such option, or it cannot have this value.
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
            TransferError: the price could not be had.
        """
        del plan, repo_id, options
        return None


class Storage(ABC):
    """What a kind of storage is like. Its class is what the entry point names; it holds no connection.

    Everything here is answered without a network and without importing client libraries.
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
    """What turns offline mode on, for messages."""

    @abstractmethod
    def connect(self, options: Mapping[str, Any], context: Context) -> Backend[Any]:
        """Check the connection options and make a backend.

        Args:
            options: What the user gave, by name.
            context: The call that needs it.

        Raises:
            AuthenticationError: the credential cannot be valid.
            BackendError: there is no such option, it cannot have this value, or a library is missing.
        """

    def is_pinned(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> bool:
        """Return whether the id can only ever name one artifact, so that a complete copy will do."""
        del repo_id, options
        return False

    def cache_version(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> str | None:
        """Return the version under which the cache keeps a download; None: no version."""
        del options
        return repo_id.version

    def is_offline(self, options: Mapping[str, Any], settings: Settings) -> bool:
        """Return whether the user wants only what is on this machine."""
        del options, settings
        return False

    def check(self, context: Context) -> None:
        """Find out, without a network, whether this installation can use the storage.

        Raises:
            BackendError: it cannot; the message says what is missing.
        """
        self.connect({}, context)

"""Which path manifest a repository id names. Repositories are laid out as ritual-arweave does: by tags.

Owners and tags are read from signed transactions, never from an index. Which of several versions is the
newest is the gateways' word: only they know the blocks.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ritual_artifacts.backends.arweave.encoding import is_id
from ritual_artifacts.backends.arweave.index import Index, IndexEntry
from ritual_artifacts.backends.arweave.reading.paths import check_is_path_manifest
from ritual_artifacts.backends.arweave.reading.reader import Reader
from ritual_artifacts.backends.arweave.reading.stored import AbsentItemError, Stored, unreadable
from ritual_artifacts.backends.arweave.tags import (
    APP_NAME,
    BUNDLE_TYPE,
    BUNDLED_TAG,
    MANIFEST_TYPE,
    VERSION_TAG,
)
from ritual_artifacts.backends.arweave.transaction import ForgedDataError, ForgedError, UnverifiableError
from ritual_artifacts.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
    Mismatch,
    NotFinalizedError,
    RepoIdError,
    TransferError,
)
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

_SHOWN_VERSIONS: Final = 10


@dataclass(frozen=True)
class Version:
    """A path manifest that was found by its repository.

    Attributes:
        manifest: The path manifest, verified.
        height: The block that it is in, as an index says; None while it is not mined.
    """

    manifest: Stored
    height: int | None


@dataclass(frozen=True)
class _Waiting:
    """Something that no node shows before it is mined, so that it cannot be verified yet."""

    id: str


@dataclass(frozen=True)
class _Unreadable:
    """Something that an index lists, and that no gateway sends now."""

    id: str
    error: BackendError

    def explain(self) -> ArtifactError:
        """Return the error for a download that may need it."""
        if isinstance(self.error, ForgedDataError):
            found = Mismatch(self.id, "what the owner signed", "other bytes, from every gateway", "Arweave")
            return IntegrityError.of([found])
        is_final = isinstance(self.error, ForgedError | TransferError)
        return self.error if is_final else unreadable(self.id, self.error)


@dataclass(frozen=True)
class VersionSearch:
    """What a search for a version found.

    Attributes:
        version: The version; None: there is none, or all are waiting.
        waiting: Transactions that are not mined yet and may become the version.
        doubt: Why there may be another one; None: all gateways said what they have.
    """

    version: Version | None
    waiting: tuple[str, ...]
    doubt: TransferError | None = None

    def check(self, repo_id: RitualRepoId) -> Version | None:
        """Return the version; None: there is none.

        Raises:
            NotFinalizedError: there are only some that are not mined yet.
        """
        if self.version is None and self.waiting:
            message = (
                f"{repo_id} is published in the transaction {self.waiting[0]}, which is not mined yet; "
                f"try again in some minutes"
            )
            raise NotFinalizedError(message)
        return self.version


class Versions:
    """Finds the versions of repositories."""

    def __init__(self, index: Index, reader: Reader) -> None:
        """Prepare; nothing is sent."""
        self._index = index
        self._reader = reader

    def find(self, repo_id: RitualRepoId) -> Stored:
        """Return the path manifest that the id names now.

        A version is the label that it was published with, or the id of a path manifest. A repository's name
        may be such an id, too, where no repository has that name.

        Raises:
            ArtifactNotFoundError: the owner has no such repository or version.
            NotFinalizedError: it is not mined yet.
        """
        if not is_id(repo_id.owner):
            message = f"{repo_id}: the owner is not an Arweave address, which has 43 characters"
            raise ArtifactNotFoundError(message)
        if repo_id.version is not None and is_id(repo_id.version):  # needs no index
            return self._find_by_id(repo_id, repo_id.version)
        found = self.search(repo_id).check(repo_id)
        if found is not None:
            return found.manifest
        if repo_id.version is not None or not is_id(repo_id.name):
            raise self._not_found(repo_id)
        return self._find_by_id(repo_id, repo_id.name)

    def search(self, repo_id: RitualRepoId, *, pending: bool = False) -> VersionSearch:
        """Search the indexes for a version; the first index that lists one counts.

        Without a version in the id, the newest is searched. With one, it is the first that was published
        under this label: a label never comes to name another artifact.

        Args:
            repo_id: The repository or version, with its true owner.
            pending: Whether a version that is not mined yet counts, too, as the newest of all.

        Raises:
            TransferError: no gateway could answer, or none sends what an index lists.
        """
        waiting: list[str] = []
        for candidates in self._list_verified(repo_id, newest_first=repo_id.version is None):
            for candidate in candidates:
                if isinstance(candidate, _Unreadable):  # it may be the version
                    raise candidate.explain()
                if isinstance(candidate, _Waiting):
                    waiting.append(candidate.id)
                elif pending or candidate.height is not None:
                    return VersionSearch(candidate, tuple(waiting))
                else:
                    waiting.append(candidate.manifest.holder)
        return VersionSearch(None, tuple(waiting))

    def search_all(self, repo_id: RitualRepoId, *, pending: bool = False) -> VersionSearch:
        """Search all indexes together for a version, and say whether there may be another one; see `search`.

        Raises:
            TransferError: no gateway could answer.
        """
        filters, tags = _make_filters(repo_id)
        findings = self._index.search_all(owner=repo_id.owner, tags=filters)
        doubt, waiting, version = findings.doubt, [], None
        entries = self._index.with_heights(findings.entries)
        for candidate in self._verify_all(entries, repo_id.owner, tags, newest_first=repo_id.version is None):
            if isinstance(candidate, _Unreadable):
                doubt = doubt or unreadable(candidate.id, candidate.error)
            elif isinstance(candidate, _Waiting):
                waiting.append(candidate.id)
            elif pending or candidate.height is not None:
                version = candidate
                break
            else:
                waiting.append(candidate.manifest.holder)
        return VersionSearch(version, tuple(waiting), doubt)

    def identify(self, transaction_id: str) -> RitualRepoId:
        """Return the repository, owner and version that the id of a path manifest stands for.

        Raises:
            RepoIdError: that is not an id.
            ArtifactNotFoundError: no gateway has it, or it is not a path manifest.
            NotFinalizedError: it is not mined yet.
        """
        if not is_id(transaction_id):
            message = (
                f"expected owner/name or a transaction id, which has 43 characters, got {transaction_id!r}"
            )
            raise RepoIdError(message)
        stored = self._reader.find(transaction_id)
        check_is_path_manifest(stored)
        name = stored.tag("Repo-Name")
        if name is None:
            return RitualRepoId.from_arweave_repo_id(f"{stored.address}/{transaction_id}")
        return RitualRepoId.from_arweave_repo_id(f"{stored.address}/{name}/{transaction_id}")

    def list_labels(self, repo_id: RitualRepoId) -> list[str]:
        """Return the labels that the owner gave to versions of a repository, the newest first.

        Raises:
            TransferError: no gateway could answer.
        """
        for candidates in self._list_verified(repo_id.without_version(), newest_first=True):
            manifests = (found.manifest for found in candidates if isinstance(found, Version))
            labels = (manifest.tag(VERSION_TAG) for manifest in manifests)
            return list(dict.fromkeys(label for label in labels if label is not None))
        return []

    def _list_verified(
        self, repo_id: RitualRepoId, *, newest_first: bool
    ) -> Iterator[Iterator[Version | _Waiting | _Unreadable]]:
        """Yield, for each gateway's index, what the owner really published there, by age."""
        filters, tags = _make_filters(repo_id)
        for entries in self._index.search(owner=repo_id.owner, tags=filters):
            known = self._index.with_heights(entries)
            yield self._verify_all(known, repo_id.owner, tags, newest_first=newest_first)

    def _verify_all(
        self, entries: Sequence[IndexEntry], owner: str, tags: Mapping[str, str], *, newest_first: bool
    ) -> Iterator[Version | _Waiting | _Unreadable]:
        """Yield what is verified, block by block, and within a block by the time that the owner signed."""
        for height in sorted({_height(entry) for entry in entries}, reverse=newest_first):
            found = [self._verify(entry, owner, tags) for entry in entries if _height(entry) == height]
            yield from (each for each in found if isinstance(each, _Waiting | _Unreadable))
            versions = (each for each in found if isinstance(each, Version))
            yield from sorted(versions, key=_signed_order, reverse=newest_first)

    def _verify(
        self, entry: IndexEntry, owner: str, tags: Mapping[str, str]
    ) -> Version | _Waiting | _Unreadable | None:
        """Return a path manifest that an index lists, or the one inside a bundle that it lists.

        None: it is proven to be something else.
        """
        is_own_bundle = False
        try:
            stored = self._reader.read_entry(entry)
            if stored.address == owner and stored.has_tags({**tags, "Type": BUNDLE_TYPE}):
                inside = stored.tag(BUNDLED_TAG) or ""
                if not is_id(inside):
                    log.warning("the bundle %s does not name the path manifest inside", entry.id)
                    return None
                is_own_bundle = True
                stored = self._reader.read_item(inside, entry.id)
        except NotFinalizedError:
            return _Waiting(entry.id)
        except BackendError as error:
            if isinstance(error, UnverifiableError) or (is_own_bundle and isinstance(error, AbsentItemError)):
                log.warning("an index lists a transaction that cannot be a version: %s", error)
                return None
            return None if self._is_dropped(entry, error) else _Unreadable(entry.id, error)
        if stored.address != owner or not stored.has_tags({**tags, "Type": MANIFEST_TYPE}):
            log.warning("an index lists the transaction %s, which has another owner or other tags", entry.id)
            return None
        return Version(stored, entry.height)

    def _is_dropped(self, entry: IndexEntry, error: BackendError) -> bool:
        try:
            return isinstance(error, ArtifactNotFoundError) and self._index.is_dropped(entry)
        except BackendError:  # a gateway cannot say
            return False

    def _find_by_id(self, repo_id: RitualRepoId, transaction_id: str) -> Stored:
        stored = self._reader.find(transaction_id)
        if stored.address != repo_id.owner:
            message = f"{repo_id}: the transaction {transaction_id} is owned by {stored.address}"
            raise ArtifactNotFoundError(message)
        repo_name = stored.tag("Repo-Name")
        if repo_id.version is not None and repo_name not in {None, repo_id.name}:
            message = f"{repo_id}: the transaction {transaction_id} belongs to the repository {repo_name!r}"
            raise ArtifactNotFoundError(message)
        return stored

    def _not_found(self, repo_id: RitualRepoId) -> ArtifactNotFoundError:
        labels = self.list_labels(repo_id) if repo_id.version is not None else []
        shown = ", ".join(labels[:_SHOWN_VERSIONS]) + (", …" if len(labels) > _SHOWN_VERSIONS else "")
        known = f"; its versions are {shown}" if labels else ""
        return ArtifactNotFoundError(
            f"Arweave has no {repo_id}{known}; indexes list a new version some minutes after its upload"
        )


def _make_filters(repo_id: RitualRepoId) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the tags to search for a version by, and those that all its transactions have."""
    tags = {"App-Name": APP_NAME, "Repo-Name": repo_id.name}
    if repo_id.version is not None:
        tags[VERSION_TAG] = repo_id.version
    return {name: [value] for name, value in tags.items()} | {"Type": [MANIFEST_TYPE, BUNDLE_TYPE]}, tags


def _height(entry: IndexEntry) -> float:
    """Return the block that something is in; what is not mined yet comes after all blocks."""
    return math.inf if entry.height is None else entry.height


def _signed_order(version: Version) -> tuple[float, str]:
    return version.manifest.unix_time, version.manifest.id

"""Repositories as ritual-arweave lays them out: tagged transactions, and a path manifest that names them.

Whatever a gateway says about who owns what, and which tags it has, is read from the signed transaction
instead. Which of several versions is the newest is the gateways' word: only they know the blocks.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ritual_artifacts.artifact.manifest import MAX_ENTRIES
from ritual_artifacts.backends.arweave.encoding import is_id
from ritual_artifacts.backends.arweave.network import Listed, Network
from ritual_artifacts.backends.arweave.reader import PATH_MANIFEST_TYPE, DataReader, Stored
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    NotFinalizedError,
    RepoIdError,
    TransferError,
)
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

APP_NAME: Final = "Ritual"
VERSION_TAG: Final = "Repo-Version"
DIGEST_TAG: Final = "Artifact-Digest"
MANIFEST_TYPE: Final = "manifest"
"""`Type` of a path manifest."""
BUNDLE_TYPE: Final = "bundle"
"""`Type` of a bundle that has a path manifest inside: few gateways open bundles and list what is in them."""
BUNDLED_TAG: Final = "Path-Manifest"
"""Tag of a bundle with the id of the path manifest inside."""

_SECTIONED: Final = {"File-Type": "Sectioned"}
_SECTION_SUFFIX: Final = ".section"
_MAX_PATH_MANIFEST_BYTES: Final = 64 << 20
_SHOWN_VERSIONS: Final = 10


@dataclass(frozen=True)
class Snapshot:
    """One version of a repository: a path manifest that its owner has signed.

    Attributes:
        stored: The path manifest's own transaction or data item.
        paths: Id of each file, by its unchecked name.
    """

    stored: Stored
    paths: Mapping[str, str]

    @property
    def digest(self) -> str | None:
        """The artifact's digest, where this package published it."""
        return self.stored.tag(DIGEST_TAG)


class Repositories:
    """Finds versions and files."""

    def __init__(self, network: Network, reader: DataReader) -> None:
        """Prepare; nothing is asked yet."""
        self._network = network
        self._reader = reader

    def find(self, repo_id: RitualRepoId) -> Stored:
        """Return the path manifest that the id names now.

        A version is the label that it was published with, or the id of a path manifest. A repository's name
        may be such an id, too, where no repository is called so.

        Raises:
            ArtifactNotFoundError: the owner has no such repository or version.
            NotFinalizedError: it is not mined yet.
        """
        if not is_id(repo_id.owner):
            message = f"{repo_id}: the owner is no Arweave address, which has 43 characters"
            raise ArtifactNotFoundError(message)
        if repo_id.version is not None and is_id(repo_id.version):  # which asks no index
            return self._find_by_id(repo_id, repo_id.version)
        found = self.find_version(repo_id)
        if found is not None:
            return found
        if repo_id.version is not None or not is_id(repo_id.name):
            raise self._not_found(repo_id)
        return self._find_by_id(repo_id, repo_id.name)

    def find_version(
        self, repo_id: RitualRepoId, *, pending: bool = False, waiting: list[str] | None = None
    ) -> Stored | None:
        """Return a repository's path manifest; None where there is none.

        Of a repository it is the newest. Of a version it is the first that got this label: a label never
        comes to name something else.

        Args:
            repo_id: The repository or version, with its true owner.
            pending: Whether one that is not mined yet counts too, as the newest of all.
            waiting: Gets the ids of those that are not mined yet.

        Raises:
            NotFinalizedError: there are only some that are not mined yet.
        """
        waiting = [] if waiting is None else waiting
        for proven in self._list_proven(repo_id, newest_first=repo_id.version is None, waiting=waiting):
            for stored in proven:
                if pending or stored.listed.height is not None:
                    return stored
                waiting.append(stored.bundle or stored.id)
        if waiting:
            message = (
                f"{repo_id} is published in the transaction {waiting[0]}, which is not mined yet; "
                f"that takes some minutes, so try again later"
            )
            raise NotFinalizedError(message)
        return None

    def _list_proven(
        self, repo_id: RitualRepoId, *, newest_first: bool, waiting: list[str] | None = None
    ) -> Iterator[Iterator[Stored]]:
        """Yield, for each gateway's index, what the owner has really published there, by age.

        What cannot be proven yet, because nodes do not show it before it is mined, goes to `waiting`.
        """
        tags = {"App-Name": APP_NAME, "Repo-Name": repo_id.name}
        if repo_id.version is not None:
            tags[VERSION_TAG] = repo_id.version
        filters = {name: [value] for name, value in tags.items()} | {"Type": [MANIFEST_TYPE, BUNDLE_TYPE]}
        for listed in self._network.list_transactions(owner=repo_id.owner, tags=filters):
            yield self._prove_all(
                listed,
                repo_id.owner,
                tags,
                newest_first=newest_first,
                waiting=[] if waiting is None else waiting,
            )

    def _prove_all(
        self,
        listed: Sequence[Listed],
        owner: str,
        tags: Mapping[str, str],
        *,
        newest_first: bool,
        waiting: list[str],
    ) -> Iterator[Stored]:
        """Yield what is proven, block by block, in a block by the time that the owner has signed."""
        heights = sorted({_height(item) for item in listed}, reverse=newest_first)
        for height in heights:
            level = (self._prove(item, owner, tags, waiting) for item in listed if _height(item) == height)
            found = [stored for stored in level if stored is not None]
            yield from sorted(found, key=lambda stored: (stored.unix_time, stored.id), reverse=newest_first)

    def _prove(self, item: Listed, owner: str, tags: Mapping[str, str], waiting: list[str]) -> Stored | None:
        """Return a path manifest that an index lists, or the one in a bundle that it lists."""
        try:
            stored = self._reader.read_stored(item)
            if stored.address == owner and stored.has_tags({**tags, "Type": BUNDLE_TYPE}):
                inside = stored.tag(BUNDLED_TAG) or ""
                if not is_id(inside):
                    log.warning("the bundle %s does not say which path manifest is inside", item.id)
                    return None
                place = Listed(inside, item.height, item.timestamp, bundle=item.id)
                stored = self._reader.read_stored(place)
        except NotFinalizedError:
            waiting.append(item.id)
            return None
        except TransferError:  # it may be the newest
            raise
        except BackendError as error:
            log.warning("an index lists what cannot be proven: %s", error)
            return None
        if stored.address != owner or not stored.has_tags({**tags, "Type": MANIFEST_TYPE}):
            log.warning("an index lists the transaction %s, whose owner or tags are others", item.id)
            return None
        return stored

    def _find_by_id(self, repo_id: RitualRepoId, transaction_id: str) -> Stored:
        stored = self._reader.read_by_id(transaction_id)
        if stored.address != repo_id.owner:
            message = f"{repo_id}: the transaction {transaction_id} is owned by {stored.address}"
            raise ArtifactNotFoundError(message)
        repo_name = stored.tag("Repo-Name")
        if repo_id.version is not None and repo_name not in {None, repo_id.name}:
            message = f"{repo_id}: the transaction {transaction_id} belongs to the repository {repo_name!r}"
            raise ArtifactNotFoundError(message)
        return stored

    def _not_found(self, repo_id: RitualRepoId) -> ArtifactNotFoundError:
        versions = self.list_versions(repo_id) if repo_id.version is not None else []
        shown = ", ".join(versions[:_SHOWN_VERSIONS]) + (", …" if len(versions) > _SHOWN_VERSIONS else "")
        known = f"; it has the versions {shown}" if versions else ""
        return ArtifactNotFoundError(
            f"Arweave has no {repo_id}{known}; what was published some minutes ago may not be indexed yet"
        )

    def list_versions(self, repo_id: RitualRepoId) -> list[str]:
        """Return the labels that the owner has given to versions of a repository, the newest first."""
        for proven in self._list_proven(repo_id.without_version(), newest_first=True):
            return list(dict.fromkeys(label for s in proven if (label := s.tag(VERSION_TAG)) is not None))
        return []

    def identify(self, transaction_id: str) -> RitualRepoId:
        """Return the repository, owner and version that a path manifest's id stands for.

        Raises:
            RepoIdError: that is no id.
            ArtifactNotFoundError: no gateway has it, or it is no path manifest.
            NotFinalizedError: it is not mined yet.
        """
        if not is_id(transaction_id):
            message = (
                f"{transaction_id!r} is neither owner/name nor a transaction's id, which has 43 characters"
            )
            raise RepoIdError(message)
        stored = self._reader.read_by_id(transaction_id)
        if stored.tag("Content-Type") != PATH_MANIFEST_TYPE:
            message = f"the transaction {transaction_id} is no path manifest, so it names no files"
            raise ArtifactNotFoundError(message)
        name = stored.tag("Repo-Name")
        if name is None:
            return RitualRepoId.from_arweave_repo_id(f"{stored.address}/{transaction_id}")
        return RitualRepoId.from_arweave_repo_id(f"{stored.address}/{name}/{transaction_id}")

    def open(self, stored: Stored) -> Snapshot:
        """Read a path manifest, every byte proven.

        Raises:
            BackendError: it is malformed.
            TransferError: no gateway has sent the true bytes.
        """
        return Snapshot(stored, self._read_paths(stored))

    def _read_paths(self, stored: Stored) -> dict[str, str]:
        what = f"the path manifest {stored.id}"
        if stored.tag("Content-Type") != PATH_MANIFEST_TYPE:
            message = f"the transaction {stored.id} is no path manifest, so it names no files"
            raise ArtifactNotFoundError(message)
        data = self._reader.read_small(stored, limit=_MAX_PATH_MANIFEST_BYTES)
        try:
            values = json.loads(data, object_pairs_hook=_unique)
            paths = values["paths"]
            found = {str(name): entry["id"] for name, entry in paths.items()}
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            message = f"{what} is malformed: it has no object of paths with ids"
            raise BackendError(message) from None
        if len(found) > MAX_ENTRIES:
            message = (
                f"{what} names {len(found)} files, more than the {MAX_ENTRIES} that an artifact can have"
            )
            raise BackendError(message)
        if bad := next((name for name, value in found.items() if not is_id(str(value))), None):
            message = f"{what} is malformed: {bad[:80]!r} has no id"
            raise BackendError(message)
        return found

    def find_parts(self, snapshot: Snapshot, path: str) -> tuple[Stored, ...]:
        """Return the transactions or data items whose data, one after the other, are a file.

        Raises:
            ArtifactNotFoundError: the version has no such file, or a part of it is missing.
            BackendError: a part is another owner's, or malformed.
        """
        name = snapshot.paths.get(path)
        if name is None:
            message = f"the path manifest {snapshot.stored.id} has no {path!r}"
            raise ArtifactNotFoundError(message)
        stored = self._reader.read_by_id(name, bundle=snapshot.stored.bundle)
        _check_owner(snapshot, stored, path)
        if stored.tag("Content-Type") != PATH_MANIFEST_TYPE or not stored.has_tags(_SECTIONED):
            return (stored,)
        sections = _in_order(self._read_paths(stored), path)
        parts = tuple(self._reader.read_all_by_id(sections, bundle=snapshot.stored.bundle))
        for part in parts:
            _check_owner(snapshot, part, path)
        size = sum(part.data_size for part in parts)
        if stored.tag("File-Size") not in {None, str(size)}:
            message = (
                f"the sections of {path!r} have {size} bytes, not {stored.tag('File-Size')}: some are missing"
            )
            raise ArtifactNotFoundError(message)
        return parts


def _check_owner(snapshot: Snapshot, stored: Stored, path: str) -> None:
    """Check that a file, or a section of one, is the repository's owner's.

    Raises:
        BackendError: it is somebody else's.
    """
    if stored.address != snapshot.stored.address:
        message = (
            f"{path!r} is in the transaction {stored.id}, which {stored.address} owns, not "
            f"{snapshot.stored.address}"
        )
        raise BackendError(message)


def _height(item: Listed) -> float:
    """Return the block that something is in; what is not mined yet comes after all."""
    return math.inf if item.height is None else item.height


def _in_order(sections: Mapping[str, str], path: str) -> list[str]:
    """Return the ids of a file's sections by number.

    Raises:
        ArtifactNotFoundError: one is missing.
    """
    names = [f"{number}{_SECTION_SUFFIX}" for number in range(max(1, len(sections)))]
    if missing := next((name for name in names if name not in sections), None):
        message = f"{missing!r} of {path!r} is missing: its upload was never finished"
        raise ArtifactNotFoundError(message)
    return [sections[name] for name in names]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        message = "a name appears twice"
        raise ValueError(message)
    return values

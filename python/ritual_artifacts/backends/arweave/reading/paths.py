"""A path manifest, which names the transactions of a repository's files, and the parts of a file."""

import json
from collections.abc import Mapping
from typing import Any, Final

from ritual_artifacts.artifact.untrusted import MAX_ENTRIES
from ritual_artifacts.backends.arweave.encoding import is_id
from ritual_artifacts.backends.arweave.reading.items import StoredItem
from ritual_artifacts.backends.arweave.reading.reader import Reader
from ritual_artifacts.backends.arweave.reading.stored import Stored
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError

_SECTIONED: Final = {"File-Type": "Sectioned"}
_SECTION_SUFFIX: Final = ".section"
_MAX_BYTES: Final = 64 << 20


class PathManifest:
    """One version of a repository: a path manifest that its owner signed.

    Attributes:
        stored: Its own transaction or data item.
        paths: Id of each file, by its unchecked name.
    """

    def __init__(self, reader: Reader, stored: Stored) -> None:
        """Read and verify the path manifest.

        Raises:
            ArtifactNotFoundError: `stored` is not a path manifest.
            BackendError: it is malformed.
            TransferError: no gateway sent it.
        """
        self.stored = stored
        self.paths = _read_paths(stored)
        self._reader = reader
        self._bundle = stored.bundle if isinstance(stored, StoredItem) else None

    def find_parts(self, path: str) -> tuple[Stored, ...]:
        """Return the transactions or data items whose data, one after the other, are a file.

        Raises:
            ArtifactNotFoundError: the version has no such file, or a part of it is missing.
            BackendError: a part has another owner, or is malformed.
        """
        name = self.paths.get(path)
        if name is None:
            message = f"the path manifest {self.stored.id} has no {path!r}"
            raise ArtifactNotFoundError(message)
        stored = self._reader.find(name, bundle=self._bundle)
        self._check_owner(stored, path)
        if not stored.is_path_manifest or not stored.has_tags(_SECTIONED):
            return (stored,)
        sections = _in_order(_read_paths(stored), path)
        parts = tuple(self._reader.find_all(sections, bundle=self._bundle))
        for part in parts:
            self._check_owner(part, path)
        size = sum(part.data_size for part in parts)
        stated = stored.tag("File-Size")
        if stated not in {None, str(size)}:
            message = (
                f"the sections of {path!r} have {size} bytes, expected {stated}: some sections are missing"
            )
            raise ArtifactNotFoundError(message)
        return parts

    def _check_owner(self, stored: Stored, path: str) -> None:
        if stored.address != self.stored.address:
            message = (
                f"{path!r} is in the transaction {stored.id} of {stored.address}, "
                f"expected one of {self.stored.address}"
            )
            raise BackendError(message)


def check_is_path_manifest(stored: Stored) -> None:
    """Check that a transaction or data item names files.

    Raises:
        ArtifactNotFoundError: it does not.
    """
    if not stored.is_path_manifest:
        message = f"the transaction {stored.id} is not a path manifest, so it names no files"
        raise ArtifactNotFoundError(message)


def _read_paths(stored: Stored) -> Mapping[str, str]:
    check_is_path_manifest(stored)
    what = f"the path manifest {stored.id}"
    data = stored.read(_MAX_BYTES)
    try:
        values = json.loads(data, object_pairs_hook=_unique)
        paths = values["paths"]
        found = {str(name): entry["id"] for name, entry in paths.items()}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        message = f"{what} is malformed: expected an object of paths with ids"
        raise BackendError(message) from None
    if len(found) > MAX_ENTRIES:
        message = f"{what} names {len(found)} files, expected at most {MAX_ENTRIES}"
        raise BackendError(message)
    if bad := next((name for name, value in found.items() if not is_id(str(value))), None):
        message = f"{what} is malformed: {bad[:80]!r} has no valid id"
        raise BackendError(message)
    return found


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

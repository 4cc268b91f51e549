"""An opened version: its path manifest, and its files as the transactions of their owner."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.manifest import AnyEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.artifact.untrusted import MAX_MANIFEST_BYTES
from ritual_artifacts.backends.arweave.reading.paths import PathManifest
from ritual_artifacts.backends.arweave.reading.stored import Stored
from ritual_artifacts.backends.arweave.transaction import ForgedDataError
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.backends.base import RemoteFile, Revision
from ritual_artifacts.core.hashing import is_sha256
from ritual_artifacts.errors import ArtifactNotFoundError, IntegrityError, ManifestError, Mismatch
from ritual_artifacts.repo_id import RitualRepoId

_SHOWN_FILES: Final = 10


class ArweaveRevision(Revision):
    """One path manifest, whose id is the revision's name."""

    def __init__(self, weave: Weave, repo_id: RitualRepoId, manifest: Stored) -> None:
        """Read the path manifest.

        Raises:
            ArtifactNotFoundError: it is not a path manifest.
            BackendError: it is malformed.
        """
        super().__init__(repo_id, manifest.id)
        self._weave = weave
        self._manifest = PathManifest(weave.reader, manifest)
        self._parts: dict[str, tuple[Stored, ...]] = {}

    def manifest_bytes(self) -> bytes:
        """Return the artifact's manifest, every byte verified; see `Revision`.

        Raises:
            ArtifactNotFoundError: the version has no manifest.
            ManifestError: the manifest is too large.
        """
        if MANIFEST_FILENAME not in self._manifest.paths:
            names = sorted(self._manifest.paths)
            shown = ", ".join(names[:_SHOWN_FILES])
            more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
            message = (
                f"{self.repo_id} has no {MANIFEST_FILENAME} in the transaction {self.name}, so it is not an "
                f"artifact; it has {shown}{more}"
            )
            raise ArtifactNotFoundError(message)
        try:
            return self._read_manifest()
        except (ForgedDataError, IntegrityError):
            mismatch = self._mismatch(MANIFEST_FILENAME, "what the owner signed")
            raise IntegrityError.of([mismatch]) from None

    def _read_manifest(self) -> bytes:
        parts = self._find_parts(MANIFEST_FILENAME)
        size = sum(part.data_size for part in parts)
        if size > MAX_MANIFEST_BYTES:
            message = (
                f"the manifest of {self.repo_id} has {size} bytes, expected at most {MAX_MANIFEST_BYTES}"
            )
            raise ManifestError(message)
        return b"".join(part.read(MAX_MANIFEST_BYTES) for part in parts)

    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        """Yield a file's bytes from `offset`; another gateway continues where one fails; see `Revision`.

        Raises:
            IntegrityError: the owner stored more or fewer bytes than the manifest states, or no gateway sent
                the signed bytes.
        """
        try:
            for part in self._find_stated_parts(entry):
                if offset < part.data_size:
                    yield from part.stream(offset)
                offset = max(0, offset - part.data_size)
        except ForgedDataError:
            raise IntegrityError.of([self._mismatch(entry.path, entry.sha256)]) from None

    def listing(self) -> dict[str, RemoteFile]:
        """Return the size of each file, and the SHA-256 that the owner signed for it; see `Revision`."""
        paths = list(self._manifest.paths)
        found = self._weave.network.each(self._find_parts, paths)
        return {path: _describe(parts) for path, parts in zip(paths, found, strict=True)}

    def repair_point(self, entry: AnyEntry, path: Path) -> int:
        """Return how many bytes at the start of a wrong copy are right; see `Revision`.

        Raises:
            IntegrityError: no other bytes can be had: the copy is what the owner signed, or every gateway
                sent wrong bytes.
        """
        parts = self._find_stated_parts(entry)
        if len(parts) == 1:
            point = parts[0].repair_point(path)
        else:
            distrusted = [part.distrust() for part in parts]  # all parts, even after the first
            point = 0 if any(distrusted) else None
        if point is None:
            raise IntegrityError.of([self._mismatch(entry.path, entry.sha256)])
        return point

    def _mismatch(self, path: str, expected: str) -> Mismatch:
        return Mismatch(path, expected, "other bytes, from every gateway", str(self.repo_id))

    def _find_parts(self, path: str) -> tuple[Stored, ...]:
        parts = self._parts.get(path)
        if parts is None:
            parts = self._parts[path] = self._manifest.find_parts(path)
        return parts

    def _find_stated_parts(self, entry: AnyEntry) -> tuple[Stored, ...]:
        """Return a file's parts, which together have the size that the manifest states.

        Raises:
            IntegrityError: they do not, so no gateway can ever send the file.
        """
        parts = self._find_parts(entry.path)
        size = sum(part.data_size for part in parts)
        if entry.size is not None and entry.size != size:
            mismatch = Mismatch(entry.path, f"{entry.size} bytes", f"{size} bytes", str(self.repo_id))
            raise IntegrityError.of([mismatch])
        return parts


def _describe(parts: tuple[Stored, ...]) -> RemoteFile:
    sha256 = parts[0].tag("File-SHA256")
    size = sum(part.data_size for part in parts)
    return RemoteFile(size, sha256=sha256 if sha256 and is_sha256(sha256) else None)

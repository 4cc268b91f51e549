"""Downloaded artifacts on this machine: `<cache>/<storage>/<owner>/<name>/<version|default>`.

The layout is infernet-ml's, so that both packages find each other's downloads. A folder holds an artifact
when it has a manifest, which is written last. Anything less is an interrupted download, a download of some
fields only, or files of another program: infernet-ml keeps files of its own in the same places.
"""

import contextlib
import glob
import logging
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from filelock import Timeout
from pydantic import BaseModel, JsonValue

from ritual_artifacts.artifact.manifest import AnyEntry, AnyManifest, read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, STAGING_DIRNAME
from ritual_artifacts.backends.registry import find_storage
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import make_folder, write_file
from ritual_artifacts.errors import ArtifactNotFoundError, ManifestError, Mismatch, RepoIdError
from ritual_artifacts.locks import CACHE_LOCKS_DIRNAME, ProcessLock, is_in_cache, lock_folder, lock_path
from ritual_artifacts.repo_id import RitualRepoId, find_storage_name
from ritual_artifacts.settings import Settings
from ritual_artifacts.transfer.verification import find_mismatches

log = logging.getLogger(__name__)

_PART_FILENAME: Final = "part.json"
"""The manifest of an artifact that the folder has in part; kept beside the partial files."""


class BroadcastedArtifact(BaseModel):
    """The announcement of an artifact that a service has.

    Attributes:
        type: Name of the artifact's class.
        manifest: Content of the manifest file.
        repo_id: The repository's unique id.
    """

    type: str
    manifest: dict[str, JsonValue]
    repo_id: str


class CachedArtifact(BaseModel):
    """An artifact in the cache.

    Attributes:
        type: Name of the artifact's class.
        path: The manifest file.
        files: The manifest file and the artifact's files.
        manifest: Content of the manifest file.
        repo_id: The repository that it was downloaded from.
    """

    type: str
    path: Path
    files: list[Path]
    manifest: dict[str, JsonValue]
    repo_id: RitualRepoId

    def to_broadcasted_artifact(self) -> BroadcastedArtifact:
        """Return the announcement of this artifact."""
        return BroadcastedArtifact(
            type=self.type, manifest=self.manifest, repo_id=self.repo_id.to_unique_id()
        )


@dataclass(frozen=True)
class CacheFolder:
    """One version's folder in the cache.

    Attributes:
        repo_id: The repository that it belongs to.
        path: The folder.
        manifest: The artifact's manifest; None if the download was interrupted or the manifest is invalid.
    """

    repo_id: RitualRepoId
    path: Path
    manifest: AnyManifest | None

    def places(self) -> dict[str, Path]:
        """Return the path of each of the artifact's files, by name."""
        return {} if self.manifest is None else {e.path: self.path / e.path for e in self.manifest.files}

    @property
    def part(self) -> AnyManifest | None:
        """The manifest of an artifact that may be here in part; None if there is none."""
        return read_part(self.path)

    @property
    def has_invalid_manifest(self) -> bool:
        """Whether there is a manifest that cannot be read, so that the other files are unknown."""
        return self.manifest is None and os.path.lexists(self.path / MANIFEST_FILENAME)

    def describe(self) -> AnyManifest | None:
        """Return the manifest of the complete, partial or interrupted artifact that is here.

        None if there is no manifest of any kind.
        """
        staging = self.path / STAGING_DIRNAME
        if self.manifest is not None or self.has_invalid_manifest or not _is_folder(staging):
            return self.manifest
        notes = (_read(path) for name in ("*/*.json", "*/old") for path in sorted(staging.glob(name)))
        return self.part or next((note for note in notes if note is not None), None)

    @property
    def is_complete(self) -> bool:
        """Whether every file is there, with its size; the bytes are not read."""
        return self.manifest is not None and all(_fits(self.path, entry) for entry in self.manifest.files)

    def has(self, names: Iterable[str]) -> bool:
        """Return whether some of the artifact's files are there, with their sizes; the bytes are not read."""
        manifest = self.manifest or self.part
        entries = {} if manifest is None else {entry.path: entry for entry in manifest.files}
        return all(name in entries and _fits(self.path, entries[name]) for name in names)

    @property
    def size(self) -> int:
        """Bytes of all that is in the folder, partial files too."""
        return _size_of(self.path)

    def find_leftovers(self, *, incomplete: bool = False) -> Path | None:
        """Return leftovers of downloads: partial files beside a complete artifact, or an empty folder.

        Files that no manifest names may belong to another program.

        Args:
            incomplete: Also partial files of an incomplete artifact, which the next download would resume.
        """
        staging = self.path / STAGING_DIRNAME
        if self.path.is_symlink() or self.has_invalid_manifest:  # the other files may have another purpose
            return None
        others = [path for path in self.path.iterdir() if path != staging]
        if not _is_folder(staging):
            return None if others or os.path.lexists(staging) else self.path
        if self.is_complete:
            return staging
        if not incomplete:
            return None
        is_ours = self.manifest is None and self.describe() is not None
        return self.path if is_ours or not others else staging


@dataclass(frozen=True)
class Cache:
    """The cache below one folder.

    Attributes:
        root: The folder.
        settings: The settings, for the paths of locks.
    """

    root: Path
    settings: Settings

    @classmethod
    def of(cls, settings: Settings, root: Path | str | None = None) -> Self:
        """Return the cache below `root` (default `RITUAL_CACHE_DIR`)."""
        return cls(settings.cache_dir if root is None else Path(root), settings)

    def is_exclusive(self, folder: Path) -> bool:
        """Return whether only this package keeps files in `folder`; other caches may be shared."""
        return self.root == self.settings.cache_dir or is_in_cache(folder, self.settings)

    # --- reading ---

    def place(self, repo_id: RitualRepoId, options: Mapping[str, Any] | None = None) -> Path:
        """Return the folder for an id, and for connection options that select a version."""
        version = find_storage(repo_id.storage).cache_version(repo_id, options or {})
        return repo_id.with_version(version).to_local_dir(self.root)

    def folder(self, repo_id: RitualRepoId) -> CacheFolder:
        """Return the folder of one repository id; it need not exist."""
        path = repo_id.to_local_dir(self.root)
        return CacheFolder(repo_id, path, _read(path / MANIFEST_FILENAME))

    def folders(self) -> Iterator[CacheFolder]:
        """Yield every version's folder, complete or not; other folders are skipped."""
        storages = sorted(self.root.iterdir()) if self.root.is_dir() else []
        for storage in storages:
            if find_storage_name(storage.name) is None:
                continue
            for path in sorted(storage.glob("*/*/*")):
                if not path.is_dir():
                    continue
                try:
                    repo_id = RitualRepoId.from_local_dir(path, self.root)
                except RepoIdError:
                    log.info("ignoring %s, which is not an artifact's folder", path)
                    continue
                yield CacheFolder(repo_id, path, _read(path / MANIFEST_FILENAME))

    def find_version(self, storage: str, version: str) -> RitualRepoId | None:
        """Return the id of a complete copy of this version, with any owner; None if there is none."""
        for path in sorted((self.root / storage).glob(f"*/*/{glob.escape(version)}")):
            with contextlib.suppress(RepoIdError):
                folder = self.folder(RitualRepoId.from_local_dir(path, self.root))
                if folder.is_complete:
                    return folder.repo_id
        return None

    def artifacts(self) -> list[CachedArtifact]:
        """List the complete artifacts."""
        return [
            CachedArtifact(
                type=folder.manifest.artifact_type,
                path=folder.path / MANIFEST_FILENAME,
                files=sorted([folder.path / MANIFEST_FILENAME, *folder.places().values()]),
                manifest=folder.manifest.to_document(),
                repo_id=folder.repo_id,
            )
            for folder in self.folders()
            if folder.manifest is not None and folder.is_complete
        ]

    # --- changing ---

    def note_part(self, folder: Path, manifest: AnyManifest) -> None:
        """Record which artifact a folder has in part, unless it has a complete artifact."""
        if (folder / MANIFEST_FILENAME).exists():
            return
        with lock_folder(folder, self.settings):
            make_folder(_part_path(folder).parent)
            write_file(_part_path(folder), manifest.to_bytes())

    def remove(self, repo_id: RitualRepoId) -> int:
        """Remove one artifact.

        Returns:
            Bytes freed.

        Raises:
            ArtifactNotFoundError: the cache does not have it.
        """
        path = repo_id.to_local_dir(self.root)
        with lock_folder(path, self.settings):
            if not path.is_dir():
                message = f"the cache has no {repo_id}; 'ritual-artifacts cache ls' lists what it has"
                raise ArtifactNotFoundError(message)
            return _remove(path)

    def prune(self, *, incomplete: bool = False) -> int:
        """Remove the partial files beside complete artifacts, and empty folders.

        Folders that another process is downloading into are skipped.

        Args:
            incomplete: Also remove interrupted downloads and partial artifacts.

        Returns:
            Bytes freed.
        """
        freed = 0
        for folder in self._hold_each():
            if leftovers := folder.find_leftovers(incomplete=incomplete):
                freed += _remove(leftovers)
        return freed

    def clear(self, artifact_type: str, *, incomplete: bool = False) -> int:
        """Remove the complete and partial artifacts of one type, and empty folders.

        Folders that another process is downloading into are skipped.

        Args:
            artifact_type: Name of the artifacts' class.
            incomplete: Also remove downloads that were interrupted before their type was known.

        Returns:
            Bytes freed.
        """
        freed = 0
        for folder in self._hold_each():
            manifest = folder.describe()
            if manifest is None:
                if leftovers := folder.find_leftovers(incomplete=incomplete):
                    freed += _remove(leftovers)
            elif manifest.artifact_type == artifact_type:
                freed += _remove(folder.path)
        return freed

    def _hold_each(self) -> Iterator[CacheFolder]:
        """Yield every folder to which no other process is writing, locked against writers."""
        for listed in self.folders():
            with contextlib.ExitStack() as locks:
                try:
                    locks.enter_context(lock_folder(listed.path, self.settings, timeout=0))
                    for path in self._other_locks(listed.path):
                        locks.enter_context(ProcessLock(path, timeout=0))
                except Timeout:
                    continue
                yield self.folder(listed.repo_id)  # it may have changed since it was listed

    def _other_locks(self, folder: Path) -> set[Path]:
        """Return the lock files that processes with another `RITUAL_CACHE_DIR` use for this folder."""
        own = lock_path(folder, self.settings)
        return {
            self.root.absolute() / CACHE_LOCKS_DIRNAME / own.name,
            self.settings.state_dir / "locks" / own.name,
        } - {own}


def read_part(folder: Path) -> AnyManifest | None:
    """Return the manifest of the artifact that a folder has in part; None if there is none."""
    return _read(_part_path(folder))


def verify_cached(folder: CacheFolder, context: Context) -> list[Mismatch]:
    """Hash every file of a complete artifact and return those that differ from its manifest."""
    if folder.manifest is None:
        return [Mismatch(MANIFEST_FILENAME, "a manifest", "missing", str(folder.path))]
    return find_mismatches(folder.manifest.files, folder.places(), str(folder.repo_id), context)[0]


def _part_path(folder: Path) -> Path:
    return folder / STAGING_DIRNAME / _PART_FILENAME


def _read(path: Path) -> AnyManifest | None:
    try:
        return read_manifest(path)
    except FileNotFoundError:
        return None
    except (ManifestError, OSError) as error:
        log.info("ignoring %s: %s", path, error)
        return None


def _remove(folder: Path) -> int:
    """Remove a folder, if it is there, the manifest first; the caller holds the lock."""
    if folder.is_symlink():
        folder.unlink()
        return 0
    if not folder.is_dir():
        return 0
    freed = _size_of(folder)
    with contextlib.suppress(OSError):  # it is not a file; `rmtree` removes it, or says why it cannot
        (folder / MANIFEST_FILENAME).unlink(missing_ok=True)
    shutil.rmtree(folder)
    return freed


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _fits(folder: Path, entry: AnyEntry) -> bool:
    """Return whether the entry's file is there, with its size."""
    try:
        status = (folder / entry.path).stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and entry.size in {None, status.st_size}


def _size_of(folder: Path) -> int:
    size = 0
    for subfolder, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # another process just removed it
                size += Path(subfolder, name).lstat().st_size
    return size

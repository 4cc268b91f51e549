"""Downloaded artifacts on this machine: `<cache>/<storage>/<owner>/<name>/<version|default>`.

The layout is infernet-ml's, so that both find each other's downloads. A folder is an artifact when its
manifest is there, which is written last. Anything less is a download that was cut short, one of some fields
only, or what somebody else put there: infernet-ml keeps files of its own in the same places.
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
from typing import Any, Final
from urllib.parse import quote

from filelock import FileLock, Timeout
from pydantic import BaseModel, JsonValue

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, STAGING_DIRNAME
from ritual_artifacts.errors import ArtifactNotFoundError, ManifestError, Mismatch, RepoIdError
from ritual_artifacts.events import ProgressCallback
from ritual_artifacts.locks import CACHE_LOCKS_DIRNAME, lock_folder, lock_path
from ritual_artifacts.repo_id import UNVERSIONED_MARKER, RitualRepoId, StorageId
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.verification import find_mismatches

log = logging.getLogger(__name__)

_TYPES_APART = frozenset({"dataset", "space"})
"""Repositories on the Hugging Face Hub that are not the model of their id."""
_PART_FILENAME: Final = "part.json"
"""The manifest of an artifact of which the folder has some files only, beside the partial files."""


class BroadcastedArtifact(BaseModel):
    """What a service tells the network about an artifact that it has.

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
        repo_id: The repository that it came from.
    """

    type: str
    path: Path
    files: list[Path]
    manifest: dict[str, JsonValue]
    repo_id: RitualRepoId

    def to_broadcasted_artifact(self) -> BroadcastedArtifact:
        """Return what to tell the network."""
        return BroadcastedArtifact(
            type=self.type, manifest=self.manifest, repo_id=self.repo_id.to_unique_id()
        )


@dataclass(frozen=True)
class CacheFolder:
    """One version's folder in the cache.

    Attributes:
        repo_id: The repository that it belongs to.
        path: The folder.
        manifest: The artifact's manifest; None where the download was cut short or the manifest is bad.
    """

    repo_id: RitualRepoId
    path: Path
    manifest: Manifest | None

    def places(self) -> dict[str, Path]:
        """Return where each of the artifact's files is."""
        return {} if self.manifest is None else {e.path: self.path / e.path for e in self.manifest.files}

    @property
    def part(self) -> Manifest | None:
        """The manifest of an artifact of which some files may be here; None where nothing is known of it."""
        return read_part(self.path)

    @property
    def has_bad_manifest(self) -> bool:
        """Whether something has the manifest's place and cannot be read: what else is here is not known."""
        return self.manifest is None and os.path.lexists(self.path / MANIFEST_FILENAME)

    def describe(self) -> Manifest | None:
        """Return the manifest of what is here: whole, in part, or cut short on its way into place.

        None where nothing says what it is.
        """
        staging = self.path / STAGING_DIRNAME
        if self.manifest is not None or self.has_bad_manifest or not _is_folder(staging):
            return self.manifest
        notes = (_read(path) for name in ("*/*.json", "*/old") for path in sorted(staging.glob(name)))
        return self.part or next(filter(None, notes), None)

    @property
    def is_complete(self) -> bool:
        """Whether every file is there, with its size; the bytes are not read."""
        return self.manifest is not None and all(_fits(self.path, entry) for entry in self.manifest.files)

    def has(self, names: Iterable[str]) -> bool:
        """Say whether some of the artifact's files are there, with their sizes; the bytes are not read."""
        manifest = self.manifest or self.part
        entries = {} if manifest is None else {entry.path: entry for entry in manifest.files}
        return all(name in entries and _fits(self.path, entries[name]) for name in names)

    @property
    def size(self) -> int:
        """Bytes of all that is in the folder, partial files too."""
        return _size_of(self.path)

    def find_leftovers(self, *, incomplete: bool = False) -> Path | None:
        """Return what downloads left: partial files beside a whole artifact, or a folder with nothing in it.

        Files that nothing names may be anybody's.

        Args:
            incomplete: Where the artifact is not whole, too, although the next download would continue it.
        """
        staging = self.path / STAGING_DIRNAME
        if self.path.is_symlink() or self.has_bad_manifest:  # what is there may have another purpose
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


def list_folders(cache_dir: Path | str | None = None) -> Iterator[CacheFolder]:
    """List every version's folder in the cache, complete or not; what is not ours is passed over.

    Args:
        cache_dir: Root of the cache; default `RITUAL_CACHE_DIR`.
    """
    root = load_settings().cache_dir if cache_dir is None else Path(cache_dir)
    for storage in StorageId:
        for path in sorted((root / storage).glob("*/*/*")):
            if not path.is_dir():
                continue
            try:
                repo_id = RitualRepoId.from_local_dir(path, root)
            except RepoIdError:
                log.info("ignoring %s, which is no artifact's folder", path)
                continue
            yield CacheFolder(repo_id, path, _read_manifest(path))


def find_version(storage: StorageId, version: str) -> RitualRepoId | None:
    """Return the id of a complete copy that has this version, whoever owns it; None where there is none."""
    for path in sorted((load_settings().cache_dir / storage).glob(f"*/*/{glob.escape(version)}")):
        with contextlib.suppress(RepoIdError):
            folder = find_folder(RitualRepoId.from_local_dir(path))
            if folder.is_complete:
                return folder.repo_id
    return None


def find_folder(repo_id: RitualRepoId, cache_dir: Path | str | None = None) -> CacheFolder:
    """Return the folder of one repository id; it need not exist."""
    path = repo_id.to_local_dir(cache_dir)
    return CacheFolder(repo_id, path, _read_manifest(path))


def _read_manifest(folder: Path) -> Manifest | None:
    return _read(folder / MANIFEST_FILENAME)


def _read(path: Path) -> Manifest | None:
    try:
        return Manifest.read(path)
    except FileNotFoundError:
        return None
    except (ManifestError, OSError) as error:
        log.info("ignoring %s: %s", path, error)
        return None


def part_path(folder: Path) -> Path:
    """Return where a folder with a part of an artifact keeps the whole artifact's manifest."""
    return folder / STAGING_DIRNAME / _PART_FILENAME


def read_part(folder: Path) -> Manifest | None:
    """Return the manifest of the artifact of which a folder has a part; None where it has no such note."""
    return _read(part_path(folder))


def place_of(
    repo_id: RitualRepoId, options: Mapping[str, Any] | None = None, cache_dir: Path | str | None = None
) -> Path:
    """Return the folder for an id; what the backend's options say of it has a folder of its own.

    A revision among them counts as the version. A model, a dataset and a space of one name are three
    repositories, and one id: the version of the latter two begins with a word and `~`, which no revision has.
    """
    given = options or {}
    revision, repo_type = given.get("revision"), given.get("repo_type")
    version = repo_id.version
    if version is None and isinstance(revision, str) and revision:
        version = quote(revision, safe="")
    if isinstance(repo_type, str) and repo_type in _TYPES_APART and repo_id.storage is StorageId.Huggingface:
        version = f"{repo_type}~{version or UNVERSIONED_MARKER}"
    return repo_id.with_version(version).to_local_dir(cache_dir)


def is_offline(repo_id: RitualRepoId, options: Mapping[str, Any] | None = None) -> bool:
    """Say whether only what is on this machine will do, by the environment or by the backend's options."""
    if repo_id.storage is not StorageId.Huggingface:
        return False
    return load_settings().hub_offline or bool((options or {}).get("local_files_only"))


def cached_artifacts(cache_dir: Path | str | None = None) -> list[CachedArtifact]:
    """List the complete artifacts in the cache.

    Args:
        cache_dir: Root of the cache; default `RITUAL_CACHE_DIR`.
    """
    return [
        CachedArtifact(
            type=folder.manifest.artifact_type,
            path=folder.path / MANIFEST_FILENAME,
            files=sorted([folder.path / MANIFEST_FILENAME, *folder.places().values()]),
            manifest=folder.manifest.to_document(),
            repo_id=folder.repo_id,
        )
        for folder in list_folders(cache_dir)
        if folder.manifest is not None and folder.is_complete
    ]


def remove_cached(repo_id: RitualRepoId, cache_dir: Path | str | None = None) -> int:
    """Remove one artifact from the cache.

    Returns:
        Bytes freed.

    Raises:
        ArtifactNotFoundError: the cache does not have it.
    """
    path = repo_id.to_local_dir(cache_dir)
    with lock_folder(path):
        if not path.is_dir():
            message = f"the cache has no {repo_id}; 'ritual-artifacts cache ls' lists what it has"
            raise ArtifactNotFoundError(message)
        return _remove(path)


def prune(cache_dir: Path | str | None = None, *, incomplete: bool = False) -> int:
    """Remove the partial files beside whole artifacts, and folders with nothing in them.

    What another process is downloading at this moment is passed over, and so is what no download left.

    Args:
        cache_dir: Root of the cache; default `RITUAL_CACHE_DIR`.
        incomplete: Also remove downloads that were cut short, and artifacts of which only a part is here.

    Returns:
        Bytes freed.
    """
    freed = 0
    for folder in _hold_each(cache_dir):
        if leftovers := folder.find_leftovers(incomplete=incomplete):
            freed += _remove(leftovers)
    return freed


def clear(artifact_type: str, cache_dir: Path | str | None = None, *, incomplete: bool = False) -> int:
    """Remove the artifacts of one type, whole or in part, and folders with nothing in them.

    What another process is downloading at this moment is passed over, and so is what no download left.

    Args:
        artifact_type: Name of the artifacts' class.
        cache_dir: Root of the cache; default `RITUAL_CACHE_DIR`.
        incomplete: Also remove downloads that were cut short before it was known of which type they are.

    Returns:
        Bytes freed.
    """
    freed = 0
    for folder in _hold_each(cache_dir):
        manifest = folder.describe()
        if manifest is None:
            if leftovers := folder.find_leftovers(incomplete=incomplete):
                freed += _remove(leftovers)
        elif manifest.artifact_type == artifact_type:
            freed += _remove(folder.path)
    return freed


def _hold_each(cache_dir: Path | str | None) -> Iterator[CacheFolder]:
    """Yield every folder in the cache that nobody is writing to, while nobody can."""
    root = load_settings().cache_dir if cache_dir is None else Path(cache_dir)
    for listed in list_folders(root):
        with contextlib.ExitStack() as locks:
            try:
                locks.enter_context(lock_folder(listed.path, timeout=0))
                for path in _other_locks(listed.path, root):
                    locks.enter_context(FileLock(path, timeout=0))
            except Timeout:
                continue
            yield find_folder(listed.repo_id, root)  # it may have become another one since


def _other_locks(folder: Path, root: Path) -> set[Path]:
    """Name the locks that those hold who take another folder for the cache of this machine."""
    own = lock_path(folder)
    return {
        root.absolute() / CACHE_LOCKS_DIRNAME / own.name,
        load_settings().state_dir / "locks" / own.name,
    } - {own}


def _remove(folder: Path) -> int:
    """Remove a folder, if it is there, the manifest first; the caller holds the lock."""
    if folder.is_symlink():
        folder.unlink()
        return 0
    if not folder.is_dir():
        return 0
    freed = _size_of(folder)
    with contextlib.suppress(OSError):  # something else is there; `rmtree` takes it, or says why not
        (folder / MANIFEST_FILENAME).unlink(missing_ok=True)
    shutil.rmtree(folder)
    return freed


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _fits(folder: Path, entry: ManifestEntry) -> bool:
    """Say whether the entry's file is there, with its size."""
    try:
        status = (folder / entry.path).stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and entry.size in {None, status.st_size}


def _size_of(folder: Path) -> int:
    size = 0
    for subfolder, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # another process is just removing it
                size += Path(subfolder, name).lstat().st_size
    return size


def verify_cached(folder: CacheFolder, progress: ProgressCallback | None = None) -> list[Mismatch]:
    """Hash every file of a complete artifact and return those that differ from its manifest."""
    if folder.manifest is None:
        return [Mismatch(MANIFEST_FILENAME, "a manifest", "missing", str(folder.path))]
    return find_mismatches(folder.manifest, folder.places(), str(folder.repo_id), progress=progress)[0]

"""Files on their way into a folder: out of sight until every one of them is verified.

They wait in `.ritual-partial/<artifact>/` inside the target. Only when all are there and match their digests
does the commit begin: the new manifest is written beside them, the old one goes away, the files are renamed
into place, and the new manifest follows them. A folder with a manifest is therefore always complete. From the
moment at which the new manifest waits there, all that is left to do are renames: what a killed process left
undone, the next one finishes. Bytes of which only a part has arrived, the next one continues.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from ritual_artifacts.errors import ConflictError, ManifestError
from ritual_artifacts.hashing import hash_files, make_folder, rename_files, write_file
from ritual_artifacts.locks import is_in_cache, lock_folder
from ritual_artifacts.manifest import Manifest, ManifestEntry
from ritual_artifacts.planning import MANIFEST_FILENAME, STAGING_DIRNAME

_PENDING: Final = {False: "merge.json", True: "replace.json"}
"""Name of the new manifest while the commit runs, by whether the folder becomes exactly the artifact."""


class Staging:
    """The way into one target folder, for one artifact, under the folder's lock."""

    def __init__(self, target: Path, name: str, *, exclusive: bool, overwrite: bool) -> None:
        """Prepare the way.

        Args:
            target: The folder.
            name: Name of the folder in `.ritual-partial`.
            exclusive: The folder is the package's own, in the cache: whatever the artifact does not name in
                it is removed, whatever differs is replaced.
            overwrite: Replace files that differ, even where they are not known to be an artifact's.
        """
        self.target = target
        self._folder = target / STAGING_DIRNAME / name
        self._exclusive = exclusive
        self._overwrite = overwrite or exclusive
        self._manifest_path = target / MANIFEST_FILENAME
        self._pending = self._folder / _PENDING[exclusive]

    def partial_path(self, name: str) -> Path:
        """Return where the bytes of the file called `name` wait."""
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]

    def find_present(self, manifest: Manifest) -> set[str]:
        """Return the names of the files that are in place already, with the right bytes.

        A file of another size is not read: it cannot match.

        Raises:
            ConflictError: something is in the way that is not an unchanged file of the artifact that was
                here, and overwriting was not asked for.
            OSError: a file in the way cannot be read.
        """
        if not self._exclusive:
            self._refuse_obstacles(manifest)
        known = {} if self._overwrite else self._read_known()
        here: dict[str, tuple[ManifestEntry, ...]] = {}  # what each file may be: the new one, the old one
        to_hash = []
        for entry in manifest.files:
            place = self.target / entry.path
            if self._find_obstacle(entry.path) is None and _kind(place) == "file":
                here[entry.path] = (entry, known[entry.path]) if entry.path in known else (entry,)
                size = place.stat().st_size
                if any(candidate.size in {None, size} for candidate in here[entry.path]):
                    to_hash.append(entry.path)
        digests = hash_files([self.target / path for path in to_hash], follow_symlinks=False)
        actual = {path: digest.sha256 for path, digest in zip(to_hash, digests, strict=True)}
        if not self._overwrite:
            foreign = [path for path, may_be in here.items() if actual.get(path) not in _digests(may_be)]
            self._refuse_foreign(foreign)
        return {path for path, (entry, *_) in here.items() if actual.get(path) == entry.sha256}

    def _find_obstacle(self, name: str) -> Path | None:
        """Return what keeps a regular file called `name` from being in the target, or None."""
        *folders, last = name.split("/")
        place = self.target
        for part in folders:
            place /= part
            if _kind(place) not in {"directory", None}:
                return place
        place /= last
        return None if _kind(place) in {"file", None} else place

    def _refuse_obstacles(self, manifest: Manifest) -> None:
        for name in (MANIFEST_FILENAME, *(entry.path for entry in manifest.files)):
            if place := self._find_obstacle(name):
                message = (
                    f"{place} is a {_kind(place)}, where the artifact has something else; "
                    f"move it away or choose another folder"
                )
                raise ConflictError(message)

    def _read_known(self) -> dict[str, ManifestEntry]:
        """Return the entries of the artifact that is here now."""
        try:
            return {entry.path: entry for entry in Manifest.read(self._manifest_path).files}
        except FileNotFoundError:
            return {}
        except (ManifestError, OSError) as error:
            message = f"{self._manifest_path} is in the way and is no manifest ({error}); move it away"
            raise ConflictError(message) from None

    def _refuse_foreign(self, names: list[str]) -> None:
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            message = (
                f"{self.target / names[0]}{more} differs from the artifact's file and was not downloaded "
                f"unchanged; move it away, or pass overwrite=True to replace it"
            )
            raise ConflictError(message)

    def commit(self, manifest: Manifest, staged: Collection[str], *, complete: bool = True) -> None:
        """Put the staged files in place, and after them the manifest.

        Args:
            manifest: The artifact's manifest.
            staged: The files that wait at their `partial_path`, verified and on the disk.
            complete: Whether every file of the artifact is there now; if not, no manifest is written.
        """
        data = manifest.to_bytes()
        if complete and not staged and _read(self._manifest_path) == data:
            if self._exclusive:
                self._remove_extra(manifest)
            return
        if complete:
            # Whoever finishes after a kill takes all that waits for verified: so nothing else may wait.
            for entry in manifest.files:
                if entry.path not in staged:
                    self.partial_path(entry.path).unlink(missing_ok=True)
            write_file(self._pending, data)
        self._apply(manifest, staged)

    def _apply(self, manifest: Manifest, staged: Collection[str]) -> None:
        """Take the steps of the commit that are still to be taken."""
        if _kind(self._manifest_path) is not None:
            rename_files([(self._manifest_path, self._folder / "old")])  # on the disk before any file is
        if self._exclusive:
            self._remove_extra(manifest)
        self._refuse_obstacles(manifest)
        pairs = [(self.partial_path(name), self.target / name) for name in staged]
        for folder in {target.parent for _, target in pairs}:
            make_folder(folder)
        rename_files(pairs)
        if self._pending.exists():
            rename_files([(self._pending, self._manifest_path)])

    def finish_pending(self) -> None:
        """Finish the commit that a killed process began here, if there is one.

        Raises:
            ConflictError: something has come in the way since.
        """
        try:
            manifest = Manifest.read(self._pending)
        except (FileNotFoundError, ManifestError):
            return
        self._apply(manifest, [e.path for e in manifest.files if self.partial_path(e.path).exists()])

    def _remove_extra(self, manifest: Manifest) -> None:
        """Remove what the artifact does not name, and what has the place of a file or folder of it."""
        files = {self.target / entry.path for entry in manifest.files} | {self._manifest_path}
        folders = {parent for path in files for parent in path.parents} | {self.target / STAGING_DIRNAME}
        wanted = {"file": files, "directory": folders}
        for folder, subfolders, names in os.walk(self.target):
            for name in [*subfolders, *names]:
                place = Path(folder, name)
                if place not in wanted.get(_kind(place) or "", ()):
                    _remove(place)
            subfolders[:] = [n for n in subfolders if Path(folder, n) in folders and n != STAGING_DIRNAME]

    def open(self) -> None:
        """Make the staging folder, and finish what was begun; other partial files are dropped."""
        staging = self._folder.parent
        if _kind(staging) not in {"directory", None}:
            message = f"{staging} is in the way: it is a {_kind(staging)}; move it away"
            raise ConflictError(message)
        make_folder(staging)
        _finish_all(self.target)
        for other in staging.iterdir():
            if other != self._folder:
                _remove(other)
        self._folder.mkdir(exist_ok=True)

    def close(self, *, keep: bool) -> None:
        """Remove the staging folder, unless its files are to be continued later."""
        if self._pending.exists() or (keep and any(self._folder.iterdir())):
            return
        _remove(self._folder.parent)


@contextlib.contextmanager
def stage_into(
    target: Path, key: str, *, exclusive: bool = False, overwrite: bool = False, resumable: bool = False
) -> Iterator[Staging]:
    """Hold the lock of `target` and a staging folder in it.

    Args:
        target: The folder; made where it is missing.
        key: Names what is coming; equal keys continue each other's partial files.
        exclusive: See `Staging`.
        overwrite: See `Staging`.
        resumable: Keep partial files when the block fails.

    Raises:
        ConflictError: something that is no folder is in the way.
    """
    if (kind := _kind(Path(os.path.realpath(target)))) not in {"directory", None}:
        message = f"{target} is a {kind}, not a folder"
        raise ConflictError(message)
    with lock_folder(target):
        existed = target.exists()
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        staging = Staging(target, name, exclusive=exclusive, overwrite=overwrite)
        staging.open()
        try:
            yield staging
        except BaseException:
            staging.close(keep=resumable)
            if not existed:
                with contextlib.suppress(OSError):
                    target.rmdir()
            raise
        staging.close(keep=False)


def finish_interrupted(target: Path) -> bool:
    """Finish the commit that a killed process began in `target`; wait for one that a living process is at.

    Returns:
        Whether there was one: the folder is to be looked at again.

    Raises:
        ConflictError: something has come in the way since.
        OSError: the folder cannot be written.
    """
    if not any(_find_pending(target)):
        return False
    with lock_folder(target):
        _finish_all(target)
    return True


def _find_pending(target: Path) -> Iterator[Staging]:
    staging = target / STAGING_DIRNAME
    if _kind(staging) != "directory":
        return
    trusted = is_in_cache(target)  # elsewhere a folder that came from a stranger could ask for removals
    for folder in sorted(path for path in staging.iterdir() if _kind(path) == "directory"):
        for exclusive, name in _PENDING.items():
            if _kind(folder / name) == "file" and (trusted or not exclusive):
                yield Staging(target, folder.name, exclusive=exclusive, overwrite=True)


def _finish_all(target: Path) -> None:
    for staging in list(_find_pending(target)):
        staging.finish_pending()


def _digests(entries: tuple[ManifestEntry, ...]) -> set[str]:
    return {entry.sha256 for entry in entries}


def _kind(path: Path) -> str | None:
    """Say what is at `path`, without following a link; None when nothing is."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        return "symbolic link"
    if stat.S_ISREG(mode):
        return "file"
    return "directory" if stat.S_ISDIR(mode) else "special file"


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if _kind(path) == "file" else None


def _remove(path: Path) -> None:
    if _kind(path) == "directory":
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

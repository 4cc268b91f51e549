"""Files on their way into a folder: out of sight until every one of them is verified.

They wait in `.ritual-partial/<artifact>/` inside the target. Only when all are there and match their digests
does the commit begin: the new manifest is written beside them, the old one goes away, and with it the files
that it names, that are unchanged, and that the new one does not name. Then the files are renamed into place,
and the new manifest follows them. A folder with a manifest is therefore always complete. From the moment at
which the new manifest waits there, all that is left to do are removals and renames: what a killed process
left undone, the next one finishes. Bytes of which only a part has arrived, the next one continues.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum
from pathlib import Path, PurePosixPath

from ritual_artifacts.artifact.manifest import AnyEntry, AnyManifest, read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, STAGING_DIRNAME
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, hash_files, make_folder, rename_files, write_file
from ritual_artifacts.errors import ConflictError, ManifestError
from ritual_artifacts.locks import is_in_cache, lock_folder
from ritual_artifacts.names import collision_key
from ritual_artifacts.settings import Settings
from ritual_artifacts.transfer.verification import files_below

log = logging.getLogger(__name__)


class Removal(StrEnum):
    """What of that which is in the folder goes away; each is the new manifest's name while a commit runs."""

    NOTHING = "add.json"
    OUTDATED = "merge.json"
    """Unchanged files of the artifact that was here before."""
    OTHERS = "replace.json"
    """Whatever the artifact does not name."""


class Staging:
    """The way into one target folder, for one artifact, under the folder's lock."""

    def __init__(
        self, target: Path, name: str, context: Context, *, removal: Removal, overwrite: bool
    ) -> None:
        """Prepare the way.

        Args:
            target: The folder.
            name: Name of the folder in `.ritual-partial`.
            context: The call that this belongs to.
            removal: What goes away when the artifact comes; in a folder of which `Removal.OTHERS` go away
                nothing is in the way.
            overwrite: Replace files that differ, even where they are not known to be an artifact's.
        """
        self.target = target
        self._context = context
        self._folder = target / STAGING_DIRNAME / name
        self._removal = removal
        self._exclusive = removal is Removal.OTHERS
        self._overwrite = overwrite or self._exclusive
        self._manifest_path = target / MANIFEST_FILENAME
        self._old_manifest_path = self._folder / "old"
        self._pending = self._folder / removal

    def partial_path(self, name: str) -> Path:
        """Return where the bytes of the file called `name` wait."""
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]

    def find_present(self, manifest: AnyManifest, directories: Iterable[str] = ()) -> set[str]:
        """Return the names of the files that are in place already, with the right bytes.

        A file of another size is not read: it cannot match.

        Args:
            manifest: The artifact's manifest.
            directories: Names of directories that must hold nothing but the artifact.

        Raises:
            ConflictError: something is in the way that is not an unchanged file of the artifact that was
                here, and overwriting was not asked for; or a file that neither artifact has is in one of
                the `directories`.
            OSError: a file in the way cannot be read.
        """
        if not self._exclusive:
            self._refuse_obstacles(manifest)
            self._refuse_strays(manifest, directories)
        known = {} if self._overwrite else self._read_known()
        here: dict[str, tuple[AnyEntry, ...]] = {}  # what each file may be: the new one, the old one
        to_hash = []
        for entry in manifest.files:
            place = self.target / entry.path
            if self._find_obstacle(entry.path) is None and _kind(place) == "file":
                here[entry.path] = (entry, known[entry.path]) if entry.path in known else (entry,)
                size = place.stat().st_size
                if any(candidate.size in {None, size} for candidate in here[entry.path]):
                    to_hash.append(entry.path)
        paths = [self.target / path for path in to_hash]
        digests = hash_files(paths, follow_symlinks=False, max_workers=self._context.settings.max_workers)
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

    def _refuse_obstacles(self, manifest: AnyManifest) -> None:
        for name in (MANIFEST_FILENAME, *(entry.path for entry in manifest.files)):
            if place := self._find_obstacle(name):
                message = (
                    f"{place} is a {_kind(place)}, where the artifact has something else; "
                    f"move it away or choose another folder"
                )
                raise ConflictError(message)

    def _refuse_strays(self, manifest: AnyManifest, directories: Iterable[str]) -> None:
        named = {entry.path for entry in manifest.files}
        found = {f"{name}/{path}" for name in directories for path in files_below(self.target / name)} - named
        if found and self._removal is Removal.OUTDATED:
            found -= self._find_outdated(found)
        if found:
            message = (
                f"{self.target / min(found)} is in a directory of the artifact, which does not have it; "
                f"move it away or choose another folder"
            )
            raise ConflictError(message)

    def refuse_mixture(self, manifest: AnyManifest) -> None:
        """Refuse to bring a part of an artifact to where another one is whole: it would be neither.

        Raises:
            ConflictError: another artifact is here, and overwriting was not asked for.
        """
        known = {} if self._overwrite else self._read_known()
        if known and {e.path: e.sha256 for e in known.values()} != {e.path: e.sha256 for e in manifest.files}:
            message = (
                f"{self.target} holds another artifact, and a part of this one would leave a mixture; "
                f"choose another folder, fetch every field, or overwrite it (overwrite=True, --overwrite)"
            )
            raise ConflictError(message)

    def _read_known(self) -> dict[str, AnyEntry]:
        """Return the entries of the artifact that is here now."""
        try:
            return {entry.path: entry for entry in read_manifest(self._manifest_path).files}
        except FileNotFoundError:
            return {}
        except (ManifestError, OSError) as error:
            message = f"{self._manifest_path} is in the way and is no manifest ({error}); move it away"
            raise ConflictError(message) from None

    def _refuse_foreign(self, names: list[str]) -> None:
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            message = (
                f"{self.target / names[0]}{more} differs from the artifact's file, and no manifest here says "
                f"that it came unchanged; move it away, or overwrite it (overwrite=True, --overwrite)"
            )
            raise ConflictError(message)

    def try_out(
        self, check: Callable[[Path], object], names: Collection[str], staged: Collection[str]
    ) -> None:
        """Call `check` with a folder that looks as the target will, while the target is as it was.

        Args:
            check: What it raises, this raises.
            names: The files that the target will have.
            staged: Those of them that wait at their `partial_path`.
        """
        folder = self._folder / "preview"
        waiting = frozenset(staged)
        try:
            for name in names:
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(self.partial_path(name) if name in waiting else self.target / name, place)
        except OSError as error:
            log.info("what comes into %s is not tried out before: %s", self.target, error)
        else:
            check(folder)
        finally:
            _remove(folder)

    def commit(self, manifest: AnyManifest, staged: Collection[str], *, complete: bool = True) -> None:
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
        self._apply(manifest, staged, {e.path for e in manifest.files} if complete else set(staged))

    def _apply(self, manifest: AnyManifest, staged: Collection[str], named: Collection[str]) -> None:
        """Take the steps of the commit that are still to be taken.

        Args:
            manifest: The artifact's manifest.
            staged: The files that wait, and are not in place yet.
            named: The files that the artifact has here when it is done.
        """
        outdated: set[str] = set()
        if self._removal is Removal.OUTDATED:
            kept = {(entry.path, entry.sha256) for entry in manifest.files}
            gone = {
                e.path for e in self._read_old() if e.path not in named and (e.path, e.sha256) not in kept
            }
            outdated = self._find_outdated(gone - self._find_respelled(gone, named))
        if _kind(self._manifest_path) is not None:
            rename_files([(self._manifest_path, self._old_manifest_path)])  # on the disk before any file is
        if self._exclusive:
            self._remove_extra(manifest)
        self._refuse_obstacles(manifest)
        for name in outdated:
            self._remove_with_folders(name)
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
            manifest = read_manifest(self._pending)
        except (FileNotFoundError, ManifestError):
            return
        names = [entry.path for entry in manifest.files]
        staged = [name for name in names if _kind(self.partial_path(name)) == "file"]
        self._apply(manifest, staged, set(names))

    def _read_old(self) -> tuple[AnyEntry, ...]:
        """Return the entries of the artifact that was here; a killed process may have put them aside."""
        for path in (self._manifest_path, self._old_manifest_path):
            if _kind(path) == "file":
                with contextlib.suppress(ManifestError, OSError):
                    return read_manifest(path).files
        return ()

    def _find_outdated(self, names: Collection[str]) -> set[str]:
        """Return those of `names` that are files of the artifact that was here, unchanged."""
        found = []
        for entry in self._read_old():
            place = self.target / entry.path
            if entry.path in names and self._find_obstacle(entry.path) is None and _kind(place) == "file":
                found.append(entry)
        paths = [self.target / entry.path for entry in found]
        digests = hash_files(
            paths,
            follow_symlinks=False,
            max_workers=self._context.settings.max_workers,
            return_exceptions=True,
        )
        return {
            entry.path
            for entry, digest in zip(found, digests, strict=True)
            if isinstance(digest, FileDigest) and digest.sha256 == entry.sha256
        }

    def _find_respelled(self, names: Iterable[str], others: Iterable[str]) -> set[str]:
        """Return those of `names` that are the file of another spelling in `others` on this disk."""
        spellings = {collision_key(name): name for name in others}
        found = set()
        for name in names:
            other = spellings.get(collision_key(name))
            with contextlib.suppress(OSError):
                if other is not None and (self.target / name).samefile(self.target / other):
                    found.add(name)
        return found

    def _remove_with_folders(self, name: str) -> None:
        """Remove a file, and the folders that are empty without it."""
        _remove(self.target / name)
        for folder in [self.target / parent for parent in PurePosixPath(name).parents][:-1]:
            try:
                folder.rmdir()
            except OSError:
                return

    def _remove_extra(self, manifest: AnyManifest) -> None:
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
        """Make the staging folder, and finish what was begun; what is no partial file of this is dropped."""
        staging = self._folder.parent
        if _kind(staging) not in {"directory", None}:
            message = f"{staging} is in the way: it is a {_kind(staging)}; move it away"
            raise ConflictError(message)
        make_folder(staging)
        _finish_all(self.target, self._context)
        for other in staging.iterdir():
            if other != self._folder or _kind(other) != "directory":
                _remove(other)
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.iterdir():
            if _kind(path) != "file":
                _remove(path)

    def close(self, *, keep: bool) -> None:
        """Remove the staging folder, unless its files are to be continued later."""
        if self._pending.exists() or (keep and any(self._folder.iterdir())):
            return
        _remove(self._folder.parent)


@contextlib.contextmanager
def stage_into(
    target: Path,
    key: str,
    context: Context,
    *,
    exclusive: bool = False,
    in_place: bool = False,
    overwrite: bool = False,
    resumable: bool = False,
) -> Iterator[Staging]:
    """Hold the lock of `target` and a staging folder in it.

    Args:
        target: The folder; made where it is missing.
        key: Names what is coming; equal keys continue each other's partial files.
        context: The call that this belongs to.
        exclusive: The folder is the package's own, in the cache: whatever the artifact does not name in it is
            removed, whatever differs is replaced.
        in_place: Files of the user's are in the folder, under the artifact's names perhaps: none is removed.
        overwrite: See `Staging`.
        resumable: Keep partial files when the block fails.

    Raises:
        ConflictError: something that is no folder is in the way, the folder is the local store's or the whole
            cache, or the cache's folder is a link.
    """
    _refuse_own_folders(target, context.settings)
    if exclusive:
        _refuse_links(target, context.settings)
    if (kind := _kind(Path(os.path.realpath(target)))) not in {"directory", None}:
        message = f"{target} is a {kind}, not a folder"
        raise ConflictError(message)
    with lock_folder(target, context.settings):
        existed = target.exists()
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        removal = Removal.OTHERS if exclusive else Removal.NOTHING if in_place else Removal.OUTDATED
        staging = Staging(target, name, context, removal=removal, overwrite=overwrite)
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


def _refuse_own_folders(target: Path, settings: Settings) -> None:
    """Refuse the folders in which files of an artifact would lie between files of the package."""
    real = target.resolve()
    if real == settings.cache_dir.resolve() or real.is_relative_to(settings.store_dir.resolve()):
        message = f"{target} is where the package keeps its cache or its local store; choose another folder"
        raise ConflictError(message)


def _refuse_links(target: Path, settings: Settings) -> None:
    """Refuse a folder that only a link makes one of the cache's: what is there is not the package's."""
    root = settings.cache_dir.absolute()
    place = target.absolute()
    real = Path(os.path.realpath(place))
    inside = place.is_relative_to(root)
    due = Path(os.path.realpath(root), place.relative_to(root)) if inside else real
    if os.path.normcase(real) != os.path.normcase(due) or not is_in_cache(place, settings):
        message = (
            f"{target} is reached through a symbolic link and is really {real}, whose other files would be "
            f"removed; remove the link, move the whole cache with RITUAL_CACHE_DIR, or name a directory"
        )
        raise ConflictError(message)


def finish_interrupted(target: Path, context: Context) -> bool:
    """Finish the commit that a killed process began in `target`; wait for one that a living process is at.

    Returns:
        Whether there was one: the folder is to be looked at again.

    Raises:
        ConflictError: something has come in the way since.
        OSError: the folder cannot be written.
    """
    if not any(_find_pending(target, context)):
        return False
    with lock_folder(target, context.settings):
        _finish_all(target, context)
    return True


def _find_pending(target: Path, context: Context) -> Iterator[Staging]:
    staging = target / STAGING_DIRNAME
    if _kind(staging) != "directory":
        return
    trusted = is_in_cache(target, context.settings)  # any other folder may be a stranger's
    for folder in sorted(path for path in staging.iterdir() if _kind(path) == "directory"):
        for removal in Removal:
            if _kind(folder / removal) == "file" and (trusted or removal is not Removal.OTHERS):
                yield Staging(target, folder.name, context, removal=removal, overwrite=True)


def _finish_all(target: Path, context: Context) -> None:
    for staging in list(_find_pending(target, context)):
        staging.finish_pending()


def _digests(entries: tuple[AnyEntry, ...]) -> set[str]:
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


def _link(path: Path, place: Path) -> None:
    """Let `place` show the file at `path`, by a hard link only where it must be: it changes the ctime."""
    try:
        place.symlink_to(path.absolute())
    except OSError:  # on Windows that is a privilege
        place.hardlink_to(path)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if _kind(path) == "file" else None


def _remove(path: Path) -> None:
    if _kind(path) == "directory":
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

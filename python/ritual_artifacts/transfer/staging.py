"""Staging: files of a download wait in `.ritual-partial/<artifact>/` until all of them are verified.

Then the commit starts. It checks the target again. It puts the old manifest aside, with the files that are
replaced, and with unchanged files of the old artifact that the new one does not have. It moves the new files
into place, and the new manifest after them. A folder with a manifest is therefore always complete.

A commit that fails is undone. After a kill, the next download to the folder recognises the files by their
digests, and resumes partial files. Commands that only read change nothing.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.manifest import AnyManifest, Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, STAGING_DIRNAME
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, hash_files, make_folder, rename_files, write_file
from ritual_artifacts.errors import ConflictError, IntegrityError, Mismatch
from ritual_artifacts.locks import is_in_cache, lock_folder
from ritual_artifacts.settings import Settings
from ritual_artifacts.transfer.commit import Commit, restore
from ritual_artifacts.transfer.notes import CommitNote
from ritual_artifacts.transfer.places import Look, kind_of, remove
from ritual_artifacts.transfer.survey import Survey

log = logging.getLogger(__name__)

_PREVIEW: Final = "preview"
"""Folder among the partial files with a preview of the target."""


class Removal(Enum):
    """Which existing files a commit removes."""

    NOTHING = auto()
    OUTDATED = auto()
    """Unchanged files of the artifact that was in the folder before."""
    OTHERS = auto()
    """All files that the artifact does not name: the folder belongs to the cache."""


class Staging:
    """The staged files of one artifact for one target folder, under the folder's lock."""

    def __init__(
        self, target: Path, name: str, context: Context, *, removal: Removal, overwrite: bool
    ) -> None:
        """Prepare; nothing is created yet.

        Args:
            target: The folder.
            name: Name of the folder in `.ritual-partial`.
            context: The call that this belongs to.
            removal: Which existing files a commit removes. `Removal.OTHERS` also replaces everything.
            overwrite: Replace files that differ, even if they are not known to be an artifact's.
        """
        self.target = target
        self._context = context
        self._folder = target / STAGING_DIRNAME / name
        self._aside = target / STAGING_DIRNAME / "aside"
        self._removal = removal
        self._exclusive = removal is Removal.OTHERS
        self._manifest_path = target / MANIFEST_FILENAME
        self._note = CommitNote(target, context.settings)
        self._survey = Survey(target, self._note, context, exclusive=self._exclusive, overwrite=overwrite)
        self._verified: dict[str, Look | None] = {}

    def partial_path(self, name: str) -> Path:
        """Return the path of the staged file called `name`."""
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]

    def note_verified(self, name: str) -> None:
        """Remember the metadata of a staged file whose bytes were verified."""
        self._verified[name] = Look.at(self.partial_path(name))

    # --- before the commit ---

    def find_present(self, manifest: AnyManifest, directories: Iterable[str] = ()) -> set[str]:
        """Return the names of the files that are in place already; see `Survey.find_present`."""
        outdated = self._removal is Removal.OUTDATED
        return self._survey.find_present(manifest, directories, removes_outdated=outdated)

    def refuse_mixture(self, manifest: AnyManifest) -> None:
        """Refuse to mix a part with another artifact; see `Survey.refuse_mixture`."""
        self._survey.refuse_mixture(manifest)

    def try_out(
        self, check: Callable[[Path], object], names: Collection[str], staged: Collection[str]
    ) -> None:
        """Call `check` with a preview of the target, before the target changes.

        If every file is in place already, the preview is the target itself.

        Args:
            check: Its exceptions are passed on.
            names: The files that the target will have.
            staged: Those of them that are staged.
        """
        waiting = frozenset(staged)
        if not waiting:
            check(self.target)
            return
        folder = self._folder / _PREVIEW
        try:
            for name in names:
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(self.partial_path(name) if name in waiting else self.target / name, place)
        except OSError as error:
            log.info("the preview of %s was not made: %s", self.target, error)
        else:
            check(folder)
        finally:
            remove(folder)

    # --- the commit ---

    def commit(self, manifest: AnyManifest, staged: Collection[str], *, complete: bool = True) -> None:
        """Move the staged files into place, and the manifest after them.

        The target is checked again: it may have changed since `find_present`.

        Args:
            manifest: The artifact's manifest.
            staged: The staged files, verified and synced to the disk.
            complete: Whether the target will have every file; if not, no manifest is written.

        Raises:
            ConflictError: something is in the way; the target is unchanged, and the staged files are kept.
            IntegrityError: a staged file was changed after it was verified.
        """
        data = manifest.to_bytes()
        if complete and not staged and _read(self._manifest_path) == data:
            if self._exclusive:
                self._remove_extra(manifest)
            self._note.remove()
            return
        self._check_staged(manifest, staged)
        if self._exclusive:
            self._commit_to_cache(manifest, staged, data if complete else None)
            return
        waiting = self._survey.look_again(manifest, staged)
        named = {entry.path for entry in manifest.files} if complete else set(staged)
        self._commit_to_folder(manifest, waiting, named, data if complete else None)

    def _check_staged(self, manifest: AnyManifest, staged: Collection[str]) -> None:
        """Hash staged files again whose metadata changed after they were verified.

        Raises:
            IntegrityError: one has other bytes.
        """
        entries = {entry.path: entry for entry in manifest.files}
        doubtful = [n for n in staged if self._verified.get(n, ()) != Look.at(self.partial_path(n))]
        paths = [self.partial_path(name) for name in doubtful]
        digests = hash_files(paths, follow_symlinks=False, max_workers=self._context.settings.max_workers)
        found = [
            Mismatch(name, entries[name].sha256, digest.sha256, str(self.partial_path(name)))
            for name, digest in zip(doubtful, digests, strict=True)
            if digest.sha256 != entries[name].sha256
        ]
        for mismatch in found:
            self.partial_path(mismatch.path).unlink(missing_ok=True)
        if found:
            raise IntegrityError.of(found, hint="the file was changed while it waited; download it again")

    def _commit_to_folder(
        self, manifest: AnyManifest, staged: Collection[str], named: Collection[str], data: bytes | None
    ) -> None:
        """Move the staged files into place, or change nothing."""
        outdated: dict[str, Look] = {}
        if self._removal is Removal.OUTDATED:
            outdated = self._survey.find_gone(manifest, named)
        commit = Commit(self.target, self._aside)
        self._note.write([manifest, *self._survey.old_manifests()])
        try:
            if (old := Look.at(self._manifest_path)) is not None:
                commit.put_aside(MANIFEST_FILENAME, old)
            for name, look in outdated.items():
                commit.put_aside(name, look)
            for name in staged:
                if name in self._survey.seen:
                    commit.put_aside(name, self._survey.seen[name][0])
            commit.put_in_place({name: self.partial_path(name) for name in sorted(staged)})
            if data is not None:
                write_file(self._folder / "manifest", data)
                commit.put_in_place({MANIFEST_FILENAME: self._folder / "manifest"})
        except BaseException:
            if commit.undo():
                self._note.remove()
            raise
        commit.finish()
        self._note.remove()

    def _commit_to_cache(self, manifest: AnyManifest, staged: Collection[str], data: bytes | None) -> None:
        """Make the cache's folder exactly the artifact; all other files in it are removed."""
        self._note.write([manifest])
        if kind_of(self._manifest_path) is not None:
            remove(self._manifest_path)
        self._remove_extra(manifest)
        pairs = [(self.partial_path(name), self.target / name) for name in staged]
        for folder in {target.parent for _, target in pairs}:
            make_folder(folder)
        rename_files(pairs)
        if data is not None:
            write_file(self._manifest_path, data)
        self._note.remove()

    def _remove_extra(self, manifest: AnyManifest) -> None:
        """Remove what the artifact does not name, and what is in the place of its files and folders."""
        files = {self.target / entry.path for entry in manifest.files} | {self._manifest_path}
        folders = {parent for path in files for parent in path.parents} | {self.target / STAGING_DIRNAME}
        wanted = {"file": files, "directory": folders}
        for folder, subfolders, names in os.walk(self.target):
            for name in [*subfolders, *names]:
                place = Path(folder, name)
                if place not in wanted.get(kind_of(place) or "", ()):
                    remove(place)
            subfolders[:] = [n for n in subfolders if Path(folder, n) in folders and n != STAGING_DIRNAME]

    # --- the staging folder ---

    def open(self) -> None:
        """Create the staging folder; remove everything but partial files of this artifact."""
        staging = self._folder.parent
        if kind_of(staging) not in {"directory", None}:
            message = f"{staging} is in the way: it is a {kind_of(staging)}; move it away"
            raise ConflictError(message)
        make_folder(staging)
        # If the manifest is in place, the killed commit only had to delete the files that were put aside.
        is_unfinished = self._note.exists() and kind_of(self._manifest_path) is None
        if is_unfinished and kind_of(self._aside) == "directory":
            restore(self.target, self._aside, but=MANIFEST_FILENAME)
        for other in staging.iterdir():
            if other != self._folder or kind_of(other) != "directory":
                remove(other)
        self._folder.mkdir(exist_ok=True)
        remove(self._folder / _PREVIEW)  # first: its files are links to staged files
        for path in self._folder.iterdir():
            # A second name of a file in its place: a write to the one would change the other.
            if kind_of(path) != "file" or path.lstat().st_nlink > 1:
                remove(path)

    def close(self, *, keep: bool) -> None:
        """Remove the staging folder, unless its files are needed later."""
        if self._note.exists():  # the commit was neither finished nor undone: files may still be aside
            return
        if not (keep and any(self._folder.iterdir())):
            remove(self._folder.parent)


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
        target: The folder; created if it is missing.
        key: Identifies the artifact; equal keys resume each other's partial files.
        context: The call that this belongs to.
        exclusive: The folder belongs to the cache, and becomes exactly the artifact.
        in_place: The folder has files of the user, perhaps under the artifact's names; none is removed.
        overwrite: See `Staging`.
        resumable: Keep partial files if the block fails.

    Raises:
        ConflictError: something that is not a folder is in the way, the folder is the local store's or the
            whole cache, or the cache's folder is a link.
    """
    _refuse_own_folders(target, context.settings)
    if exclusive:
        _refuse_links(target, context.settings)
    if (kind := kind_of(Path(os.path.realpath(target)))) not in {"directory", None}:
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


def finish_in_cache(target: Path, context: Context) -> None:
    """Finish the commit of a killed process in a folder of the cache, if all its files are there.

    Every file is hashed before it is moved into place. A folder outside the cache is not changed.

    Raises:
        OSError: the folder cannot be written.
    """
    note = CommitNote(target, context.settings)
    if not note.exists() or not is_in_cache(target, context.settings):
        return
    manifest = next((m for m in note.read() if isinstance(m, Manifest)), None)
    if manifest is None:
        return
    with stage_into(target, manifest.digest, context, exclusive=True, resumable=True) as staging:
        present = staging.find_present(manifest)
        missing = [entry for entry in manifest.files if entry.path not in present]
        paths = [staging.partial_path(entry.path) for entry in missing]
        limit = context.settings.max_workers
        digests = hash_files(paths, follow_symlinks=False, max_workers=limit, return_exceptions=True)
        if all(
            isinstance(digest, FileDigest) and digest.sha256 == entry.sha256
            for entry, digest in zip(missing, digests, strict=True)
        ):
            for entry in missing:
                staging.note_verified(entry.path)
            staging.commit(manifest, [entry.path for entry in missing])


def _refuse_own_folders(target: Path, settings: Settings) -> None:
    """Refuse folders of the package itself: files of an artifact would be mixed with its own files."""
    real = target.resolve()
    own = (settings.store_dir.resolve(), settings.state_dir.resolve())
    if real == settings.cache_dir.resolve() or any(real.is_relative_to(folder) for folder in own):
        message = (
            f"{target} is where the package keeps its cache, its local store or its state; "
            f"choose another folder"
        )
        raise ConflictError(message)


def _refuse_links(target: Path, settings: Settings) -> None:
    """Refuse a folder that is in the cache only through a link: its files are not the package's."""
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


def _link(path: Path, place: Path) -> None:
    """Link `place` to the file at `path`; a hard link, because a symbolic one resolves to another path."""
    try:
        place.hardlink_to(path)
    except OSError:  # such as on a file system without hard links
        place.symlink_to(path.absolute())


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if kind_of(path) == "file" else None

"""Files on their way into a folder: out of sight until every one of them is verified.

They wait in `.ritual-partial/<artifact>/` inside the target. Only when all are there and match their digests
are they renamed into place; the old manifest goes first and the new one comes last, so that a folder with a
manifest is always complete. What a killed process leaves there, the next one continues.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from ritual_artifacts.errors import ConflictError, ManifestError
from ritual_artifacts.hashing import hash_files, rename_files, write_file
from ritual_artifacts.locks import lock_folder
from ritual_artifacts.manifest import Manifest, ManifestEntry
from ritual_artifacts.planning import MANIFEST_FILENAME, STAGING_DIRNAME


class Staging:
    """The way into one target folder, for one artifact, under the folder's lock."""

    def __init__(self, target: Path, key: str, *, exclusive: bool, overwrite: bool) -> None:
        """Prepare the way.

        Args:
            target: The folder.
            key: Names what is coming; equal keys continue each other's partial files.
            exclusive: The folder is the package's own (a cache): whatever the artifact does not name in it
                is removed, whatever differs is replaced.
            overwrite: Replace files that differ, even where they are not known to be an artifact's.
        """
        self.target = target
        self._folder = target / STAGING_DIRNAME / hashlib.sha256(key.encode()).hexdigest()[:32]
        self._exclusive = exclusive
        self._overwrite = overwrite or exclusive
        self._present: dict[str, str] = {}

    def partial_path(self, name: str) -> Path:
        """Return where the bytes of the file called `name` wait."""
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]

    def find_present(self, manifest: Manifest) -> set[str]:
        """Return the names of the files that are in place already, with the right bytes.

        Raises:
            ConflictError: a file is in the way that is not an unchanged file of the artifact that was here,
                and overwriting was not asked for.
            OSError: a file in the way cannot be read.
        """
        here = [entry for entry in manifest.files if self._is_taken(entry)]
        digests = hash_files([self.target / entry.path for entry in here], follow_symlinks=False)
        self._present = {entry.path: d.sha256 for entry, d in zip(here, digests, strict=True)}
        if not self._overwrite:
            self._refuse_foreign(here)
        return {entry.path for entry in here if self._present[entry.path] == entry.sha256}

    def _is_taken(self, entry: ManifestEntry) -> bool:
        """Say whether a regular file is at the entry's path; refuse whatever else is in the way."""
        place = self.target
        for part in entry.path.split("/")[:-1]:
            place /= part
            if _kind(place) not in {"directory", None}:
                self._clear_away(place)
        place = self.target / entry.path
        if (kind := _kind(place)) not in {"file", None}:
            self._clear_away(place)
        return kind == "file"

    def _clear_away(self, place: Path) -> None:
        if not self._exclusive:
            message = (
                f"{place} is {_kind(place)}, where the artifact has something else; "
                f"move it away or choose another folder"
            )
            raise ConflictError(message)
        _remove(place)

    def _refuse_foreign(self, here: list[ManifestEntry]) -> None:
        manifest_path = self.target / MANIFEST_FILENAME
        known: dict[str, str] = {}
        if _kind(manifest_path) is not None:
            try:
                known = {entry.path: entry.sha256 for entry in Manifest.read(manifest_path).files}
            except (ManifestError, OSError) as error:
                message = f"{manifest_path} is in the way and is no manifest ({error}); move it away"
                raise ConflictError(message) from None
        for entry in here:
            actual = self._present[entry.path]
            if actual not in {entry.sha256, known.get(entry.path)}:
                message = (
                    f"{self.target / entry.path} differs from the artifact's file and was not downloaded "
                    f"unchanged; move it away, or pass overwrite=True to replace it"
                )
                raise ConflictError(message)

    def commit(self, manifest: Manifest, staged: Mapping[str, Path], *, complete: bool = True) -> None:
        """Put the staged files in place, and after them the manifest.

        Args:
            manifest: The artifact's manifest.
            staged: Where each file waits that is not in place already; its bytes are verified and on disk.
            complete: Whether every file of the artifact is there now; if not, no manifest is written.
        """
        data = manifest.to_bytes()
        manifest_path = self.target / MANIFEST_FILENAME
        if staged or _read(manifest_path) != data:
            pairs = [(path, self.target / name) for name, path in staged.items()]
            for folder in {target.parent for _, target in pairs}:
                folder.mkdir(parents=True, exist_ok=True)
            manifest_path.unlink(missing_ok=True)
            rename_files(pairs)
            if complete:
                write_file(manifest_path, data)
        if self._exclusive and complete:
            self._remove_extra(manifest)

    def _remove_extra(self, manifest: Manifest) -> None:
        """Remove what the artifact does not name."""
        wanted = {self.target / entry.path for entry in manifest.files}
        wanted |= {parent for path in wanted for parent in path.parents}
        wanted |= {self.target / MANIFEST_FILENAME, self.target / STAGING_DIRNAME}
        for folder, folders, files in os.walk(self.target):
            for name in [*folders, *files]:
                if (place := Path(folder, name)) not in wanted:
                    _remove(place)
            folders[:] = [
                name for name in folders if Path(folder, name) in wanted and name != STAGING_DIRNAME
            ]

    def open(self) -> None:
        """Make the staging folder; partial files of another artifact are dropped."""
        self.target.mkdir(parents=True, exist_ok=True)
        staging = self._folder.parent
        if _kind(staging) not in {"directory", None}:
            message = f"{staging} is in the way: it is {_kind(staging)}; move it away"
            raise ConflictError(message)
        staging.mkdir(exist_ok=True)
        for other in staging.iterdir():
            if other != self._folder:
                _remove(other)
        self._folder.mkdir(exist_ok=True)

    def close(self, *, keep: bool) -> None:
        """Remove the staging folder, unless its partial files are to be continued later."""
        if keep and any(self._folder.iterdir()):
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
    if _kind(target.resolve()) not in {"directory", None}:
        message = f"{target} is {_kind(target.resolve())}, not a folder"
        raise ConflictError(message)
    with lock_folder(target):
        existed = target.exists()
        staging = Staging(target, key, exclusive=exclusive, overwrite=overwrite)
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


def _kind(path: Path) -> str | None:
    """Say what is at `path`, without following a link; None when nothing is."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISREG(mode):
        return "file"
    return "directory" if stat.S_ISDIR(mode) else "a special file"


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if _kind(path) == "file" else None


def _remove(path: Path) -> None:
    if _kind(path) == "directory":
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

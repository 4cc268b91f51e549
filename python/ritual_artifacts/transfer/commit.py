"""The steps of a commit: replaced and outdated files are put aside, and new files are moved into place.

Each step moves a file to a free path, so that an unknown file is never replaced. If a step fails, the earlier
steps are undone. Files that were put aside are deleted only after all others are in place.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from ritual_artifacts.core.hashing import make_folder, sync_folder
from ritual_artifacts.errors import ConflictError
from ritual_artifacts.transfer.places import Look, move_without_replacing, remove, remove_empty_folders


class Commit:
    """Moves between a target folder and its staging folder that can be undone."""

    def __init__(self, target: Path, aside: Path) -> None:
        """Prepare; nothing is moved yet.

        Args:
            target: The folder that changes.
            aside: A folder on the same file system for files that are put aside, under their relative paths.
        """
        self._target = target
        self._aside = aside
        self._moves: list[tuple[Path, Path]] = []
        self._folders: set[Path] = set()

    def put_aside(self, name: str, expected: Look) -> None:
        """Move a file out of the target.

        Raises:
            ConflictError: it is not the expected file.
        """
        source, place = self._target / name, self._aside / name
        make_folder(place.parent)
        self._move(source, place)
        if Look.at(place) != expected:
            message = f"{source} changed while the artifact was put in its place; it was left as it is"
            raise ConflictError(message)

    def put_in_place(self, staged: Mapping[str, Path]) -> None:
        """Move files into the target, by their relative paths.

        Raises:
            ConflictError: something is in the way.
        """
        for folder in {(self._target / name).parent for name in staged}:
            make_folder(folder)
        for name, path in staged.items():
            self._move(path, self._target / name)
        self.sync()

    def _move(self, source: Path, target: Path) -> None:
        self._moves.append((source, target))  # first: an interrupt after the move would lose it
        try:
            move_without_replacing(source, target)
        except FileExistsError:
            self._moves.pop()
            message = (
                f"{target} appeared while the artifact was put in its place; move it away, or choose another "
                f"folder"
            )
            raise ConflictError(message) from None
        self._folders |= {source.parent, target.parent}

    def sync(self) -> None:
        """Sync the new names to the disk."""
        while self._folders:
            folder = self._folders.pop()
            with contextlib.suppress(FileNotFoundError):
                sync_folder(folder)

    def undo(self) -> bool:
        """Undo all moves, the last first.

        Returns:
            Whether everything is back in its place.
        """
        is_undone = True
        while self._moves:
            source, target = self._moves.pop()
            try:
                _move_back(target, source)
            except OSError:
                is_undone = False
            else:
                remove_empty_folders(target.parent, self._target)
        return is_undone

    def finish(self) -> None:
        """Delete what was put aside, and the folders that are empty without it."""
        gone = [target for source, target in self._moves if target.is_relative_to(self._aside)]
        for place in gone:
            folder = (self._target / place.relative_to(self._aside)).parent
            remove_empty_folders(folder, self._target)
        remove(self._aside)
        self._moves.clear()


def _move_back(path: Path, source: Path) -> None:
    """Undo a move to `path` that may have been interrupted."""
    here, there = Look.at(path), Look.at(source)
    if here is None and there is not None:  # it was never moved
        return
    if here is not None and here == there:  # interrupted between the link and the removal of the old name
        path.unlink()
        return
    source.parent.mkdir(parents=True, exist_ok=True)
    move_without_replacing(path, source)


def restore(target: Path, aside: Path, *, but: str) -> None:
    """Restore the files that a killed commit put aside, if their places are free.

    Args:
        target: The folder that was changed.
        aside: The folder with the files that were put aside.
        but: A relative path that is not restored.
    """
    for folder, _, names in os.walk(aside):
        for name in names:
            path = Path(folder, name)
            relative = path.relative_to(aside)
            if Look.at(path) is None or relative.as_posix() == but:
                continue
            with contextlib.suppress(OSError):  # another file has its place
                make_folder((target / relative).parent)
                move_without_replacing(path, target / relative)
    remove(aside)

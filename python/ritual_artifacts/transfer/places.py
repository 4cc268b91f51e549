"""Metadata of paths, without following links, and moves that never replace a file."""

import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""Errors of file systems without hard links."""


@dataclass(frozen=True)
class Look:
    """The metadata of a regular file; while it stays the same, the content is assumed to be the same.

    Attributes:
        device: Number of the file system.
        inode: Number of the file in it.
        size: Bytes.
        modified: Nanoseconds since 1970.
    """

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """Return the metadata of a path; None if there is no regular file."""
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def kind_of(path: Path) -> str | None:
    """Return the kind of what is at `path`, without following a link; None if nothing is there."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        return "symbolic link"
    if stat.S_ISREG(mode):
        return "file"
    return "directory" if stat.S_ISDIR(mode) else "special file"


def move_without_replacing(source: Path, target: Path) -> None:
    """Move a file to a free path, in one step; its new name is not yet synced to the disk.

    Raises:
        FileExistsError: something is at `target`.
        OSError: the file cannot be moved.
    """
    if os.name != "nt":  # a rename would replace a file; a hard link never does
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            source.unlink()
            return
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def remove(path: Path) -> None:
    """Remove whatever is at `path`."""
    if kind_of(path) == "directory":
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove `folder` and its parents below `root` while they are empty."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent

"""The typed interface to the Rust core for file I/O: hashing, verified copies and verified writes.

No other module imports `ritual_artifacts._core` for these tasks. All calls release the GIL, stop on Ctrl-C,
and name the file in every error.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, overload

from ritual_artifacts import _core
from ritual_artifacts._core import FileDigest, PartialFile, rename_files, sha256_kernels, write_file
from ritual_artifacts.errors import ArtifactError

__all__ = [
    "DEFAULT_READ_SIZE",
    "FileDigest",
    "PartialFile",
    "copy_files",
    "hash_files",
    "is_sha256",
    "make_folder",
    "open_at_once",
    "read_regular",
    "rename_files",
    "sha256_kernels",
    "sync_folder",
    "write_file",
]

DEFAULT_READ_SIZE = 2 << 20
"""Bytes that a worker reads before it hashes them. Memory use is this times the number of workers, and twice
this for a large file that is hashed alone. It does not depend on the number and sizes of the files."""

_SHA256_DIGITS = 64
_LANES: Final = 16
"""Files that one thread has open at once, because it hashes them together."""
_OPEN_PER_COPY: Final = 3
_SPARE: Final = 16
"""Open files that are left to the rest of the process."""

Item = TypeVar("Item")
StrPath: TypeAlias = str | PathLike[str]
ByteCallback: TypeAlias = Callable[[int], object]


@overload
def hash_files(
    paths: Sequence[StrPath],
    *,
    follow_symlinks: bool = ...,
    max_workers: int | None = ...,
    read_size: int = ...,
    progress: ByteCallback | None = ...,
    data_root: bool = ...,
    git_sha1_max_size: int | None = ...,
    return_exceptions: Literal[False] = ...,
) -> list[FileDigest]: ...
@overload
def hash_files(
    paths: Sequence[StrPath],
    *,
    follow_symlinks: bool = ...,
    max_workers: int | None = ...,
    read_size: int = ...,
    progress: ByteCallback | None = ...,
    data_root: bool = ...,
    git_sha1_max_size: int | None = ...,
    return_exceptions: bool,
) -> list[FileDigest | Exception]: ...
def hash_files(
    paths: Sequence[StrPath],
    *,
    follow_symlinks: bool = True,
    max_workers: int | None = None,
    read_size: int = DEFAULT_READ_SIZE,
    progress: ByteCallback | None = None,
    data_root: bool = False,
    git_sha1_max_size: int | None = None,
    return_exceptions: bool = False,
) -> list[FileDigest] | list[FileDigest | Exception]:
    """Hash files with SHA-256 on several threads.

    Args:
        paths: Regular files.
        follow_symlinks: Whether to follow a symbolic link; if not, it is refused.
        max_workers: Maximum number of threads, at least 1; default one per core.
        read_size: Bytes per read.
        progress: Called on the calling thread with the number of bytes read since its last call.
        data_root: Also compute the root of each file's chunks on Arweave, in the same read. The file is split
            as in arweave-js.
        git_sha1_max_size: Also compute the git blob SHA-1 of files of at most this many bytes, in the same
            read.
        return_exceptions: Return a file's error in its place in the list instead of raising the first one.

    Returns:
        One item per path, in the order of `paths`, with `path`, `size` (bytes) and `sha256` (lower-case
        hex, FIPS 180-4). If requested, an item also has `data_root` (base64url without padding, empty for an
        empty file) and `git_sha1` (lower-case hex); otherwise these are None.

    Raises:
        ArtifactError: `max_workers` is less than 1.
        ArtifactModelError: a path is a FIFO, a device, a socket or, without `follow_symlinks`, a link.
        SourceChangedError: a file changed while it was being read.
        OSError: a file is missing or cannot be read; `filename` is its path.
    """
    workers = _limit_workers(max_workers)
    hashed: list[Any] = []
    for batch in _batches(paths, workers, 1):
        hashed += _core.hash_files(
            batch,
            follow_symlinks=follow_symlinks,
            max_workers=workers,
            read_size=read_size,
            progress=progress,
            data_root=data_root,
            git_sha1_max_size=git_sha1_max_size,
            return_exceptions=return_exceptions,
        )
    return hashed


def copy_files(
    pairs: Sequence[tuple[StrPath, StrPath]],
    *,
    max_workers: int | None = None,
    progress: ByteCallback | None = None,
    resume: bool = False,
) -> list[FileDigest]:
    """Copy regular files. Each is hashed while it is written, synced, and then renamed into place.

    A file is cloned (reflink) if the file system supports it. An existing target is replaced atomically.

    With `resume`, a copy is written under the target's own name, and is kept if the call fails. The bytes
    already in a target are hashed, and only the rest is copied; the digest covers the whole file. If it is
    not the expected one, remove the target and copy it again. A target is replaced if it is larger than its
    source, read-only, a link, or has another name. Its name is on the disk only after `rename_files`.

    Args:
        pairs: Source and target of each copy; the target's folder must exist.
        max_workers: Maximum number of threads, at least 1; default one per core.
        progress: Called on the calling thread with the number of bytes copied since its last call; with
            `resume`, this includes the bytes already in the targets.
        resume: Continue the copies in existing targets.

    Returns:
        One item per pair, in order: the source's path, and the size and SHA-256 of the bytes written.

    Raises:
        ArtifactError: `max_workers` is less than 1.
        ArtifactModelError: a source is a symbolic link, or not a regular file.
        SourceChangedError: a source changed while it was being read; or, with `resume`, another process
            changed a target while it was being written.
        OSError: a file cannot be read or written; `filename` is its path.
    """
    workers = _limit_workers(max_workers)
    copied: list[FileDigest] = []
    for batch in _batches(pairs, workers, _OPEN_PER_COPY):
        copied += _core.copy_files(batch, max_workers=workers, progress=progress, resume=resume)
    return copied


def _batches(items: Sequence[Item], workers: int | None, open_per_item: int) -> Iterator[Sequence[Item]]:
    """Split work on files where the process may have too few files open for all of it at once."""
    at_once = len(items)
    if sys.platform != "win32":  # which has no such limit
        import resource  # noqa: PLC0415 - only on Unix

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(len(items), _LANES * (workers or os.cpu_count() or 1)) * open_per_item
        if limit != resource.RLIM_INFINITY and wanted + _SPARE > limit // 2:
            at_once = max(1, (limit - _count_open() - _SPARE) // open_per_item)
    for start in range(0, max(1, len(items)), max(1, at_once)):
        yield items[start : start + max(1, at_once)]


def _count_open() -> int:
    """Return how many files this process has open."""
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return 0


def _limit_workers(number: int | None) -> int | None:
    if number is not None and number < 1:
        message = f"max_workers must be at least 1, got {number}"
        raise ArtifactError(message)
    return number


def is_sha256(text: str) -> bool:
    """Return whether `text` is a SHA-256 in this package's format: 64 lower-case hex digits."""
    return len(text) == _SHA256_DIGITS and set(text) <= set("0123456789abcdef")


def read_regular(path: Path, size: int) -> bytes | None:
    """Read the first `size` bytes of a file; None if it is not a regular file.

    This never blocks, even on a FIFO without a writer.

    Raises:
        OSError: the file is missing or cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    # The file may be replaced by a FIFO between these lines.
    with open(path, "rb", opener=open_at_once) as file:
        return file.read(size)


def open_at_once(path: str, flags: int) -> int:
    """Open a file as the opener of `open`, without waiting for the writer of a FIFO."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no FIFOs among files


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, and sync the folders that contain them.

    Raises:
        OSError: a folder cannot be created, or something else exists in its place.
    """
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    for path in reversed(missing):
        try:
            path.mkdir(exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    for parent in {path.parent for path in missing}:
        sync_folder(parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder to the disk, so that the names in it survive a power failure.

    Raises:
        OSError: the folder is missing or cannot be synced.
    """
    if os.name == "nt":  # Windows cannot sync a folder, and NTFS journals its names
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # not supported by this file system
            raise
    finally:
        os.close(descriptor)

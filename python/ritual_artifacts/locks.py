"""Locks between processes: one lock file for each folder that is written."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from ritual_artifacts.errors import ConflictError
from ritual_artifacts.settings import Settings

CACHE_LOCKS_DIRNAME = ".locks"


class ProcessLock:
    """The lock of one file, which at most one process and thread holds.

    It is always a lock of the operating system. On a file system without locks, filelock would treat the
    file itself as the lock, and an old lock file would keep every process waiting forever.
    """

    def __init__(self, path: Path, *, timeout: float = -1) -> None:
        """Prepare; nothing is locked yet.

        Args:
            path: The file, which is created if it is missing.
            timeout: Seconds to wait for another holder; negative to wait without a limit.
        """
        self.path = path
        self._timeout = timeout
        try:
            self._lock = FileLock(path, fallback_to_soft=False)
        except TypeError:  # an older filelock, which never does that
            self._lock = FileLock(path)

    def acquire(self) -> None:
        """Lock the file.

        Raises:
            filelock.Timeout: another process or thread held it until the timeout.
            RuntimeError: this thread holds it, and would deadlock.
            OSError: it cannot be locked; the message says what to do.
        """
        try:
            self._lock.acquire(timeout=self._timeout)
        except Timeout:
            raise
        except NotImplementedError:
            raise _explain(errno.ENOSYS, self.path) from None
        except OSError as error:
            if error.filename is None and error.errno is not None:
                raise _explain(error.errno, self.path) from None
            raise

    def release(self) -> None:
        """Unlock the file."""
        self._lock.release()

    def __enter__(self) -> Self:
        """Lock the file; see `acquire`."""
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock the file."""
        self.release()


def _explain(number: int, path: Path) -> OSError:
    reason = (
        f"{os.strerror(number)}: the file system cannot lock this file; set RITUAL_STORE_DIR, "
        f"RITUAL_CACHE_DIR and RITUAL_STATE_DIR to folders on a file system with locks, such as a local disk"
    )
    return OSError(number, reason, str(path))


def is_in_cache(folder: Path, settings: Settings) -> bool:
    """Return whether `folder` is in the cache, where only this package keeps files."""
    return folder.resolve().is_relative_to(settings.cache_dir.resolve())


def lock_path(folder: Path, settings: Settings) -> Path:
    """Return the lock file of `folder`, which every writer locks.

    For folders in the cache it is in the cache, so that all processes that share the cache share it. For
    other folders it is in the state folder, so that no lock file is left in the user's folders.
    """
    folder = folder.resolve()
    in_cache = is_in_cache(folder, settings)
    locks = settings.cache_dir / CACHE_LOCKS_DIRNAME if in_cache else settings.state_dir / "locks"
    return locks / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()}.lock"


@contextmanager
def lock_folder(folder: Path, settings: Settings, *, timeout: float = -1) -> Iterator[None]:
    """Hold the lock of `folder` while the block runs; every writer of the folder takes it.

    Args:
        folder: The folder, which need not exist.
        settings: The settings, for the paths of the cache and of the state folder.
        timeout: Seconds to wait for another writer; negative to wait without a limit.

    Raises:
        ConflictError: this thread already holds the lock, and would deadlock.
        filelock.Timeout: another writer held the lock until the timeout.
        OSError: the file system cannot lock files.
    """
    path = lock_path(folder, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = ProcessLock(path, timeout=timeout)
    try:
        lock.acquire()
    except RuntimeError as error:
        message = (
            f"{folder} is already being written by this thread; "
            f"do not write to it from a progress callback ({error})"
        )
        raise ConflictError(message) from None
    try:
        yield
    finally:
        lock.release()

"""Locks between processes: one lock file for each folder that is written."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ritual_artifacts.errors import ConflictError
from ritual_artifacts.settings import Settings

CACHE_LOCKS_DIRNAME = ".locks"


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
    """
    path = lock_path(folder, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
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

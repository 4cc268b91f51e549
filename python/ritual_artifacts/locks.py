"""Locks between processes."""

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
    """Return the file that every writer of `folder` locks.

    Folders of the cache have theirs in the cache, so that all who share the cache share them; other folders
    have theirs in the state folder, so that nothing is left behind in the user's own.
    """
    folder = folder.resolve()
    locks = settings.cache_dir / CACHE_LOCKS_DIRNAME if is_in_cache(folder, settings) else settings.state_dir / "locks"
    return locks / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()}.lock"


@contextmanager
def lock_folder(folder: Path, settings: Settings, *, timeout: float = -1) -> Iterator[None]:
    """Hold the lock that every writer of `folder` takes.

    Args:
        folder: The folder, which need not exist.
        settings: Where cache and state are.
        timeout: Seconds to wait for another writer; negative: as long as it takes.

    Raises:
        ConflictError: this thread holds it already, and would wait for itself.
        filelock.Timeout: another writer held it all the time.
    """
    path = lock_path(folder, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except RuntimeError as error:
        message = (
            f"{folder} is being written by the very thread that is about to write it; "
            f"does a progress callback use the folder whose progress it is told? ({error})"
        )
        raise ConflictError(message) from None
    try:
        yield
    finally:
        lock.release()

"""Locks between processes."""

import hashlib
import os
from pathlib import Path

from filelock import FileLock

from ritual_artifacts.settings import load_settings

CACHE_LOCKS_DIRNAME = ".locks"


def is_in_cache(folder: Path) -> bool:
    """Say whether `folder` is in the cache: the package alone keeps files there."""
    return folder.resolve().is_relative_to(load_settings().cache_dir.resolve())


def lock_folder(folder: Path) -> FileLock:
    """Return the lock that every writer of `folder` takes.

    Folders of the cache have their locks in the cache, so that all who share the cache share them; other
    folders have theirs in the state folder, so that nothing is left behind in the user's own.
    """
    settings = load_settings()
    folder = folder.resolve()
    locks = settings.cache_dir / CACHE_LOCKS_DIRNAME if is_in_cache(folder) else settings.state_dir / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()}.lock")

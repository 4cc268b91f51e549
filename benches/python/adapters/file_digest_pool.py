"""`hashlib.file_digest` in a pool of as many threads as there are cores."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from adapters.file_digest import hash_file


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of files."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(hash_file, paths))

"""`hashlib.file_digest`, one file after the other."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of files."""
    return [hash_file(path) for path in paths]


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

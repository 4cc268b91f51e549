"""This package."""

from collections.abc import Sequence
from pathlib import Path

from ritual_artifacts.core import hashing


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of files."""
    return [digest.sha256 for digest in hashing.hash_files(paths)]

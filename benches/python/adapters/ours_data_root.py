"""This package, with the root of the chunks on Arweave from the same read."""

from collections.abc import Sequence
from pathlib import Path

from ritual_artifacts.core import hashing


def hash_files(paths: Sequence[Path]) -> list[str]:
    """Roots of files; their SHA-256 is found too."""
    return [str(digest.data_root) for digest in hashing.hash_files(paths, data_root=True)]

"""hf-xet's hashes of files, without an upload."""

from collections.abc import Sequence
from pathlib import Path

import hf_xet


def hash_files(paths: Sequence[Path]) -> list[str]:
    """Xet hashes of files."""
    return [info.hash for info in hf_xet.hash_files([str(path) for path in paths])]

"""arweave-python-client's root of a file's chunks."""

import base64
from collections.abc import Sequence
from pathlib import Path

from arweave.merkle import compute_root_hash


def hash_files(paths: Sequence[Path]) -> list[str]:
    """Roots of files."""
    return [_find_root(path) for path in paths]


def _find_root(path: Path) -> str:
    with path.open("rb") as file:
        return base64.urlsafe_b64encode(compute_root_hash(file)).rstrip(b"=").decode()

"""This package, with the root of a file's chunks and the proofs of all of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ritual_artifacts.core.chunks import ChunkTree, open_tree


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of roots and proofs."""
    return [_digest(open_tree(path)) for path in paths]


def _digest(tree: ChunkTree) -> str:
    digest = hashlib.sha256(tree.id_between(0, tree.size) or b"")
    for index in range(len(tree)):
        digest.update(tree.proof(index))
    return digest.hexdigest()

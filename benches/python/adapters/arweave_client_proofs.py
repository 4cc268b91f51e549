"""arweave-python-client's root of a file's chunks and all their proofs, as for a `file_handler`."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from arweave.merkle import generate_transaction_chunks


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of roots and proofs."""
    return [_digest(path) for path in paths]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        chunks = generate_transaction_chunks(file)
    digest = hashlib.sha256(chunks["data_root"])
    for proof in chunks["proofs"]:
        digest.update(proof.proof)
    return digest.hexdigest()

"""arweave-python-client's root of data in memory, with the copies that a transaction with `data=` makes.

It makes no proofs then: such data is posted inside of its transaction.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from arweave.merkle import compute_root_hash
from jose.utils import base64url_decode, base64url_encode


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of roots."""
    return [_digest(path.read_bytes()) for path in paths]


def _digest(data: bytes) -> str:
    encoded = base64url_encode(data)
    return hashlib.sha256(compute_root_hash(io.BytesIO(base64url_decode(encoded)))).hexdigest()

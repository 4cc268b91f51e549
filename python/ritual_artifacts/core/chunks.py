"""The typed interface to the Arweave part of the Rust core: chunks, their Merkle tree, proofs, deep hashes.

A transaction is signed over the root of a tree whose leaves are chunks of at most 256 KiB. The signed root is
enough to verify each chunk, whichever gateway sent it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ritual_artifacts import _core
from ritual_artifacts._core import deep_hash
from ritual_artifacts.core.hashing import ByteCallback, StrPath
from ritual_artifacts.errors import BackendError

__all__ = [
    "CHUNK_BYTES",
    "ChunkTree",
    "SplitRule",
    "check_chunk",
    "chunk_spans",
    "chunk_starts",
    "deep_hash",
    "find_data_root",
    "find_valid_prefix",
    "has_data_root",
    "open_tree",
]

ChunkTree: TypeAlias = _core.ChunkTree
SplitRule: TypeAlias = Literal["arweave-js", "naive"]

CHUNK_BYTES: Final = 256 * 1024
"""Maximum size of a chunk in bytes."""

MAX_PROOFS: Final = 32
"""Maximum number of proofs for one `find_valid_prefix`; trees that are built here have fewer layers."""

_SHORTEST_LAST: Final = 32 * 1024
"""If the last chunk would be shorter than this, arweave-js splits the last two chunks evenly."""
_ID: Final = 32
_BRANCH: Final = 3 * _ID
"""Length of a branch: the ids of two children, and the offset at which the second one starts."""
_REBASE_MARK: Final = bytes(_ID)
"""Precedes a branch below which offsets are relative to the start of that branch."""


def open_tree(
    path: StrPath,
    *,
    rule: SplitRule = "arweave-js",
    max_workers: int | None = None,
    progress: ByteCallback | None = None,
) -> ChunkTree:
    """Read a file once, on all cores, and build the tree over its chunks.

    Args:
        path: A regular file; a link is refused.
        rule: The rule by which the file is split into chunks.
        max_workers: Maximum number of threads; default one per core.
        progress: Called on the calling thread with the number of bytes read since its last call.

    Raises:
        SourceChangedError: the file changed while it was read.
        OSError: the file is missing or cannot be read.
    """
    return _core.ChunkTree(path, rule=rule, max_workers=max_workers, progress=progress)


def chunk_spans(size: int) -> list[tuple[int, int]]:
    """Return the start and end of each chunk of `size` bytes, as arweave-js splits them for an upload."""
    spans: list[tuple[int, int]] = []
    start = 0
    for length in _core.split_lengths(size):
        spans.append((start, start + length))
        start += length
    return spans


def chunk_starts(size: int) -> Iterator[int]:
    """Yield the start of each chunk of `chunk_spans`, without a list of all chunks in memory."""
    full = max(0, size // CHUNK_BYTES - 1) * CHUNK_BYTES  # only the last two chunks may be shorter
    yield from range(0, full, CHUNK_BYTES)
    yield from (full + start for start, _ in chunk_spans(size - full))


def find_data_root(data: bytes) -> bytes:
    """Return the root of the tree over data in memory, split as arweave-js does; empty for no data."""
    return _core.find_data_root(data)


def has_data_root(source: bytes | Path, data_root: bytes) -> bool:
    """Return whether data has this root, under any of the rules by which tools split it.

    Args:
        source: Data in memory, or a file.
        data_root: The root, 32 bytes; empty for no data.

    Raises:
        SourceChangedError: the file changed while it was read.
        OSError: the file is missing or cannot be read.
    """
    if isinstance(source, bytes):
        roots = (_core.find_data_root(source, rule=rule) for rule in _rules_for(len(source)))
        return any(root == data_root for root in roots)
    tree = open_tree(source)
    roots = (tree.id_between(0, tree.size) or b"" for tree in _split_as_all(tree))
    return any(root == data_root for root in roots)


def check_chunk(data_root: bytes, data_size: int, offset: int, proof: bytes, chunk: bytes) -> tuple[int, int]:
    """Verify that an untrusted chunk is part of the data.

    Args:
        data_root: Root of the data's tree, from a signed transaction.
        data_size: Size of the data in bytes, from the same transaction.
        offset: An offset that must be inside the chunk.
        proof: The untrusted `data_path`.
        chunk: The untrusted bytes.

    Returns:
        The start and end of the chunk in the data.

    Raises:
        BackendError: the proof is invalid, or the chunk does not match it.
    """
    start, end, sha256 = _check_proof(data_root, data_size, offset, proof)
    if len(chunk) != end - start or hashlib.sha256(chunk).digest() != sha256:
        message = f"the chunk at offset {offset} does not match its proof"
        raise BackendError(message)
    return start, end


def find_valid_prefix(
    path: Path, data_root: bytes, data_size: int, fetch_proof: Callable[[int], bytes]
) -> tuple[int, bool]:
    """Return how many bytes at the start of a file match a signed root.

    A proof names the nodes on both sides of its path down the tree. If such a node is equal in the file's own
    tree, everything below it is valid, so a few proofs are enough for a file of any size. A tree with a
    different shape has no equal nodes. It is checked chunk by chunk, for at most `MAX_PROOFS` chunks.

    Args:
        path: The file, with `data_size` bytes.
        data_root: Root of the data's tree, from a signed transaction.
        data_size: Size of the data in bytes, from the same transaction.
        fetch_proof: Returns the untrusted `data_path` of the chunk that contains an offset.

    Returns:
        The number of bytes that are proven to be valid, and whether the next chunk is proven to be invalid.
        If it is not, the whole file is valid, or the rest was not checked.

    Raises:
        BackendError: a proof is invalid.
        OSError: the file is missing or cannot be read.
    """
    trees = list(_split_as_all(open_tree(path)))
    offset = asked = 0
    while offset < data_size and asked < MAX_PROOFS:
        asked += 1
        proof = fetch_proof(offset)
        start, end, sha256 = _check_proof(data_root, data_size, offset, proof)
        valid = _skip_equal_nodes(trees, data_root, data_size, offset, proof)
        if valid == offset:  # the tree may have a different shape
            if _hash_range(path, start, end) != sha256:
                return start, True
            valid = end
        offset = valid
    return offset, False


def _skip_equal_nodes(trees: Sequence[ChunkTree], root: bytes, size: int, offset: int, proof: bytes) -> int:
    """Follow a valid proof down to the largest node that starts at `offset` and is equal in the file.

    Returns:
        The end of that node; `offset` if there is none.
    """
    node, start, end = root, 0, size
    while True:
        if start == offset and any(tree.id_between(start, end) == node for tree in trees):
            return end
        if len(proof) < _BRANCH or proof.startswith(_REBASE_MARK):
            return offset
        left, right, note = (proof[i : i + _ID] for i in range(0, _BRANCH, _ID))
        split = int.from_bytes(note)
        node, start, end = (left, start, split) if offset < split else (right, split, end)
        proof = proof[_BRANCH:]


def _check_proof(data_root: bytes, data_size: int, offset: int, proof: bytes) -> tuple[int, int, bytes]:
    try:
        return _core.check_proof(data_root, data_size, offset, proof)
    except ValueError as error:
        message = f"invalid proof for the chunk at offset {offset}: {error}"
        raise BackendError(message) from None


def _hash_range(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return hashlib.sha256(file.read(end - start)).digest()


def _split_as_all(tree: ChunkTree) -> Iterator[ChunkTree]:
    """Yield the trees of a file under all rules; only the last chunks are read again."""
    yield tree
    yield from (tree.split_as(rule) for rule in _rules_for(tree.size)[1:])


def _rules_for(size: int) -> Sequence[SplitRule]:
    """Return the rules that split data of this size in different ways.

    The Arweave node splits data inside a transaction in the same way as one of these rules.
    """
    rest = size % CHUNK_BYTES
    if rest == 0 and size:
        return ("arweave-js", "naive")
    if size > CHUNK_BYTES and rest < _SHORTEST_LAST:
        return ("arweave-js", "naive")
    return ("arweave-js",)

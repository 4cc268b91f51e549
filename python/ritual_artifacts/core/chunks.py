"""The typed door to the Arweave part of the Rust core: chunks, their Merkle tree, proofs, deep hashes.

A transaction is signed over the root of a tree whose leaves are chunks of at most 256 KiB. Whoever has the
signed root can check every chunk by itself, whoever sent it.
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
    "find_good_prefix",
    "has_data_root",
    "open_tree",
]

ChunkTree: TypeAlias = _core.ChunkTree
SplitRule: TypeAlias = Literal["arweave-js", "naive"]

CHUNK_BYTES: Final = 256 * 1024
"""Bytes of a chunk at most."""

MAX_PROOFS: Final = 32
"""That `find_good_prefix` asks for at most; a tree that is built here has fewer layers, whatever its size."""

_SHORTEST_LAST: Final = 32 * 1024
"""arweave-js shares the last two chunks' bytes where the last would be shorter than this."""
_ID: Final = 32
_BRANCH: Final = 3 * _ID
"""The ids of two children and the note of where the second begins."""
_REBASE_MARK: Final = bytes(_ID)
"""Comes before a branch below which offsets count from its own beginning."""


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
        rule: Who splits it so.
        max_workers: Threads at most; default one per core.
        progress: Called on the calling thread with the number of bytes read since its last call.

    Raises:
        SourceChangedError: the file changed while it was read.
        OSError: the file is missing or cannot be read.
    """
    return _core.ChunkTree(path, rule=rule, max_workers=max_workers, progress=progress)


def chunk_spans(size: int) -> list[tuple[int, int]]:
    """Return where each chunk of `size` bytes begins and ends, as arweave-js splits them for an upload."""
    spans: list[tuple[int, int]] = []
    start = 0
    for length in _core.split_lengths(size):
        spans.append((start, start + length))
        start += length
    return spans


def chunk_starts(size: int) -> Iterator[int]:
    """Yield where each chunk of `chunk_spans` begins, without holding what may be millions."""
    full = max(0, size // CHUNK_BYTES - 1) * CHUNK_BYTES  # only the last two chunks may be shorter
    yield from range(0, full, CHUNK_BYTES)
    yield from (full + start for start, _ in chunk_spans(size - full))


def find_data_root(data: bytes) -> bytes:
    """Return the root of the tree over data in memory, split as arweave-js does; empty for no data."""
    return _core.find_data_root(data)


def has_data_root(source: bytes | Path, data_root: bytes) -> bool:
    """Say whether data has this root, whichever tool has split it.

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
    """Prove that a chunk from a stranger is a part of the data.

    Args:
        data_root: Root of the data's tree, from a signed transaction.
        data_size: Bytes of the data, from there too.
        offset: A byte that the chunk has to hold.
        proof: The `data_path`, from a stranger.
        chunk: The bytes, from a stranger.

    Returns:
        Offsets in the data of the chunk's first byte and of the one after its last.

    Raises:
        BackendError: the proof proves nothing, or other bytes.
    """
    start, end, sha256 = _check_proof(data_root, data_size, offset, proof)
    if len(chunk) != end - start or hashlib.sha256(chunk).digest() != sha256:
        message = f"the chunk at offset {offset} does not match its proof"
        raise BackendError(message)
    return start, end


def find_good_prefix(
    path: Path, data_root: bytes, data_size: int, fetch_proof: Callable[[int], bytes]
) -> tuple[int, bool]:
    """Return how many bytes at the beginning of a file are the ones that a signed root stands for.

    A proof names the nodes to both sides of its way down the tree. Where such a node is the same in the
    file's own tree, everything below it is right; so a few proofs are enough for a file of any size. A tree
    of another shape than those that are built here has no such nodes, and is followed chunk by chunk, but not
    further than `MAX_PROOFS` proofs reach.

    Args:
        path: The file, with `data_size` bytes.
        data_root: Root of the data's tree, from a signed transaction.
        data_size: Bytes of the data, from there too.
        fetch_proof: Returns the `data_path` of the chunk with the byte at an offset, from a stranger.

    Returns:
        How many bytes are proven to be right, and whether something is wrong in the chunk behind them. Where
        it is not, the file is right to its end, or nobody knows what comes next.

    Raises:
        BackendError: a proof proves nothing.
        OSError: the file is missing or cannot be read.
    """
    trees = list(_split_as_all(open_tree(path)))
    offset = asked = 0
    while offset < data_size and asked < MAX_PROOFS:
        asked += 1
        proof = fetch_proof(offset)
        start, end, sha256 = _check_proof(data_root, data_size, offset, proof)
        good = _skip_right_nodes(trees, data_root, data_size, offset, proof)
        if good == offset:  # the tree may be of another shape than those that are built here
            if _hash_range(path, start, end) != sha256:
                return start, True
            good = end
        offset = good
    return offset, False


def _skip_right_nodes(trees: Sequence[ChunkTree], root: bytes, size: int, offset: int, proof: bytes) -> int:
    """Follow a proven proof down to the largest node that begins at `offset` and that the file has too.

    Returns:
        Where that node ends; `offset` where there is none.
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
    """Return the trees over a file as all rules split it; hardly anything is read again."""
    yield tree
    yield from (tree.split_as(rule) for rule in _rules_for(tree.size)[1:])


def _rules_for(size: int) -> Sequence[SplitRule]:
    """Return the rules that split data of this size in different ways.

    The Arweave node has a rule too, for data inside a transaction, but always splits like one of these.
    """
    rest = size % CHUNK_BYTES
    if rest == 0 and size:
        return ("arweave-js", "naive")
    if size > CHUNK_BYTES and rest < _SHORTEST_LAST:
        return ("arweave-js", "naive")
    return ("arweave-js",)

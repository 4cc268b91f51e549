"""Chunks, data roots and proofs, in the plainest way: one list of leaves, joined two by two."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.servers.arweave.encoding import NOTE_SIZE, note, sha256

CHUNK_SIZE = 256 * 1024
MIN_CHUNK_SIZE = 32 * 1024
BRANCH_SIZE = 2 * 32 + NOTE_SIZE
LEAF_SIZE = 32 + NOTE_SIZE

Span = tuple[int, int]
Split = Callable[[int], list[Span]]


def split_arweave_js(size: int) -> list[Span]:
    """Cut as arweave-js does: no chunk but a lone one is below 32 KiB, the last may be empty."""
    spans, start = [], 0
    while size - start >= CHUNK_SIZE:
        rest = size - start
        step = -(-rest // 2) if 0 < rest - CHUNK_SIZE < MIN_CHUNK_SIZE else CHUNK_SIZE
        spans.append((start, start + step))
        start += step
    return [*spans, (start, size)] if size else []


def split_naive(size: int) -> list[Span]:
    """Cut every 256 KiB, as the Python clients do."""
    return [(start, min(start + CHUNK_SIZE, size)) for start in range(0, size, CHUNK_SIZE)]


def split_node(size: int) -> list[Span]:
    """Cut as a node cuts data in a transaction's body: naive, and an empty leaf after a full last chunk."""
    empty = [(size, size)] if size and size % CHUNK_SIZE == 0 else []
    return split_naive(size) + empty


@dataclass(frozen=True)
class Proven:
    """A chunk of a tree: where it lies, its SHA-256, and the proof that it lies there."""

    start: int
    end: int
    data_hash: bytes
    path: bytes


@dataclass(frozen=True)
class Tree:
    """The root of some data, and all its chunks."""

    root: bytes
    chunks: list[Proven]


@dataclass
class _Subtree:
    id: bytes
    end: int
    leaves: list[tuple[int, int, bytes, list[bytes]]]
    """Of each leaf: start, end, hash, and the pieces of its proof from the bottom up."""


def build_tree(leaves: Iterable[tuple[int, int, bytes]]) -> Tree:
    """Join leaves (start, end, hash of the data) to a tree; without a leaf the root is empty."""
    level = [
        _Subtree(
            sha256(sha256(data_hash), sha256(note(end))),
            end,
            [(start, end, data_hash, [data_hash + note(end)])],
        )
        for start, end, data_hash in leaves
    ]
    if not level:
        return Tree(b"", [])
    while len(level) > 1:
        pairs = [_join(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + (level[-1:] if len(level) % 2 else [])
    return Tree(
        level[0].id,
        [
            Proven(start, end, data_hash, b"".join(reversed(pieces)))
            for start, end, data_hash, pieces in level[0].leaves
        ],
    )


def _join(left: _Subtree, right: _Subtree) -> _Subtree:
    for side in (left, right):
        for *_, pieces in side.leaves:
            pieces.append(left.id + right.id + note(left.end))
    return _Subtree(
        sha256(sha256(left.id), sha256(right.id), sha256(note(left.end))),
        right.end,
        left.leaves + right.leaves,
    )


def tree_of(data: bytes | Path, split: Split = split_arweave_js) -> Tree:
    """Return the tree of some data; a file is read chunk by chunk."""
    if isinstance(data, bytes):
        return build_tree((start, end, sha256(data[start:end])) for start, end in split(len(data)))
    with data.open("rb") as file:
        return build_tree(
            (start, end, sha256(file.read(end - start))) for start, end in split(data.stat().st_size)
        )


def validate_path(root: bytes, size: int, offset: int, path: bytes) -> Proven | None:
    """Return the chunk at an offset as its proof tells, or nothing where the proof does not hold."""
    if not 0 <= offset < size:
        return None
    start, end, node, rest = 0, size, root, path
    while len(rest) > LEAF_SIZE:
        if len(rest) < BRANCH_SIZE + LEAF_SIZE:
            return None
        left, right, border = rest[:32], rest[32:64], rest[64:BRANCH_SIZE]
        if sha256(sha256(left), sha256(right), sha256(border)) != node:
            return None
        split = int.from_bytes(border, "big")
        if offset < split:
            node, end = left, min(end, split)
        else:
            node, start = right, max(start, split)
        rest = rest[BRANCH_SIZE:]
    if len(rest) != LEAF_SIZE:
        return None
    data_hash, border = rest[:32], rest[32:]
    if sha256(sha256(data_hash), sha256(border)) != node or int.from_bytes(border, "big") != end:
        return None
    return Proven(start, end, data_hash, path)

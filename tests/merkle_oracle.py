"""Arweave's trees as one would build them by hand, node after node, with everything in memory."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from ritual_artifacts.chunks import SplitRule

CHUNK = 256 * 1024
RULES: tuple[SplitRule, ...] = ("arweave-js", "node", "naive")


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def note(offset: int) -> bytes:
    return offset.to_bytes(32)


@dataclass
class Node:
    """A leaf, which spans bytes from `start` to `end`, or a branch of two nodes."""

    start: int
    end: int
    parts: tuple[bytes, ...]
    children: tuple["Node", ...] = ()
    marked: bool = False
    """Whether offsets count from the node's own beginning in everything below it."""
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.id = sha256(*(sha256(part) for part in self.parts))

    def leaves(self) -> Iterator["Node"]:
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def proof(self, offset: int) -> bytes:
        """The path to the leaf with the byte at `offset`."""
        if not self.children:
            return b"".join(self.parts)
        below = self.children[0] if offset < self.children[0].end else self.children[1]
        return (bytes(32) if self.marked else b"") + b"".join(self.parts) + below.proof(offset)


def leaf(data: bytes, start: int, end: int, frame: int = 0) -> Node:
    return Node(start, end, (sha256(data[start:end]), note(end - frame)))


def branch(left: Node, right: Node, frame: int = 0, *, marked: bool = False) -> Node:
    parts = (left.id, right.id, note(left.end - frame))
    return Node(left.start, right.end, parts, (left, right), marked)


def split(size: int, rule: SplitRule) -> list[int]:
    """Lengths of the chunks, the empty one included."""
    lengths, rest = [], size
    if not size:
        return []
    while rest >= CHUNK:
        shared = rule == "arweave-js" and 0 < rest - CHUNK < 32 * 1024
        lengths.append(-(-rest // 2) if shared else CHUNK)
        rest -= lengths[-1]
    return [*lengths, rest] if rest or rule != "naive" else lengths


def tree(data: bytes, rule: SplitRule) -> Node | None:
    """The tree over data; None over no data."""
    ends = list(accumulate(split(len(data), rule)))
    layer = [leaf(data, start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return pair_up(layer) if layer else None


def pair_up(layer: Sequence[Node]) -> Node:
    while len(layer) > 1:
        pairs = [branch(layer[i], layer[i + 1]) for i in range(0, len(layer) - 1, 2)]
        layer = [*pairs, *layer[len(pairs) * 2 :]]
    return layer[0]


def root(data: bytes, rule: SplitRule) -> bytes:
    """The `data_root`; empty for no data."""
    top = tree(data, rule)
    return top.id if top else b""

"""Chunks on disk: of each data root one sparse file with the bytes and one with the proofs."""

import threading
from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.arweave.encoding import b64
from tests.servers.arweave.merkle import Proven
from tests.servers.replies import Slice


@dataclass(frozen=True)
class StoredChunk:
    """A chunk that is here: where it lies in the data, and its proof in the file of proofs."""

    start: int
    end: int
    proof: Slice


@dataclass
class DataRoot:
    """The chunks of some data, as far as they have come."""

    root: bytes
    size: int
    path: Path
    chunks: dict[int, StoredChunk] = field(default_factory=dict)
    """By start."""
    starts: list[int] = field(default_factory=list)
    stored: int = 0
    """Bytes that are here."""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.path.touch()
        self.proofs = self.path.with_suffix(".proofs")
        self.proofs.touch()

    def store(self, chunk: Proven, data: bytes) -> None:
        """Keep a proven chunk; one that is here already is left as it is."""
        with self._lock:
            if chunk.start in self.chunks:
                return
            with self.path.open("r+b") as file:
                file.seek(chunk.start)
                file.write(data)
            with self.proofs.open("ab") as file:
                place = file.tell()
                file.write(chunk.path)
            proof = Slice(self.proofs, place, place + len(chunk.path))
            self.chunks[chunk.start] = StoredChunk(chunk.start, chunk.end, proof)
            insort(self.starts, chunk.start)
            self.stored += chunk.end - chunk.start

    def lose(self, starts: Iterable[int] | None = None) -> None:
        """Forget chunks, by their starts; none given: all."""
        with self._lock:
            for start in list(self.starts if starts is None else starts):
                chunk = self.chunks.pop(start)
                self.starts.remove(start)
                self.stored -= chunk.end - chunk.start

    @property
    def complete(self) -> bool:
        return self.stored == self.size

    def chunk_at(self, offset: int) -> StoredChunk | None:
        """Return the chunk that holds the byte at an offset, if it is here."""
        with self._lock:
            place = bisect_right(self.starts, offset) - 1
            chunk = self.chunks[self.starts[place]] if place >= 0 else None
            return chunk if chunk is not None and offset < chunk.end else None

    def gap(self, start: int, stop: int) -> int:
        """Return where, from `start` on, the first byte is missing; `stop` where none is."""
        while start < stop and (chunk := self.chunk_at(start)):
            start = chunk.end
        return min(start, stop)


class ChunkStore:
    """All data roots of a node. A data root of another size is another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots: dict[tuple[bytes, int], DataRoot] = {}
        self._lock = threading.Lock()

    def open(self, root: bytes, size: int) -> DataRoot:
        with self._lock:
            if (root, size) not in self.roots:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.roots[root, size] = DataRoot(root, size, self.folder / f"{b64(root) or 'empty'}-{size}")
            return self.roots[root, size]

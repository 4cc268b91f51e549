"""The chunks of one transaction, each verified with its proof against the signed data root."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from ritual_artifacts import workers
from ritual_artifacts.backends.arweave.encoding import decode
from ritual_artifacts.backends.arweave.gateway import Answer, check_found, read_json
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.transaction import ForgedDataError, Transaction
from ritual_artifacts.core.chunks import CHUNK_BYTES, check_chunk, chunk_starts
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, TransferError


@dataclass(frozen=True)
class Chunk:
    """A chunk, verified.

    Attributes:
        start: Offset of its first byte in the transaction's data.
        data: Its bytes.
        proof: The `data_path` that proves them.
    """

    start: int
    data: bytes
    proof: bytes


class ChunkReader:
    """Reads the chunks of one transaction from any gateway."""

    def __init__(self, network: Network, transaction: Transaction) -> None:
        """Prepare; nothing is sent."""
        self._network = network
        self._id = transaction.id
        self._size = transaction.data_size
        self._root = transaction.data_root
        self._end: int | None = None  # where the data ends on the weave, once a chunk was found there

    def read(self, offset: int) -> Chunk:
        """Return the chunk with the byte at `offset`.

        Where the data is on the weave is a gateway's word, and counts only where the chunk is found there.

        Raises:
            ArtifactNotFoundError: no gateway has the chunk.
            TransferError: no gateway could be reached.
            BackendError: no gateway sent a valid one.
        """
        refusals: dict[int, BackendError] = {}
        end = self._end
        while True:
            try:
                end = end or self._network.read_data_end(self._id, self._size, rejected=refusals)
            except BackendError as error:
                if isinstance(error, TransferError):  # a gateway that was not asked may know the place
                    raise
                lost = (e for e in refusals.values() if isinstance(e, ArtifactNotFoundError))
                raise next(lost, next(iter(refusals.values()), error)) from None
            try:
                chunk = self._read_at(offset, end)
            except TransferError:
                raise
            except BackendError as error:
                refusals[end], end = error, None
            else:
                self._end = end
                return chunk

    def read_from(self, offset: int) -> Iterator[bytes]:
        """Yield the data from `offset` to its end, every byte verified; see `read`."""
        while offset < self._size:
            chunk = self.read(offset)
            yield chunk.data[offset - chunk.start :]
            offset = chunk.start + len(chunk.data)

    def has(self, offset: int) -> bool:
        """Return whether a gateway still has the chunk with the byte at `offset`.

        Raises:
            TransferError: no gateway could be reached.
            BackendError: no gateway sent a valid one.
        """
        try:
            self.read(offset)
        except ArtifactNotFoundError:
            return False
        return True

    def find_lost(self) -> list[int]:
        """Return the indexes of the chunks that no gateway has, as arweave-js splits the data.

        Raises:
            BackendError: no gateway could say whether a chunk is there.
        """
        waiting = enumerate(chunk_starts(self._size))  # there may be millions
        lock = threading.Lock()

        def find(_: int) -> list[int]:
            lost: list[int] = []
            while True:
                workers.check()
                with lock:
                    index, start = next(waiting, (-1, 0))
                if index < 0:
                    return lost
                if not self.has(start):
                    lost.append(index)

        count = min(self._network.max_workers, -(-self._size // CHUNK_BYTES))
        return sorted(index for lost in self._network.each(find, range(count)) for index in lost)

    def _read_at(self, offset: int, end: int) -> Chunk:
        place = end - self._size + 1 + offset

        def accept(answer: Answer) -> Chunk:
            check_found(answer, "the chunk")
            values = read_json(answer, f"/chunk/{place}")
            if not isinstance(values, dict):
                message = "expected a chunk as a JSON object"
                raise BackendError(message)
            data, proof = decode(values.get("chunk"), "a chunk"), decode(values.get("data_path"), "a proof")
            try:
                start, _ = check_chunk(self._root, self._size, offset, proof, data)
            except BackendError as error:
                raise ForgedDataError(str(error)) from None
            return Chunk(start, data, proof)

        return self._network.ask(f"/chunk/{place}", f"downloading a chunk of {self._id}", accept)

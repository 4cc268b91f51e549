"""A stored transaction, whose data is streamed unverified and repaired with the signed Merkle tree.

The caller compares the received bytes with the artifact's manifest. If they differ, the tree shows which
bytes are invalid, and which gateway sent them. That gateway is not used for this transaction again.
"""

import contextlib
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx2

from ritual_artifacts.backends.arweave.asking import Later, Outcome, Refused, Took, Turns
from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.backends.arweave.gateway import MAX_ANSWER_BYTES, Gateway
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.reading.chunks import ChunkReader
from ritual_artifacts.backends.arweave.reading.provenance import Provenance
from ritual_artifacts.backends.arweave.reading.routes import BY_CHUNKS, Route, take
from ritual_artifacts.backends.arweave.reading.stored import Stored
from ritual_artifacts.backends.arweave.transaction import ForgedDataError, Transaction
from ritual_artifacts.backends.http import describe, from_position
from ritual_artifacts.core.chunks import find_valid_prefix, has_data_root
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
    Mismatch,
    NotFinalizedError,
    TransferError,
)

log = logging.getLogger(__name__)

_SAMPLES: Final = 4


class StoredTransaction(Stored):
    """A transaction whose data is on the weave.

    Attributes:
        data_root: Root of the Merkle tree over the data's chunks; empty where there is no data.
        chunks: Reads its chunks one by one.
    """

    def __init__(self, network: Network, transaction: Transaction) -> None:
        """Describe a verified transaction; nothing is sent."""
        super().__init__(transaction.id, transaction.address, transaction.tags, transaction.data_size)
        self.data_root = transaction.data_root
        self.chunks = ChunkReader(network, transaction)
        self._network = network
        self._provenance = Provenance(transaction.id)

    @property
    def holder(self) -> str:
        """The transaction itself."""
        return self.id

    def stream(self, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield data from `offset` to its end, not verified; see `Stored`."""
        if offset < self.data_size:
            yield from _Download(self, self._network, offset, self._provenance.note).run(self._routes())

    def read(self, limit: int) -> bytes:
        """Return all data, verified; see `Stored`."""
        if self.data_size > limit:
            message = f"{self.id} has {self.data_size} bytes, expected at most {limit}"
            raise BackendError(message)
        if not self.data_size:
            return b""
        while True:
            try:
                data = b"".join(self.stream())
            except ForgedDataError:
                data = None
            if data is not None and has_data_root(data, self.data_root):
                return data
            if data is None or not self.distrust():
                expected = f"data root {encode(self.data_root)}"
                mismatch = Mismatch(self.id, expected, "other bytes, from every gateway", "Arweave")
                raise IntegrityError.of([mismatch])

    def repair_point(self, path: Path) -> int | None:
        """Return how many bytes at the start of a copy are the signed ones; see `Stored`.

        Where no proof says which byte is wrong, every gateway that sent an unproven byte is distrusted.
        """
        size = self.data_size
        if path.stat().st_size == size and has_data_root(path, self.data_root):
            return None
        valid, is_next_wrong = 0, False
        try:
            valid, is_next_wrong = find_valid_prefix(path, self.data_root, size, self._read_proof)
        except BackendError as error:
            log.info("no proof says which bytes of %s are wrong: %s", self.id, error)
        if valid == size:
            return None
        may_help = self._provenance.distrust(valid, valid + 1 if is_next_wrong else size)
        return valid if may_help and self._can_continue(valid) else None

    def distrust(self) -> bool:
        """Never again use a gateway that sent any byte of the data so far; see `Stored`."""
        return self._provenance.distrust(0, self.data_size)

    def is_retrievable(self, source: Path | bytes) -> bool:
        """Return whether gateways still have the data, of which some places are compared; see `Stored`."""
        if not self.data_size:
            return True
        last = self.data_size - 1
        try:
            for offset in sorted({last * step // _SAMPLES for step in range(_SAMPLES + 1)}):
                with contextlib.closing(self.stream(offset)) as blocks:
                    block = next(blocks)
                if block != _read_at(source, offset, len(block)):
                    self.chunks.read(offset)  # a gateway sent wrong bytes; a chunk is verified
        except ArtifactNotFoundError as error:
            log.info("some data of %s is not available: %s", self.id, error)
            return False
        return True

    def _read_proof(self, offset: int) -> bytes:
        return self.chunks.read(offset).proof

    def _can_continue(self, offset: int) -> bool:
        """Return whether a route is left that sent no wrong byte of this data."""
        if any(route is not BY_CHUNKS for route in self._routes()):
            return True
        try:
            self.chunks.read(offset)
        except BackendError:
            return False
        return True

    def _routes(self) -> Iterator[Route]:
        for template, encoded in (("/raw/{}", False), ("/{}", False), ("/tx/{}/data", True)):
            if self.is_path_manifest and template == "/{}":
                continue  # a gateway answers with what the path manifest leads to
            for gateway in self._network.gateways:
                route = Route(gateway, template, encoded)
                if not self._provenance.is_distrusted(route):
                    yield route
        yield BY_CHUNKS


class _Download:
    """One run over the data of a transaction, from an offset to the end."""

    def __init__(
        self,
        stored: StoredTransaction,
        network: Network,
        offset: int,
        note: Callable[[Route, int, int], None],
    ) -> None:
        self._stored = stored
        self._network = network
        self._position = offset
        self._note = note
        self._doing = f"downloading the data of {stored.id}"

    def run(self, routes: Iterator[Route]) -> Generator[bytes, None, None]:
        turns = Turns(routes, self._doing, self._network.context)
        for route in turns:
            outcome = yield from self._attempt(route, turns.retries.reset)
            if isinstance(outcome, Took):
                return
            turns.note(route, outcome)
        raise _explain_absence(self._stored.id, turns.refusals)

    def _attempt(self, route: Route, progress: Callable[[], None]) -> Generator[bytes, None, Outcome[None]]:
        """Yield what arrives by a route, and return the outcome."""
        outcome: Refused | Later | None = None
        try:
            if route.gateway is None:
                yield from self._pass_on(route, self._stored.chunks.read_from(self._position), progress)
            else:
                outcome = yield from self._attempt_gateway(route, route.gateway, progress)
        except (ArtifactNotFoundError, NotFinalizedError, ForgedDataError) as error:
            outcome = Refused(error)
        except TransferError as error:
            outcome = Later(str(error))
        except BackendError as error:  # chunks that gateways refuse, or a body that is not base64url
            outcome = Refused(error)
        except httpx2.HTTPError as error:
            outcome = Later(describe(error))
        size = self._stored.data_size
        if self._position >= size:
            return Took(None)
        return outcome or Later(f"the data ended at {self._position} of {size} bytes")

    def _attempt_gateway(
        self, route: Route, gateway: Gateway, progress: Callable[[], None]
    ) -> Generator[bytes, None, Refused | Later | None]:
        start = self._position
        headers = {"range": f"bytes={start}-"} if start and not route.encoded else {}
        with gateway.open(route.path(self._stored.id), headers) as response:
            if (problem := gateway.judge(response)) is not None:
                return problem
            if route.encoded:
                blocks = iter([_decode_body(response, self._stored.id)[start:]])
            else:
                blocks = from_position(response, start, self._doing)
            yield from self._pass_on(route, blocks, progress)
        return None

    def _pass_on(
        self, route: Route, blocks: Iterator[bytes], progress: Callable[[], None]
    ) -> Generator[bytes, None, None]:
        """Yield blocks up to the end of the data, and remember where they came from."""
        for block in blocks:
            part = block[: self._stored.data_size - self._position]
            if not part:
                continue
            self._note(route, self._position, self._position + len(part))
            self._position += len(part)
            progress()
            yield part
            if self._position >= self._stored.data_size:
                return


def _decode_body(response: httpx2.Response, name: str) -> bytes:
    """Read a body that is base64url, as nodes send data of up to 12 MiB."""
    body = take(response.iter_bytes(), MAX_ANSWER_BYTES)
    return decode(body.decode("ascii", errors="replace"), f"the data of {name}")


def _read_at(source: Path | bytes, offset: int, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + size]
    with source.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _explain_absence(name: str, refusals: Sequence[tuple[Route, BackendError]]) -> BackendError:
    """Return why no route gave the data; it is lost only where every gateway says so."""
    errors = [error for _, error in refusals]
    if any(isinstance(error, NotFinalizedError) for error in errors):
        return NotFinalizedError(f"the data of {name} is not mined yet; try again in some minutes")
    forged = next((error for error in errors if isinstance(error, ForgedDataError)), None)
    if forged is not None:
        return forged
    doubts = [
        f"{route}: {error}" for route, error in refusals if not isinstance(error, ArtifactNotFoundError)
    ]
    if doubts:
        return TransferError(
            f"no gateway sends the data of {name} ({'; '.join(doubts)}); try again later, or use other "
            f"gateways",
            retryable=True,
        )
    reason = f" ({errors[-1]})" if errors else ""
    return ArtifactNotFoundError(
        f"no gateway has the data of {name}{reason}; it may not have spread to them yet; if the network lost "
        f"it, its owner can post it again at no cost: upload the same with the option reseed"
    )

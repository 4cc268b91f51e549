"""Data from gateways that nobody trusts: signed transactions, and what their roots stand for.

What is streamed is compared with the artifact's manifest as it is written. Where that fails, the Merkle
tree that the owner has signed says which bytes are wrong, and so which gateway lied: it is not asked for
them again.
"""

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar

import httpx2

from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.backends.arweave.gateway import (
    MAX_ANSWER_BYTES,
    Answer,
    Gateway,
    check_found,
    read_json,
)
from ritual_artifacts.backends.arweave.network import Listed, Network
from ritual_artifacts.backends.arweave.transaction import Tags, Transaction, find_tag, is_signed
from ritual_artifacts.backends.arweave.wallet import address_of
from ritual_artifacts.backends.http import RETRYABLE, Patience, describe, from_position, retry_after
from ritual_artifacts.chunks import (
    check_chunk,
    chunk_spans,
    find_good_prefix,
    has_data_root,
)
from ritual_artifacts.data_items import bundle_index_length, parse_bundle, parse_data_item
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
    Mismatch,
    NotFinalizedError,
)

Value = TypeVar("Value")

log = logging.getLogger(__name__)

PATH_MANIFEST_TYPE: Final = "application/x.arweave-manifest+json"
"""`Content-Type` of a transaction whose data names others."""
MAX_ITEM_BYTES: Final = 64 << 20
"""Of a data item, which is held in memory: its signature covers all of its data."""

RSA_SIGNATURE: Final = 1
"""The type of a data item's signature that an Arweave wallet makes."""

_SAMPLES: Final = 4
_MAX_KEPT_ITEM_BYTES: Final = 64 << 20
_MAX_BUNDLE_INDEX_BYTES: Final = 16 << 20
_BUNDLE_COUNT_BYTES: Final = 32


@dataclass(frozen=True)
class Stored:
    """A transaction or data item, proven to be its owner's.

    Attributes:
        id: Its id.
        address: The owner's address.
        tags: Names and values.
        data_size: Bytes of its data.
        data_root: Root of the Merkle tree over the data; empty for a data item, whose signature covers the
            data.
        listed: What an index says about it.
    """

    id: str
    address: str
    tags: Tags
    data_size: int
    data_root: bytes
    listed: Listed

    @property
    def bundle(self) -> str | None:
        """The transaction whose data holds it, for a data item."""
        return self.listed.bundle

    @property
    def unix_time(self) -> float:
        """When the owner says that it was made; 0 where that is not said."""
        try:
            return float(self.tag("Unix-Time") or 0)
        except ValueError:
            return 0.0

    def tag(self, name: str) -> str | None:
        """Return the value of a tag; None where there is none."""
        return find_tag(self.tags, name)

    def has_tags(self, tags: Mapping[str, str]) -> bool:
        """Say whether each of these tags is there with this very value."""
        return all(self.tag(name) == value for name, value in tags.items())


@dataclass(frozen=True)
class _Route:
    """One way to get data: a gateway, and what it calls the data."""

    gateway: Gateway | None
    template: str
    encoded: bool = False

    def path(self, name: str) -> str:
        return self.template.format(name)

    def __str__(self) -> str:
        return "the chunks" if self.gateway is None else f"{self.gateway}{self.template}"


_BY_CHUNKS: Final = _Route(None, "")


class DataReader:
    """Reads what is stored, through whichever gateway tells the truth."""

    def __init__(self, network: Network) -> None:
        """Prepare; nothing is asked yet."""
        self._network = network
        self._lock = threading.Lock()
        self._known: dict[str, Stored] = {}
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._indexes: dict[str, dict[str, tuple[int, int]]] = {}
        self._ends: dict[str, int] = {}
        self._liars: set[tuple[str, _Route]] = set()
        self._served: dict[str, list[tuple[int, int, _Route]]] = {}

    # --- what something is ---

    def read_stored(self, listed: Listed) -> Stored:
        """Fetch and prove what an index lists.

        Raises:
            ArtifactNotFoundError: no gateway has it.
            NotFinalizedError: it is not mined yet.
            BackendError: no gateway tells the truth about it.
        """
        with self._lock:
            known = self._known.get(listed.id)
        if known is not None:
            return replace(known, listed=listed)
        if listed.bundle is None:
            transaction = self._network.read_transaction(listed.id)
            stored = _describe(transaction, listed)
        else:
            stored, _ = self._read_item(listed, listed.bundle)
        with self._lock:
            self._known[listed.id] = stored
        return stored

    def read_by_id(self, name: str, *, bundle: str | None = None) -> Stored:
        """Fetch and prove a transaction or a data item by its id alone.

        Args:
            name: The id.
            bundle: A transaction that may hold it.

        Raises:
            ArtifactNotFoundError: no gateway has it.
            NotFinalizedError: it is not mined yet.
            BackendError: no gateway tells the truth about it.
        """
        with self._lock:
            if name in self._known:
                return self._known[name]
        if bundle is not None and name in self._read_index(bundle):
            return self.read_stored(Listed(name, None, 0, bundle))
        try:
            return self.read_stored(Listed(name, None, 0, None))
        except (
            ArtifactNotFoundError
        ):  # a data item has no transaction of its own; an index may know its bundle
            listed = self._network.list_by_id([name]).get(name)
            if listed is None or listed.bundle is None:
                raise
            return self.read_stored(listed)

    # --- small data ---

    def read_small(self, stored: Stored, *, limit: int) -> bytes:
        """Return all data of a transaction or data item, proven.

        Raises:
            IntegrityError: no gateway has sent the true bytes.
            TransferError: no gateway has sent the bytes.
            BackendError: the data is larger than `limit`.
        """
        if stored.data_size > limit:
            message = f"{stored.id} has {stored.data_size} bytes, expected at most {limit}"
            raise BackendError(message)
        if not stored.data_size:
            return b""
        if stored.bundle is not None:
            return self._read_item_data(stored)
        while True:
            data = b"".join(self.stream(stored))
            if has_data_root(data, stored.data_root):
                return data
            if not self.blame(stored):
                raise IntegrityError.of([_wrong_root(stored)])

    # --- large data ---

    def stream(self, stored: Stored, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield data from `offset` to its end, unproven; another gateway continues where one stops.

        Raises:
            ArtifactNotFoundError: no gateway has it.
            NotFinalizedError: it is not mined yet.
            TransferError: the bytes stopped arriving.
        """
        if stored.bundle is not None:
            yield self._read_item_data(stored)[offset:]
            return
        doing = f"fetching the data of {stored.id}"
        patience = Patience(doing)
        absent: dict[_Route, _AbsentError] = {}
        position = offset
        while position < stored.data_size:
            problem, pause = "", None
            for route in self._routes(stored, absent):
                try:
                    for block in self._read_route(route, stored, position, doing):
                        self._note(stored, route, position, position + len(block))
                        position += len(block)
                        patience.renew()
                        yield block
                except _AbsentError as error:
                    absent[route] = error
                except _TemporaryError as error:
                    problem, pause = f"{route}: {error}", error.retry_after
                else:
                    problem = f"{route} ended at {position} of {stored.data_size} bytes"
                if position >= stored.data_size:
                    return
            if not problem:
                raise _explain_absence(stored, list(absent.values()))
            patience.wait(problem, pause)

    def find_good_prefix(self, stored: Stored, path: Path) -> int | None:
        """Return how many bytes at the beginning of a copy are what the owner has signed.

        Whoever sent the first wrong byte is not asked for this data again.

        Args:
            stored: The transaction.
            path: The copy, which is not what the manifest promises.

        Returns:
            None where fetching the rest again would not help: the copy is what was signed, or nobody is
                left who
            could send something else.
        """
        if stored.bundle is not None:  # its signature was checked over all of its data
            return None
        if path.stat().st_size == stored.data_size and has_data_root(path, stored.data_root):
            return None
        try:
            good = find_good_prefix(
                path, stored.data_root, stored.data_size, lambda offset: self._read_proof(stored, offset)
            )
        except BackendError as error:
            log.info("nobody says which bytes of %s are wrong: %s", stored.id, error)
            good = None
        if not self.blame(stored, good) or not self._can_go_on(stored, good or 0):
            return None
        return good or 0

    def _can_go_on(self, stored: Stored, offset: int) -> bool:
        """Say whether somebody is left to ask, who has not lied about this data yet."""
        if any(route is not _BY_CHUNKS for route in self._routes(stored, ())):
            return True
        try:
            self._read_chunk(stored, offset)
        except BackendError:
            return False
        return True

    # --- what is still there ---

    def is_retrievable(self, stored: Stored, source: Path | bytes) -> bool:
        """Say whether gateways still have the data; of much data, some places are compared with `source`."""
        if stored.bundle is not None or not stored.data_size:
            return True  # an item was read as a whole already
        last = stored.data_size - 1
        try:
            for offset in sorted({last * step // _SAMPLES for step in range(_SAMPLES + 1)}):
                with contextlib.closing(self.stream(stored, offset)) as blocks:
                    block = next(blocks)
                if block != _read_at(source, offset, len(block)):
                    self._read_chunk(stored, offset)  # somebody lies; a chunk proves itself
        except BackendError as error:
            log.info("not all data of %s is there: %s", stored.id, error)
            return False
        return True

    def has_chunk(self, stored: Stored, offset: int) -> bool:
        """Say whether a gateway still has the chunk with the byte at `offset`.

        Raises:
            TransferError: no gateway could be reached.
        """
        try:
            self._read_chunk(stored, offset)
        except ArtifactNotFoundError:
            return False
        return True

    def find_lost_chunks(self, stored: Stored) -> list[int]:
        """Return the indexes of the chunks that no gateway has, as arweave-js splits the data."""
        lost = []
        for index, (start, _) in enumerate(chunk_spans(stored.data_size)):
            try:
                self._read_chunk(stored, start)
            except ArtifactNotFoundError:
                lost.append(index)
        return lost

    def _routes(self, stored: Stored, absent: Collection[_Route]) -> Iterator[_Route]:
        # A gateway answers a path manifest's own address with what it leads to.
        is_resolved = stored.tag("Content-Type") == PATH_MANIFEST_TYPE
        templates = [("/raw/{}", False), ("/{}", False), ("/tx/{}/data", True)]
        for template, encoded in templates:
            if is_resolved and template == "/{}":
                continue
            for gateway in self._network.gateways:
                route = _Route(gateway, template, encoded)
                if route not in absent and (stored.id, route) not in self._liars:
                    yield route
        if _BY_CHUNKS not in absent:
            yield _BY_CHUNKS

    def _note(self, stored: Stored, route: _Route, start: int, end: int) -> None:
        with self._lock:
            pieces = self._served.setdefault(stored.id, [])
            if pieces and pieces[-1][1:] == (start, route):
                start = pieces.pop()[0]
            pieces.append((start, end, route))

    def blame(self, stored: Stored, offset: int | None = None) -> bool:
        """Ask nobody again who sent the byte at `offset`, or any byte where it is not known which is wrong.

        Returns:
            Whether it makes sense to fetch something again.
        """
        with self._lock:
            pieces = self._served.pop(stored.id, [])
            guilty = {route for start, end, route in pieces if offset is None or start <= offset < end}
            guilty.discard(_BY_CHUNKS)  # each of these was proven when it came
            self._liars |= {(stored.id, route) for route in guilty}
            for route in guilty:
                log.warning("%s sent wrong bytes of %s, and is not asked for them again", route, stored.id)
            # What an earlier process left behind is nobody's here; it is fetched anew.
            was_left_behind = not any(offset is None or start <= offset < end for start, end, _ in pieces)
        return bool(guilty) or was_left_behind

    def _read_route(self, route: _Route, stored: Stored, position: int, doing: str) -> Iterator[bytes]:
        if route.gateway is None:
            with _sorted_out():
                yield from self._read_chunks(stored, position)
            return
        headers = {"range": f"bytes={position}-"} if position and not route.encoded else {}
        left = stored.data_size - position
        with _sorted_out(), route.gateway.open(route.path(stored.id), headers) as response:
            _check_answer(response)
            blocks = (
                iter([_decode_body(response, stored)[position:]])
                if route.encoded
                else from_position(response, position, doing)
            )
            for block in filter(None, blocks):  # no bytes are no progress
                yield block[:left]
                left -= len(block)
                if left <= 0:  # what follows cannot be part of it
                    return

    def _read_chunks(self, stored: Stored, position: int) -> Iterator[bytes]:
        while position < stored.data_size:
            start, chunk, _ = self._read_chunk(stored, position)
            yield chunk[position - start :]
            position = start + len(chunk)

    def _read_proof(self, stored: Stored, offset: int) -> bytes:
        return self._read_chunk(stored, offset)[2]

    def _read_chunk(self, stored: Stored, offset: int) -> tuple[int, bytes, bytes]:
        """Return the chunk with the byte at `offset`: its start, its bytes and its proof, all proven."""
        end = self._ends.get(stored.id)
        if end is None:
            end = self._ends[stored.id] = self._network.read_data_end(stored.id, stored.data_size)
        place = end - stored.data_size + 1 + offset

        def accept(answer: Answer) -> tuple[int, bytes, bytes]:
            check_found(answer, "the chunk")
            values = read_json(answer, f"/chunk/{place}")
            if not isinstance(values, dict):
                message = "the chunk is no JSON object"
                raise BackendError(message)
            chunk, proof = decode(values.get("chunk"), "a chunk"), decode(values.get("data_path"), "a proof")
            start, _ = check_chunk(stored.data_root, stored.data_size, offset, proof, chunk)
            return start, chunk, proof

        return self._network.ask(f"/chunk/{place}", f"fetching a chunk of {stored.id}", accept)

    # --- data items ---

    def _read_item(self, listed: Listed, bundle: str) -> tuple[Stored, bytes]:
        """Fetch a data item out of its bundle and prove it: its signature covers header and data."""
        place = self._read_index(bundle).get(listed.id)
        if place is None:
            message = f"the bundle {bundle} has no data item {listed.id}"
            raise ArtifactNotFoundError(message)
        offset, size = place
        if size > MAX_ITEM_BYTES:
            message = (
                f"the data item {listed.id} has {size} bytes, more than the {MAX_ITEM_BYTES} that are read"
            )
            raise BackendError(message)

        def accept(data: bytes) -> tuple[Stored, bytes]:
            item = parse_data_item(data)
            is_proven = item.signature_type == RSA_SIGNATURE and is_signed(
                item.owner, item.signature, item.message
            )
            if item.id != listed.id or not is_proven:
                message = f"the data item {listed.id} is not what its owner has signed"
                raise BackendError(message)
            address = address_of(item.owner)
            content = data[item.data_offset :]
            return Stored(listed.id, address, item.tags, len(content), b"", listed), content

        stored, content = self._read_part(bundle, offset, size, accept)
        with self._lock:
            self._items[listed.id] = content
            while sum(map(len, self._items.values())) > _MAX_KEPT_ITEM_BYTES and len(self._items) > 1:
                self._items.popitem(last=False)
        return stored, content

    def _read_item_data(self, stored: Stored) -> bytes:
        with self._lock:
            content = self._items.get(stored.id)
        if content is None and stored.bundle is not None:
            _, content = self._read_item(stored.listed, stored.bundle)  # others may push it out at once
        return content or b""

    def _read_index(self, bundle: str) -> dict[str, tuple[int, int]]:
        """Return where each data item is in the data of a bundle; each item proves itself when it is read."""
        with self._lock:
            if bundle in self._indexes:
                return self._indexes[bundle]
        length = self._read_part(bundle, 0, _BUNDLE_COUNT_BYTES, bundle_index_length)
        if length > _MAX_BUNDLE_INDEX_BYTES:
            message = f"the index of the bundle {bundle} has {length} bytes, more than are read"
            raise BackendError(message)
        entries = self._read_part(bundle, 0, length, parse_bundle)
        index = {entry.id: (entry.offset, entry.size) for entry in entries}
        with self._lock:
            self._indexes[bundle] = index
        return index

    def _read_part(self, name: str, offset: int, size: int, accept: Callable[[bytes], Value]) -> Value:
        """Read a part of a transaction's data from whoever sends one that `accept` takes."""
        doing = f"reading {size} bytes of {name}"
        patience = Patience(doing)
        headers = {"range": f"bytes={offset}-{offset + size - 1}"}
        while True:
            problem, pause, refusal = "", None, BackendError(f"{doing}: there is no gateway")
            for gateway in self._network.gateways:
                try:
                    with _sorted_out(), gateway.open(f"/raw/{name}", headers) as response:
                        _check_answer(response)
                        data = _take(from_position(response, offset, doing), size)
                    return accept(data)
                except _AbsentError as error:
                    refusal = error.cause
                except _TemporaryError as error:
                    problem, pause = f"{gateway}: {error}", error.retry_after
                except BackendError as error:  # what came is not what its owner has signed
                    refusal = error
            if not problem:
                raise refusal
            patience.wait(problem, pause)


class _TemporaryError(Exception):
    """A gateway may answer better later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _AbsentError(Exception):
    """A gateway does not have the data, and will not have it soon."""

    def __init__(self, cause: BackendError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextlib.contextmanager
def _sorted_out() -> Iterator[None]:
    """Sort what goes wrong in the block into what may pass and what will not."""
    try:
        yield
    except (ArtifactNotFoundError, NotFinalizedError) as error:
        raise _AbsentError(error) from None
    except BackendError as error:
        raise _TemporaryError(str(error)) from None
    except httpx2.HTTPError as error:
        raise _TemporaryError(describe(error)) from None


def _describe(transaction: Transaction, listed: Listed) -> Stored:
    return Stored(
        transaction.id,
        transaction.address,
        transaction.tags,
        transaction.data_size,
        transaction.data_root,
        listed,
    )


def _check_answer(response: httpx2.Response) -> None:
    """Check that a body follows which may be the data.

    Raises:
        _TemporaryError: the same request may succeed later.
        ArtifactNotFoundError: it will not.
        NotFinalizedError: the data is not mined yet.
    """
    if response.status_code in RETRYABLE:
        message = f"answered {response.status_code}"
        raise _TemporaryError(message, retry_after(response))
    if response.status_code == HTTPStatus.ACCEPTED:
        message = "it is not mined yet; that takes some minutes, so try again later"
        raise NotFinalizedError(message)
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        message = f"answered {response.status_code}"
        raise ArtifactNotFoundError(message)


def _decode_body(response: httpx2.Response, stored: Stored) -> bytes:
    """Read a body that is base64url, as nodes send data of up to 12 MiB."""
    body = _take(response.iter_bytes(), MAX_ANSWER_BYTES)
    return decode(body.decode("ascii", errors="replace"), f"the data of {stored.id}")


def _read_at(source: Path | bytes, offset: int, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + size]
    with source.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _take(blocks: Iterator[bytes], size: int) -> bytes:
    data = bytearray()
    for block in blocks:
        data += block
        if len(data) >= size:
            break
    return bytes(data[:size])


def _explain_absence(stored: Stored, causes: list[_AbsentError]) -> BackendError:
    for cause in causes:
        if isinstance(cause.cause, NotFinalizedError):
            return NotFinalizedError(f"the data of {stored.id} is not mined yet; try again in some minutes")
    said = f" ({causes[-1]})" if causes else ""
    return ArtifactNotFoundError(
        f"no gateway has the data of {stored.id}{said}; it may not be spread yet, or was never uploaded whole"
    )


def _wrong_root(stored: Stored) -> Mismatch:
    expected = f"data root {encode(stored.data_root)}"
    return Mismatch(stored.id, expected, "other bytes, from every gateway", "Arweave")

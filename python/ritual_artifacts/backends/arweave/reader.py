"""Data from gateways that nobody trusts: signed transactions, and what their roots stand for.

What is streamed is compared with the artifact's manifest as it is written. Where that fails, the Merkle
tree that the owner has signed says which bytes are wrong, and so which gateway lied: it is not asked for
them again.
"""

import contextlib
import functools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import httpx2

from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.backends.arweave.gateway import MAX_ANSWER_BYTES, Answer, check_found, read_json
from ritual_artifacts.backends.arweave.network import Listed, Network
from ritual_artifacts.backends.arweave.routes import (
    BY_CHUNKS,
    AbsentError,
    Route,
    Senders,
    TemporaryError,
    check_answer,
    sorted_out,
    take,
)
from ritual_artifacts.backends.arweave.transaction import Tags, Transaction, find_tag, is_signed
from ritual_artifacts.backends.arweave.wallet import address_of
from ritual_artifacts.backends.http import Patience, from_position
from ritual_artifacts.core.chunks import (
    CHUNK_BYTES,
    check_chunk,
    chunk_starts,
    find_good_prefix,
    has_data_root,
)
from ritual_artifacts.core.data_items import bundle_index_length, parse_bundle, parse_data_item
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
    Mismatch,
    NotFinalizedError,
    TransferError,
)
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.workers import Job, run_jobs

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


class DataReader:
    """Reads what is stored, through whichever gateway tells the truth."""

    def __init__(self, network: Network, *, max_workers: int) -> None:
        """Prepare; nothing is asked yet.

        Args:
            network: The gateways.
            max_workers: Requests in flight at once, where there are many to send.
        """
        self._network = network
        self._max_workers = max_workers
        self._lock = threading.Lock()
        self._crowd = threading.Lock()
        self._known: dict[str, Stored] = {}
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._indexes: dict[tuple[str, Route], dict[str, tuple[int, int]]] = {}
        self._ends: dict[str, int] = {}
        self._senders = Senders()

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
        if bundle is not None and self._seems_to_hold(bundle, name):
            with contextlib.suppress(ArtifactNotFoundError):
                return self.read_stored(Listed(name, None, 0, bundle))
        try:
            return self.read_stored(Listed(name, None, 0, None))
        except ArtifactNotFoundError:  # of a data item; an index may know its bundle
            listed = self._network.list_by_id([name]).get(name)
            if listed is None or listed.bundle is None:
                if bundle is None:
                    raise
                listed = Listed(name, None, 0, bundle)
            return self.read_stored(listed)

    def read_all_by_id(self, names: Sequence[str], *, bundle: str | None = None) -> list[Stored]:
        """Fetch and prove many transactions or data items, several at a time; see `read_by_id`.

        Raises:
            BackendError: one of them could not be read.
        """

        def read(name: str, job: Job) -> Stored:
            job.advance(0)  # which ends it when another one has failed
            return self.read_by_id(name, bundle=bundle)

        jobs = [functools.partial(read, name) for name in names]
        with self._crowd:  # whoever calls has threads of its own, which would multiply these
            return run_jobs(jobs, max_workers=self._max_workers, meter=ProgressMeter(None, "verify", 0))

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
        absent: dict[Route, AbsentError] = {}
        position = offset
        while position < stored.data_size:
            problem, pause = "", None
            for route in self._routes(stored, absent):
                try:
                    for block in self._read_route(route, stored, position, doing):
                        self._senders.note(stored.id, route, position, position + len(block))
                        position += len(block)
                        patience.renew()
                        yield block
                except AbsentError as error:
                    absent[route] = error
                except TemporaryError as error:
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

        Whoever sent the first wrong byte is not asked for this data again; where nobody can say which byte
        that is, whoever sent any of those that are not proven.

        Args:
            stored: The transaction.
            path: The copy, which is not what the manifest promises.

        Returns:
            None where fetching the rest again would not help: the copy is what was signed, or nobody is left
            who could send something else.
        """
        size = stored.data_size
        if stored.bundle is not None:  # its signature was checked over all of its data
            return None
        if path.stat().st_size == size and has_data_root(path, stored.data_root):
            return None
        good, is_next_wrong = 0, False
        try:
            good, is_next_wrong = find_good_prefix(
                path, stored.data_root, size, lambda offset: self._read_proof(stored, offset)
            )
        except BackendError as error:
            log.info("nobody says which bytes of %s are wrong: %s", stored.id, error)
        if good == size:
            return None
        suspected = self.blame(stored, good, good + 1 if is_next_wrong else size)
        return good if suspected and self._can_go_on(stored, good) else None

    def blame(self, stored: Stored, start: int = 0, end: int | None = None) -> bool:
        """Ask nobody again who sent a byte between `start` and `end`; see `Senders`.

        Returns:
            Whether it makes sense to fetch these bytes again; never for a data item, which is proven.
        """
        if stored.bundle is not None:
            return False
        return self._senders.blame(stored.id, start, stored.data_size if end is None else end)

    def _can_go_on(self, stored: Stored, offset: int) -> bool:
        """Say whether somebody is left to ask, who has not lied about this data yet."""
        if any(route is not BY_CHUNKS for route in self._routes(stored, ())):
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
        """Return the indexes of the chunks that no gateway has, as arweave-js splits the data.

        Raises:
            BackendError: nobody could say whether a chunk is there.
        """
        waiting = enumerate(chunk_starts(stored.data_size))
        lock = threading.Lock()

        def look(job: Job) -> list[int]:
            lost: list[int] = []
            while True:
                job.advance(0)  # which ends it when another one has failed
                with lock:
                    index, start = next(waiting, (-1, 0))
                if index < 0:
                    return lost
                try:
                    self._read_chunk(stored, start)
                except ArtifactNotFoundError:
                    lost.append(index)

        workers = min(self._max_workers, -(-stored.data_size // CHUNK_BYTES))
        found = run_jobs([look] * workers, max_workers=workers, meter=ProgressMeter(None, "verify", 0))
        return sorted(index for lost in found for index in lost)

    def _routes(self, stored: Stored, absent: Collection[Route]) -> Iterator[Route]:
        # A gateway answers a path manifest's own address with what it leads to.
        is_resolved = stored.tag("Content-Type") == PATH_MANIFEST_TYPE
        templates = [("/raw/{}", False), ("/{}", False), ("/tx/{}/data", True)]
        for template, encoded in templates:
            if is_resolved and template == "/{}":
                continue
            for gateway in self._network.gateways:
                route = Route(gateway, template, encoded)
                if route not in absent and not self._senders.is_liar(stored.id, route):
                    yield route
        if BY_CHUNKS not in absent:
            yield BY_CHUNKS

    def _read_route(self, route: Route, stored: Stored, position: int, doing: str) -> Iterator[bytes]:
        if route.gateway is None:
            with sorted_out():
                yield from self._read_chunks(stored, position)
            return
        headers = {"range": f"bytes={position}-"} if position and not route.encoded else {}
        left = stored.data_size - position
        with sorted_out(), route.gateway.open(route.path(stored.id), headers) as response:
            check_answer(response)
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
        """Return the chunk with the byte at `offset`: its start, its bytes and its proof, all proven.

        Where the data is on the weave is a gateway's word, and counts only where the chunk is found there.
        """
        refusals: dict[int, BackendError] = {}
        end = self._ends.get(stored.id)
        while True:
            try:
                end = end or self._network.read_data_end(stored.id, stored.data_size, but=refusals)
            except BackendError as error:
                lost = (e for e in refusals.values() if isinstance(e, ArtifactNotFoundError))
                raise next(lost, next(iter(refusals.values()), error)) from None
            try:
                found = self._read_chunk_at(stored, offset, end)
            except TransferError:
                raise
            except BackendError as error:
                refusals[end], end = error, None
            else:
                self._ends[stored.id] = end
                return found

    def _read_chunk_at(self, stored: Stored, offset: int, end: int) -> tuple[int, bytes, bytes]:
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
        what = f"the data item {listed.id}"

        def attempt(route: Route) -> tuple[Stored, bytes] | None:
            place = self._read_index(bundle, route).get(listed.id)
            if place is None:
                if route is BY_CHUNKS:  # this index is proven
                    return None
                message = f"the bundle {bundle} has no data item {listed.id}"
                raise ArtifactNotFoundError(message)
            offset, size = place
            if size > MAX_ITEM_BYTES:
                message = f"{what} has {size} bytes, more than the {MAX_ITEM_BYTES} that are read"
                raise BackendError(message)
            data = self._read_part(bundle, route, offset, size)
            try:
                return _prove_item(data, listed)
            except BackendError:
                with self._lock:  # whoever sends a wrong item may have sent a wrong index, too
                    self._indexes.pop((bundle, route), None)
                raise

        found = self._ask_for_part(bundle, f"reading {what} of the bundle {bundle}", attempt)
        if found is None:
            message = f"the bundle {bundle} has no data item {listed.id}"
            raise ArtifactNotFoundError(message)
        with self._lock:
            self._items[listed.id] = found[1]
            while sum(map(len, self._items.values())) > _MAX_KEPT_ITEM_BYTES and len(self._items) > 1:
                self._items.popitem(last=False)
        return found

    def _read_item_data(self, stored: Stored) -> bytes:
        with self._lock:
            content = self._items.get(stored.id)
        if content is None and stored.bundle is not None:
            _, content = self._read_item(stored.listed, stored.bundle)  # others may push it out at once
        return content or b""

    def _seems_to_hold(self, bundle: str, name: str) -> bool:
        """Say whether the first index of a bundle that comes names a data item, which may be a lie."""
        doing = f"reading the index of the bundle {bundle}"
        return name in self._ask_for_part(bundle, doing, lambda route: self._read_index(bundle, route))

    def _read_index(self, bundle: str, route: Route) -> dict[str, tuple[int, int]]:
        """Return where each data item is in the data of a bundle; each item proves itself when it is read."""
        with self._lock:
            if (bundle, route) in self._indexes:
                return self._indexes[bundle, route]
        length = bundle_index_length(self._read_part(bundle, route, 0, _BUNDLE_COUNT_BYTES))
        if length > _MAX_BUNDLE_INDEX_BYTES:
            message = f"the index of the bundle {bundle} has {length} bytes, more than are read"
            raise BackendError(message)
        entries = parse_bundle(self._read_part(bundle, route, 0, length))
        index = {entry.id: (entry.offset, entry.size) for entry in entries}
        with self._lock:
            self._indexes[bundle, route] = index
        return index

    def _ask_for_part(self, bundle: str, doing: str, attempt: Callable[[Route], Value]) -> Value:
        """Try all routes to a bundle's data until one gives what `attempt` takes.

        Args:
            bundle: The transaction, or the data item, that holds it.
            doing: What is wanted, for messages.
            attempt: Turns what comes on a route into a value, or raises what is wrong with it.

        Raises:
            NotFinalizedError: it is not mined yet.
            ArtifactNotFoundError: no gateway has it.
            TransferError: those who may have it could not be reached.
            BackendError: nothing that came is what it has to be.
        """
        patience = Patience(doing)
        plain = [Route(gateway, path) for path in ("/raw/{}", "/{}") for gateway in self._network.gateways]
        with self._lock:  # who has sent a good index is asked first
            left = sorted([*plain, BY_CHUNKS], key=lambda route: (bundle, route) not in self._indexes)
        refusals: list[BackendError] = []
        while True:
            failed: list[Route] = []
            problem, pause = "", None
            for route in left:
                try:
                    return attempt(route)
                except TransferError:  # chunks were asked for with a patience of their own
                    raise
                except TemporaryError as error:
                    problem, pause = f"{route}: {error}", error.retry_after
                    failed.append(route)
                except AbsentError as error:
                    refusals.append(type(error.cause)(f"{doing}: {error} ({route})"))
                except BackendError as error:
                    refusals.append(type(error)(f"{doing}: {error} ({route})"))
            if not failed:
                raise _choose(refusals)
            left = failed
            patience.wait(problem, pause)

    def _read_part(self, bundle: str, route: Route, offset: int, size: int) -> bytes:
        """Return a part of a bundle's data as it comes on a route; only from chunks it is proven.

        Raises:
            AbsentError: it is not there.
            TemporaryError: it may come later.
            BackendError: the chunks are not there, or not what was signed.
        """
        if route.gateway is None:
            return take(self._read_chunks(self._read_holder(bundle), offset), size)
        headers = {"range": f"bytes={offset}-{offset + size - 1}"}
        with sorted_out(), route.gateway.open(route.path(bundle), headers) as response:
            check_answer(response)
            return take(from_position(response, offset, f"reading {size} bytes of {bundle}"), size)

    def _read_holder(self, bundle: str) -> Stored:
        stored = self.read_stored(Listed(bundle, None, 0, None))
        if not stored.data_root:
            message = f"{bundle} is no transaction, so it has no chunks of its own"
            raise ArtifactNotFoundError(message)
        return stored


def _prove_item(data: bytes, listed: Listed) -> tuple[Stored, bytes]:
    """Return a data item and its content.

    Raises:
        BackendError: it is not the one that is meant, or not signed by its owner.
    """
    item = parse_data_item(data)
    is_proven = item.signature_type == RSA_SIGNATURE and is_signed(item.owner, item.signature, item.message)
    if item.id != listed.id or not is_proven:
        message = f"the data item {listed.id} is not what its owner has signed"
        raise BackendError(message)
    content = data[item.data_offset :]
    return Stored(listed.id, address_of(item.owner), item.tags, len(content), b"", listed), content


def _choose(refusals: Sequence[BackendError]) -> BackendError:
    """Return the refusal that says the most: one that is more than not found."""
    return next((error for error in refusals if not isinstance(error, ArtifactNotFoundError)), refusals[0])


def _describe(transaction: Transaction, listed: Listed) -> Stored:
    return Stored(
        transaction.id,
        transaction.address,
        transaction.tags,
        transaction.data_size,
        transaction.data_root,
        listed,
    )


def _decode_body(response: httpx2.Response, stored: Stored) -> bytes:
    """Read a body that is base64url, as nodes send data of up to 12 MiB."""
    body = take(response.iter_bytes(), MAX_ANSWER_BYTES)
    return decode(body.decode("ascii", errors="replace"), f"the data of {stored.id}")


def _read_at(source: Path | bytes, offset: int, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + size]
    with source.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _explain_absence(stored: Stored, causes: list[AbsentError]) -> BackendError:
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

"""Data items, each verified by its signature, which covers its data, and the bundles that hold them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import httpx2

from ritual_artifacts.backends.arweave.asking import Later, Outcome, Took, Turns, ask_in_turn
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.reading.routes import BY_CHUNKS, Route, take
from ritual_artifacts.backends.arweave.reading.signatures import check_signature
from ritual_artifacts.backends.arweave.reading.stored import AbsentItemError, Stored
from ritual_artifacts.backends.arweave.reading.transactions import StoredTransaction
from ritual_artifacts.backends.arweave.transaction import ForgedDataError
from ritual_artifacts.backends.arweave.wallet import address_of
from ritual_artifacts.backends.http import describe, from_position
from ritual_artifacts.core.data_items import DataItem, bundle_index_length, parse_bundle, parse_data_item
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError

MAX_ITEM_BYTES: Final = 64 << 20
"""Of a data item, which is held in memory, because its signature covers all of it."""

_MAX_KEPT_BYTES: Final = 64 << 20
_MAX_INDEX_BYTES: Final = 16 << 20
_COUNT_BYTES: Final = 32

Value = TypeVar("Value")
_Index: TypeAlias = dict[str, tuple[int, int]]
"""Offset and size of each data item in a bundle, by id. Unverified: each item is verified when it is read."""


class StoredItem(Stored):
    """A data item inside a bundle.

    Attributes:
        bundle: The transaction or data item that holds it.
    """

    def __init__(
        self, bundles: "BundleReader", bundle: str, name: str, item: DataItem, data_size: int
    ) -> None:
        """Describe a verified data item."""
        super().__init__(name, address_of(item.owner), item.tags, data_size)
        self.bundle = bundle
        self._bundles = bundles

    @property
    def holder(self) -> str:
        """The bundle."""
        return self.bundle

    def stream(self, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield data from `offset` to its end, verified; see `Stored`."""
        yield self._bundles.read_data(self)[offset:]

    def read(self, limit: int) -> bytes:
        """Return all data, verified; see `Stored`."""
        if self.data_size > limit:
            message = f"{self.id} has {self.data_size} bytes, expected at most {limit}"
            raise BackendError(message)
        return self._bundles.read_data(self)

    def repair_point(self, path: Path) -> None:
        """Return None: every copy is what the owner signed."""
        del path

    def distrust(self) -> bool:
        """Return False: the data was verified, so reading it again does not help."""
        return False

    def is_retrievable(self, source: Path | bytes) -> bool:
        """Return True: the item was read as a whole."""
        del source
        return True


class BundleReader:
    """Finds data items in bundles."""

    def __init__(self, network: Network, read_transaction: Callable[[str], StoredTransaction]) -> None:
        """Prepare; nothing is sent.

        Args:
            network: The gateways.
            read_transaction: Returns a verified transaction by its id.
        """
        self._network = network
        self._read_transaction = read_transaction
        self._lock = threading.Lock()
        self._data: OrderedDict[str, bytes] = OrderedDict()  # of the items that were read last
        self._indexes: dict[tuple[str, Route], _Index] = {}

    def read(self, name: str, bundle: str) -> StoredItem:
        """Return a data item of a bundle, verified.

        Raises:
            NotFinalizedError: the bundle is not mined yet.
            ArtifactNotFoundError: no gateway has the bundle, or it does not hold this item.
            TransferError: the gateways that may have it could not be reached.
            BackendError: no gateway sent a valid one.
        """
        item, data = self._read(name, bundle)
        with self._lock:
            self._data[name] = data
            while sum(map(len, self._data.values())) > _MAX_KEPT_BYTES and len(self._data) > 1:
                self._data.popitem(last=False)
        return item

    def read_data(self, item: StoredItem) -> bytes:
        """Return the data of an item, which is read again where it is not in memory any more; see `read`."""
        with self._lock:
            data = self._data.get(item.id)
        return self._read(item.id, item.bundle)[1] if data is None else data

    def seems_to_hold(self, bundle: str, name: str) -> bool:
        """Return whether the first index of a bundle that arrives names a data item; it may be wrong.

        Raises:
            NotFinalizedError: the bundle is not mined yet.
            ArtifactNotFoundError: no gateway has the bundle.
            TransferError: the gateways that may have it could not be reached.
        """
        doing = f"reading the index of the bundle {bundle}"
        return name in self._ask(bundle, doing, lambda route: self._read_index(bundle, route))

    def _read(self, name: str, bundle: str) -> tuple[StoredItem, bytes]:
        what = f"the data item {name}"

        def attempt(route: Route) -> Outcome[tuple[StoredItem, bytes] | None]:
            index = self._read_index(bundle, route)
            if not isinstance(index, Took):
                return index
            place = index.value.get(name)
            if place is None:
                if route is BY_CHUNKS:  # this index is verified
                    return Took(None)
                message = f"the bundle {bundle} has no data item {name}"
                raise ArtifactNotFoundError(message)
            offset, size = place
            if size > MAX_ITEM_BYTES:
                message = f"{what} has {size} bytes, expected at most {MAX_ITEM_BYTES}"
                raise BackendError(message)
            data = self._read_range(bundle, route, offset, size)
            if not isinstance(data, Took):
                return data
            try:
                return Took(self._verify(data.value, name, bundle))
            except BackendError:
                with self._lock:  # the index that led here may be wrong, too
                    self._indexes.pop((bundle, route), None)
                raise

        found = self._ask(bundle, f"reading {what} of the bundle {bundle}", attempt)
        if found is None:
            message = f"the bundle {bundle} has no data item {name}"
            raise AbsentItemError(message)
        return found

    def _verify(self, data: bytes, name: str, bundle: str) -> tuple[StoredItem, bytes]:
        """Return a data item and its data.

        Raises:
            ForgedDataError: it is not the requested one, or not signed by its owner.
            UnverifiableError: it is signed with a kind of key that cannot be verified here.
            BackendError: it is malformed.
        """
        item = parse_data_item(data)
        if item.id != name:
            message = f"requested the data item {name}, got {item.id}"
            raise ForgedDataError(message)
        check_signature(item)
        content = data[item.data_offset :]
        stored = StoredItem(self, bundle, name, item, len(content))
        return stored, content

    def _read_index(self, bundle: str, route: Route) -> Outcome[_Index]:
        with self._lock:
            if (bundle, route) in self._indexes:
                return Took(self._indexes[bundle, route])
        count = self._read_range(bundle, route, 0, _COUNT_BYTES)
        if not isinstance(count, Took):
            return count
        length = bundle_index_length(count.value)
        if length > _MAX_INDEX_BYTES:
            message = (
                f"the index of the bundle {bundle} has {length} bytes, expected at most {_MAX_INDEX_BYTES}"
            )
            raise BackendError(message)
        data = self._read_range(bundle, route, 0, length)
        if not isinstance(data, Took):
            return data
        index = {entry.id: (entry.offset, entry.size) for entry in parse_bundle(data.value)}
        with self._lock:
            self._indexes[bundle, route] = index
        return Took(index)

    def _read_range(self, bundle: str, route: Route, offset: int, size: int) -> Outcome[bytes]:
        """Return a part of a bundle's data; only chunks are verified.

        Raises:
            BackendError: the chunks are not available, or not valid.
        """
        if route.gateway is None:
            return Took(take(self._read_transaction(bundle).chunks.read_from(offset), size))
        headers = {"range": f"bytes={offset}-{offset + size - 1}"}
        doing = f"reading {size} bytes of {bundle}"
        try:
            with route.gateway.open(route.path(bundle), headers) as response:
                problem = route.gateway.judge(response)
                return problem or Took(take(from_position(response, offset, doing), size))
        except BackendError as error:
            return Later(str(error))
        except httpx2.HTTPError as error:
            return Later(describe(error))

    def _ask(self, bundle: str, doing: str, attempt: Callable[[Route], Outcome[Value]]) -> Value:
        """Return what the first route to a bundle's data gives; see `ask_in_turn`."""
        gateways = self._network.gateways
        routes = [Route(gateway, path) for path in ("/raw/{}", "/{}") for gateway in gateways]
        with self._lock:  # routes that gave a usable index come first
            ordered = sorted([*routes, BY_CHUNKS], key=lambda route: (bundle, route) not in self._indexes)
        return ask_in_turn(Turns(ordered, doing, self._network.context), doing, attempt)

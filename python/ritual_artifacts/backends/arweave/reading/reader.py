"""Finds transactions and data items by their ids, and remembers those that were found."""

import contextlib
import threading
from collections.abc import Sequence

from ritual_artifacts.backends.arweave.index import Index, IndexEntry
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.reading.items import BundleReader
from ritual_artifacts.backends.arweave.reading.stored import Stored, unreadable
from ritual_artifacts.backends.arweave.reading.transactions import StoredTransaction
from ritual_artifacts.errors import ArtifactNotFoundError


class Reader:
    """What is stored on Arweave, by id. Several threads use it at once."""

    def __init__(self, network: Network, index: Index) -> None:
        """Prepare; nothing is sent.

        Args:
            network: The gateways.
            index: Says which bundle holds a data item.
        """
        self._network = network
        self._index = index
        self._bundles = BundleReader(network, self.read_transaction)
        self._lock = threading.Lock()
        self._known: dict[str, Stored] = {}

    def read_entry(self, entry: IndexEntry) -> Stored:
        """Return what an index lists, verified.

        Raises:
            ArtifactNotFoundError: no gateway has it.
            NotFinalizedError: it is not mined yet.
            BackendError: no gateway sent a valid one.
        """
        known = self._recall(entry.id)
        if known is not None:
            return known
        return (
            self.read_transaction(entry.id)
            if entry.bundle is None
            else self.read_item(entry.id, entry.bundle)
        )

    def read_transaction(self, name: str) -> StoredTransaction:
        """Return a transaction, verified; see `read_entry`.

        Raises:
            ArtifactNotFoundError: no gateway has it, or it is a data item.
        """
        known = self._recall(name)
        if known is None:
            known = self._remember(StoredTransaction(self._network, self._network.read_transaction(name)))
        if isinstance(known, StoredTransaction):
            return known
        message = f"{name} is a data item, so it is not a transaction with chunks of its own"
        raise ArtifactNotFoundError(message)

    def read_item(self, name: str, bundle: str) -> Stored:
        """Return a data item of a bundle, verified; see `read_entry`."""
        return self._recall(name) or self._remember(self._bundles.read(name, bundle))

    def find(self, name: str, *, bundle: str | None = None) -> Stored:
        """Return a transaction or a data item by its id alone, verified.

        Args:
            name: The id.
            bundle: A bundle that may hold it.

        Raises:
            ArtifactNotFoundError: no gateway has it.
            NotFinalizedError: it is not mined yet.
            BackendError: no gateway sent a valid one.
        """
        known = self._recall(name)
        if known is not None:
            return known
        if bundle is not None and self._bundles.seems_to_hold(bundle, name):
            with contextlib.suppress(ArtifactNotFoundError):
                return self.read_item(name, bundle)
        try:
            return self.read_transaction(name)
        except ArtifactNotFoundError as error:  # of a data item; an index may know its bundle
            entry = self._index.find([name]).get(name)
            holder = (entry and entry.bundle) or bundle
            if holder is None and entry is not None:
                raise unreadable(name, error) from None
            if holder is None:
                raise
            return self.read_item(name, holder)

    def find_all(self, names: Sequence[str], *, bundle: str | None = None) -> list[Stored]:
        """Return many transactions or data items, several requests at a time; see `find`.

        Raises:
            BackendError: one of them could not be read.
        """
        return self._network.each(lambda name: self.find(name, bundle=bundle), names)

    def _recall(self, name: str) -> Stored | None:
        with self._lock:
            return self._known.get(name)

    def _remember(self, stored: Stored) -> Stored:
        """Return the one object for this id, which knows which gateways sent its data, to all threads."""
        with self._lock:
            return self._known.setdefault(stored.id, stored)

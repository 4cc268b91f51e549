"""Posting what was signed: each transaction, then its chunks, until nodes have all of it."""

import json
import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ritual_artifacts import workers
from ritual_artifacts.backends.arweave.encoding import encode
from ritual_artifacts.backends.arweave.reading.transactions import StoredTransaction
from ritual_artifacts.backends.arweave.transaction import MAX_BODY_BYTES, Transaction
from ritual_artifacts.backends.arweave.upload.journal import Entry, Journal
from ritual_artifacts.backends.arweave.upload.posts import (
    Posted,
    StaleAnchorError,
    post_chunk,
    post_transaction,
)
from ritual_artifacts.backends.arweave.upload.prices import round_up
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.core.chunks import ChunkTree, chunk_spans, has_data_root, open_tree
from ritual_artifacts.errors import (
    BackendError,
    InsufficientFundsError,
    NotFinalizedError,
    SourceChangedError,
    TransferError,
)
from ritual_artifacts.events import ProgressMeter

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

_SAMPLES: Final = 8


class ForgottenError(Exception):
    """The network forgot a transaction while its chunks were posted, and will not take it again.

    Attributes:
        entry: The transaction.
    """

    def __init__(self, entry: Entry, message: str) -> None:
        """Name the transaction and say what a node answered."""
        super().__init__(message)
        self.entry = entry


class Poster:
    """Posts the transactions of one upload, each byte once as far as the journal knows."""

    def __init__(
        self,
        weave: Weave,
        journal: Journal,
        sources: Mapping[str, Path | bytes],
        meter: ProgressMeter | None = None,
    ) -> None:
        """Prepare; nothing is posted yet.

        Args:
            weave: The session.
            journal: What nodes acknowledged already, and where new acknowledgements are written.
            sources: Where the data of each entry is, by the entry's name.
            meter: Counts what was posted; None: nothing is reported.
        """
        self._weave = weave
        self._network = weave.network
        self._clock = weave.network.context.clock
        self._timing = weave.network.timing
        self._journal = journal
        self._sources = sources
        self._meter = meter or ProgressMeter(None, "upload", 0)
        self._seen: dict[str, float] = {}  # when a node was last known to have a transaction
        self._complete: set[str] = set()  # transactions all of whose chunks are acknowledged
        self._counted: set[str] = set()  # transactions whose bytes from an earlier process are counted

    def post_transactions(self, entries: Sequence[Entry]) -> list[Entry]:
        """Post the transactions that no node has, with the data of small ones inside.

        Returns:
            Those whose anchor is too old, or whose price has risen. No node has them, and none will take
                them: they can be signed again.

        Raises:
            SourceChangedError: a file differs from what was signed.
            BackendError: the nodes refuse, or cannot be reached.
        """
        stale = self._each(self._post_transaction, entries)
        return [entry for entry in stale if entry is not None]

    def _each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        context, limit = self._network.context, self._network.max_workers
        return context.each(function, items, max_workers=limit, meter=self._meter)

    def _post_transaction(self, entry: Entry) -> Entry | None:
        """Post a transaction that no node has; return it where it has to be signed again."""
        transaction = entry.transaction
        is_small = transaction.data_size <= MAX_BODY_BYTES
        if not self._is_there(transaction):
            whole = transaction.with_data(self._read_small(entry)) if is_small else transaction
            try:
                posted = post_transaction(self._network, whole, f"posting {entry.name!r}")
            except StaleAnchorError:
                if self._network.is_gone(transaction.id):
                    return entry
                posted = None
            except (InsufficientFundsError, TransferError):
                raise
            except BackendError:
                if self._is_too_cheap(transaction) and self._network.is_gone(transaction.id):
                    return entry
                raise
            self._note(transaction, posted)
        if is_small and transaction.id not in self._counted:
            self._counted.add(transaction.id)
            self._meter.advance(transaction.data_size)
        return None

    def _note(self, transaction: Transaction, posted: Posted | None) -> None:
        """Write down that a node has a transaction; None: it is not known which one."""
        if posted is not None and posted.is_new:
            self._begin_again(transaction, posted.gateway)
        elif posted is not None and self._journal.posted_by(transaction) != posted.gateway:
            self._journal.note_posted(transaction, posted.gateway)
        elif not self._journal.is_posted(transaction):
            self._journal.note_posted(transaction, "")
        self._seen[transaction.id] = self._clock.time()

    def _is_too_cheap(self, transaction: Transaction) -> bool:
        """Return whether the price has risen since the transaction was signed."""
        return self._network.read_price(round_up(transaction.data_size)) > transaction.reward

    def _is_there(self, transaction: Transaction) -> bool:
        """Return whether a node still has the transaction: one that is not mined soon may be forgotten.

        A transaction that one of these gateways took just now is not looked up, because others learn of it
        later. What other gateways took may be on another network.
        """
        if not self._journal.is_posted(transaction):
            return False
        now = self._clock.time()
        is_ours = self._journal.posted_by(transaction) in {g.url for g in self._network.gateways}
        noted = self._journal.posted_at(transaction) if is_ours else -math.inf
        seen = self._seen.get(transaction.id, noted)
        if not 0 <= now - seen < self._timing.recheck_seconds:
            try:
                is_dropped = self._network.read_status(transaction.id).state == "dropped"
            except BackendError:  # a gateway cannot say
                is_dropped = True
            if is_dropped:
                return False  # posting it again is safe, even if a node has it
            self._seen[transaction.id] = now
        return True

    def _begin_again(self, transaction: Transaction, gateway: str) -> None:
        """Write down that no node has any chunk of a transaction, as if it were posted just now."""
        self._journal.forget_chunks(transaction)
        self._journal.note_posted(transaction, gateway)
        self._complete.discard(transaction.id)

    def _read_small(self, entry: Entry) -> bytes:
        """Return data that is posted inside its transaction.

        Raises:
            SourceChangedError: it differs from what was signed.
        """
        source = self._source(entry)
        data = source if isinstance(source, bytes) else _read_at_most(source, MAX_BODY_BYTES + 1)
        if len(data) != entry.transaction.data_size or not has_data_root(data, entry.transaction.data_root):
            message = f"{source if isinstance(source, Path) else entry.name} changed after it was signed"
            raise SourceChangedError(message)
        return data

    def _source(self, entry: Entry) -> Path | bytes:
        try:
            return self._sources[entry.name]
        except KeyError:
            message = (
                f"the journal has lost the data of the transaction {entry.transaction.id} ({entry.name}); "
                f"it may have been paid for, so check the journal before you remove it"
            )
            raise BackendError(message) from None

    def find_incomplete(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the transactions with chunks that are neither acknowledged nor inside the transaction."""
        return [
            entry
            for entry in entries
            if entry.transaction.data_size > MAX_BODY_BYTES and entry.transaction.id not in self._complete
        ]

    def post_chunks(self, entries: Iterable[Entry]) -> None:
        """Post the chunks of several transactions that are not acknowledged yet.

        Raises:
            SourceChangedError: a file differs from what was signed.
            ForgottenError: the network forgot a transaction, and will not take it again.
            BackendError: the nodes refuse, or cannot be reached.
        """
        missing: list[tuple[Entry, list[bool]]] = []
        for entry in entries:
            spans = chunk_spans(entry.transaction.data_size)
            noted = self._journal.read_chunks(entry.transaction, len(spans))
            if any(noted) and self._may_be_lost(entry) and not self._are_kept(entry, spans, noted):
                log.info("posting the chunks of %r again, because nodes dropped them", entry.name)
                self._begin_again(entry.transaction, self._journal.posted_by(entry.transaction))
                noted = [False] * len(spans)
            if entry.transaction.id not in self._counted:
                self._counted.add(entry.transaction.id)
                self._meter.advance(
                    sum(end - start for (start, end), mark in zip(spans, noted, strict=True) if mark)
                )
            if all(noted):
                self._complete.add(entry.transaction.id)
            else:
                missing.append((entry, noted))
        wanted = [(entry, (i for i, mark in enumerate(noted) if not mark)) for entry, noted in missing]
        self._post_all(wanted, is_noted=True)
        for entry, noted in missing:
            if all(self._journal.read_chunks(entry.transaction, len(noted))):
                self._complete.add(entry.transaction.id)

    def _may_be_lost(self, entry: Entry) -> bool:
        """Return whether the transaction has waited for so long that nodes may have dropped its chunks."""
        age = self._clock.time() - self._journal.posted_at(entry.transaction)
        return age >= self._timing.kept_seconds

    def _are_kept(self, entry: Entry, spans: Sequence[tuple[int, int]], noted: Sequence[bool]) -> bool:
        """Return whether gateways have some of the acknowledged chunks; until it is mined, they show none."""
        try:
            stored = self._weave.reader.find(entry.transaction.id)
        except NotFinalizedError:
            return False
        if not isinstance(stored, StoredTransaction):
            return False
        starts = [start for (start, _), mark in zip(spans, noted, strict=True) if mark]
        step = max(1, len(starts) // _SAMPLES)
        return all(stored.chunks.has(start) for start in [*starts[::step], starts[-1]])

    def post_lost(self, entry: Entry, lost: Sequence[int]) -> None:
        """Post chunks again that the network lost, at no cost.

        Raises:
            SourceChangedError: the file differs from what was signed.
            ForgottenError: the network forgot the transaction.
            BackendError: the nodes refuse, or cannot be reached.
        """
        self._post_all([(entry, lost)], is_noted=False)

    def _post_all(self, wanted: Iterable[tuple[Entry, Iterable[int]]], *, is_noted: bool) -> None:
        waiting = self._find_chunks(
            wanted
        )  # there may be millions, and each file is read when its turn comes
        lock = threading.Lock()

        def work(_: int) -> None:
            while True:
                workers.check()
                with lock:
                    chunk = next(waiting, None)
                if chunk is None:
                    return
                entry, tree, index = chunk
                length, posted = self._post_chunk(entry, tree, index)
                if is_noted:
                    with lock:
                        if posted.is_new and self._may_be_lost(entry):
                            self._begin_again(entry.transaction, posted.gateway)
                        self._journal.note_chunk(entry.transaction, index)
                    self._meter.advance(length)

        self._each(work, range(self._network.max_workers))

    def _find_chunks(
        self, wanted: Iterable[tuple[Entry, Iterable[int]]]
    ) -> Iterator[tuple[Entry, ChunkTree, int]]:
        for entry, indexes in wanted:
            source = self._source(entry)
            if isinstance(source, bytes):
                source = self._journal.write_data(entry.transaction, source)
            tree = open_tree(source, max_workers=self._network.context.settings.max_workers)
            if tree.data_root != encode(entry.transaction.data_root):
                message = f"{source} changed after it was signed"
                raise SourceChangedError(message)
            for index in indexes:
                yield entry, tree, index

    def _post_chunk(self, entry: Entry, tree: ChunkTree, index: int) -> tuple[int, Posted]:
        transaction = entry.transaction
        chunk = tree.read(index)
        body = {
            "data_root": encode(transaction.data_root),
            "data_size": str(transaction.data_size),
            "data_path": encode(tree.proof(index)),
            "offset": str(tree.span(index)[1] - 1),
            "chunk": encode(chunk),
        }
        doing = f"posting a chunk of {entry.name!r}"
        try:
            posted = post_chunk(self._network, transaction, json.dumps(body).encode(), doing)
        except StaleAnchorError as error:
            raise ForgottenError(entry, str(error)) from None
        return len(chunk), posted


def _read_at_most(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)

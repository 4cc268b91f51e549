"""Posting what was signed: each transaction, then its chunks, until nodes have all of it."""

import functools
import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ritual_artifacts.backends.arweave.encoding import encode
from ritual_artifacts.backends.arweave.journal import Entry, Journal
from ritual_artifacts.backends.arweave.network import Network, StaleAnchor
from ritual_artifacts.backends.arweave.payment import round_up
from ritual_artifacts.backends.arweave.reader import DataReader
from ritual_artifacts.backends.arweave.transaction import MAX_BODY_BYTES, Transaction
from ritual_artifacts.core.chunks import ChunkTree, chunk_spans, has_data_root, open_tree
from ritual_artifacts.errors import (
    BackendError,
    InsufficientFundsError,
    NotFinalizedError,
    SourceChangedError,
    TransferError,
)
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.workers import Job, run_jobs

log = logging.getLogger(__name__)

RECHECK_SECONDS: Final = 300.0
"""After this time a transaction that was posted is looked for again, until it is not needed any more."""
KEPT_SECONDS: Final = 1500.0
"""Nodes keep the chunks of a transaction that is not mined for half an hour."""
_SAMPLES: Final = 8


class ForgottenError(Exception):
    """The network has forgotten a transaction while its chunks were posted, and will not take it again.

    Attributes:
        entry: The transaction.
    """

    def __init__(self, entry: Entry, message: str) -> None:
        """Say which transaction it is, and what a node said."""
        super().__init__(message)
        self.entry = entry


class Delivery:
    """Posts the transactions of one upload, each byte once as far as the journal knows."""

    def __init__(
        self,
        network: Network,
        reader: DataReader,
        journal: Journal,
        sources: Mapping[str, Path | bytes],
        *,
        max_workers: int,
        meter: ProgressMeter,
    ) -> None:
        """Prepare; nothing is posted yet.

        Args:
            network: Where to.
            reader: Who looks after what was posted long ago.
            journal: What is acknowledged already, and where what is now is written down.
            sources: Where the data of each entry is, by its name.
            max_workers: Requests in flight at once.
            meter: Told what was posted.
        """
        self._network = network
        self._reader = reader
        self._journal = journal
        self._sources = sources
        self._max_workers = max_workers
        self._meter = meter
        self._seen: dict[str, float] = {}  # when a node was last known to have a transaction
        self._complete: set[str] = set()  # transactions all of whose chunks are acknowledged
        self._begun: set[str] = set()  # transactions whose bytes from an earlier process are counted

    def post_transactions(self, entries: Sequence[Entry]) -> list[Entry]:
        """Post the transactions that no node has, with the data of small ones inside.

        Returns:
            Those whose anchor is too old, or whose price has risen. No node has them, and none will take
            them: they can be signed again.

        Raises:
            SourceChangedError: a file is no longer what was signed.
            BackendError: the nodes refuse, or cannot be reached.
        """
        jobs = [functools.partial(self._post_transaction, entry) for entry in entries]
        stale = run_jobs(jobs, max_workers=self._max_workers, meter=self._meter)
        return [entry for entry in stale if entry is not None]

    def _post_transaction(self, entry: Entry, job: Job) -> Entry | None:
        transaction = entry.transaction
        is_small = transaction.data_size <= MAX_BODY_BYTES
        if not self._is_there(transaction):
            whole = transaction.with_data(self._read_small(entry)) if is_small else transaction
            try:
                is_fresh = self._network.post_transaction(whole, f"posting {entry.name!r}")
            except StaleAnchor:
                if self._network.is_gone(transaction.id):
                    return entry
                is_fresh = False
            except (InsufficientFundsError, TransferError):
                raise
            except BackendError:
                if self._is_too_cheap(transaction) and self._network.is_gone(transaction.id):
                    return entry
                raise
            with job.step():  # once others may use the journal, nothing is noted in it any more
                if is_fresh:
                    self._begin_again(transaction)
                elif not self._journal.is_posted(transaction):
                    self._journal.note_posted(transaction)
            self._seen[transaction.id] = time.time()
        if is_small and transaction.id not in self._begun:
            self._begun.add(transaction.id)
            job.advance(transaction.data_size)
        return None

    def _is_too_cheap(self, transaction: Transaction) -> bool:
        """Say whether the price has risen since the transaction was signed."""
        return self._network.read_price(round_up(transaction.data_size)) > transaction.reward

    def _is_there(self, transaction: Transaction) -> bool:
        """Say whether a node has the transaction still: one that is not mined soon may be forgotten.

        What was posted just now is not asked for, because gateways hear of it later than the node.
        """
        if not self._journal.is_posted(transaction):
            return False
        now = time.time()
        seen = self._seen.get(transaction.id, self._journal.posted_at(transaction))
        if not 0 <= now - seen < RECHECK_SECONDS:
            if self._network.read_status(transaction.id).state == "dropped":
                return False  # posting it again is safe, whoever is wrong
            self._seen[transaction.id] = now
        return True

    def _begin_again(self, transaction: Transaction) -> None:
        """Take note that no node has any chunk of a transaction, which is as if it were posted now."""
        self._journal.forget_chunks(transaction)
        self._journal.note_posted(transaction)
        self._complete.discard(transaction.id)

    def _read_small(self, entry: Entry) -> bytes:
        """Return data that travels inside of its transaction.

        Raises:
            SourceChangedError: it is no longer what was signed.
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
                f"it may have been paid for, so look at the journal before you remove it"
            )
            raise BackendError(message) from None

    def find_incomplete(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the transactions with chunks that are neither acknowledged nor inside of them."""
        return [
            entry
            for entry in entries
            if entry.transaction.data_size > MAX_BODY_BYTES and entry.transaction.id not in self._complete
        ]

    def post_chunks(self, entries: Iterable[Entry]) -> None:
        """Post the chunks of several transactions that are not acknowledged yet, without a pause in between.

        Raises:
            SourceChangedError: a file is no longer what was signed.
            ForgottenError: the network has forgotten a transaction, and will not take it again.
            BackendError: the nodes refuse, or cannot be reached.
        """
        missing: list[tuple[Entry, list[bool]]] = []
        for entry in entries:
            spans = chunk_spans(entry.transaction.data_size)
            noted = self._journal.read_chunks(entry.transaction, len(spans))
            if any(noted) and self._may_be_lost(entry) and not self._are_kept(entry, spans, noted):
                log.info("nodes have forgotten the chunks of %r, which are posted again", entry.name)
                self._begin_again(entry.transaction)
                noted = [False] * len(spans)
            if entry.transaction.id not in self._begun:
                self._begun.add(entry.transaction.id)
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
        """Say whether the transaction has waited for so long that nodes may have thrown its chunks away."""
        return time.time() - self._journal.posted_at(entry.transaction) >= KEPT_SECONDS

    def _are_kept(self, entry: Entry, spans: Sequence[tuple[int, int]], noted: Sequence[bool]) -> bool:
        """Look after some of the acknowledged chunks, which only the data of a mined transaction shows."""
        try:
            stored = self._reader.read_by_id(entry.transaction.id)
        except NotFinalizedError:
            return False
        starts = [start for (start, _), mark in zip(spans, noted, strict=True) if mark]
        step = max(1, len(starts) // _SAMPLES)
        return all(self._reader.has_chunk(stored, start) for start in [*starts[::step], starts[-1]])

    def post_lost(self, entry: Entry, lost: Sequence[int]) -> None:
        """Post chunks again that the network has lost; that costs nothing.

        Raises:
            SourceChangedError: the file is no longer what was signed.
            ForgottenError: the network has forgotten the transaction.
            BackendError: the nodes refuse, or cannot be reached.
        """
        self._post_all([(entry, lost)], is_noted=False)

    def _post_all(self, wanted: Iterable[tuple[Entry, Iterable[int]]], *, is_noted: bool) -> None:
        waiting = self._find_chunks(wanted)
        lock = threading.Lock()

        def work(job: Job) -> None:
            while True:
                with lock:
                    chunk = next(waiting, None)
                if chunk is None:
                    return
                entry, tree, index = chunk
                length, was_unknown = self._post_chunk(entry, tree, index)
                if is_noted:
                    with lock, job.step():
                        if was_unknown and self._may_be_lost(entry):
                            self._begin_again(entry.transaction)
                        self._journal.note_chunk(entry.transaction, index)
                    job.advance(length)
                else:
                    job.advance(0)

        run_jobs([work] * self._max_workers, max_workers=self._max_workers, meter=self._meter)

    def _find_chunks(
        self, wanted: Iterable[tuple[Entry, Iterable[int]]]
    ) -> Iterator[tuple[Entry, ChunkTree, int]]:
        for entry, indexes in wanted:
            source = self._source(entry)
            if isinstance(source, bytes):
                source = self._journal.write_data(entry.transaction, source)
            tree = open_tree(source)
            if tree.data_root != encode(entry.transaction.data_root):
                message = f"{source} changed after it was signed"
                raise SourceChangedError(message)
            for index in indexes:
                yield entry, tree, index

    def _post_chunk(self, entry: Entry, tree: ChunkTree, index: int) -> tuple[int, bool]:
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
            was_unknown = self._network.post_chunk(transaction, json.dumps(body).encode(), doing)
        except StaleAnchor as error:
            raise ForgottenError(entry, str(error)) from None
        return len(chunk), was_unknown


def _read_at_most(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)

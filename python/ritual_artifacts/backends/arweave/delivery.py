"""Posting what was signed: each transaction, then its chunks, until nodes have all of it."""

import functools
import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ritual_artifacts.backends.arweave.encoding import encode
from ritual_artifacts.backends.arweave.journal import ChunkLog, Entry, Journal
from ritual_artifacts.backends.arweave.network import Network, StaleAnchor
from ritual_artifacts.backends.arweave.transaction import MAX_BODY_BYTES, Transaction
from ritual_artifacts.chunks import ChunkTree, chunk_spans, has_data_root, open_tree
from ritual_artifacts.errors import SourceChangedError
from ritual_artifacts.progress import ProgressMeter
from ritual_artifacts.workers import Job, run_jobs

RECHECK_SECONDS: Final = 300.0
"""After this time a transaction that was posted is looked for again, until it is not needed any more."""


class Delivery:
    """Posts the transactions of one upload, each byte once as far as the journal knows."""

    def __init__(
        self,
        network: Network,
        journal: Journal,
        sources: Mapping[str, Path | bytes],
        *,
        max_workers: int,
        meter: ProgressMeter,
    ) -> None:
        """Prepare; nothing is posted yet.

        Args:
            network: Where to.
            journal: What is acknowledged already, and where what is now is written down.
            sources: Where the data of each entry is, by its name.
            max_workers: Requests in flight at once.
            meter: Told what was posted.
        """
        self._network = network
        self._journal = journal
        self._sources = sources
        self._max_workers = max_workers
        self._meter = meter
        self._seen: dict[str, float] = {}  # when a node was last known to have a transaction
        self._complete: set[str] = set()  # transactions all of whose chunks are acknowledged

    def post_transactions(self, entries: Sequence[Entry]) -> list[Entry]:
        """Post the transactions that no node has, with the data of small ones inside.

        Returns:
            Those whose anchor is too old. No node has them, and none will take them: they can be signed
            again.

        Raises:
            SourceChangedError: a file is no longer what was signed.
            BackendError: the nodes refuse, or cannot be reached.
        """
        jobs = [functools.partial(self._post_transaction, entry) for entry in entries]
        stale = run_jobs(jobs, max_workers=self._max_workers, meter=self._meter)
        return [entry for entry in stale if entry is not None]

    def _post_transaction(self, entry: Entry, job: Job) -> Entry | None:
        transaction = entry.transaction
        if self._is_there(transaction):
            return None
        is_small = transaction.data_size <= MAX_BODY_BYTES
        whole = transaction.with_data(self._read_small(entry)) if is_small else transaction
        try:
            self._network.post_transaction(whole, f"posting {entry.name!r}")
        except StaleAnchor:
            if self._network.is_gone(transaction.id):
                return entry
        self._journal.note_posted(transaction)
        self._seen[transaction.id] = time.monotonic()
        if is_small:
            job.advance(transaction.data_size)
        return None

    def _is_there(self, transaction: Transaction) -> bool:
        """Say whether a node has the transaction still: one that is not mined soon may be forgotten."""
        if not self._journal.is_posted(transaction):
            return False
        now = time.monotonic()
        if now - self._seen.get(transaction.id, -RECHECK_SECONDS) >= RECHECK_SECONDS:
            if self._network.read_status(transaction.id).state == "dropped":
                self.forget(transaction)
                return False
            self._seen[transaction.id] = now
        return True

    def forget(self, transaction: Transaction) -> None:
        """Take note that no node has a transaction any more, nor any of its chunks."""
        self._journal.forget_posted(transaction)
        self._complete.discard(transaction.id)

    def _read_small(self, entry: Entry) -> bytes:
        """Return data that travels inside of its transaction.

        Raises:
            SourceChangedError: it is no longer what was signed.
        """
        source = self._sources[entry.name]
        data = source if isinstance(source, bytes) else _read_at_most(source, MAX_BODY_BYTES + 1)
        if len(data) != entry.transaction.data_size or not has_data_root(data, entry.transaction.data_root):
            message = f"{source if isinstance(source, Path) else entry.name} changed after it was signed"
            raise SourceChangedError(message)
        return data

    def is_complete(self, entry: Entry) -> bool:
        """Say whether every chunk of a transaction is acknowledged, or inside of it."""
        return entry.transaction.data_size <= MAX_BODY_BYTES or entry.transaction.id in self._complete

    def post_chunks(self, entry: Entry) -> None:
        """Post the chunks that are not acknowledged yet.

        Raises:
            SourceChangedError: the file is no longer what was signed.
            StaleAnchor: the network has forgotten the transaction, and will not take it again.
            BackendError: the nodes refuse, or cannot be reached.
        """
        size = entry.transaction.data_size
        log = self._journal.open_chunks(entry.transaction, len(chunk_spans(size)))
        try:
            if missing := log.find_missing():
                self._post_some(entry, missing, log)
            else:
                self._meter.advance(size)
            self._complete.add(entry.transaction.id)
        finally:
            log.close()

    def post_lost(self, entry: Entry, lost: Sequence[int]) -> None:
        """Post chunks again that the network has lost; that costs nothing.

        Raises:
            SourceChangedError: the file is no longer what was signed.
            BackendError: the nodes refuse, or cannot be reached.
        """
        self._post_some(entry, lost, None)

    def _post_some(self, entry: Entry, indexes: Sequence[int], log: ChunkLog | None) -> None:
        transaction = entry.transaction
        source = self._sources[entry.name]
        if isinstance(source, bytes):
            source = self._journal.write_data(transaction, source)
        tree = open_tree(source)
        if tree.data_root != encode(transaction.data_root):
            message = f"{source} changed after it was signed"
            raise SourceChangedError(message)
        if log is not None:
            self._meter.advance(tree.size - sum(end - start for start, end in map(tree.span, indexes)))
        waiting = iter(indexes)
        lock = threading.Lock()

        def work(job: Job) -> None:
            while True:
                with lock:
                    index = next(waiting, None)
                if index is None:
                    return
                length = self._post_chunk(entry, tree, index)
                if log is not None:
                    log.note(index)
                    job.advance(length)

        run_jobs([work] * self._max_workers, max_workers=self._max_workers, meter=self._meter)

    def _post_chunk(self, entry: Entry, tree: ChunkTree, index: int) -> int:
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
        self._network.post_chunk(transaction, json.dumps(body).encode(), doing)
        return len(chunk)


def _read_at_most(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)

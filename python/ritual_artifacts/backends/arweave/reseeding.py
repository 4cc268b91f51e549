"""Posting again what was paid for and what the network has lost, which costs nothing."""

import functools
import logging
from collections.abc import Sequence

from ritual_artifacts.backends.arweave.contents import PATHS_NAME, Contents, Piece
from ritual_artifacts.backends.arweave.delivery import Delivery, ForgottenError
from ritual_artifacts.backends.arweave.journal import Entry, Journal
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.reader import DataReader, Stored
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.errors import NotFinalizedError, TransferError
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.workers import Job, run_jobs

log = logging.getLogger(__name__)


class Reseeder:
    """Looks for what is lost of one upload, and posts it again."""

    def __init__(self, network: Network, reader: DataReader, journal: Journal, *, max_workers: int) -> None:
        """Prepare; nothing is asked yet.

        Args:
            network: Where to.
            reader: Who asks whether data is there.
            journal: Where data is that is in no file of the user.
            max_workers: Requests in flight at once.
        """
        self._network = network
        self._reader = reader
        self._journal = journal
        self._max_workers = max_workers

    def reseed(self, result: ArweaveUploadResult, contents: Contents, *, thorough: bool) -> None:
        """Post again what the network has lost of a version that was paid for.

        Args:
            result: The version.
            contents: What it consists of.
            thorough: Ask for every chunk, and not for some.

        Raises:
            TransferError: nodes do not know a transaction at the moment.
        """
        bundle = None if result.final_transaction == result.transaction_id else result.final_transaction
        jobs = [
            functools.partial(self._find_lost, name, piece, bundle, thorough=thorough)
            for name, piece in self._list_posted(result, contents).items()
        ]
        meter = ProgressMeter(None, "upload", 0)
        for found in run_jobs(jobs, max_workers=self._max_workers, meter=meter):
            if found is not None:
                self._restore(*found)

    def bring_back(self, piece: Piece, stored: Stored) -> bool:
        """Post again what was lost of a file that was paid for, and say whether it is there now."""
        self._restore(piece, stored, self._lost_chunks(piece, stored))
        if self._reader.is_retrievable(stored, piece.source):
            return True
        log.warning("the data of %s is lost, so %r is stored anew", stored.id, piece.name)
        return False

    def _list_posted(self, result: ArweaveUploadResult, contents: Contents) -> dict[str, Piece]:
        """Return what transactions and data items hold, by their ids, as far as it is known here."""
        ids = {**result.transactions, PATHS_NAME: result.transaction_id}
        pieces = (*contents.pieces, contents.make_paths(result.transactions))
        found = {ids[piece.name]: piece for piece in pieces if piece.name in ids}
        record = self._journal.read()
        if record is not None and record.revision == result.transaction_id:
            for name in record.items.values():  # these are in the bundle, which is posted as a whole
                found.pop(name, None)
            for entry in record.transactions:
                transaction = entry.transaction
                data = self._journal.find_data(transaction)
                if data is not None:
                    found[transaction.id] = Piece(
                        name=entry.name,
                        source=data,
                        size=transaction.data_size,
                        data_root=transaction.data_root,
                        tags=transaction.tags,
                    )
        return found

    def _find_lost(
        self, name: str, piece: Piece, bundle: str | None, job: Job, *, thorough: bool
    ) -> tuple[Piece, Stored, list[int]] | None:
        """Return which chunks of a transaction the network has lost; None where nothing can be done."""
        job.advance(0)  # which ends it when another one has failed
        try:
            stored = self._reader.read_by_id(name, bundle=bundle if name != bundle else None)
        except NotFinalizedError:  # only what is mined can be looked for
            return None
        if thorough or not self._reader.is_retrievable(stored, piece.source):
            return piece, stored, self._lost_chunks(piece, stored)
        return None

    def _lost_chunks(self, piece: Piece, stored: Stored) -> list[int]:
        """Return the chunks that are lost and that are ours to post: those of a bundle's items are not.

        Another tool may have cut the same bytes in other chunks.
        """
        is_ours = stored.bundle is None and stored.data_root == piece.data_root
        return self._reader.find_lost_chunks(stored) if is_ours else []

    def _restore(self, piece: Piece, stored: Stored, lost: Sequence[int]) -> None:
        """Post again the chunks of a file that the network has lost, which costs nothing.

        Raises:
            TransferError: nodes do not know the transaction at the moment.
        """
        if not lost:
            return
        log.warning("posting %d chunks of %r again, which the network has lost", len(lost), piece.name)
        transaction = self._network.read_transaction(stored.id)
        delivery = Delivery(
            self._network,
            self._reader,
            self._journal,
            {piece.name: piece.source},
            max_workers=self._max_workers,
            meter=ProgressMeter(None, "upload", 0),
        )
        try:
            delivery.post_lost(Entry(name=piece.name, transaction=transaction), lost)
        except ForgottenError as error:
            message = f"{error}; try again later"
            raise TransferError(message, retryable=True) from None

"""Posting again what was paid for and what the network lost, at no cost."""

import logging
from collections.abc import Sequence

from ritual_artifacts.backends.arweave.reading.stored import Stored
from ritual_artifacts.backends.arweave.reading.transactions import StoredTransaction
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.upload.journal import Entry, Journal
from ritual_artifacts.backends.arweave.upload.posting import ForgottenError, Poster
from ritual_artifacts.backends.arweave.upload.unsigned import PATHS_NAME, UnsignedArtifact, UnsignedData
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.errors import NotFinalizedError, TransferError

log = logging.getLogger(__name__)


class Reseeder:
    """Finds what the network lost of one upload, and posts it again."""

    def __init__(self, weave: Weave, journal: Journal) -> None:
        """Prepare; nothing is sent.

        Args:
            weave: The session.
            journal: Has the data that is not in a file of the user.
        """
        self._weave = weave
        self._journal = journal

    def reseed(self, result: ArweaveUploadResult, artifact: UnsignedArtifact, *, thorough: bool) -> None:
        """Post again what the network lost of a version that was paid for.

        Args:
            result: The version.
            artifact: What it consists of.
            thorough: Ask for every chunk, instead of some.

        Raises:
            TransferError: nodes do not know a transaction at the moment.
        """
        bundle = None if result.final_transaction == result.transaction_id else result.final_transaction

        def find_lost(item: tuple[str, UnsignedData]) -> tuple[UnsignedData, Stored, list[int]] | None:
            return self._find_lost(*item, bundle if item[0] != bundle else None, thorough=thorough)

        posted = self._list_posted(result, artifact).items()
        for found in self._weave.network.each(find_lost, posted):
            if found is not None:
                self._restore(*found)

    def restore(self, file: UnsignedData, stored: Stored) -> bool:
        """Post again what the network lost of a stored file, and return whether the file is there now.

        Raises:
            TransferError: nodes do not know the transaction at the moment.
        """
        self._restore(file, stored, _find_lost_chunks(file, stored))
        if stored.is_retrievable(file.source):
            return True
        log.warning("the data of %s is lost, so %r is stored again", stored.id, file.name)
        return False

    def _list_posted(
        self, result: ArweaveUploadResult, artifact: UnsignedArtifact
    ) -> dict[str, UnsignedData]:
        """Return the data of transactions and data items, by id, as far as it is known here."""
        ids = {**result.transactions, PATHS_NAME: result.transaction_id}
        files = (*artifact.files, artifact.make_paths(result.transactions))
        found = {ids[file.name]: file for file in files if file.name in ids}
        record = self._journal.read()
        if record is not None and record.revision == result.transaction_id:
            for name in record.items.values():  # they are in the bundle, which is posted as a whole
                found.pop(name, None)
            for entry in record.transactions:
                transaction = entry.transaction
                data = self._journal.find_data(transaction)
                if data is not None:
                    found[transaction.id] = UnsignedData(
                        name=entry.name,
                        source=data,
                        size=transaction.data_size,
                        data_root=transaction.data_root,
                        tags=transaction.tags,
                    )
        return found

    def _find_lost(
        self, name: str, file: UnsignedData, bundle: str | None, *, thorough: bool
    ) -> tuple[UnsignedData, Stored, list[int]] | None:
        """Return which chunks of a transaction the network lost; None: none, or they cannot be posted."""
        try:
            stored = self._weave.reader.find(name, bundle=bundle)
        except NotFinalizedError:  # chunks can be looked for only once they are mined
            return None
        if thorough or not stored.is_retrievable(file.source):
            return file, stored, _find_lost_chunks(file, stored)
        return None

    def _restore(self, file: UnsignedData, stored: Stored, lost: Sequence[int]) -> None:
        if not lost:
            return
        log.warning("posting %d chunks of %r again, which the network lost", len(lost), file.name)
        transaction = self._weave.network.read_transaction(stored.id)
        poster = Poster(self._weave, self._journal, {file.name: file.source})
        try:
            poster.post_lost(Entry(name=file.name, transaction=transaction), lost)
        except ForgottenError as error:
            message = f"{error}; try again later"
            raise TransferError(message, retryable=True) from None


def _find_lost_chunks(file: UnsignedData, stored: Stored) -> list[int]:
    """Return the chunks that are lost and that can be posted from this file.

    A data item has no chunks of its own, and another tool may have split the same bytes into other chunks.
    """
    if not isinstance(stored, StoredTransaction) or stored.data_root != file.data_root:
        return []
    return stored.chunks.find_lost()

"""Posting again what was paid for and what the network lost, at no cost."""

import logging
from collections.abc import Sequence
from typing import Final

from ritual_artifacts.backends.arweave.reading.stored import Stored
from ritual_artifacts.backends.arweave.reading.transactions import StoredTransaction
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.upload.journal import Entry, Journal
from ritual_artifacts.backends.arweave.upload.posting import ForgottenError, Poster
from ritual_artifacts.backends.arweave.upload.unsigned import PATHS_NAME, UnsignedArtifact, UnsignedData
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.errors import NotFinalizedError, TransferError

log = logging.getLogger(__name__)

_MAX_WHOLE_BYTES: Final = 64 << 20
"""Of data that is checked chunk by chunk; of larger data some places are."""


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

    def reseed(self, result: ArweaveUploadResult, artifact: UnsignedArtifact, *, thorough: bool) -> bool:
        """Post again what the network lost of a version that was paid for.

        Args:
            result: The version.
            artifact: What it consists of.
            thorough: Ask for every chunk of large data, too, instead of some.

        Returns:
            Whether something was lost.

        Raises:
            TransferError: nodes do not know a transaction at the moment, or a gateway cannot say what it has.
        """
        any_lost = False
        bundle = None if result.final_transaction == result.transaction_id else result.final_transaction

        def find_lost(item: tuple[str, UnsignedData]) -> tuple[UnsignedData, Stored, list[int]] | None:
            return self._find_lost(*item, bundle if item[0] != bundle else None, thorough=thorough)

        posted = self._list_posted(result, artifact).items()
        for found in self._weave.network.each(find_lost, posted):
            if found is not None:
                any_lost = self._restore(*found) or any_lost
        return any_lost

    def restore(self, file: UnsignedData, stored: Stored) -> bool:
        """Post again what the network lost of a stored file, and return whether the file is there now.

        Raises:
            TransferError: nodes do not know the transaction at the moment.
        """
        if self._restore(file, stored, _find_lost_chunks(file, stored)):
            return True  # nodes took it; gateways may show it later
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
        is_small = stored.data_size <= _MAX_WHOLE_BYTES
        if thorough or is_small or not stored.is_retrievable(file.source):
            return file, stored, _find_lost_chunks(file, stored)
        return None

    def _restore(self, file: UnsignedData, stored: Stored, lost: Sequence[int]) -> bool:
        """Post lost chunks, and return whether there were any."""
        if not lost:
            return False
        log.warning("posting %d chunks of %r again, which the network lost", len(lost), file.name)
        transaction = self._weave.network.read_transaction(stored.id)
        poster = Poster(self._weave, self._journal, {file.name: file.source})
        try:
            poster.post_lost(Entry(name=file.name, transaction=transaction), lost)
        except ForgottenError as error:
            message = f"{error}; try again later"
            raise TransferError(message, retryable=True) from None
        return True


def _find_lost_chunks(file: UnsignedData, stored: Stored) -> list[int]:
    """Return the chunks that are lost and that can be posted from this file.

    A data item has no chunks of its own, and another tool may have split the same bytes into other chunks.
    """
    if not isinstance(stored, StoredTransaction) or stored.data_root != file.data_root:
        return []
    return stored.chunks.find_lost()

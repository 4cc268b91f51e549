"""From unsigned data to signed transactions, after their price was checked."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.options import UploadOptions
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.backends.arweave.upload.bundle import (
    bundle_size,
    choose_bundled,
    make_bundle,
    sign_item,
)
from ritual_artifacts.backends.arweave.upload.journal import Entry, Journal, Record
from ritual_artifacts.backends.arweave.upload.prices import Prices, refuse_unaffordable
from ritual_artifacts.backends.arweave.upload.unsigned import PATHS_NAME, UnsignedArtifact, UnsignedData
from ritual_artifacts.backends.arweave.wallet import Wallet

log = logging.getLogger(__name__)


class Signer:
    """Signs the transactions of one upload."""

    def __init__(
        self,
        network: Network,
        wallet: Wallet,
        artifact: UnsignedArtifact,
        journal: Journal,
        options: UploadOptions,
    ) -> None:
        """Prepare; nothing is signed yet."""
        self._network = network
        self._wallet = wallet
        self._artifact = artifact
        self._journal = journal
        self._options = options
        self._prices = Prices(network)
        self._files: Final = {file.name: file for file in artifact.files}

    def sign(self, reused: Mapping[str, str]) -> Record:
        """Sign everything that is not stored yet, and write it to the journal; nothing is posted.

        Args:
            reused: Ids of files that are stored already, by name.

        Raises:
            BackendError: it costs more than the user allows.
            InsufficientFundsError: it costs more than the wallet has.
        """
        new = [file for file in self._artifact.files if file.name not in reused]
        copies = _find_copies(new)
        new = [file for file in new if file.name not in copies]
        bundled = choose_bundled(new) if self._options.bundle else []
        names = {file.name for file in bundled}
        loose = [file for file in new if file.name not in names]
        sizes = [*(file.size for file in loose), self._final_size(bundled)]
        self._check_cost(self._prices.total(sizes))
        anchor = self._network.read_anchor()
        entries = tuple(self._sign_transaction(file, anchor) for file in loose)
        return self._finish(entries, reused, copies, [file.name for file in bundled], anchor)

    def refuse_costly(self, record: Record) -> None:
        """Check the cost of what an earlier process signed, unless all of it is paid.

        Raises:
            BackendError: it costs more than the user allows now.
            InsufficientFundsError: it costs more than the wallet has now.
        """
        paid = self._paid(record.transactions)
        if paid < record.cost:
            self._check_cost(record.cost - paid, paid=paid + record.superseded)

    def sign_again(self, record: Record, stale: Sequence[Entry]) -> Record:
        """Sign transactions again that no node has and none will take, and write that down.

        The final transaction is signed again with any of them, because it names them. Only the gateways say
        that a replaced transaction was not paid for, so its cost still counts towards the user's limit.

        Raises:
            BackendError: the upload would now cost more than the user allows.
            InsufficientFundsError: it would cost more than the wallet has.
        """
        names = {entry.name for entry in stale}
        log.info("signing %d transactions again, because no node takes them any more", len(names))
        kept = [entry for entry in record.entries if entry.name not in names]
        again = [entry for entry in record.entries if entry.name in names]
        sizes = [entry.transaction.data_size for entry in (*again, record.final)]
        paid = self._paid(kept)
        unpaid = sum(entry.transaction.reward for entry in kept) - paid
        superseded = record.superseded + sum(entry.transaction.reward for entry in again)
        superseded += self._paid([record.final])
        self._prices = Prices(self._network)  # prices change while an upload takes hours
        self._check_cost(self._prices.total(sizes) + unpaid, paid=paid + superseded)
        anchor = self._network.read_anchor()
        entries = tuple(
            self._sign_transaction(self._files[entry.name], anchor) if entry.name in names else entry
            for entry in record.entries
        )
        bundled = [name for name in record.items if name != PATHS_NAME]
        return self._finish(entries, record.reused, record.copies, bundled, anchor, superseded=superseded)

    def _paid(self, entries: Iterable[Entry]) -> int:
        """Return what the transactions that nodes have cost, in winston."""
        return sum(e.transaction.reward for e in entries if self._journal.is_posted(e.transaction))

    def _check_cost(self, cost: int, *, paid: int = 0) -> None:
        refuse_unaffordable(
            self._network, self._wallet.address, cost, paid=paid, max_cost=self._options.max_cost
        )

    def _final_size(self, bundled: Sequence[UnsignedData]) -> int:
        """Return the size of what is posted last. It holds ids that are not known yet, all of one length."""
        paths = self._artifact.make_paths({})
        return bundle_size([*bundled, paths]) if self._options.bundle else paths.size

    def _finish(
        self,
        entries: tuple[Entry, ...],
        reused: Mapping[str, str],
        copies: Mapping[str, str],
        bundled: Sequence[str],
        anchor: bytes,
        *,
        superseded: int = 0,
    ) -> Record:
        """Sign the transaction that names all others, and write everything down."""
        ids = {**reused, **{entry.name: entry.transaction.id for entry in entries}}
        items: dict[str, str] = {}
        if self._options.bundle:
            signed = [sign_item(self._files[name], self._wallet) for name in bundled]
            ids |= {item.name: item.id for item in signed}
            paths = sign_item(self._make_paths(ids, copies), self._wallet)
            items = {item.name: item.id for item in [*signed, paths]}
            last = make_bundle([*signed, paths], self._artifact.make_bundle_tags(paths.id))
        else:
            last = self._make_paths(ids, copies)
        record = Record(
            unix_time=self._artifact.unix_time,
            entries=entries,
            final=self._sign_transaction(last, anchor),
            reused=reused,
            items=items,
            copies=copies,
            superseded=superseded,
        )
        self._journal.write(record)
        return record

    def _make_paths(self, ids: Mapping[str, str], copies: Mapping[str, str]) -> UnsignedData:
        return self._artifact.make_paths({**ids, **{name: ids[same] for name, same in copies.items()}})

    def _sign_transaction(self, file: UnsignedData, anchor: bytes) -> Entry:
        """Sign a transaction; data that is not in a file of the user is kept until it is posted."""
        transaction = Transaction(
            owner=self._wallet.owner,
            anchor=anchor,
            tags=file.tags,
            reward=self._prices.price(file.size),
            data_size=file.size,
            data_root=file.data_root,
        ).sign(self._wallet)
        if isinstance(file.source, bytes):
            self._journal.write_data(transaction, file.source)
        return Entry(name=file.name, transaction=transaction)


def _find_copies(files: Sequence[UnsignedData]) -> dict[str, str]:
    """Return the files with the same bytes as an earlier one: the earlier one's name, by name."""
    first: dict[str, str] = {}
    copies: dict[str, str] = {}
    for file in files:
        if file.sha256 is not None and (same := first.setdefault(file.sha256, file.name)) != file.name:
            copies[file.name] = same
    return copies

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
from ritual_artifacts.backends.arweave.upload.prices import Bill, Prices, check_bill
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
        self._signed: set[str] = set()  # by this process
        self._replaced = 0  # winston of transactions of this process that were signed again

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
        bundled, loose = _divide(new, self._options)
        sizes = _list_sizes(self._artifact, bundled, loose, self._options)
        self._check(Bill(due=self._prices.total(sizes)))
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
            self._check(Bill(due=record.cost - paid, paid=paid, replaced=record.superseded))

    def sign_again(self, record: Record, stale: Sequence[Entry]) -> Record:
        """Sign transactions again that no node has and none will take, and write that down.

        The final transaction is signed again with any of them, because it names them. Only the gateways say
        that a replaced transaction was not paid for. So its cost still counts towards the user's limit, if a
        node acknowledged it, or if this process posted it: a gateway that takes what it refuses cannot charge
        more than the user allows. What an earlier process posted, and no node ever acknowledged, is not
        counted.

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
        acknowledged = self._acknowledged([*again, record.final])
        superseded = record.superseded + acknowledged
        signed = sum(e.transaction.reward for e in again if e.transaction.id in self._signed)
        self._replaced += max(0, signed - self._acknowledged(again))
        self._prices = Prices(self._network)  # prices change while an upload takes hours
        due = self._prices.total(sizes) + unpaid
        self._check(Bill(due=due, paid=paid, replaced=superseded + self._replaced))
        anchor = self._network.read_anchor()
        entries = tuple(
            self._sign_transaction(self._files[entry.name], anchor) if entry.name in names else entry
            for entry in record.entries
        )
        bundled = [name for name in record.items if name != PATHS_NAME]
        return self._finish(entries, record.reused, record.copies, bundled, anchor, superseded=superseded)

    def is_paid(self, transaction: Transaction) -> bool:
        """Return whether nodes of these gateways have a transaction; others may be on another network.

        Raises:
            BackendError: a gateway that may know it could not be asked.
        """
        if not self._journal.is_posted(transaction):
            return False
        is_ours = self._is_ours(transaction)
        return is_ours or self._network.read_status(transaction.id).state != "dropped"

    def _is_ours(self, transaction: Transaction) -> bool:
        """Return whether one of these gateways acknowledged the transaction."""
        return self._journal.posted_by(transaction) in {gateway.url for gateway in self._network.gateways}

    def _paid(self, entries: Iterable[Entry]) -> int:
        """Return what the transactions that nodes have cost, in winston."""
        return sum(e.transaction.reward for e in entries if self.is_paid(e.transaction))

    def _acknowledged(self, entries: Iterable[Entry]) -> int:
        """Return what the transactions cost that these gateways took once, in winston."""
        return sum(e.transaction.reward for e in entries if self._is_ours(e.transaction))

    def _check(self, bill: Bill) -> None:
        check_bill(self._network, self._wallet.address, bill, max_cost=self._options.max_cost)

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
        self._signed.add(transaction.id)
        if isinstance(file.source, bytes):
            self._journal.write_data(transaction, file.source)
        return Entry(name=file.name, transaction=transaction)


def list_sizes(artifact: UnsignedArtifact, options: UploadOptions) -> list[int]:
    """Return the sizes of the transactions that an artifact takes of which nothing is stored yet."""
    return _list_sizes(artifact, *_divide(artifact.files, options), options)


def _divide(
    files: Sequence[UnsignedData], options: UploadOptions
) -> tuple[list[UnsignedData], list[UnsignedData]]:
    """Return the files that go into the bundle, and those that get transactions of their own."""
    bundled = choose_bundled(files) if options.bundle else []
    names = {file.name for file in bundled}
    return bundled, [file for file in files if file.name not in names]


def _list_sizes(
    artifact: UnsignedArtifact,
    bundled: Sequence[UnsignedData],
    loose: Sequence[UnsignedData],
    options: UploadOptions,
) -> list[int]:
    """Return the sizes of all transactions. The last holds ids that are not known yet, all of one length."""
    paths = artifact.make_paths({})
    final = bundle_size([*bundled, paths]) if options.bundle else paths.size
    return [*(file.size for file in loose), final]


def _find_copies(files: Sequence[UnsignedData]) -> dict[str, str]:
    """Return the files with the same bytes as an earlier one: the earlier one's name, by name."""
    first: dict[str, str] = {}
    copies: dict[str, str] = {}
    for file in files:
        if file.sha256 is not None and (same := first.setdefault(file.sha256, file.name)) != file.name:
            copies[file.name] = same
    return copies

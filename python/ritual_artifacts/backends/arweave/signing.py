"""From contents to signed transactions, once everybody knows what they cost."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ritual_artifacts.backends.arweave.bundle import bundle_size, choose_bundled, make_bundle, sign_item
from ritual_artifacts.backends.arweave.contents import PATHS_NAME, Contents, Piece
from ritual_artifacts.backends.arweave.journal import Entry, Journal, Record
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.options import Connection, UploadOptions
from ritual_artifacts.backends.arweave.payment import Prices, refuse_unaffordable
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.backends.arweave.wallet import Wallet

log = logging.getLogger(__name__)


class Signer:
    """Signs the transactions of one upload."""

    def __init__(
        self,
        network: Network,
        wallet: Wallet,
        contents: Contents,
        journal: Journal,
        *,
        connection: Connection,
        options: UploadOptions,
    ) -> None:
        """Prepare; nothing is signed yet."""
        self._network = network
        self._wallet = wallet
        self._contents = contents
        self._journal = journal
        self._options = options
        self._max_workers = connection.max_workers
        self._prices = self._ask_prices()
        self._pieces: Final = {piece.name: piece for piece in contents.pieces}

    def _ask_prices(self) -> Prices:
        """Forget the prices that are known: they rise and fall while an upload takes hours."""
        return Prices(self._network, max_workers=self._max_workers)

    def sign(self, reused: Mapping[str, str]) -> Record:
        """Sign everything that is not stored yet, and write it down; nothing is posted.

        Args:
            reused: Ids of files that are stored already, by name.

        Raises:
            BackendError: it costs more than the user allows.
            InsufficientFundsError: it costs more than the wallet has.
        """
        new = [piece for piece in self._contents.pieces if piece.name not in reused]
        copies = _find_copies(new)
        new = [piece for piece in new if piece.name not in copies]
        bundled = choose_bundled(new) if self._options.bundle else []
        names = {piece.name for piece in bundled}
        loose = [piece for piece in new if piece.name not in names]
        sizes = [*(piece.size for piece in loose), self._final_size(bundled)]
        self._check_cost(self._prices.total(sizes))
        anchor = self._network.read_anchor()
        entries = tuple(self._sign_piece(piece, anchor) for piece in loose)
        return self._finish(entries, reused, copies, [piece.name for piece in bundled], anchor)

    def refuse_costly(self, record: Record) -> None:
        """Check what an earlier process has signed, as long as something of it is still to be paid.

        Raises:
            BackendError: it costs more than the user allows now.
            InsufficientFundsError: it costs more than the wallet has now.
        """
        paid = self._paid(record.transactions)
        if paid < record.cost:
            self._check_cost(record.cost - paid, paid=paid + record.superseded)

    def sign_again(self, record: Record, stale: Sequence[Entry]) -> Record:
        """Sign transactions anew that no node has and none will take, and write that down.

        The final transaction is signed anew with any of them, because it names them. That what is replaced
        was not paid for is the word of gateways, so it counts where the user has set a limit.

        Raises:
            BackendError: the upload would now cost more than the user allows.
            InsufficientFundsError: it would cost more than the wallet has.
        """
        names = {entry.name for entry in stale}
        log.info("signing %d transactions again: no node takes them any more", len(names))
        kept = [entry for entry in record.entries if entry.name not in names]
        again = [entry for entry in record.entries if entry.name in names]
        sizes = [entry.transaction.data_size for entry in (*again, record.final)]
        paid = self._paid(kept)
        unpaid = sum(entry.transaction.reward for entry in kept) - paid
        superseded = record.superseded + sum(entry.transaction.reward for entry in again)
        superseded += self._paid([record.final])
        self._prices = self._ask_prices()
        self._check_cost(self._prices.total(sizes) + unpaid, paid=paid + superseded)
        anchor = self._network.read_anchor()
        entries = tuple(
            self._sign_piece(self._pieces[entry.name], anchor) if entry.name in names else entry
            for entry in record.entries
        )
        bundled = [name for name in record.items if name != PATHS_NAME]
        return self._finish(entries, record.reused, record.copies, bundled, anchor, superseded=superseded)

    def _paid(self, entries: Iterable[Entry]) -> int:
        """Return the winston that transactions cost which nodes have."""
        return sum(e.transaction.reward for e in entries if self._journal.is_posted(e.transaction))

    def _check_cost(self, cost: int, *, paid: int = 0) -> None:
        refuse_unaffordable(
            self._network, self._wallet.address, cost, paid=paid, max_cost=self._options.max_cost
        )

    def _final_size(self, bundled: Sequence[Piece]) -> int:
        """Return the size of what is posted last, whose ids are not known yet: they are all of one length."""
        paths = self._contents.make_paths({})
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
        """Sign what names all others, and write everything down."""
        ids = {**reused, **{entry.name: entry.transaction.id for entry in entries}}
        items: dict[str, str] = {}
        if self._options.bundle:
            signed = [sign_item(self._pieces[name], self._wallet) for name in bundled]
            ids |= {item.name: item.id for item in signed}
            paths = sign_item(self._make_paths(ids, copies), self._wallet)
            items = {item.name: item.id for item in [*signed, paths]}
            last = make_bundle([*signed, paths], self._contents.make_bundle_tags(paths.id))
        else:
            last = self._make_paths(ids, copies)
        record = Record(
            unix_time=self._contents.unix_time,
            entries=entries,
            final=self._sign_piece(last, anchor),
            reused=reused,
            items=items,
            copies=copies,
            superseded=superseded,
        )
        self._journal.write(record)
        return record

    def _make_paths(self, ids: Mapping[str, str], copies: Mapping[str, str]) -> Piece:
        return self._contents.make_paths({**ids, **{name: ids[same] for name, same in copies.items()}})

    def _sign_piece(self, piece: Piece, anchor: bytes) -> Entry:
        """Sign what goes into one transaction; what is in no file of the user is kept until it is posted."""
        transaction = Transaction(
            owner=self._wallet.owner,
            anchor=anchor,
            tags=piece.tags,
            reward=self._prices.price(piece.size),
            data_size=piece.size,
            data_root=piece.data_root,
        ).sign(self._wallet)
        if isinstance(piece.source, bytes):
            self._journal.write_data(transaction, piece.source)
        return Entry(name=piece.name, transaction=transaction)


def _find_copies(pieces: Sequence[Piece]) -> dict[str, str]:
    """Return the names of pieces with the same bytes as an earlier one, each with the earlier one's name."""
    first: dict[str, str] = {}
    copies: dict[str, str] = {}
    for piece in pieces:
        if piece.sha256 is not None and (same := first.setdefault(piece.sha256, piece.name)) != piece.name:
            copies[piece.name] = same
    return copies

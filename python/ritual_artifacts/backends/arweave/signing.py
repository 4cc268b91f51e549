"""From contents to signed transactions, once everybody knows what they cost."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from ritual_artifacts.backends.arweave.bundle import bundle_size, choose_bundled, make_bundle, sign_item
from ritual_artifacts.backends.arweave.contents import PATHS_NAME, Contents, Piece
from ritual_artifacts.backends.arweave.journal import Entry, Journal, Record
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.options import UploadOptions
from ritual_artifacts.backends.arweave.payment import Prices, refuse_excess, refuse_unaffordable
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.backends.arweave.wallet import Wallet

log = logging.getLogger(__name__)


class Signer:
    """Signs the transactions of one upload."""

    def __init__(
        self, network: Network, wallet: Wallet, contents: Contents, journal: Journal, options: UploadOptions
    ) -> None:
        """Prepare; nothing is signed yet."""
        self._network = network
        self._wallet = wallet
        self._contents = contents
        self._journal = journal
        self._options = options
        self._prices: Final = Prices(network)
        self._pieces: Final = {piece.name: piece for piece in contents.pieces}

    def sign(self, reused: Mapping[str, str]) -> Record:
        """Sign everything that is not stored yet, and write it down; nothing is posted.

        Args:
            reused: Ids of files that are stored already, by name.

        Raises:
            BackendError: it costs more than the user allows.
            InsufficientFundsError: it costs more than the wallet has.
        """
        new = [piece for piece in self._contents.pieces if piece.name not in reused]
        bundled = choose_bundled(new) if self._options.bundle else []
        names = {piece.name for piece in bundled}
        loose = [piece for piece in new if piece.name not in names]
        sizes = [*(piece.size for piece in loose), self._final_size(bundled)]
        self._check_cost(self._prices.total(sizes))
        anchor = self._network.read_anchor()
        entries = tuple(Entry(name=p.name, transaction=self._sign_piece(p, anchor)) for p in loose)
        return self._finish(entries, reused, [piece.name for piece in bundled], anchor)

    def refuse_costly(self, record: Record) -> None:
        """Check what an earlier process has signed, as long as something of it is still to be paid.

        Raises:
            BackendError: it costs more than the user allows now.
        """
        everything = (*record.entries, record.final)
        rewards = [e.transaction.reward for e in everything if self._journal.is_posted(e.transaction)]
        if len(rewards) < len(everything):
            refuse_excess(record.cost, sum(rewards), self._options.max_cost)

    def sign_again(self, record: Record, stale: Sequence[Entry]) -> Record:
        """Sign transactions anew that no node has and none will take, and write that down.

        Raises:
            BackendError: the upload would now cost more than the user allows.
            InsufficientFundsError: it would cost more than the wallet has.
        """
        names = {entry.name for entry in stale}
        log.info("signing %d transactions again: they named a block that is too old", len(names))
        kept = [entry for entry in (*record.entries, record.final) if entry.name not in names]
        sizes = [entry.transaction.data_size for entry in stale]
        self._check_cost(self._prices.total(sizes), paid=sum(entry.transaction.reward for entry in kept))
        anchor = self._network.read_anchor()
        entries = tuple(
            Entry(name=e.name, transaction=self._sign_piece(self._pieces[e.name], anchor))
            if e.name in names
            else e
            for e in record.entries
        )
        bundled = [name for name in record.items if name != PATHS_NAME]
        return self._finish(entries, record.reused, bundled, anchor)

    def _check_cost(self, cost: int, *, paid: int = 0) -> None:
        refuse_unaffordable(
            self._network, self._wallet.address, cost, paid=paid, max_cost=self._options.max_cost
        )

    def _final_size(self, bundled: Sequence[Piece]) -> int:
        """Return the size of what is posted last, whose ids are not known yet: they are all of one length."""
        paths = self._contents.make_paths({})
        return bundle_size([*bundled, paths]) if self._options.bundle else paths.size

    def _finish(
        self, entries: tuple[Entry, ...], reused: Mapping[str, str], bundled: Sequence[str], anchor: bytes
    ) -> Record:
        """Sign what names all others, and write everything down."""
        ids = {**reused, **{entry.name: entry.transaction.id for entry in entries}}
        items: dict[str, str] = {}
        if self._options.bundle:
            signed = [sign_item(self._pieces[name], self._wallet) for name in bundled]
            ids |= {item.name: item.id for item in signed}
            signed.append(sign_item(self._contents.make_paths(ids), self._wallet))
            items = {item.name: item.id for item in signed}
            last = make_bundle(signed)
        else:
            last = self._contents.make_paths(ids)
        final = Entry(name=last.name, transaction=self._sign_piece(last, anchor))
        self._journal.write_data(final.transaction, last.read())
        record = Record(
            unix_time=self._contents.unix_time, entries=entries, final=final, reused=reused, items=items
        )
        self._journal.write(record)
        return record

    def _sign_piece(self, piece: Piece, anchor: bytes) -> Transaction:
        return Transaction(
            owner=self._wallet.owner,
            anchor=anchor,
            tags=piece.tags,
            reward=self._prices.price(piece.size),
            data_size=piece.size,
            data_root=piece.data_root,
        ).sign(self._wallet)

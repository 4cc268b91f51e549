"""The state behind the nodes and gateways: blocks, waiting transactions, balances, data, data items."""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.arweave.bundles import DataItem, MalformedBundleError, read_bundle
from tests.servers.arweave.chunks import ChunkStore, DataRoot
from tests.servers.arweave.encoding import b64, unb64
from tests.servers.arweave.merkle import CHUNK_SIZE, Split, Tree, build_tree, split_arweave_js, tree_of
from tests.servers.arweave.transactions import Tags, Transaction
from tests.servers.replies import Reply, Slice

ANCHORS = 50
"""A transaction is bound to one of so many last blocks."""
BASE_SIZE = 3210
GENESIS_TIME = 1_700_000_000
BLOCK_TIME = 120  # seconds
GENESIS_SIZE = 7 * CHUNK_SIZE
"""Bytes that the weave has before any test: no offset is by chance the one inside its transaction."""


@dataclass(kw_only=True)
class Rules:
    """What the nodes of a weave do in their own way; a test may change it at any time."""

    auto_mine: bool = False
    """A transaction is in a block as soon as it is posted."""
    optimistic: bool = False
    """Gateways serve data whose transaction is not in a block yet."""
    page_limit: int = 100
    """Edges of one page of GraphQL at most."""
    winston_per_byte: int = 9313
    new_wallet_fee: int = 2_000_000_000
    """Winston more for a transfer to a wallet that does not exist yet."""
    in_body_limit: int = 12 << 20
    """Data of this size (bytes) are the largest that `/tx/{id}/data` and its like serve."""
    remembers_posts: bool = True
    """A waiting transaction that is posted again is answered with 208; else with 400 and the reason."""
    unconfirmed_limit: int = 10_000 << 20
    """Bytes of chunks that are kept of a data root while no block holds its transaction."""
    digest_limit: int = 64 << 20
    """Data of this size (bytes) or less are served with digest and ETag."""
    serves_empty_data: bool = True
    """Gateways answer 200 to data of no bytes; else 404."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block; `start` and `stop` are where its data lie in the weave."""

    height: int
    id: str
    previous: str
    timestamp: int
    transactions: tuple[str, ...]
    start: int
    stop: int
    tx_root: Tree

    @property
    def anchor(self) -> bytes:
        return unb64(self.id)


@dataclass
class Entry:
    """A transaction that a node has: waiting, in a block, or rejected for these reasons."""

    transaction: Transaction
    data: DataRoot
    block: Block | None = None
    place: int = 0
    """Its place among all transactions, in the order of arrival."""
    end: int = 0
    """Where in the weave its data end."""
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a gateway serves under an id: the data of a transaction or of a data item."""

    id: str
    tags: Tags
    body: Slice
    data: DataRoot
    root: Entry
    """The transaction that holds it."""

    def tag(self, name: str) -> str | None:
        return next(
            (value.decode("utf-8", "replace") for given, value in self.tags if given == name.encode()), None
        )


@dataclass
class Weave:
    """One chain with its data; any number of nodes may show it."""

    folder: Path
    rules: Rules = field(default_factory=Rules)
    blocks: list[Block] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    items: dict[str, DataItem] = field(default_factory=dict)
    malformed_bundles: dict[str, str] = field(default_factory=dict)
    forgotten: set[tuple[bytes, int]] = field(default_factory=set)
    """Data roots of waiting transactions whose time is over."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.chunks = ChunkStore(self.folder / "chunks")
        self._minted: dict[str, int] = {}
        self._append((), GENESIS_SIZE)

    # --- what tests do ---

    def mint(self, address: str, winston: int) -> None:
        with self.lock:
            self._minted[address] = self._minted.get(address, 0) + winston

    def mine(self, blocks: int = 1, *, empty: bool = False) -> None:
        """Add blocks, the first with every waiting transaction, or all of them empty.

        A waiting transaction whose anchor is no longer among the last blocks is dropped.
        """
        with self.lock:
            for _ in range(blocks):
                self._append(() if empty else tuple(self._waiting()))
            fresh = self.anchors()
            for entry in list(self._waiting()):
                if len(entry.transaction.last_tx) == 48 and entry.transaction.last_tx not in fresh:
                    del self.entries[entry.transaction.id]

    def put(
        self,
        transaction: Transaction,
        data: bytes | Path | None = None,
        *,
        split: Split = split_arweave_js,
    ) -> Entry:
        """Take a transaction unchecked, with its data where they are given, and let it wait for a block."""
        with self.lock:
            root = self.chunks.open(transaction.data_root, transaction.data_size)
            entry = Entry(transaction, root, place=len(self.entries))
            self.entries[transaction.id] = entry
            self.forgotten.discard((root.root, root.size))
        if data is not None:
            self._fill(root, data, split)
        if self.rules.auto_mine:
            self.mine()
        return entry

    def reject(self, transaction: Transaction, reasons: Iterable[str]) -> None:
        """Remember why a transaction was refused; one that is known otherwise stays what it is."""
        with self.lock:
            if transaction.id not in self.entries:
                root = self.chunks.open(transaction.data_root, transaction.data_size)
                self.entries[transaction.id] = Entry(transaction, root, rejected=tuple(reasons))

    def drop(self, tx_id: str) -> None:
        """Let a transaction vanish, from its block too, as after a fork."""
        with self.lock:
            del self.entries[tx_id]
            for item in [item for item in self.items.values() if item.bundle == tx_id]:
                del self.items[item.id]

    def lose_chunks(self, tx_id: str, starts: Iterable[int] | None = None) -> None:
        """Forget chunks of a transaction, by where they start in its data; none given: all."""
        self.entries[tx_id].data.lose(starts)

    def forget_roots(self) -> None:
        """Forget the data roots of waiting transactions with their chunks, as nodes do after 30 minutes."""
        with self.lock:
            for entry in self._waiting():
                self.forgotten.add((entry.data.root, entry.data.size))
                entry.data.lose()

    # --- what handlers ask ---

    @property
    def tip(self) -> Block:
        return self.blocks[-1]

    def anchors(self) -> set[bytes]:
        return {block.anchor for block in self.blocks[-ANCHORS:]}

    def find(self, tx_id: str) -> Entry | None:
        with self.lock:
            return self.entries.get(tx_id)

    def balance(self, address: str, *, waiting: bool = False) -> int:
        """Return what a wallet has, in blocks, or as it will be with the waiting transactions."""
        with self.lock:
            winston = self._minted.get(address, 0)
            for entry in self.entries.values():
                transaction = entry.transaction
                if entry.rejected or not (entry.block or waiting):
                    continue
                if transaction.address == address:
                    winston -= transaction.reward + transaction.quantity
                if transaction.target and b64(transaction.target) == address:
                    winston += transaction.quantity
            return winston

    def last_tx(self, address: str, *, waiting: bool = False) -> str:
        """Return the last transaction of a wallet; empty where it has none."""
        with self.lock:
            sent = [
                entry
                for entry in self.entries.values()
                if entry.transaction.address == address and not entry.rejected and (entry.block or waiting)
            ]
            return sent[-1].transaction.id if sent else ""

    def price(self, size: int, target: str = "") -> int:
        """Return the fee in winston for so many bytes, and for a transfer."""
        rounded = -(-size // CHUNK_SIZE) * CHUNK_SIZE
        with self.lock:
            known = target in self._minted or any(
                b64(entry.transaction.target) == target for entry in self.entries.values() if entry.block
            )
        fee = self.rules.new_wallet_fee if target and not known else 0
        return (rounded + BASE_SIZE) * self.rules.winston_per_byte + fee

    def data_root(self, root: bytes, size: int) -> tuple[DataRoot, bool] | None:
        """Return a known data root, and whether a block holds it."""
        with self.lock:
            entries = [
                entry
                for entry in self.entries.values()
                if not entry.rejected and (entry.data.root, entry.data.size) == (root, size)
            ]
            if not entries:
                return None
            mined = any(entry.block for entry in entries)
            if not mined and (root, size) in self.forgotten:
                return None
            return entries[0].data, mined

    def content(self, content_id: str) -> Content | None:
        """Return what an id names, a transaction or a data item, whether or not it may be served yet."""
        with self.lock:
            item = self.items.get(content_id)
            if item is not None:
                root = self.root_of(item)
                if root is None:
                    return None
                return Content(id=item.id, tags=item.tags, body=item.body, data=root.data, root=root)
            entry = self.entries.get(content_id)
            if entry is None or entry.rejected:
                return None
            body = Slice(entry.data.path, 0, entry.data.size)
            tags = entry.transaction.tags
            return Content(id=content_id, tags=tags, body=body, data=entry.data, root=entry)

    def root_of(self, item: DataItem) -> Entry | None:
        """Return the transaction that holds a data item, directly or in a bundle inside its bundle."""
        bundle = item.bundle
        while bundle in self.items:
            bundle = self.items[bundle].bundle
        return self.entries.get(bundle)

    def at(self, offset: int) -> Entry | None:
        """Return the transaction whose data hold the byte at an absolute offset (from 1)."""
        with self.lock:
            for entry in self.entries.values():
                if entry.block and entry.end - entry.data.size < offset <= entry.end:
                    return entry
            return None

    def tx_path(self, entry: Entry) -> bytes:
        """Return the proof that a transaction's data root lies in its block."""
        assert entry.block is not None
        relative = entry.end - entry.block.start
        return next(
            leaf.path
            for leaf in entry.block.tx_root.chunks
            if leaf.end == relative and leaf.data_hash == entry.data.root
        )

    def index_bundles(self) -> None:
        """Read the bundles that are in a block and complete, as gateways do."""
        with self.lock:
            for entry in list(self.entries.values()):
                tx_id = entry.transaction.id
                known = tx_id in self.malformed_bundles or any(
                    item.bundle == tx_id for item in self.items.values()
                )
                if entry.block and entry.data.complete and not known and _is_bundle(entry.transaction.tags):
                    self._index(Slice(entry.data.path, 0, entry.data.size), tx_id)

    # --- inside ---

    def _index(self, body: Slice, bundle: str) -> None:
        try:
            items = list(read_bundle(body, bundle))
        except MalformedBundleError as error:
            self.malformed_bundles[bundle] = str(error)
            return
        for item in items:
            self.items.setdefault(item.id, item)
            if _is_bundle(item.tags):
                self._index(item.body, item.id)

    def _waiting(self) -> Iterator[Entry]:
        return (entry for entry in self.entries.values() if entry.block is None and not entry.rejected)

    def _append(self, entries: tuple[Entry, ...], padding: int = 0) -> None:
        start = self.blocks[-1].stop if self.blocks else 0
        stop, leaves = start + padding, []
        for entry in entries:
            if entry.data.size:
                stop += entry.data.size
                entry.end = stop
                leaves.append((0, stop - start, entry.data.root))
                rounded = -(-stop // CHUNK_SIZE) * CHUNK_SIZE
                if rounded > stop:  # every transaction begins on a border
                    leaves.append((0, rounded - start, b""))
                stop = rounded
        height = len(self.blocks)
        block = Block(
            height=height,
            id=b64(hashlib.sha384(f"{self.folder} {height}".encode()).digest()),
            previous=self.blocks[-1].id if self.blocks else "",
            timestamp=GENESIS_TIME + BLOCK_TIME * height,
            transactions=tuple(entry.transaction.id for entry in entries),
            start=start,
            stop=stop,
            tx_root=build_tree(leaves),
        )
        self.blocks.append(block)
        for entry in entries:
            entry.block = block
            self.forgotten.discard((entry.data.root, entry.data.size))
        self.index_bundles()

    def _fill(self, root: DataRoot, data: bytes | Path, split: Split) -> None:
        tree = tree_of(data, split)
        assert tree.root == root.root, "these data have another root"
        if isinstance(data, Path):
            with data.open("rb") as source:
                for chunk in tree.chunks:
                    if chunk.end > chunk.start:
                        root.store(chunk, source.read(chunk.end - chunk.start))
        else:
            for chunk in tree.chunks:
                if chunk.end > chunk.start:
                    root.store(chunk, data[chunk.start : chunk.end])


def _is_bundle(tags: Tags) -> bool:
    return {(b"Bundle-Format", b"binary"), (b"Bundle-Version", b"2.0.0")} <= set(tags)


def digest_of(body: Slice) -> str:
    state = hashlib.sha256()
    for block in Reply(body=body).blocks():
        state.update(block)
    return b64(state.digest())

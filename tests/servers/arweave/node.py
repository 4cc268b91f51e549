"""A strict Arweave node and gateway on loopback: everything checked, everything counted."""

import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers.arweave.checks import Declined, plain
from tests.servers.arweave.merkle import Split, split_arweave_js
from tests.servers.arweave.routes import Route, find_route
from tests.servers.arweave.transactions import Transaction
from tests.servers.arweave.weave import Entry, Rules, Weave
from tests.servers.faults import FaultBook
from tests.servers.ledger import Exchange, Ledger
from tests.servers.replies import Call, ProtocolViolation, Reply
from tests.servers.wire import Answered, Origin

_DATA_ROOT = re.compile(rb'"data_root"\s*:\s*"([\w-]+)"')
_OFFSET = re.compile(rb'"offset"\s*:\s*"(\d+)"')


@dataclass(frozen=True)
class ChunkPost:
    """A chunk that was posted, whatever became of it; `offset` is that of its last byte."""

    data_root: str
    offset: int
    status: int


class ArweaveNode:
    """A node with its gateway; use it as a context manager, then `check()`.

    Nodes that are given one weave show the same chain, each with ledger and faults of its own.
    """

    def __init__(
        self, folder: Path, *, weave: Weave | None = None, auto_mine: bool = False, optimistic: bool = False
    ) -> None:
        self.folder = folder
        self.weave = weave or Weave(folder / "weave", Rules(auto_mine=auto_mine, optimistic=optimistic))
        self.ledger = Ledger()
        self.faults = FaultBook()
        self.chunk_posts: list[ChunkPost] = []
        self._digests: dict[str, str] = {}
        self._running = False
        self._origin = Origin("node", folder / "incoming", self._handle, self._report)
        self._sandbox = Origin("sandbox", folder / "incoming", self._handle, self._report, host="localhost")
        self.url = self._origin.url
        self.sandbox_url = self._sandbox.url

    def __enter__(self) -> Self:
        self._running = True
        for origin in (self._origin, self._sandbox):
            origin.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop for good, and cut every connection; a node that is gone, to its clients."""
        if self._running:
            self._running = False
            for origin in (self._origin, self._sandbox):
                origin.stop()

    def check(self) -> None:
        """Fail where a client broke the protocol, a handler failed, or a fault was never met."""
        assert not self.ledger.violations, "\n".join(["the protocol was broken:", *self.ledger.violations])
        assert not self.faults.unmet(), f"no request met these faults: {self.faults.unmet()}"

    # --- what tests do ---

    @property
    def rules(self) -> Rules:
        return self.weave.rules

    @property
    def height(self) -> int:
        return self.weave.tip.height

    def mint(self, address: str, winston: int = 10**15) -> None:
        """Give a wallet winston from nowhere."""
        self.weave.mint(address, winston)

    def mine(self, blocks: int = 1, *, empty: bool = False) -> None:
        """Add blocks, the first with every waiting transaction, or all of them empty."""
        self.weave.mine(blocks, empty=empty)

    def put(
        self,
        transaction: Transaction,
        data: bytes | Path | None = None,
        *,
        split: Split = split_arweave_js,
    ) -> Entry:
        """Take a transaction without looking at it, a forged one too; it waits for a block."""
        return self.weave.put(transaction, data, split=split)

    def drop(self, tx_id: str) -> None:
        """Let a transaction vanish, from its block too."""
        self.weave.drop(tx_id)

    def lose_chunks(self, tx_id: str, starts: Iterable[int] | None = None) -> None:
        """Forget chunks of a transaction, by where they start in its data; none given: all."""
        self.weave.lose_chunks(tx_id, starts)

    def forget_roots(self) -> None:
        """Forget the data roots and chunks of waiting transactions, as nodes do after half an hour."""
        self.weave.forget_roots()

    # --- what tests look at ---

    def transaction(self, tx_id: str) -> Transaction:
        return self._entry(tx_id).transaction

    def transactions(self) -> list[Transaction]:
        """Return what was taken, waiting or in a block, in the order of arrival."""
        with self.weave.lock:
            return [entry.transaction for entry in self.weave.entries.values() if not entry.rejected]

    def is_mined(self, tx_id: str) -> bool:
        return self._entry(tx_id).block is not None

    def is_complete(self, tx_id: str) -> bool:
        """Tell whether all data of a transaction are here."""
        return self._entry(tx_id).data.complete

    def read(self, content_id: str) -> bytes:
        """Return the data of a transaction or data item."""
        content = self.weave.content(content_id)
        assert content is not None, f"nothing has the id {content_id}"
        assert content.data.complete, f"chunks of {content_id} are missing"
        return Reply(body=content.body).data()

    def chunk_starts(self, tx_id: str) -> list[int]:
        """Return where the chunks that are here start."""
        return list(self._entry(tx_id).data.starts)

    def posts_of(self, tx_id: str, *, status: int | None = None) -> Counter[int]:
        """Return how often each chunk was posted, by the offset of its last byte."""
        root = self.transaction(tx_id).to_json()["data_root"]
        return Counter(
            post.offset
            for post in self.chunk_posts
            if post.data_root == root and status in {None, post.status}
        )

    # --- what handlers use ---

    def digest(self, content_id: str, compute: Callable[[], str]) -> str:
        if content_id not in self._digests:
            self._digests[content_id] = compute()
        return self._digests[content_id]

    def _entry(self, tx_id: str) -> Entry:
        entry = self.weave.find(tx_id)
        assert entry is not None, f"no transaction has the id {tx_id}"
        return entry

    # --- the wire ---

    def _handle(self, call: Call) -> Reply:
        route = find_route(call)
        kind = route.kind if route else "unknown"
        return self.faults.interfere(call, kind, lambda: self._answer(call, route))

    def _answer(self, call: Call, route: Route | None) -> Reply:
        what = f"{call.method} {call.path}"
        if route is None:
            self.ledger.violate(f"{what}: no such path")
            return plain("no such path", 400)
        try:
            return route.handle(self, call)
        except ProtocolViolation as violation:
            self.ledger.violate(f"{what}: {violation}")
            return plain(str(violation), 400)
        except Declined as declined:
            return declined.reply
        except Exception:  # what no handler foresees must fail the test, not only the request
            self.ledger.violate(f"{what}: {traceback.format_exc()}")
            raise

    def _report(self, answered: Answered) -> None:
        call = answered.call
        route = find_route(call)
        kind = route.kind if route else "unknown"
        if kind == "post-chunk":
            self._note_chunk(call, answered.reply.status)
        if call.header("authorization") is not None:
            self.ledger.violate(f"{call.method} {call.path}: no node wants a token")
        self.ledger.record(
            Exchange(
                origin=call.origin,
                kind=kind,
                method=call.method,
                path=call.path,
                query="&".join(f"{name}={value}" for name, values in call.query.items() for value in values),
                status=answered.reply.status,
                received=answered.received,
                sent=answered.sent,
                user_agent=call.header("user-agent") or "",
                authorized=False,
                range=call.header("range"),
            )
        )

    def _note_chunk(self, call: Call, status: int) -> None:
        # Not parsed, for a body is large; one without these is no chunk, and refused as such.
        root, offset = _DATA_ROOT.search(call.body), _OFFSET.search(call.body)
        if root and offset:
            self.chunk_posts.append(ChunkPost(root[1].decode(), int(offset[1]), status))

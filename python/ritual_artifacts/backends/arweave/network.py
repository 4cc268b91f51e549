"""Several gateways as one network: the first good answer counts, whoever gives it."""

import json
import logging
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal, TypeVar

import httpx2

from ritual_artifacts.backends.arweave.encoding import decode, is_id
from ritual_artifacts.backends.arweave.gateway import (
    Answer,
    Gateway,
    Verdict,
    check_found,
    make_client,
    read_json,
)
from ritual_artifacts.backends.arweave.options import Connection
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.backends.http import Patience, describe
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    NotFinalizedError,
    TransferError,
)

Value = TypeVar("Value")

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 15.0
"""A block takes two minutes."""

_PATIENCE_WITH_UNKNOWN: Final = 20
"""Looks: an index may take some minutes to hear of a new transaction."""
_ENOUGH_HALVES: Final = 2
_LOOKS_WHILE_FULL: Final = 240
"""An hour's: a node keeps 10 GB of a transaction that is not mined, and takes the rest afterwards."""
_MOST_APART: Final = 2
"""How many times as much as another a gateway may ask for."""
_MAX_ANCHOR_BYTES: Final = 48
_MAX_NUMBER_BYTES: Final = 64
_PAGE_SIZE: Final = 100
_MAX_PAGES: Final = 1000
"""So 100,000 transactions; answers without end, each after half a second, end after eight minutes."""
_MAX_ID_FILTER: Final = 100

_QUERY: Final = """
query($owners: [String!], $tags: [TagFilter!], $ids: [ID!], $first: Int, $after: String) {
  transactions(owners: $owners, tags: $tags, ids: $ids, first: $first, after: $after, sort: HEIGHT_DESC) {
    pageInfo { hasNextPage }
    edges { cursor node { id bundledIn { id } block { height timestamp } } }
  }
}
"""


class StaleAnchor(Exception):  # noqa: N818 - no error yet: a transaction that nobody has can be signed again
    """A transaction's anchor is too old, so that no node will ever take it."""


class _NotNowError(Exception):
    """A gateway may answer better later."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Status:
    """What the network knows of a transaction.

    Attributes:
        state: `"pending"` while it waits to be mined, `"confirmed"` afterwards, `"dropped"` where no gateway
            knows it: it was never posted, or forgotten before it was mined.
        confirmations: Blocks since then, the one with the transaction included; 0 before.
        height: The block that it is in.
    """

    state: Literal["pending", "confirmed", "dropped"]
    confirmations: int = 0
    height: int | None = None


@dataclass(frozen=True)
class Listed:
    """What an index says about a transaction, all of it unproven.

    Attributes:
        id: The transaction or data item.
        height: The block that it is in; None while it is not mined.
        timestamp: Seconds since 1970 at which that block was mined.
        bundle: The transaction whose data holds it, for a data item.
    """

    id: str
    height: int | None
    timestamp: int
    bundle: str | None


class Network:
    """The gateways of one connection.

    Attributes:
        gateways: In the order in which they are asked.
    """

    def __init__(self, connection: Connection) -> None:
        """Prepare; nothing is asked yet."""
        client = make_client(connection.timeout, 2 * connection.max_workers + len(connection.gateways))
        self._finalizer = weakref.finalize(self, client.close)
        self.gateways = tuple(Gateway(url, client) for url in connection.gateways)
        self._silent: set[Gateway] = set()  # whose indexes were waited for in vain

    # --- small questions ---

    def ask(self, path: str, doing: str, accept: Callable[[Answer], Value]) -> Value:
        """Ask the gateways in turn until one gives an answer that `accept` takes.

        Args:
            path: What to get.
            doing: What that is for, in messages.
            accept: Turns an answer into a value, or raises a `BackendError`: another gateway may know better.

        Raises:
            NotFinalizedError: a gateway knows it, but it is not mined yet.
            ArtifactNotFoundError: no gateway has it.
            TransferError: no gateway could be reached.
            BackendError: no gateway gave a good answer.
        """
        return _ask(self.gateways, path, doing, accept)

    def read_transaction(self, transaction_id: str) -> Transaction:
        """Fetch a transaction and prove that it is the one that is meant.

        Raises:
            NotFinalizedError: it is not mined yet.
            ArtifactNotFoundError: no gateway has it.
            BackendError: no gateway has told the truth about it.
        """

        def accept(answer: Answer) -> Transaction:
            check_found(answer, "it")
            return Transaction.from_json(answer.body, transaction_id)

        return self.ask(f"/tx/{transaction_id}", f"reading the transaction {transaction_id}", accept)

    def read_status(self, transaction_id: str) -> Status:
        """Say what has become of a transaction. This is the gateways' word.

        Raises:
            TransferError: no gateway could be reached.
        """

        def accept(answer: Answer) -> Status:
            check_found(answer, "it")
            values = read_json(answer, f"/tx/{transaction_id}/status")
            confirmations = values.get("number_of_confirmations") if isinstance(values, dict) else None
            height = values.get("block_height") if isinstance(values, dict) else None
            if not isinstance(confirmations, int) or not isinstance(height, int):
                message = f"the status is {answer.words}, which makes no sense"
                raise BackendError(message)
            return Status("confirmed", confirmations, height)

        try:
            return self.ask(f"/tx/{transaction_id}/status", f"looking after {transaction_id}", accept)
        except NotFinalizedError:
            return Status("pending")
        except ArtifactNotFoundError:
            return Status("dropped")

    def is_gone(self, transaction_id: str) -> bool:
        """Say whether every gateway was asked, and none knows the transaction: only then is it signed again.

        Raises:
            TransferError: a gateway that may know it could not be asked.
        """

        def accept(answer: Answer) -> bool:
            try:
                check_found(answer, "it")
            except ArtifactNotFoundError:
                return True
            except NotFinalizedError:
                return False
            return False

        path, doing = f"/tx/{transaction_id}/status", f"looking after {transaction_id}"
        return all(_ask([gateway], path, doing, accept) for gateway in self.gateways)

    def wait_for(self, transaction_id: str, confirmations: int, *, timeout: float) -> Status:
        """Wait until a transaction is that many blocks deep.

        Raises:
            NotFinalizedError: it was not within `timeout` seconds, or the network has dropped it.
            TransferError: no gateway could be reached.
        """
        deadline = time.monotonic() + timeout
        unknown = 0
        while True:
            status = self.read_status(transaction_id)
            if status.confirmations >= confirmations:
                return status
            unknown = unknown + 1 if status.state == "dropped" else 0
            if unknown >= _PATIENCE_WITH_UNKNOWN:
                message = (
                    f"no gateway knows the transaction {transaction_id} any more; upload the same again, "
                    f"which costs nothing twice"
                )
                raise NotFinalizedError(message)
            left = deadline - time.monotonic()
            if left <= 0:
                message = (
                    f"the transaction {transaction_id} is {status.confirmations} blocks deep after "
                    f"{timeout:.0f} seconds, expected {confirmations}; it is posted, so look again later"
                )
                raise NotFinalizedError(message)
            time.sleep(min(POLL_SECONDS, left))

    def read_price(self, size: int) -> int:
        """Return what it costs to store data of `size` bytes, in winston."""
        return self.ask(f"/price/{size}", f"asking for the price of {size} bytes", _read_winston)

    def compare_prices(self, size: int, price: int) -> None:
        """Check that no other gateway names a price that is far from the one that is going to be paid.

        Args:
            size: Bytes of the data.
            price: Winston that a gateway has named for it.

        Raises:
            BackendError: one of them must be wrong.
        """
        for gateway in self.gateways[1:]:
            try:
                other = _read_winston(gateway.get(f"/price/{size}"))
            except (httpx2.HTTPError, BackendError) as error:
                log.info("%s names no price to compare with: %s", gateway, error)
                continue
            if max(price, other) > _MOST_APART * min(price, other):
                message = (
                    f"to store {size} bytes costs {price} winston, and {gateway} says {other}; "
                    f"name only gateways that you trust"
                )
                raise BackendError(message)

    def read_balance(self, address: str) -> int:
        """Return what a wallet has, in winston."""
        return self.ask(f"/wallet/{address}/balance", f"asking for the balance of {address}", _read_winston)

    def read_anchor(self) -> bytes:
        """Return a block that a new transaction can name, so that it cannot be posted for ever."""

        def accept(answer: Answer) -> bytes:
            check_found(answer, "it")
            anchor = decode(answer.body.decode(errors="replace").strip(), "the anchor")
            if not 0 < len(anchor) <= _MAX_ANCHOR_BYTES:
                message = f"the anchor has {len(anchor)} bytes, expected 1 to {_MAX_ANCHOR_BYTES}"
                raise BackendError(message)
            return anchor

        return self.ask("/tx_anchor", "asking for an anchor", accept)

    def read_data_end(self, transaction_id: str, size: int, *, but: Collection[int] = ()) -> int:
        """Return where on the weave a transaction's data ends: the offset of its last byte.

        Args:
            transaction_id: The transaction.
            size: Bytes of its data.
            but: Where it is not; whoever says so is passed over.

        Raises:
            ArtifactNotFoundError: no gateway knows.
        """

        def accept(answer: Answer) -> int:
            check_found(answer, "it")
            values = read_json(answer, f"/tx/{transaction_id}/offset")
            try:
                end, said = int(values["offset"]), int(values["size"])
            except (KeyError, TypeError, ValueError, OverflowError):  # the last: JSON has an Infinity here
                message = f"its place on the weave is {answer.words}, which makes no sense"
                raise BackendError(message) from None
            if said != size or end < size:
                message = (
                    f"its data is said to have {said} bytes and to end at {end}, but it has {size} bytes"
                )
                raise BackendError(message)
            if end in but:
                message = f"its data is said to end at {end}, where it is not"
                raise BackendError(message)
            return end

        return self.ask(f"/tx/{transaction_id}/offset", f"looking for the data of {transaction_id}", accept)

    # --- the index ---

    def list_transactions(
        self,
        *,
        owner: str | None = None,
        tags: Mapping[str, Sequence[str]] | None = None,
        ids: Sequence[str] | None = None,
    ) -> Iterator[list[Listed]]:
        """Yield what each gateway's index says, one list for a gateway; what it says is not proven.

        A gateway whose list is empty is left out. One that cannot answer now is asked again for a while after
        all others; one that never does is left out too, which is logged, and not waited for a second time.

        Args:
            owner: Address of the owner.
            tags: Values that are looked for, by the tag's name.
            ids: Only these.

        Raises:
            TransferError: no gateway could answer.
        """
        variables = {
            "owners": None if owner is None else [owner],
            "tags": [{"name": name, "values": list(values)} for name, values in (tags or {}).items()] or None,
            "ids": None if ids is None else list(ids),
        }
        given = {name: value for name, value in variables.items() if value is not None}
        patience = Patience("searching an index")
        refusals: list[BackendError] = []
        left, answered = list(self.gateways), False
        while left:
            failed: dict[Gateway, _NotNowError] = {}
            for gateway in left:
                try:
                    found = list(_read_pages(gateway, given))
                except _NotNowError as error:
                    failed[gateway] = error
                except BackendError as error:  # such as a node without an index
                    refusals.append(error)
                else:
                    answered = True
                    if found:
                        yield found
            left = self._find_worth_waiting(failed, patience, is_needed=not answered)
        if not answered:
            message = f"no gateway could search its index: {'; '.join(map(str, refusals))}; try again"
            raise TransferError(message, retryable=True)

    def _find_worth_waiting(
        self, failed: Mapping[Gateway, _NotNowError], patience: Patience, *, is_needed: bool
    ) -> list[Gateway]:
        """Wait, and return the gateways that are worth to be asked again.

        Raises:
            TransferError: there have been enough attempts, and nobody else has answered.
        """
        left = [gateway for gateway in failed if is_needed or gateway not in self._silent]
        if left:
            problem = failed[left[0]]
            try:
                patience.wait(str(problem), problem.retry_after)
            except TransferError as error:
                if is_needed:
                    raise
                log.warning("%s; the other indexes are believed", error)
                self._silent |= set(left)
                return []
        return left

    def list_by_id(self, ids: Iterable[str]) -> dict[str, Listed]:
        """Return what the first index that has it says about each of these transactions."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Listed] = {}
        for start in range(0, len(wanted), _MAX_ID_FILTER):
            part = wanted[start : start + _MAX_ID_FILTER]
            for listed in self.list_transactions(ids=part):
                found = {item.id: item for item in listed if item.id in part} | found
                if all(name in found for name in part):
                    break
        return found

    # --- posting ---

    def post_transaction(self, transaction: Transaction, doing: str) -> bool:
        """Post a transaction until a node has it; one that is there already counts as well.

        Returns:
            Whether a node has taken it just now, so that it cannot have any of its chunks.

        Raises:
            StaleAnchor: its anchor is too old.
            InsufficientFundsError: the wallet cannot pay.
            TransferError: no node could be reached.
            BackendError: no node takes it.
        """
        patience = Patience(doing)
        while True:
            problem, pause, is_temporary = "", None, False
            refusals: list[BackendError] = []
            stale: StaleAnchor | None = None
            for gateway in self.gateways:
                try:
                    verdict, answer = gateway.post_transaction(transaction)
                except httpx2.HTTPError as error:
                    problem, is_temporary = f"{gateway}: {describe(error)}", True
                    continue
                except BackendError as error:
                    refusals.append(error)
                    continue
                if verdict in {Verdict.STORED, Verdict.KNOWN}:
                    return verdict is Verdict.STORED
                if verdict is Verdict.STALE_ANCHOR:
                    stale = StaleAnchor(f"{doing}: {gateway} answered {answer}")
                else:
                    problem, pause, is_temporary = f"{gateway} answered {answer}", answer.retry_after, True
            if not is_temporary:  # whoever could not be asked may have it already: never sign again before
                raise stale or refusals[0]
            try:
                patience.wait(problem, pause)
            except TransferError:
                if refusals:  # those who did answer know better than those who did not
                    raise refusals[0] from None
                raise

    def post_chunk(self, transaction: Transaction, body: bytes, doing: str) -> bool:
        """Post a chunk until a node has it for good, or two have it for a while.

        A node that does not know the transaction is told about it first. One that keeps no more of it before
        it is mined is waited for.

        Returns:
            Whether the node that took it had not known the transaction.

        Raises:
            StaleAnchor: all nodes have forgotten the transaction, and will not take it again.
            TransferError: the nodes could not be reached, or have no room.
            BackendError: no node will ever take it.
        """
        patience = Patience(doing)
        looks = 0
        while True:
            problem, pause, halves = "", None, 0
            verdicts: set[Verdict | None] = set()
            refusals: list[BackendError] = []
            for gateway in self.gateways:
                try:
                    verdict, answer, was_unknown = _post_chunk_to(gateway, transaction, body)
                except httpx2.HTTPError as error:
                    problem = f"{gateway}: {describe(error)}"
                    verdicts.add(None)
                    continue
                except BackendError as error:  # such as a gateway that only reads
                    refusals.append(error)
                    continue
                halves += verdict is Verdict.HALF
                if verdict is Verdict.STORED or halves >= _ENOUGH_HALVES:
                    return was_unknown
                verdicts.add(verdict)
                problem, pause = f"{gateway} answered {answer}", answer.retry_after
            if not problem:
                raise refusals[0]
            if verdicts == {Verdict.STALE_ANCHOR}:
                message = f"{doing}: {problem}"
                raise StaleAnchor(message)
            if Verdict.FULL in verdicts and looks < _LOOKS_WHILE_FULL:
                looks += 1
                time.sleep(POLL_SECONDS)
                continue
            if halves:
                problem += "; where a node keeps chunks only for a while, name more gateways"
            patience.wait(problem, pause)


def _ask(gateways: Iterable[Gateway], path: str, doing: str, accept: Callable[[Answer], Value]) -> Value:
    """Ask some gateways in turn; see `Network.ask`."""
    patience = Patience(doing)
    refusals: list[BackendError] = []
    left = list(gateways)
    while True:
        failed: list[Gateway] = []
        problem, pause = "", None
        for gateway in left:
            try:
                answer = gateway.get(path)
            except httpx2.TransportError as error:
                failed, problem = [*failed, gateway], f"{gateway}: {describe(error)}"
                continue
            except httpx2.HTTPError as error:  # redirects without end, a body that is not what it says
                refusals.append(BackendError(f"{doing}: {gateway}: {describe(error)}"))
                continue
            if answer.is_temporary:
                failed, problem, pause = (
                    [*failed, gateway],
                    f"{gateway} answered {answer}",
                    answer.retry_after,
                )
                continue
            try:
                return accept(answer)
            except BackendError as error:
                refusals.append(type(error)(f"{doing}: {error} (asked {gateway})"))
        if not failed:
            raise min(refusals, key=_rank)
        left = failed
        try:
            patience.wait(problem, pause)
        except TransferError:
            if refusals:  # those who did answer know better than those who did not
                raise min(refusals, key=_rank) from None
            raise


def _post_chunk_to(gateway: Gateway, transaction: Transaction, body: bytes) -> tuple[Verdict, Answer, bool]:
    """Post a chunk to one node, which is told about the transaction where it does not know it.

    Returns:
        What became of it, the answer, and whether the node did not know the transaction.
    """
    verdict, answer = gateway.post_chunk(body)
    if verdict is not Verdict.UNKNOWN_ROOT:
        return verdict, answer, False
    told, said = gateway.post_transaction(transaction)
    if told in {Verdict.STORED, Verdict.KNOWN}:
        return *gateway.post_chunk(body), True
    return told, said, True


def _rank(error: BackendError) -> int:
    """Order refusals by how much they say: not mined yet, a lie or nonsense, not found."""
    return 0 if isinstance(error, NotFinalizedError) else 2 if isinstance(error, ArtifactNotFoundError) else 1


def _read_winston(answer: Answer) -> int:
    check_found(answer, "it")
    text = answer.body.strip()
    if not text.isdigit() or len(text) > _MAX_NUMBER_BYTES:
        message = f"the answer is {answer.words!r}, expected an amount of winston"
        raise BackendError(message)
    return int(text)


def _read_pages(gateway: Gateway, variables: Mapping[str, Any]) -> Iterator[Listed]:
    """Yield what one gateway's index says.

    Raises:
        _NotNowError: it may answer later.
        BackendError: the answer makes no sense, or does not end.
    """
    after: str | None = None
    for _ in range(_MAX_PAGES):
        paged = {**variables, "first": _PAGE_SIZE} | ({} if after is None else {"after": after})
        try:
            answer = gateway.post("/graphql", json.dumps({"query": _QUERY, "variables": paged}).encode())
        except httpx2.HTTPError as error:
            message = f"{gateway}: {describe(error)}"
            raise _NotNowError(message) from None
        if answer.is_temporary:
            message = f"{gateway} answered {answer}"
            raise _NotNowError(message, answer.retry_after)
        if answer.status != HTTPStatus.OK:
            message = f"{gateway} answered {answer}"
            raise BackendError(message)
        try:
            transactions = read_json(answer, "a query")["data"]["transactions"]
            edges = transactions["edges"]
            listed = [_read_node(edge["node"]) for edge in edges]
            has_more = bool(transactions.get("pageInfo", {}).get("hasNextPage")) and bool(edges)
            after = str(edges[-1]["cursor"]) if has_more else None
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            message = f"the index of {gateway} answered {answer.words}, which makes no sense"
            raise BackendError(message) from None
        yield from listed
        if after is None:
            return
    message = f"the index of {gateway} answers without end"
    raise BackendError(message)


def _read_node(node: Any) -> Listed:  # noqa: ANN401 - a stranger's JSON
    block = node.get("block") or None
    bundle = (node.get("bundledIn") or {}).get("id") or None
    if not is_id(node["id"]) or (bundle is not None and not is_id(bundle)):
        raise ValueError
    height = None if block is None else int(block["height"])
    timestamp = 0 if block is None else int(block.get("timestamp") or 0)
    return Listed(node["id"], height, timestamp, bundle)

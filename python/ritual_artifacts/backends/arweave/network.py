"""Several gateways as one network: the first valid answer counts. Asks about transactions, prices, blocks."""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from ritual_artifacts.backends.arweave.asking import (
    Choose,
    Outcome,
    Took,
    Turns,
    ask_in_turn,
    prefer_evidence,
)
from ritual_artifacts.backends.arweave.client import HttpClient
from ritual_artifacts.backends.arweave.encoding import decode
from ritual_artifacts.backends.arweave.gateway import Answer, Gateway, check_found, read_json
from ritual_artifacts.backends.arweave.options import Connection
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, NotFinalizedError

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")

log = logging.getLogger(__name__)

_MAX_UNKNOWN: Final = 20
"""Status checks without a result: gateways may take some minutes to learn of a new transaction."""
_MAX_PRICE_RATIO: Final = 2
"""How many times the price of another gateway a price may be."""
_MAX_ANCHOR_BYTES: Final = 48
_MAX_NUMBER_BYTES: Final = 64


@dataclass(frozen=True)
class Status:
    """What the network knows about a transaction.

    Attributes:
        state: `"pending"` while it waits to be mined, `"confirmed"` afterwards, `"dropped"` where no gateway
            knows it: it was never posted, or it was forgotten before it was mined.
        confirmations: Blocks since then, its own block included; 0 while it is not mined.
        height: The block that it is in.
    """

    state: Literal["pending", "confirmed", "dropped"]
    confirmations: int = 0
    height: int | None = None


class Network:
    """The gateways of one session.

    Attributes:
        gateways: In the order in which they are asked.
        timing: The network's pace.
        context: The call that the session belongs to.
        max_workers: Requests in flight at once.
    """

    def __init__(self, connection: Connection, context: Context) -> None:
        """Prepare; nothing is sent."""
        connections = 2 * connection.max_workers + len(connection.gateways)
        client = HttpClient(connection.timeout, connections)
        self.gateways = tuple(Gateway(url, client, context.clock) for url in connection.gateways)
        self.timing = connection.timing
        self.context = context
        self.max_workers = connection.max_workers

    # --- asking ---

    def ask(self, path: str, doing: str, accept: Callable[[Answer], Value]) -> Value:
        """Return what the first gateway with a valid answer says.

        Args:
            path: What to get.
            doing: What that is for, in messages.
            accept: Turns an answer into a value, or raises a `BackendError`: then the next gateway is asked.

        Raises:
            NotFinalizedError: a gateway knows it, but it is not mined yet.
            ArtifactNotFoundError: every gateway says that it does not have it.
            TransferError: a gateway that may have it could not be reached.
            BackendError: no gateway gave a valid answer.
        """
        return self._ask(self.gateways, path, doing, accept)

    def _ask(
        self, gateways: Iterable[Gateway], path: str, doing: str, accept: Callable[[Answer], Value]
    ) -> Value:
        def attempt(gateway: Gateway) -> Outcome[Value]:
            answer = gateway.get(path)
            return Took(accept(answer.value)) if isinstance(answer, Took) else answer

        turns = Turns(gateways, doing, self.context)
        return ask_in_turn(turns, doing, attempt, prefer_evidence)

    def post(self, doing: str, attempt: Callable[[Gateway], Outcome[Value]], choose: Choose) -> Value:
        """Return the value of the first gateway that takes what `attempt` posts; see `ask_in_turn`.

        Raises:
            TransferError: no gateway could be reached.
            BackendError: no gateway took it.
        """
        return ask_in_turn(Turns(self.gateways, doing, self.context), doing, attempt, choose)

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call `function` with each item, several at a time; see `workers.each`."""
        return self.context.each(function, items, max_workers=self.max_workers)

    # --- transactions ---

    def read_transaction(self, transaction_id: str) -> Transaction:
        """Return a transaction, verified.

        Raises:
            NotFinalizedError: it is not mined yet.
            ArtifactNotFoundError: no gateway has it.
            BackendError: no gateway sent a valid one.
        """

        def accept(answer: Answer) -> Transaction:
            check_found(answer, "it")
            return Transaction.from_json(answer.body, transaction_id)

        return self.ask(f"/tx/{transaction_id}", f"reading the transaction {transaction_id}", accept)

    def read_status(self, transaction_id: str) -> Status:
        """Return what the gateways say about a transaction; nothing proves it.

        Raises:
            TransferError: no gateway knows it, and one could not be reached.
            BackendError: no gateway knows it, and one did not give a valid answer.
        """
        return self._read_status(self.gateways, transaction_id)

    def _read_status(self, gateways: Iterable[Gateway], transaction_id: str) -> Status:
        path, doing = f"/tx/{transaction_id}/status", f"checking the status of {transaction_id}"
        try:
            return self._ask(gateways, path, doing, _parse_status)
        except NotFinalizedError:
            return Status("pending")
        except ArtifactNotFoundError:
            return Status("dropped")

    def is_gone(self, transaction_id: str) -> bool:
        """Return whether every gateway answered that it does not know the transaction.

        Only then may the transaction be signed again.

        Raises:
            TransferError: a gateway that may know it could not be asked.
            BackendError: a gateway that may know it did not give a valid answer.
        """
        statuses = (self._read_status([gateway], transaction_id) for gateway in self.gateways)
        return all(status.state == "dropped" for status in statuses)

    def wait_for(self, transaction_id: str, confirmations: int, *, timeout: float) -> Status:
        """Wait until a transaction has that many confirmations.

        Raises:
            NotFinalizedError: it was not within `timeout` seconds, or the network has dropped it.
            TransferError: no gateway could be reached.
        """
        clock = self.context.clock
        deadline = clock.monotonic() + timeout
        unknown = 0
        while True:
            status = self.read_status(transaction_id)
            if status.confirmations >= confirmations:
                return status
            unknown = unknown + 1 if status.state == "dropped" else 0
            if unknown >= _MAX_UNKNOWN:
                message = (
                    f"no gateway knows the transaction {transaction_id} any more; upload the same again, "
                    f"you will not be charged again"
                )
                raise NotFinalizedError(message)
            left = deadline - clock.monotonic()
            if left <= 0:
                message = (
                    f"the transaction {transaction_id} is {status.confirmations} blocks deep after "
                    f"{timeout:.0f} seconds, expected {confirmations}; it is posted, so check again later"
                )
                raise NotFinalizedError(message)
            clock.sleep(min(self.timing.poll_seconds, left))

    def default_timeout(self, confirmations: int) -> float:
        """Return how many seconds to wait for so many confirmations at most."""
        return max(self.timing.confirmation_seconds, confirmations * self.timing.block_seconds)

    def read_data_end(self, transaction_id: str, size: int, *, rejected: Collection[int] = ()) -> int:
        """Return where a transaction's data ends on the weave: the offset of its last byte.

        Args:
            transaction_id: The transaction.
            size: Bytes of its data.
            rejected: Offsets where the data was not found; a gateway that names one is skipped.

        Raises:
            ArtifactNotFoundError: no gateway knows.
        """

        def accept(answer: Answer) -> int:
            check_found(answer, "it")
            values = read_json(answer, f"/tx/{transaction_id}/offset")
            try:
                end, stated = int(values["offset"]), int(values["size"])
            except (KeyError, TypeError, ValueError, OverflowError):  # the last: Infinity in JSON
                message = f"expected an offset and a size, got {answer.text}"
                raise BackendError(message) from None
            if stated != size or end < size:
                message = f"expected {size} bytes of data, got {stated} bytes that end at {end}"
                raise BackendError(message)
            if end in rejected:
                message = f"the data does not end at {end}"
                raise BackendError(message)
            return end

        return self.ask(f"/tx/{transaction_id}/offset", f"locating the data of {transaction_id}", accept)

    # --- money and anchors ---

    def read_price(self, size: int) -> int:
        """Return the price for storing `size` bytes, in winston."""
        return self.ask(f"/price/{size}", f"requesting the price of {size} bytes", _read_winston)

    def compare_prices(self, size: int, price: int) -> None:
        """Check that no other gateway states a price far from the one that is about to be paid.

        Args:
            size: Bytes of the data.
            price: Winston that a gateway asked for it.

        Raises:
            BackendError: the prices differ too much.
        """
        for gateway in self.gateways[1:]:
            answer = gateway.get(f"/price/{size}")
            try:
                if not isinstance(answer, Took):
                    log.info("%s states no price to compare with", gateway)
                    continue
                other = _read_winston(answer.value)
            except BackendError as error:
                log.info("%s states no price to compare with: %s", gateway, error)
                continue
            if max(price, other) > _MAX_PRICE_RATIO * min(price, other):
                message = (
                    f"storing {size} bytes costs {price} winston, but {gateway} says {other}; "
                    f"use only gateways that you trust"
                )
                raise BackendError(message)

    def read_balance(self, address: str) -> int:
        """Return what a wallet holds, in winston."""
        return self.ask(f"/wallet/{address}/balance", f"requesting the balance of {address}", _read_winston)

    def read_anchor(self) -> bytes:
        """Return a recent block that a new transaction names, so that it cannot be posted forever."""

        def accept(answer: Answer) -> bytes:
            check_found(answer, "it")
            anchor = decode(answer.body.decode(errors="replace").strip(), "the anchor")
            if not 0 < len(anchor) <= _MAX_ANCHOR_BYTES:
                message = f"expected an anchor of 1 to {_MAX_ANCHOR_BYTES} bytes, got {len(anchor)}"
                raise BackendError(message)
            return anchor

        return self.ask("/tx_anchor", "requesting an anchor", accept)


def _parse_status(answer: Answer) -> Status:
    check_found(answer, "it")
    values = read_json(answer, "a status")
    confirmations = values.get("number_of_confirmations") if isinstance(values, dict) else None
    height = values.get("block_height") if isinstance(values, dict) else None
    if not isinstance(confirmations, int) or not isinstance(height, int):
        message = f"expected confirmations and a block height, got {answer.text}"
        raise BackendError(message)
    return Status("confirmed", confirmations, height)


def _read_winston(answer: Answer) -> int:
    check_found(answer, "it")
    text = answer.body.strip()
    if not text.isdigit() or len(text) > _MAX_NUMBER_BYTES:
        message = f"expected an amount of winston, got {answer.text!r}"
        raise BackendError(message)
    return int(text)

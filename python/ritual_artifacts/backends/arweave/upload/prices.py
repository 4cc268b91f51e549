"""What an upload costs, and whether the user allows and can pay it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.errors import BackendError, InsufficientFundsError

_PRICE_STEP: Final = 256 * 1024
"""Data is priced in whole chunks."""


class Prices:
    """Prices by size; each is requested once."""

    def __init__(self, network: Network) -> None:
        """Prepare; nothing is sent."""
        self._network = network
        self._known: dict[int, int] = {}

    def price(self, size: int) -> int:
        """Return the price of storing `size` bytes, in winston.

        Raises:
            BackendError: the gateways disagree about it.
        """
        rounded = round_up(size)
        if rounded not in self._known:
            price = self._network.read_price(rounded)
            self._network.compare_prices(rounded, price)
            self._known[rounded] = price
        return self._known[rounded]

    def total(self, sizes: Sequence[int]) -> int:
        """Return the price of several transactions together, in winston.

        Raises:
            BackendError: the gateways disagree about it.
        """
        self._network.each(self.price, {round_up(size) for size in sizes})
        return sum(map(self.price, sizes))


def round_up(size: int) -> int:
    """Return the bytes that are paid for, which are those of whole chunks."""
    return -(-size // _PRICE_STEP) * _PRICE_STEP


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What an upload costs.

    Attributes:
        due: Winston that are not paid yet.
        paid: Winston of transactions that nodes have.
        replaced: Winston of transactions that were signed again, and that a node may have all the same.
    """

    due: int
    paid: int = 0
    replaced: int = 0

    @property
    def total(self) -> int:
        """What can be charged in all."""
        return self.due + self.paid + self.replaced

    def __str__(self) -> str:
        """Say what was posted already."""
        said = [f"transactions of {format_ar(self.paid)} are posted already"] if self.paid else []
        if self.replaced:
            said.append(
                f"transactions of {format_ar(self.replaced)} were refused and signed again, and count, too, "
                f"because a node may have them"
            )
        return "; ".join(said) or "nothing was posted"


def check_bill(network: Network, address: str, bill: Bill, *, max_cost: int | None) -> None:
    """Check that the user allows what an upload costs, and can pay it, and announce it, before it is posted.

    Args:
        network: The gateways, which know the balance.
        address: The wallet's address.
        bill: What it costs.
        max_cost: Winston that the user allows in all.

    Raises:
        BackendError: it costs more than the user allows.
        InsufficientFundsError: the wallet has less.
    """
    if max_cost is not None and bill.total > max_cost:
        message = (
            f"the upload costs {format_ar(bill.total)} ({bill.total} winston), and max_cost allows "
            f"{format_ar(max_cost)}; {bill}"
        )
        raise BackendError(message)
    balance = network.read_balance(address)
    if balance < bill.due:
        message = (
            f"the upload costs {format_ar(bill.due)} ({bill.due} winston), and the wallet {address} has "
            f"{format_ar(balance)}; {bill}"
        )
        raise InsufficientFundsError(message)
    paid = f" more; {bill}" if bill.paid or bill.replaced else ""
    network.context.announce(
        f"the upload costs {format_ar(bill.due)}{paid}; the wallet {address} has {format_ar(balance)}"
    )

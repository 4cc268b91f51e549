"""What an upload costs, and whether the user allows and can pay it."""

from collections.abc import Sequence
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


def refuse_unaffordable(
    network: Network, address: str, cost: int, *, paid: int, max_cost: int | None
) -> None:
    """Check that the user allows what an upload costs, and can pay it, before anything is posted.

    Args:
        network: The gateways, which know the balance.
        address: The wallet's address.
        cost: Winston that are not paid yet.
        paid: Winston that the upload cost already.
        max_cost: Winston that the user allows in all.

    Raises:
        BackendError: it costs more than the user allows.
        InsufficientFundsError: the wallet has less.
    """
    if max_cost is not None and cost + paid > max_cost:
        message = (
            f"the upload costs {format_ar(cost + paid)} ({cost + paid} winston), and max_cost allows "
            f"{format_ar(max_cost)}; {_say_paid(paid)}"
        )
        raise BackendError(message)
    balance = network.read_balance(address)
    if balance < cost:
        message = (
            f"the upload costs {format_ar(cost)} ({cost} winston), and the wallet {address} has "
            f"{format_ar(balance)}; {_say_paid(paid)}"
        )
        raise InsufficientFundsError(message)


def _say_paid(paid: int) -> str:
    if not paid:
        return "nothing was posted"
    return f"{format_ar(paid)} are paid already, and you will not be charged for them again"

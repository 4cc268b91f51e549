"""What an upload costs, and whether it may."""

from collections.abc import Sequence
from typing import Final

from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.errors import BackendError, InsufficientFundsError

_PRICE_STEP: Final = 256 * 1024
"""Data is priced in whole chunks."""


class Prices:
    """Asks for each price once."""

    def __init__(self, network: Network) -> None:
        """Prepare; nothing is asked yet."""
        self._network = network
        self._known: dict[int, int] = {}

    def price(self, size: int) -> int:
        """Return what it costs to store data of `size` bytes, in winston."""
        rounded = _round_up(size)
        if rounded not in self._known:
            self._known[rounded] = self._network.read_price(rounded)
        return self._known[rounded]

    def total(self, sizes: Sequence[int]) -> int:
        """Return what several transactions cost together, in winston.

        Raises:
            BackendError: the gateways disagree about it.
        """
        if sizes:
            largest = _round_up(max(sizes))
            self._network.compare_prices(largest, self.price(largest))
        return sum(map(self.price, sizes))


def _round_up(size: int) -> int:
    return -(-size // _PRICE_STEP) * _PRICE_STEP


def refuse_unaffordable(
    network: Network, address: str, cost: int, *, paid: int, max_cost: int | None
) -> None:
    """Check that an upload may cost what it does, before that is paid.

    Args:
        network: Who knows the balance.
        address: The wallet's address.
        cost: Winston that are still to be paid.
        paid: Winston that the upload has cost already.
        max_cost: Winston that it may cost in all, as the user said.

    Raises:
        BackendError: it costs more than the user allows.
        InsufficientFundsError: the wallet has less.
    """
    refuse_excess(cost + paid, paid, max_cost)
    balance = network.read_balance(address)
    if balance < cost:
        message = (
            f"the upload costs {format_ar(cost)} ({cost} winston), and the wallet {address} has "
            f"{format_ar(balance)}; {_say_paid(paid)}"
        )
        raise InsufficientFundsError(message)


def refuse_excess(total: int, paid: int, max_cost: int | None) -> None:
    """Check that an upload costs what the user allows.

    Raises:
        BackendError: it costs more.
    """
    if max_cost is not None and total > max_cost:
        message = (
            f"the upload costs {format_ar(total)} ({total} winston), and max_cost allows "
            f"{format_ar(max_cost)}; {_say_paid(paid)}"
        )
        raise BackendError(message)


def _say_paid(paid: int) -> str:
    return f"{format_ar(paid)} are paid, for what the next try finds" if paid else "nothing was posted"


def estimate(network: Network, sizes: Sequence[int]) -> int:
    """Return what it costs to store data of these sizes, in winston, a transaction each."""
    return Prices(network).total(sizes)

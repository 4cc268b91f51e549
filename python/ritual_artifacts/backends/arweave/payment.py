"""What an upload costs, and whether it may."""

import functools
from collections.abc import Sequence
from typing import Final

from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.errors import BackendError, InsufficientFundsError
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.workers import Job, run_jobs

_PRICE_STEP: Final = 256 * 1024
"""Data is priced in whole chunks."""


class Prices:
    """Asks for each price once."""

    def __init__(self, network: Network, *, max_workers: int) -> None:
        """Prepare; nothing is asked yet."""
        self._network = network
        self._max_workers = max_workers
        self._known: dict[int, int] = {}

    def price(self, size: int) -> int:
        """Return what it costs to store data of `size` bytes, in winston.

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
        """Return what several transactions cost together, in winston.

        Raises:
            BackendError: the gateways disagree about it.
        """

        def ask(size: int, job: Job) -> None:
            job.advance(0)  # which ends it when another one has failed
            self.price(size)

        jobs = [functools.partial(ask, size) for size in {round_up(size) for size in sizes}]
        run_jobs(jobs, max_workers=self._max_workers, meter=ProgressMeter(None, "upload", 0))
        return sum(map(self.price, sizes))


def round_up(size: int) -> int:
    """Return the bytes that are paid for: those of whole chunks."""
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
    return f"{format_ar(paid)} are paid, for what the next try finds" if paid else "nothing was posted"


def estimate(network: Network, sizes: Sequence[int], *, max_workers: int) -> int:
    """Return what it costs to store data of these sizes, in winston, a transaction each."""
    return Prices(network, max_workers=max_workers).total(sizes)

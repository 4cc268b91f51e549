"""What an upload to Arweave returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from ritual_artifacts.backends.arweave.network import Network, Status
from ritual_artifacts.backends.base import UploadResult

_SHORTEST_WAIT: Final = 3600.0
_BLOCK_SECONDS: Final = 300.0
"""A block takes two minutes, and sometimes longer."""


@dataclass(frozen=True)
class ArweaveUploadResult(UploadResult):
    """Where an artifact went, what it cost, and how far the network is with it.

    It answers where ritual-arweave's result did: `repo_id`, `transaction_id` and `manifest_url`.

    Attributes:
        transaction_id: The path manifest, which names all files: the revision.
        manifest_url: Where it can be looked at.
        cost: Winston that were paid for this upload; 0 where all of it was there already.
        transactions: Id of each file's transaction or data item, by its name in the artifact.
        final_transaction: The transaction that was posted last; the artifact is there when this is mined.
            It is the path manifest itself, or the bundle with it.
    """

    transaction_id: str
    manifest_url: str
    cost: int
    transactions: Mapping[str, str]
    final_transaction: str
    _network: Network = field(repr=False, compare=False)

    def details(self) -> dict[str, JsonValue]:
        """Return ids and cost as JSON; winston as text, because JSON's numbers may not hold them."""
        return {
            "transaction_id": self.transaction_id,
            "final_transaction": self.final_transaction,
            "cost": str(self.cost),
            "transactions": dict(self.transactions),
        }

    def status(self) -> Status:
        """Ask what has become of it.

        Raises:
            TransferError: no gateway could be reached.
        """
        return self._network.read_status(self.final_transaction)

    def wait_for(self, confirmations: int = 1, *, timeout: float | None = None) -> Status:
        """Wait until the artifact is mined, and that many blocks deep.

        Args:
            confirmations: Blocks, the one with the artifact included; after 10 or so nothing takes it back.
            timeout: Seconds; default an hour, and five minutes for each block beyond twelve.

        Raises:
            NotFinalizedError: it was not within that time, or the network has dropped it.
            TransferError: no gateway could be reached.
        """
        if timeout is None:
            timeout = max(_SHORTEST_WAIT, confirmations * _BLOCK_SECONDS)
        return self._network.wait_for(self.final_transaction, confirmations, timeout=timeout)

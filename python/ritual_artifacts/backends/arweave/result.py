"""What an upload to Arweave returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.backends.arweave.network import Network, Status
from ritual_artifacts.backends.base import UploadResult


@dataclass(frozen=True)
class ArweaveUploadResult(UploadResult):
    """Where an artifact went, what it cost, and how far the network is with it.

    It has what the result of ritual-arweave has: `repo_id`, `transaction_id` and `manifest_url`.

    Attributes:
        transaction_id: The path manifest, which names all files: the revision.
        manifest_url: Where it can be looked at.
        cost: Winston that this upload cost; 0 where everything was stored already.
        transactions: Id of each file's transaction or data item, by its name in the artifact.
        final_transaction: The transaction that was posted last; the artifact is published once it is mined.
            It is the path manifest itself, or the bundle that holds it.
    """

    transaction_id: str
    manifest_url: str
    cost: int
    transactions: Mapping[str, str]
    final_transaction: str
    _network: Network = field(repr=False, compare=False)

    def details(self) -> dict[str, JsonValue]:
        """Return ids and cost as JSON; winston as text, because JSON numbers may lose digits."""
        return {
            "transaction_id": self.transaction_id,
            "final_transaction": self.final_transaction,
            "cost": str(self.cost),
            "transactions": dict(self.transactions),
        }

    def summary(self) -> list[str]:
        """Return what was paid."""
        return [f"paid {format_ar(self.cost)}" if self.cost else "nothing to pay"]

    def status(self) -> Status:
        """Return what the network knows about the upload now.

        Raises:
            TransferError: no gateway could be reached.
        """
        return self._network.read_status(self.final_transaction)

    def wait_for(self, confirmations: int = 1, *, timeout: float | None = None) -> Status:
        """Wait until the artifact is mined, and that many blocks deep.

        Args:
            confirmations: Blocks, its own block included; after 10 or so it is practically final.
            timeout: Seconds; default an hour, and five minutes for each block beyond twelve.

        Raises:
            NotFinalizedError: it was not within that time, or the network has dropped it.
            TransferError: no gateway could be reached.
        """
        if timeout is None:
            timeout = self._network.default_timeout(confirmations)
        return self._network.wait_for(self.final_transaction, confirmations, timeout=timeout)

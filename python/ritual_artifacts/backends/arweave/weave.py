"""One session: the gateways, their indexes, and everything that is read through them."""

from ritual_artifacts.backends.arweave.index import Index
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.options import Connection
from ritual_artifacts.backends.arweave.reading.reader import Reader
from ritual_artifacts.backends.arweave.reading.versions import Versions
from ritual_artifacts.context import Context


class Weave:
    """One session with Arweave. Its HTTP connections close when nothing uses them any more.

    Attributes:
        network: The gateways: transactions, prices, blocks.
        index: What the gateways list.
        reader: Transactions and data items, by id.
        versions: Path manifests, by repository.
    """

    def __init__(self, connection: Connection, context: Context) -> None:
        """Prepare; nothing is sent."""
        self.network = Network(connection, context)
        self.index = Index(self.network)
        self.reader = Reader(self.network, self.index)
        self.versions = Versions(self.index, self.reader)

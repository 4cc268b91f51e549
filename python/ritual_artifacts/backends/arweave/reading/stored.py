"""What stored transactions and stored data items have in common. How their data is read is up to them."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from pathlib import Path

from ritual_artifacts.backends.arweave.tags import PATH_MANIFEST_TYPE, Tags, find_tag
from ritual_artifacts.errors import ArtifactNotFoundError, TransferError


class AbsentItemError(ArtifactNotFoundError):
    """The verified index of a bundle does not name a data item."""


class Stored(ABC):
    """A transaction or data item, verified to be its owner's.

    Attributes:
        id: Its id.
        address: The owner's address.
        tags: Names and values.
        data_size: Bytes of its data.
    """

    def __init__(self, name: str, address: str, tags: Tags, data_size: int) -> None:
        """Describe it."""
        self.id = name
        self.address = address
        self.tags = tags
        self.data_size = data_size

    @property
    @abstractmethod
    def holder(self) -> str:
        """The transaction that has to be mined: the bundle of a data item, or the transaction itself."""

    @property
    def unix_time(self) -> float:
        """When it was made, as the owner states; 0 where the owner does not."""
        try:
            return float(self.tag("Unix-Time") or 0)
        except ValueError:
            return 0.0

    @property
    def is_path_manifest(self) -> bool:
        """Whether its data names other transactions."""
        return self.tag("Content-Type") == PATH_MANIFEST_TYPE

    def tag(self, name: str) -> str | None:
        """Return the value of the first tag of this name, where there is one and it is text."""
        return find_tag(self.tags, name)

    def has_tags(self, tags: Mapping[str, str]) -> bool:
        """Return whether it has each of these tags with exactly this value."""
        return all(self.tag(name) == value for name, value in tags.items())

    @abstractmethod
    def stream(self, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield data from `offset` to its end; another gateway continues where one stops.

        Of a transaction, the bytes are not verified: compare them, and call `repair_point` when they differ.

        Raises:
            ArtifactNotFoundError: every gateway says that it does not have the data.
            NotFinalizedError: it is not mined yet.
            ForgedError: no gateway sent the signed bytes.
            TransferError: the bytes stopped arriving, or a gateway refuses to send them.
        """

    @abstractmethod
    def read(self, limit: int) -> bytes:
        """Return all data, verified.

        Raises:
            IntegrityError: no gateway sent the signed bytes.
            TransferError: no gateway sent the bytes.
            BackendError: the data is larger than `limit` bytes.
        """

    @abstractmethod
    def repair_point(self, path: Path) -> int | None:
        """Return how many bytes at the start of a copy are the signed ones, so that the rest is read again.

        Args:
            path: A whole copy that does not match the manifest.

        Returns:
            None: reading again would not help. The copy is what the owner signed, or every gateway sent wrong
                bytes.
        """

    @abstractmethod
    def distrust(self) -> bool:
        """Never again use a gateway that sent any byte of the data so far.

        Returns:
            Whether it may help to read the data again.
        """

    @abstractmethod
    def is_retrievable(self, source: Path | bytes) -> bool:
        """Return whether gateways still have the data.

        Args:
            source: The same data, of which some places are compared.

        Raises:
            BackendError: no gateway could say.
        """


def unreadable(name: str, error: Exception) -> TransferError:
    """Return the error for what an index lists and no gateway sends, which leaves open what it is."""
    return TransferError(
        f"an index lists {name}, and no gateway sends it now: {error}; try again later, or use other "
        f"gateways",
        retryable=True,
    )

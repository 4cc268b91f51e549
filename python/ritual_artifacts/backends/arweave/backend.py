"""Arweave as a backend: opens versions, starts uploads, and answers what the command line asks."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.backends.arweave.encoding import ID_LENGTH, format_ar, is_id
from ritual_artifacts.backends.arweave.network import Status
from ritual_artifacts.backends.arweave.options import Connection, UploadOptions
from ritual_artifacts.backends.arweave.revision import ArweaveRevision
from ritual_artifacts.backends.arweave.upload.prices import Prices
from ritual_artifacts.backends.arweave.upload.session import ArweaveUpload
from ritual_artifacts.backends.arweave.upload.signing import list_sizes
from ritual_artifacts.backends.arweave.upload.unsigned import UnsignedArtifact
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.backends.base import Backend, Price
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest
from ritual_artifacts.errors import RepoIdError, TransferError
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

_NO_HASH: Final = "0" * 64
_NO_ROOT: Final = "A" * ID_LENGTH


class ArweaveBackend(Backend[UploadOptions]):
    """Repositories on Arweave, read through gateways that are not trusted."""

    def __init__(self, connection: Connection, context: Context) -> None:
        """Prepare; nothing is sent.

        Args:
            connection: How to talk to Arweave; see `ArweaveStorage.connect`.
            context: The call that needs it.
        """
        self._connection = connection
        self._weave = Weave(connection, context)

    def upload_options(self, given: Mapping[str, Any]) -> UploadOptions:
        """Check the options of an upload; see `Backend`."""
        return UploadOptions.parse(given)

    # --- reading ---

    def open(self, repo_id: RitualRepoId) -> ArweaveRevision:
        """Open the version that the id names now; see `Backend`.

        Raises:
            ArtifactNotFoundError: the owner has no such repository or version.
            NotFinalizedError: it is not mined yet.
        """
        return ArweaveRevision(self._weave, repo_id, self._weave.versions.find(repo_id))

    def identify(self, name: str) -> RitualRepoId:
        """Return the repository and version that the id of a path manifest stands for; see `Backend`.

        Raises:
            RepoIdError: that is not an id.
            ArtifactNotFoundError: no gateway has it, or it is not a path manifest.
            NotFinalizedError: it is not mined yet.
        """
        return self._weave.versions.identify(name)

    # --- writing ---

    @contextlib.contextmanager
    def start_upload(
        self, plan: ArtifactPlan, repo_id: RitualRepoId, options: UploadOptions, context: Context
    ) -> Iterator[ArweaveUpload]:
        """Start an upload; see `Backend`.

        Raises:
            WalletError: the wallet cannot be used.
            RepoIdError: the id names the address of another wallet.
        """
        wallet = self.load_wallet()
        own = _with_owner(repo_id, wallet.address)
        yield ArweaveUpload(self._weave, wallet, plan, own, options=options, context=context)

    def choose_owner(self, repo_id: RitualRepoId) -> RitualRepoId:
        """Return the id with the wallet's address as its owner; see `Backend`.

        Raises:
            WalletError: the wallet cannot be used.
        """
        return _with_owner(repo_id, self.load_wallet().address)

    def estimate(self, plan: ArtifactPlan, repo_id: RitualRepoId, options: UploadOptions) -> Price | None:
        """Return what it would cost to store all files anew, without reading them; see `Backend`.

        Raises:
            TransferError: no gateway could be reached.
            BackendError: the gateways disagree about the price.
        """
        # All addresses, hashes and times have one length, so the sizes are those of the upload.
        own = RitualRepoId(
            storage=repo_id.storage, owner="A" * ID_LENGTH, name=repo_id.name, version=repo_id.version
        )
        digests = [FileDigest(file.source, file.size, _NO_HASH, data_root=_NO_ROOT) for file in plan.files]
        manifest = Manifest.build(plan, digests, own)
        artifact = UnsignedArtifact(
            manifest, plan, digests, own, options, unix_time=str(self._weave.network.context.clock.time())
        )
        winston = Prices(self._weave.network).total(list_sizes(artifact, options))
        if not winston:
            return None
        text = format_ar(winston)
        return Price(winston, text, {"winston": str(winston), "ar": text.removesuffix(" AR")})

    # --- wallet and status ---

    def load_wallet(self) -> Wallet:
        """Return the wallet that the connection names.

        Raises:
            WalletError: there is none, or it cannot be used.
        """
        return Wallet.load(self._connection.wallet_path)

    def read_balance(self, address: str) -> int:
        """Return what a wallet holds, in winston.

        Raises:
            TransferError: no gateway could be reached.
        """
        return self._weave.network.read_balance(address)

    def read_status(self, transaction_id: str) -> Status:
        """Return what the network knows about a transaction.

        Raises:
            TransferError: no gateway could be reached.
        """
        return self._weave.network.read_status(transaction_id)

    def find_transaction(self, repo_id: RitualRepoId) -> str:
        """Return the transaction that has to be confirmed for an id: the path manifest, or its bundle.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
            TransferError: no gateway could be reached.
        """
        found = self._weave.versions.search(repo_id, pending=True)
        if found.version is not None:
            return found.version.manifest.holder
        if found.waiting:  # nodes do not show it before it is mined
            return self.find_holder(found.waiting[0])
        return self._weave.versions.find(repo_id).holder

    def find_holder(self, name: str) -> str:
        """Return the transaction that has to be confirmed for an id: of a data item, its bundle.

        Raises:
            TransferError: no gateway could be reached.
        """
        if self.read_status(name).state == "dropped":
            with contextlib.suppress(TransferError):  # only an index knows about data items
                entry = self._weave.index.find([name]).get(name)
                return name if entry is None else entry.holder
        return name


def _with_owner(repo_id: RitualRepoId, address: str) -> RitualRepoId:
    """Return the id with the wallet's address as its owner.

    Raises:
        RepoIdError: the id names another address, or a version that could not be found again.
    """
    if repo_id.version is not None and is_id(repo_id.version):
        message = (
            f"{repo_id}: a version of 43 base64url characters is read as a transaction id, so it could not "
            f"be found again; choose another label"
        )
        raise RepoIdError(message)
    if repo_id.owner == address:
        return repo_id
    if is_id(repo_id.owner):
        message = (
            f"{repo_id} is owned by another wallet; this wallet is {address}, and publishes only as itself"
        )
        raise RepoIdError(message)
    log.warning("on Arweave the owner is the wallet: publishing to %s, not to %s", address, repo_id.owner)
    return RitualRepoId(storage=repo_id.storage, owner=address, name=repo_id.name, version=repo_id.version)

"""The description of Arweave as a storage. Imports no client library before a connection is made."""

from collections.abc import Mapping
from typing import Any

from ritual_artifacts.backends.arweave.options import ConnectionOptions, UploadOptions
from ritual_artifacts.backends.base import Backend, Credential, Storage
from ritual_artifacts.context import Context
from ritual_artifacts.repo_id import RitualRepoId, StorageId


class ArweaveStorage(Storage):
    """Permanent storage, paid for once. Version labels and transaction ids never change their meaning."""

    name = StorageId.Arweave
    title = "Arweave"
    connection_options = ConnectionOptions
    upload_options = UploadOptions
    credential = Credential("wallet_path", "wallet_path", "ARWEAVE_WALLET_FILE_PATH")

    def connect(self, options: Mapping[str, Any], context: Context) -> Backend[UploadOptions]:
        """Check the connection options and make a backend; nothing is sent.

        Raises:
            AuthenticationError: the wallet's path cannot be valid.
            BackendError: an option does not exist, or has an invalid value.
        """
        from ritual_artifacts.backends.arweave.backend import ArweaveBackend  # noqa: PLC0415 - heavy

        connection = ConnectionOptions.parse(options).fill_in(context.settings)
        return ArweaveBackend(connection, context)

    def is_pinned(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> bool:
        """Return whether the id has a version: labels are immutable, as transaction ids are."""
        del options
        return repo_id.version is not None

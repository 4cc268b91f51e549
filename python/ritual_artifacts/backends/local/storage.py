"""The description of the local store as a storage. It does not open the store."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ritual_artifacts.backends.base import Storage
from ritual_artifacts.backends.local.options import LocalOptions, LocalUploadOptions
from ritual_artifacts.backends.options import Options
from ritual_artifacts.context import Context
from ritual_artifacts.repo_id import StorageId

if TYPE_CHECKING:
    from ritual_artifacts.backends.local.store import LocalBackend


class LocalStorage(Storage):
    """The embedded store on this machine; it needs no account and no server."""

    name: ClassVar[str] = StorageId.Local
    title: ClassVar[str] = "the local store"
    connection_options: ClassVar[type[Options]] = LocalOptions
    upload_options: ClassVar[type[Options]] = LocalUploadOptions

    def connect(self, options: Mapping[str, Any], context: Context) -> "LocalBackend":
        """Return a backend for the store below `root`; nothing is created before the first upload.

        Raises:
            ArtifactError: the store's folder is not set, and this user has no home.
            BackendError: an option does not exist, or has an invalid value.
        """
        from ritual_artifacts.backends.local.store import LocalBackend  # noqa: PLC0415 - light until used

        root = LocalOptions.parse(options).root
        return LocalBackend(context.settings.store_dir if root is None else Path(root))

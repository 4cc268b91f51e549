"""The storages of this installation: ours, and those that other packages bring by an entry point."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from ritual_artifacts.backends.base import Backend, Storage
from ritual_artifacts.backends.options import Options
from ritual_artifacts.context import Context
from ritual_artifacts.errors import BackendError
from ritual_artifacts.repo_id import BACKEND_GROUP, RitualRepoId, StorageId

_OWN: Final[Mapping[str, str]] = {
    StorageId.Local: "ritual_artifacts.backends.local.storage:LocalStorage",
    StorageId.Arweave: "ritual_artifacts.backends.arweave.storage:ArweaveStorage",
    StorageId.Huggingface: "ritual_artifacts.backends.huggingface.storage:HuggingFaceStorage",
}


def available_storages() -> dict[str, EntryPoint]:
    """Return where each storage is loaded from, by name; an entry point wins over our own."""
    own = [EntryPoint(str(name), target, BACKEND_GROUP) for name, target in _OWN.items()]
    return {point.name: point for point in [*own, *entry_points(group=BACKEND_GROUP)]}


def find_storage(name: str) -> Storage:
    """Import and return the storage of this name.

    Raises:
        BackendError: there is no such storage, or it cannot be imported.
    """
    available = available_storages()
    if name not in available:
        known = ", ".join(sorted(available))
        message = f"no backend for {str(name)!r} is installed; this installation has {known}"
        raise BackendError(message)
    point = available[name]
    try:
        storage = point.load()()
    except Exception as error:  # another package's code, which may raise anything
        message = f"the backend for {str(name)!r}, {point.value}, cannot be imported: {error}"
        raise BackendError(message) from error
    if not isinstance(storage, Storage):
        message = f"the backend for {str(name)!r}, {point.value}, is not a Storage"
        raise BackendError(message)
    for kind in ("connection_options", "upload_options"):
        options = getattr(storage, kind, None)
        if not (isinstance(options, type) and issubclass(options, Options)):
            message = f"the backend for {str(name)!r}, {point.value}, has no {kind}"
            raise BackendError(message)
    return storage


def connect(repo_id: RitualRepoId | str, options: Mapping[str, Any] | None, context: Context) -> Backend[Any]:
    """Connect to the storage of a repository, or to one by its name.

    Args:
        repo_id: The repository's id, or the storage's name.
        options: The connection options that the user gave.
        context: The call that needs it.

    Raises:
        BackendError: there is no such storage, or it does not take these options.
    """
    name = repo_id.storage if isinstance(repo_id, RitualRepoId) else repo_id
    return find_storage(name).connect(options or {}, context)


def add_credentials(
    storage: Storage, options: Mapping[str, Any] | None, credentials: Mapping[str, object]
) -> dict[str, Any]:
    """Return the connection options with the credential that this storage takes; others are dropped.

    Args:
        storage: Where the call goes.
        options: The connection options that the user gave.
        credentials: What the user gave by an argument of its own, by that argument's name.
    """
    given = dict(options or {})
    credential = storage.credential
    if credential is not None and (value := credentials.get(credential.argument)) is not None:
        given[credential.option] = value
    return given

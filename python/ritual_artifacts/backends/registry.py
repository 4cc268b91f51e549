"""The storages of this installation: ours, and those that other packages register by an entry point."""

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
    """Return where each storage is loaded from, by name; an entry point replaces our own storage."""
    own = [EntryPoint(str(name), target, BACKEND_GROUP) for name, target in _OWN.items()]
    return {point.name: point for point in [*own, *entry_points(group=BACKEND_GROUP)]}


def find_storage(name: str) -> Storage:
    """Import and return the storage of this name.

    Raises:
        BackendError: there is no such storage, it cannot be imported, or it is incomplete.
    """
    available = available_storages()
    if name not in available:
        known = ", ".join(sorted(available))
        message = f"no backend for {str(name)!r} is installed; this installation has {known}"
        raise BackendError(message)
    point = available[name]
    where = f"the backend for {str(name)!r}, {point.value},"
    try:
        loaded = point.load()
        storage = loaded() if isinstance(loaded, type) and issubclass(loaded, Storage) else loaded
    except Exception as error:  # another package's code may raise anything
        message = f"{where} cannot be imported: {type(error).__name__}: {error}"
        raise BackendError(message) from error
    if not isinstance(storage, Storage):
        message = f"{where} is not a Storage"
        raise BackendError(message)
    if problem := _find_problem(storage):
        message = f"{where} {problem}"
        raise BackendError(message)
    return storage


def _find_problem(storage: Storage) -> str | None:
    """Return why a storage is incomplete, as the end of a sentence; None if it is complete."""
    for attribute in ("name", "title"):
        if not isinstance(getattr(storage, attribute, None), str):
            return f"has no {attribute}"
    for attribute in ("connection_options", "upload_options"):
        options = getattr(storage, attribute, None)
        if not (isinstance(options, type) and issubclass(options, Options) and hasattr(options, "title")):
            return f"has no {attribute}, which must be a subclass of Options with a title"
    return None


def connect(repo_id: RitualRepoId | str, options: Mapping[str, Any] | None, context: Context) -> Backend[Any]:
    """Connect to the storage of a repository, or to one by its name.

    Args:
        repo_id: The repository's id, or the storage's name.
        options: The connection options that the user gave.
        context: The call that the connection belongs to.

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
        storage: The storage of the call.
        options: The connection options that the user gave.
        credentials: The credentials that the user passed as separate arguments, by the argument's name.
    """
    given = dict(options or {})
    credential = storage.credential
    if credential is not None and (value := credentials.get(credential.argument)) is not None:
        given[credential.option] = value
    return given

"""Storage backends, found by `StorageId`.

The package brings some; others add theirs with the entry-point group `ritual_artifacts.backends`, in which an
entry is called like a `StorageId` and names a class that `Backend` describes.
"""

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from ritual_artifacts.backends.base import (
    Backend,
    ChoosesOwner,
    FindsDamage,
    ListsFiles,
    NamesRevisions,
    RemoteFile,
    UploadResult,
    UploadSession,
)
from ritual_artifacts.errors import BackendError, RepoIdError
from ritual_artifacts.repo_id import RitualRepoId, StorageId

__all__ = [
    "Backend",
    "ChoosesOwner",
    "FindsDamage",
    "ListsFiles",
    "NamesRevisions",
    "RemoteFile",
    "UploadResult",
    "UploadSession",
    "available_backends",
    "identify",
    "load_backend",
]

ENTRY_POINT_GROUP: Final = "ritual_artifacts.backends"

_OWN: Final = {
    StorageId.Local: "ritual_artifacts.backends.local:LocalBackend",
    StorageId.Arweave: "ritual_artifacts.backends.arweave:ArweaveBackend",
    StorageId.Huggingface: "ritual_artifacts.backends.huggingface:HuggingFaceBackend",
}


def available_backends() -> dict[str, EntryPoint]:
    """Return where each backend that is there is loaded from; an entry point wins over our own."""
    own = [EntryPoint(str(storage), target, ENTRY_POINT_GROUP) for storage, target in _OWN.items()]
    return {point.name: point for point in [*own, *entry_points(group=ENTRY_POINT_GROUP)]}


def load_backend(storage: StorageId, options: Mapping[str, Any] | None = None) -> Backend:
    """Import and build the backend of `storage`.

    Args:
        storage: The kind of storage.
        options: Keyword arguments for the backend's class.

    Raises:
        BackendError: there is no such backend, or it does not take these options.
    """
    available = available_backends()
    if storage not in available:
        message = (
            f"no backend for {str(storage)!r} is installed; "
            f"this installation can use {', '.join(sorted(available))}"
        )
        raise BackendError(message)
    point = available[storage]
    try:
        backend_class = point.load()
    except (ImportError, AttributeError) as error:
        message = f"the backend for {str(storage)!r}, {point.value}, cannot be imported: {error}"
        raise BackendError(message) from error
    given = options or {}
    try:
        inspect.signature(backend_class).bind(**given)  # not by calling it: it may fail in itself
    except TypeError as error:
        message = f"the backend for {str(storage)!r} does not take these options: {error}"
        raise BackendError(message) from None
    backend: Backend = backend_class(**given)
    return backend


def identify(backend: Backend, revision: str) -> RitualRepoId:
    """Return the id of the repository and version that a revision is.

    Raises:
        RepoIdError: the storage cannot find a revision by its name alone.
        ArtifactNotFoundError: there is no such revision.
    """
    if not isinstance(backend, NamesRevisions):
        message = f"repository id {revision!r} must have an owner and a name"
        raise RepoIdError(message)
    return backend.identify(revision)

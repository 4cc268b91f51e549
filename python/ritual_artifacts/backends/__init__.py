"""Storage backends, found by `StorageId`.

The package brings some; others add theirs with the entry-point group `ritual_artifacts.backends`, in which an
entry is called like a `StorageId` and names a class that `Backend` describes.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from ritual_artifacts.backends.base import Backend, UploadResult, UploadSession
from ritual_artifacts.errors import BackendError
from ritual_artifacts.repo_id import StorageId

__all__ = ["Backend", "UploadResult", "UploadSession", "available_backends", "load_backend"]

ENTRY_POINT_GROUP: Final = "ritual_artifacts.backends"

_OWN: Final = {StorageId.Local: "ritual_artifacts.backends.local:LocalBackend"}


def available_backends() -> dict[str, str]:
    """Return `module:class` of each backend that is there, by storage; an entry point wins over our own."""
    found = {str(storage): target for storage, target in _OWN.items()}
    found |= {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return found


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
    module, _, name = available[storage].partition(":")
    try:
        backend_class = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        message = f"the backend for {str(storage)!r}, {available[storage]}, cannot be imported: {error}"
        raise BackendError(message) from error
    try:
        backend: Backend = backend_class(**(options or {}))
    except TypeError as error:
        message = f"the backend for {str(storage)!r} does not take these options: {error}"
        raise BackendError(message) from None
    return backend

"""Where artifacts live: one package per storage, and what they share.

Public, for backends of other packages: everything in `base` and `options`, `registry.find_storage`, and
`memory`, a complete reference backend. An entry point in the group `ritual_artifacts.backends`, named like
the first part of its repository ids, points to a class of the kind `Storage`.
"""

from ritual_artifacts.backends.base import (
    Backend,
    Credential,
    Price,
    RemoteFile,
    Revision,
    Storage,
    UploadResult,
    UploadSession,
)
from ritual_artifacts.backends.options import Flag, Options
from ritual_artifacts.backends.registry import available_storages, connect, find_storage

__all__ = [
    "Backend",
    "Credential",
    "Flag",
    "Options",
    "Price",
    "RemoteFile",
    "Revision",
    "Storage",
    "UploadResult",
    "UploadSession",
    "available_storages",
    "connect",
    "find_storage",
]

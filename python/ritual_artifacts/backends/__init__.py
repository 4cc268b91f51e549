"""Storages of artifacts: one package per storage, and the modules that they share.

Public, for backends of other packages: the names below, the errors in `ritual_artifacts.errors`, and
`memory`, a complete reference backend. An entry point in the group `ritual_artifacts.backends`, named after
the first part of its repository ids, points to a subclass of `Storage`.
"""

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyEntry, Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan, PlannedFile
from ritual_artifacts.artifact.untrusted import MAX_MANIFEST_BYTES
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
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, copy_files, hash_files
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import Settings

__all__ = [
    "MANIFEST_FILENAME",
    "MAX_MANIFEST_BYTES",
    "AnyEntry",
    "ArtifactPlan",
    "Backend",
    "Context",
    "Credential",
    "Digest",
    "FileDigest",
    "Flag",
    "Manifest",
    "ManifestEntry",
    "Options",
    "PlannedFile",
    "Price",
    "RemoteFile",
    "Revision",
    "RitualRepoId",
    "Settings",
    "Storage",
    "UploadResult",
    "UploadSession",
    "available_storages",
    "connect",
    "copy_files",
    "find_storage",
    "hash_files",
]

"""Notes about running commits: the manifests whose files may be in a folder.

A folder's note is kept beside its lock, in the cache or the state folder. It is never kept in the folder
itself, because the content of a folder is untrusted. A note is only used to recognise files by their SHA-256.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.manifest import AnyManifest, parse_manifest
from ritual_artifacts.artifact.untrusted import MAX_MANIFEST_BYTES
from ritual_artifacts.core.hashing import read_regular, write_file
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.locks import lock_path
from ritual_artifacts.settings import Settings

log = logging.getLogger(__name__)

_MOST_MANIFESTS: Final = 4
"""Manifests in one note; a folder in which several commits were killed needs more than one."""


class CommitNote:
    """The note of one folder; the caller holds the folder's lock."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Name the note; nothing is read yet.

        Args:
            folder: The folder, which need not exist.
            settings: The settings, for the paths of the cache and of the state folder.
        """
        self._folder = folder
        self._path = lock_path(folder, settings).with_suffix(".commit")

    def exists(self) -> bool:
        """Return whether a commit in the folder was killed."""
        return self._path.exists()

    def write(self, manifests: Sequence[AnyManifest]) -> None:
        """Record which artifacts' files may be in the folder, the newest first."""
        documents = [manifest.to_document() for manifest in manifests[:_MOST_MANIFESTS]]
        content = {"folder": self._identity(), "manifests": documents}
        write_file(self._path, json.dumps(content).encode())

    def read(self) -> list[AnyManifest]:
        """Return the manifests that a killed commit recorded; none if the folder was replaced since."""
        try:
            data = read_regular(self._path, _MOST_MANIFESTS * MAX_MANIFEST_BYTES) or b""
        except FileNotFoundError:
            return []
        try:
            content = json.loads(data)
            if content["folder"] != self._identity():
                return []
            documents = [json.dumps(document).encode() for document in content["manifests"]]
            return [parse_manifest(document, str(self._path)) for document in documents]
        except (ValueError, KeyError, TypeError, ManifestError) as error:
            log.warning("ignoring the damaged note %s: %s", self._path, error)
            return []

    def remove(self) -> None:
        """Remove the note after the commit was finished or undone."""
        self._path.unlink(missing_ok=True)

    def _identity(self) -> list[int]:
        status = self._folder.stat()
        return [status.st_dev, status.st_ino]

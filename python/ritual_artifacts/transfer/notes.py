"""What is written down while a commit changes a folder: the manifests whose files may be in it.

A folder's note is kept beside its lock, in the cache or the state folder, and never in the folder itself:
what is found in a folder may be from a stranger. All that a note allows is to recognise files by their
SHA-256.
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
"""A folder in which one commit after the other was killed."""


class CommitNote:
    """The note of one folder; whoever uses it holds the folder's lock."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Name the note; nothing is read yet.

        Args:
            folder: The folder, which need not exist.
            settings: Where cache and state are.
        """
        self._folder = folder
        self._path = lock_path(folder, settings).with_suffix(".commit")

    def exists(self) -> bool:
        """Return whether a commit in the folder was killed."""
        return self._path.exists()

    def write(self, manifests: Sequence[AnyManifest]) -> None:
        """Write down which artifacts' files may be in the folder, the newest first."""
        documents = [manifest.to_document() for manifest in manifests[:_MOST_MANIFESTS]]
        content = {"folder": self._identity(), "manifests": documents}
        write_file(self._path, json.dumps(content).encode())

    def read(self) -> list[AnyManifest]:
        """Return what a killed commit wrote down; nothing where the folder is another one now."""
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
        """Forget the note: the commit is done, or undone."""
        self._path.unlink(missing_ok=True)

    def _identity(self) -> list[int]:
        status = self._folder.stat()
        return [status.st_dev, status.st_ino]

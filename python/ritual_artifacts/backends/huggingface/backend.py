"""The Hugging Face Hub as a backend."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ritual_artifacts.artifact.manifest import MAX_MANIFEST_BYTES, ManifestEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.backends.huggingface.errors import clean
from ritual_artifacts.backends.huggingface.hub import Hub
from ritual_artifacts.backends.huggingface.options import (
    MAIN,
    make_connection,
    merge,
    split_upload_options,
)
from ritual_artifacts.backends.huggingface.upload import HuggingFaceUpload
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, TransferError
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import load_settings

_SHOWN_FILES: Final = 10


class HuggingFaceBackend:
    """Models, datasets and spaces on the Hugging Face Hub, or on a server that speaks its language.

    Attributes:
        hub: The connection.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - each has a type of its own, see `Connection`
        """Prepare; nothing is asked yet.

        Args:
            options: `token`, `endpoint`, `repo_type`, `revision`, `max_workers`, `timeout`,
                `local_files_only`, `library_name`, `library_version`, `user_agent` and `headers`; see
                `Connection`. Other names that `huggingface_hub.snapshot_download` knows are refused with a
                word on what to do instead.

        Raises:
            BackendError: there is no such option, or it cannot have this value.
        """
        connection = make_connection(options)
        self.hub = Hub(connection, version("ritual-artifacts"))
        self._streams = threading.BoundedSemaphore(connection.max_workers)

    @contextlib.contextmanager
    def start_upload(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> Iterator[HuggingFaceUpload]:
        """Start an upload, which takes the options of `UploadOptions`; see `Backend`."""
        own, others = split_upload_options(options)
        hub = Hub(merge(self.hub.connection, others), self.hub.library_version) if others else self.hub
        _refuse_offline(hub, f"uploading to {repo_id}")
        revision = hub.connection.revision_of(repo_id)
        if own.create_pr and revision not in {None, MAIN}:
            message = f"create_pr opens a pull request for {MAIN!r}; leave {revision!r} out"
            raise BackendError(message)
        hub.make_headers()  # a token that cannot be one is refused before a file is read
        yield HuggingFaceUpload(hub, repo_id, own)

    def resolve(self, repo_id: RitualRepoId) -> str:
        """Return the commit that the id names; see `Backend`."""
        _refuse_offline(self.hub, f"looking for {repo_id}")
        return self.hub.find_commit(repo_id)

    def read_manifest(self, repo_id: RitualRepoId, revision: str) -> bytes:
        """Return the manifest of a commit; see `Backend`."""
        data = bytearray()
        try:
            for block in self.hub.stream_file(repo_id, revision, MANIFEST_FILENAME):
                data += block
                if len(data) > MAX_MANIFEST_BYTES:
                    break
        except ArtifactNotFoundError as error:
            raise self._explain_missing(repo_id, revision, error) from None
        return bytes(data[: MAX_MANIFEST_BYTES + 1])

    def _explain_missing(
        self, repo_id: RitualRepoId, revision: str, error: ArtifactNotFoundError
    ) -> ArtifactNotFoundError:
        """Say what is there instead of a manifest; where nothing can be listed, nothing is there."""
        try:
            names = sorted(self.list_files(repo_id, revision))
        except ArtifactNotFoundError:
            return error
        shown = ", ".join(clean(name) for name in names[:_SHOWN_FILES])
        more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
        has = f"it has {shown}{more}" if names else "it is empty"
        return ArtifactNotFoundError(
            f"{repo_id} has no {MANIFEST_FILENAME} at the commit {revision}, so it is no artifact; {has}"
        )

    def read_file(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, *, offset: int = 0
    ) -> Iterator[bytes]:
        """Stream a file, continued where the connection is cut; see `Backend`."""
        with self._streams:
            yield from self.hub.stream_file(repo_id, revision, entry.path, offset=offset)

    def list_files(self, repo_id: RitualRepoId, revision: str) -> dict[str, RemoteFile]:
        """Return what the Hub says about every file of a commit; see `ListsFiles`."""
        return self.hub.list_files(repo_id, revision)

    def find_local_file(self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry) -> Path | None:
        """Return None: what is on the Hub is not on this machine; see `Backend`."""
        del repo_id, revision, entry
        return None


def _refuse_offline(hub: Hub, doing: str) -> None:
    """Check that a server may be asked, before anything is done that would be in vain.

    Raises:
        TransferError: the user said that none may be.
    """
    if hub.connection.local_files_only or load_settings().hub_offline:
        message = f"{doing}: offline mode is on (HF_HUB_OFFLINE or local_files_only), so nothing was asked"
        raise TransferError(message)

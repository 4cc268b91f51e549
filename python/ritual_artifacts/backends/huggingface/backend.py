"""The Hugging Face Hub as a backend: connections and opened revisions."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ritual_artifacts.artifact.manifest import AnyEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan
from ritual_artifacts.artifact.untrusted import MAX_MANIFEST_BYTES
from ritual_artifacts.backends.base import Backend, RemoteFile, Revision
from ritual_artifacts.backends.huggingface.hub import Hub
from ritual_artifacts.backends.huggingface.options import MAIN, HubConnection, HubUpload
from ritual_artifacts.backends.huggingface.upload import HuggingFaceUpload
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError
from ritual_artifacts.repo_id import RitualRepoId

_SHOWN_FILES: Final = 10


class HuggingFaceBackend(Backend[HubUpload]):
    """A connection to a Hub.

    Attributes:
        hub: The Hub.
    """

    def __init__(self, connection: HubConnection, context: Context) -> None:
        """Prepare; nothing is sent yet."""
        self.hub = Hub(connection, context)

    def open(self, repo_id: RitualRepoId) -> "HuggingFaceRevision":
        """Open the commit that the id names now; see `Backend`."""
        self.hub.refuse_offline(f"looking for {repo_id}")
        return HuggingFaceRevision(self.hub, repo_id, self.hub.find_commit(repo_id))

    def upload_options(self, given: Mapping[str, Any]) -> HubUpload:
        """Check what the user says about an upload, and about its connection; see `Backend`."""
        return HubUpload.merge(given, self.hub.connection)

    @contextlib.contextmanager
    def start_upload(
        self, plan: ArtifactPlan, repo_id: RitualRepoId, options: HubUpload, context: Context
    ) -> Iterator[HuggingFaceUpload]:
        """Start an upload; see `Backend`."""
        hub = Hub(options.connection, context)
        hub.refuse_offline(f"uploading to {repo_id}")
        revision = hub.connection.revision_of(repo_id)
        if options.create_pr and revision not in {None, MAIN}:
            message = (
                f"create_pr opens a pull request for {MAIN!r}, not for {revision!r}; leave the version out"
            )
            raise BackendError(message)
        hub.make_headers()  # refuses an invalid token before a file is read
        yield HuggingFaceUpload(hub, plan, repo_id, options)


class HuggingFaceRevision(Revision):
    """One commit."""

    def __init__(self, hub: Hub, repo_id: RitualRepoId, commit: str) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(repo_id, commit)
        self._hub = hub

    def manifest_bytes(self) -> bytes:
        """Return the commit's manifest; see `Revision`."""
        data = bytearray()
        try:
            for block in self._hub.stream_file(self.repo_id, self.name, MANIFEST_FILENAME):
                data += block
                if len(data) > MAX_MANIFEST_BYTES:
                    break
        except ArtifactNotFoundError as error:
            raise self._explain_missing(error) from None
        return bytes(data[: MAX_MANIFEST_BYTES + 1])

    def _explain_missing(self, error: ArtifactNotFoundError) -> ArtifactNotFoundError:
        """Say what the commit has instead of a manifest, if the commit exists."""
        try:
            names = sorted(self.listing())
        except ArtifactNotFoundError:
            return error
        shown = ", ".join(self._hub.redactor.clean(name) for name in names[:_SHOWN_FILES])
        more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
        has = f"it has {shown}{more}" if names else "it is empty"
        return ArtifactNotFoundError(
            f"{self.repo_id} has no {MANIFEST_FILENAME} at the commit {self.name}, so it is not an artifact; "
            f"{has}"
        )

    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        """Stream a file, continued where a connection is lost; see `Revision`."""
        with self._hub.streams:
            limit = self._hub.context.bounds.unsized_bytes if entry.size is None else None
            yield from self._hub.stream_file(self.repo_id, self.name, entry.path, offset=offset, limit=limit)

    def listing(self) -> dict[str, RemoteFile]:
        """Return what the Hub says about every file of the commit; see `Revision`."""
        return self._hub.list_files(self.repo_id, self.name)

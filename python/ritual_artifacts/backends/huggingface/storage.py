"""The description of the Hugging Face Hub as a storage. Imports no client library."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from ritual_artifacts.backends.base import Backend, Credential, Storage
from ritual_artifacts.backends.huggingface.options import HubConnection, HubUploadOptions, is_blank, is_commit
from ritual_artifacts.backends.options import Options
from ritual_artifacts.context import Context
from ritual_artifacts.repo_id import UNVERSIONED_MARKER, RitualRepoId, StorageId
from ritual_artifacts.settings import Settings


class HuggingFaceStorage(Storage):
    """Models, datasets and spaces on the Hugging Face Hub, or on a server with the same API."""

    name: ClassVar[str] = StorageId.Huggingface
    title: ClassVar[str] = "Hugging Face Hub"
    connection_options: ClassVar[type[Options]] = HubConnection
    upload_options: ClassVar[type[Options]] = HubUploadOptions
    credential: ClassVar[Credential | None] = Credential("token", "hf_token", "HF_TOKEN")
    offline_hint: ClassVar[str] = "HF_HUB_OFFLINE or local_files_only"

    def connect(self, options: Mapping[str, Any], context: Context) -> Backend[Any]:
        """Check the connection options and make a backend; see `Storage`."""
        connection = HubConnection.connect(options, context.settings)
        from ritual_artifacts.backends.huggingface.backend import HuggingFaceBackend  # noqa: PLC0415 - heavy

        return HuggingFaceBackend(connection, context)

    def is_pinned(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> bool:
        """Return whether the id, or the revision among the options, is a commit."""
        revision = _revision(repo_id, options)
        return revision is not None and is_commit(revision)

    def cache_version(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> str | None:
        """Return the version under which the cache keeps a download.

        A revision among the options counts as the version; it may contain a slash, so it is quoted. A model,
        a dataset and a space can have the same id: the version of the latter two starts with their kind and
        `~`, which no revision contains.
        """
        version = repo_id.version
        if version is None and (revision := _revision(repo_id, options)):
            version = quote(revision, safe="")
        repo_type = options.get("repo_type")
        if repo_type in ("dataset", "space"):  # an unhashable value is refused later
            version = f"{repo_type}~{version or UNVERSIONED_MARKER}"
        return version

    def is_offline(self, options: Mapping[str, Any], settings: Settings) -> bool:
        """Return whether `HF_HUB_OFFLINE` or `local_files_only` is set."""
        return settings.hub_offline or bool(options.get("local_files_only"))


def _revision(repo_id: RitualRepoId, options: Mapping[str, Any]) -> str | None:
    revision = options.get("revision")
    if repo_id.version is None and isinstance(revision, str) and not is_blank(revision):
        return revision
    return repo_id.version

"""One Hub as this backend sees it: commits, listings, bytes. No answer of the server is trusted."""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote

from huggingface_hub import HfApi
from huggingface_hub.utils import build_hf_headers, validate_repo_id  # type: ignore[attr-defined]  # documented there, exported lazily

from ritual_artifacts.artifact.untrusted import MAX_ENTRIES
from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.backends.huggingface.errors import Redactor
from ritual_artifacts.backends.huggingface.library import without_telemetry
from ritual_artifacts.backends.huggingface.options import HubConnection, is_commit, is_malformed
from ritual_artifacts.backends.huggingface.session import guarded_session
from ritual_artifacts.backends.huggingface.transport import Transport
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, AuthenticationError, BackendError, TransferError
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.secret import Secret

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_PAGES: Final = MAX_ENTRIES // 100
_WRITE_TIMEOUTS: Final = 10
"""Default of `write_timeout`, in timeouts."""
_SHOWN: Final = 80
"""Characters of an invalid value that a message repeats."""
_PREFIXES: Final = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True)
class Refs:
    """The names that a repository has for commits.

    Attributes:
        branches: Commit of each branch.
        tags: Commit of each tag.
        pull_requests: Commit of each pull request's `refs/pr/<number>`, if they were requested.
    """

    branches: dict[str, str]
    tags: dict[str, str]
    pull_requests: dict[str, str]


class Hub:
    """Reads from the repositories of one type at one endpoint; `api` writes to them.

    Attributes:
        connection: What the user said about the connection.
        context: The call that this connection belongs to.
        api: The client library, to be used inside `writing`.
        redactor: Removes the connection's secrets from messages.
        streams: Held while a file is downloaded, so that not more than `max_workers` are at once.
    """

    def __init__(self, connection: HubConnection, context: Context) -> None:
        """Prepare; nothing is sent yet."""
        self.connection = connection
        self.context = context
        self.redactor = Redactor()
        self.api = HfApi(
            endpoint=connection.endpoint,
            token=connection.token,
            library_name=connection.library_name or "ritual-artifacts",
            library_version=connection.library_version or version("ritual-artifacts"),
            user_agent=connection.user_agent,
            headers=dict(connection.headers or {}),
        )
        self.streams = threading.BoundedSemaphore(self.max_workers)
        self._transport = Transport(
            connection.endpoint,
            self.make_headers,
            timeout=connection.timeout,
            context=context,
            redactor=self.redactor,
        )

    @property
    def max_workers(self) -> int:
        """Files in flight at once."""
        return self.connection.max_workers or self.context.streams

    def make_headers(self) -> Mapping[str, str]:
        """Return the endpoint's headers, with the token of the user, the environment or the stored login.

        Raises:
            AuthenticationError: the stored login was requested and does not exist, or cannot be a token.
        """
        with self.redactor.translated("looking for a token"), without_telemetry():
            headers = {
                name: Secret(value)
                for name, value in build_hf_headers(
                    token=self.api.token,
                    library_name=self.api.library_name,
                    library_version=self.api.library_version,
                    user_agent=self.api.user_agent,
                    headers=self.api.headers,
                ).items()
            }
        self.redactor.add(headers)
        if _has_malformed_token(headers):
            message = (
                "the token of HF_TOKEN or the stored login contains white space, control or other characters "
                "that a token cannot have; set it again, or log in with 'hf auth login'"
            )
            raise AuthenticationError(message)
        return headers

    def refuse_offline(self, doing: str) -> None:
        """Check that requests are allowed.

        Raises:
            TransferError: the user wants none to be sent.
        """
        if self.connection.local_files_only or self.context.settings.hub_offline:
            message = (
                f"{doing}: offline mode is on (HF_HUB_OFFLINE or local_files_only), so no request was sent"
            )
            raise TransferError(message)

    def web_url(self, repo_id: RitualRepoId) -> str:
        """Return the address of the repository's page."""
        prefix = _PREFIXES[self.connection.repo_type]
        return f"{self.connection.endpoint}/{prefix}{self._checked_id(repo_id)}"

    def _api_url(self, repo_id: RitualRepoId) -> str:
        return f"{self.connection.endpoint}/api/{self.connection.repo_type}s/{self._checked_id(repo_id)}"

    def _checked_id(self, repo_id: RitualRepoId) -> str:
        """Return an id that can be part of an address.

        Raises:
            RepoIdError: the Hub does not allow such a name.
        """
        with self.redactor.translated(f"looking for {repo_id}"):
            validate_repo_id(repo_id.hf_id)
        return repo_id.hf_id

    def find_commit(self, repo_id: RitualRepoId) -> str:
        """Return the commit that the id names now.

        Raises:
            ArtifactNotFoundError: there is no such repository or revision.
        """
        revision = self.connection.revision_of(repo_id)
        if revision is not None and is_commit(revision):
            return revision
        url = self._api_url(repo_id) + (f"/revision/{quote(revision, safe='')}" if revision else "")
        with self.redactor.translated(f"looking for {repo_id}"):
            answer, _ = self._transport.get_json(url, f"looking for {repo_id}")
        sha = answer.get("sha") if isinstance(answer, dict) else None
        if sha is None:
            message = f"{repo_id} has no commit yet"
            raise ArtifactNotFoundError(message)
        return self.check_commit(sha)

    def read_refs(self, repo_id: RitualRepoId, *, pull_requests: bool = False) -> Refs:
        """Return the repository's branches and tags.

        Raises:
            ArtifactNotFoundError: there is no such repository.
        """
        doing = f"reading the branches of {repo_id}"
        params = {"include_prs": "1"} if pull_requests else None
        with self.redactor.translated(doing):
            answer, _ = self._transport.get_json(f"{self._api_url(repo_id)}/refs", doing, params)
            named = [
                {
                    str(ref["ref" if kind == "pullRequests" else "name"]): self.check_commit(
                        ref["targetCommit"]
                    )
                    for ref in answer.get(kind) or []
                }
                for kind in ("branches", "tags", "pullRequests")
            ]
        return Refs(*named)

    def list_files(self, repo_id: RitualRepoId, commit: str) -> dict[str, RemoteFile]:
        """Return what the Hub says about every file of a commit; the names are not checked.

        Raises:
            ArtifactNotFoundError: there is no such commit.
        """
        doing = f"listing {repo_id}"
        url: str | None = f"{self._api_url(repo_id)}/tree/{commit}?recursive=true"
        found: dict[str, RemoteFile] = {}
        with self.redactor.translated(doing):
            for _ in range(_MAX_PAGES):
                if url is None:
                    return found
                if not url.startswith(f"{self.connection.endpoint}/"):
                    message = (
                        f"{doing}: the server names another server for the next page; it is not contacted"
                    )
                    raise BackendError(message)
                page, url = self._transport.get_json(url, doing)
                found |= {
                    item["path"]: self._remote_file(item) for item in page if item.get("type") == "file"
                }
        message = f"{doing}: the list has more than {_MAX_PAGES} pages"
        raise BackendError(message)

    def _remote_file(self, item: dict[str, Any]) -> RemoteFile:
        lfs = item.get("lfs")
        size = (lfs or item)["size"]
        if not isinstance(size, int) or size < 0:
            what = f"size of {str(item['path'])!r}"
            raise self._invalid(what, size)
        if lfs:
            return RemoteFile(size, sha256=self._checked(_SHA256, lfs["oid"], "SHA-256 of a file"))
        return RemoteFile(size, git_sha1=self._checked(_COMMIT, item["oid"], "git id of a file"))

    def stream_file(
        self, repo_id: RitualRepoId, commit: str, path: str, *, offset: int = 0, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield a file's bytes from `offset`, unchecked.

        Args:
            repo_id: The repository.
            commit: The commit.
            path: The file.
            offset: Where to start.
            limit: Bytes that the file may have; None if the caller knows its size and stops there.

        Raises:
            ArtifactNotFoundError: the commit has no such file.
            TransferError: the bytes stopped arriving.
        """
        doing = f"downloading {path!r} of {repo_id}"
        url = f"{self.web_url(repo_id)}/resolve/{commit}/{quote(path)}"
        with self.redactor.translated(doing):
            yield from self._transport.stream(url, doing, offset=offset, limit=limit)

    def check_commit(self, value: object) -> str:
        """Return what a server gave as a commit, if it is one.

        Raises:
            BackendError: it is not.
        """
        return self._checked(_COMMIT, value, "commit")

    def _checked(self, pattern: re.Pattern[str], value: object, what: str) -> str:
        """Return a value that has the right form, and so can be part of an address.

        Raises:
            BackendError: it does not.
        """
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._invalid(what, value)
        return value

    def _invalid(self, what: str, value: object) -> BackendError:
        clean = self.redactor.clean
        return BackendError(
            f"the server sent {clean(str(value))[:_SHOWN]!r} as {clean(what)}, which is invalid"
        )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Prepare the client library for calls of `api` inside the block; see `library` and `session`."""
        timeout = self.connection.write_timeout or self.connection.timeout * _WRITE_TIMEOUTS
        with (
            without_telemetry(),
            self.redactor.cleaned_logs(),
            guarded_session(self.connection.endpoint, self.make_headers(), timeout, self.context),
        ):
            yield


def _has_malformed_token(headers: Mapping[str, str]) -> bool:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return scheme == "Bearer" and is_malformed(token)

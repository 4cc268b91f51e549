"""One Hub as this backend sees it: commits, listings, bytes. Everything that it answers may be hostile."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.utils import build_hf_headers, disable_progress_bars, validate_repo_id  # type: ignore[attr-defined]  # documented there, exported lazily

from ritual_artifacts.artifact.manifest import MAX_ENTRIES
from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.backends.huggingface.errors import clean, keep_secret, translated
from ritual_artifacts.backends.huggingface.options import Connection, is_malformed
from ritual_artifacts.backends.huggingface.session import guard_session
from ritual_artifacts.backends.huggingface.transport import Transport
from ritual_artifacts.errors import ArtifactNotFoundError, AuthenticationError, BackendError
from ritual_artifacts.repo_id import RitualRepoId

# There is no telemetry; and the library would ask the public Hub about it, which the user may not have named.
constants.HF_HUB_DISABLE_TELEMETRY = True

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_PAGES: Final = MAX_ENTRIES // 100
_PATIENCE_OF_WRITES: Final = 10
"""A commit of many files keeps the server busy for minutes; a read never does."""
_PREFIXES: Final = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True)
class Refs:
    """The names that a repository has for commits.

    Attributes:
        branches: Commit of each branch.
        tags: Commit of each tag.
        pull_requests: Commit of each pull request's `refs/pr/<number>`, where they were asked for.
    """

    branches: dict[str, str]
    tags: dict[str, str]
    pull_requests: dict[str, str]


class Hub:
    """Reads from the repositories of one type at one endpoint; `api` is there to write."""

    def __init__(self, connection: Connection, library_version: str) -> None:
        """Prepare; nothing is asked yet."""
        self.connection = connection
        self.library_version = library_version
        self.api = HfApi(
            endpoint=connection.endpoint,
            token=connection.token,
            library_name=connection.library_name or "ritual-artifacts",
            library_version=connection.library_version or library_version,
            user_agent=connection.user_agent,
            headers=dict(connection.headers or {}),
        )
        self._transport = Transport(connection.endpoint, self.make_headers, timeout=connection.timeout)

    def make_headers(self) -> dict[str, str]:
        """Return the endpoint's headers, with the token of the user, the environment or the stored login.

        Raises:
            AuthenticationError: there is no stored login where one was asked for, or it cannot be a token.
        """
        with translated("looking for a token"):
            headers = build_hf_headers(
                token=self.api.token,
                library_name=self.api.library_name,
                library_version=self.api.library_version,
                user_agent=self.api.user_agent,
                headers=self.api.headers,
            )
        keep_secret(headers)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and is_malformed(token):
            message = (
                "the token of HF_TOKEN or the stored login has white space, control or other characters "
                "inside that no token has; set it once more, or log in with 'hf auth login'"
            )
            raise AuthenticationError(message)
        return headers

    def web_url(self, repo_id: RitualRepoId) -> str:
        """Return where people look at the repository."""
        return f"{self.connection.endpoint}/{_PREFIXES[self.connection.repo_type]}{_checked_id(repo_id)}"

    def _api_url(self, repo_id: RitualRepoId) -> str:
        return f"{self.connection.endpoint}/api/{self.connection.repo_type}s/{_checked_id(repo_id)}"

    def find_commit(self, repo_id: RitualRepoId) -> str:
        """Return the commit that the id names now.

        Raises:
            ArtifactNotFoundError: there is no such repository or revision.
        """
        revision = self.connection.revision_of(repo_id)
        if revision is not None and self.is_commit(revision):
            return revision
        url = self._api_url(repo_id) + (f"/revision/{quote(revision, safe='')}" if revision else "")
        with translated(f"looking for {repo_id}"):
            answer, _ = self._transport.get_json(url, f"looking for {repo_id}")
        sha = answer.get("sha") if isinstance(answer, dict) else None
        if sha is None:
            message = f"{repo_id} has no commit yet"
            raise ArtifactNotFoundError(message)
        return _checked(_COMMIT, sha, f"{repo_id} to be at the commit")

    def read_refs(self, repo_id: RitualRepoId, *, pull_requests: bool = False) -> Refs:
        """Return the repository's branches and tags.

        Raises:
            ArtifactNotFoundError: there is no such repository.
        """
        doing = f"reading the branches of {repo_id}"
        params = {"include_prs": "1"} if pull_requests else None
        with translated(doing):
            answer, _ = self._transport.get_json(f"{self._api_url(repo_id)}/refs", doing, params)
            named = [
                {
                    str(ref["ref" if kind == "pullRequests" else "name"]): _checked(
                        _COMMIT, ref["targetCommit"], "a branch to be at the commit"
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
        with translated(doing):
            for _ in range(_MAX_PAGES):
                if url is None:
                    return found
                if not url.startswith(f"{self.connection.endpoint}/"):
                    message = f"{doing}: the next page is said to be on another server; it is not asked"
                    raise BackendError(message)
                page, url = self._transport.get_json(url, doing)
                found |= {item["path"]: _remote_file(item) for item in page if item.get("type") == "file"}
        message = f"{doing}: the list does not end"
        raise BackendError(message)

    def stream_file(
        self, repo_id: RitualRepoId, commit: str, path: str, *, offset: int = 0
    ) -> Iterator[bytes]:
        """Yield a file's bytes from `offset`, unchecked.

        Raises:
            ArtifactNotFoundError: the commit has no such file.
            TransferError: the bytes stopped arriving.
        """
        doing = f"fetching {path!r} of {repo_id}"
        url = f"{self.web_url(repo_id)}/resolve/{commit}/{quote(path)}"
        with translated(doing):
            yield from self._transport.stream(url, doing, offset=offset)

    @staticmethod
    def is_commit(name: str) -> bool:
        """Say whether a revision can only be a commit."""
        return _COMMIT.fullmatch(name) is not None

    @staticmethod
    def check_commit(value: object) -> None:
        """Check that a server's word for a commit is one.

        Raises:
            BackendError: it is not.
        """
        _checked(_COMMIT, value, "the new commit to be")

    def prepare_session(self) -> None:
        """Let no call of the client library wait for ever, or give what is the endpoint's to somebody else.

        The session is the whole process's; a limit that somebody has set stays.
        """
        guard_session(self.connection.endpoint, self.make_headers())
        session = get_session()
        if session.timeout == httpx2.Timeout(None):
            session.timeout = httpx2.Timeout(self.connection.timeout * _PATIENCE_OF_WRITES)

    @contextlib.contextmanager
    def without_bars(self) -> Iterator[None]:
        """Keep the client library from drawing on the terminal, unless the environment asks for it."""
        if constants.HF_HUB_DISABLE_PROGRESS_BARS is not None:
            yield
            return
        with disable_progress_bars():
            yield


def _checked_id(repo_id: RitualRepoId) -> str:
    """Return an id of which every character may stand in an address.

    Raises:
        RepoIdError: the Hub allows no such name.
    """
    with translated(f"looking for {repo_id}"):
        validate_repo_id(repo_id.hf_id)
    return repo_id.hf_id


def _remote_file(item: dict[str, Any]) -> RemoteFile:
    lfs = item.get("lfs")
    size = (lfs or item)["size"]
    if not isinstance(size, int) or size < 0:
        message = f"the server says that {clean(str(item['path']))!r} has the size {clean(str(size))}"
        raise BackendError(message)
    if lfs:
        return RemoteFile(size, sha256=_checked(_SHA256, lfs["oid"], "a file's SHA-256 to be"))
    return RemoteFile(size, git_sha1=_checked(_COMMIT, item["oid"], "a file's git id to be"))


def _checked(pattern: re.Pattern[str], value: object, claim: str) -> str:
    """Return a value that is what it should be, and so can be part of an address.

    Raises:
        BackendError: it is not.
    """
    if not isinstance(value, str) or not pattern.fullmatch(value):
        message = f"the server says {claim} {clean(str(value))[:80]!r}, which cannot be"
        raise BackendError(message)
    return value

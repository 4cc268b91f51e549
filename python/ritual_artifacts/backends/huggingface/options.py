"""What a user can say about the connection to a Hub, and about one upload."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from ritual_artifacts.errors import BackendError, RepoIdError
from ritual_artifacts.repo_id import RitualRepoId

RepoType: TypeAlias = Literal["model", "dataset", "space"]

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
DEFAULT_TIMEOUT: Final = 60.0
"""Seconds without a byte after which a connection counts as cut."""
DEFAULT_MAX_WORKERS: Final = 8

_REFUSED: Final = {
    "allow_patterns": "an artifact is fetched and published whole; to fetch a part, pass fields=[…]",
    "ignore_patterns": "an artifact is fetched and published whole; to fetch a part, pass fields=[…]",
    "cache_dir": "set RITUAL_CACHE_DIR, or pass a directory",
    "local_dir": "pass a directory",
    "folder_path": "the artifact's fields say which files are uploaded",
    "path_in_repo": "files keep the names that the manifest gives them",
    "proxies": "set HTTPS_PROXY, or huggingface_hub.set_client_factory",
    "run_as_future": "start a thread of your own",
    "tqdm_class": "pass progress=…",
}
"""Options of huggingface_hub that would contradict a typed artifact, and what to do instead."""

_NEEDLESS: Final = frozenset({"force_download", "resume_download", "local_dir_use_symlinks"})
"""Options of huggingface_hub that change nothing here: bytes are verified, and downloads resume, always."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to talk to a Hub.

    Attributes:
        endpoint: Scheme and host, without a slash at the end (default `HF_ENDPOINT`, else the public Hub).
        token: An access token; None for the one of the environment or the stored login, False for none.
        repo_type: `"model"`, `"dataset"` or `"space"`.
        revision: Branch, tag, commit or pull request to use where the repository id names no version.
        max_workers: Files in flight at once.
        timeout: Seconds without a byte after which a connection counts as cut.
        local_files_only: Ask no server; only a complete copy on this machine will do.
        library_name: Who says that it is asking, in the `User-Agent` header.
        library_version: Its version.
        user_agent: What else the header says.
        headers: Headers to send to the endpoint.
    """

    endpoint: str = DEFAULT_ENDPOINT
    token: str | bool | None = field(default=None, repr=False)
    repo_type: RepoType = "model"
    revision: str | None = None
    max_workers: int = DEFAULT_MAX_WORKERS
    timeout: float = DEFAULT_TIMEOUT
    local_files_only: bool = False
    library_name: str | None = None
    library_version: str | None = None
    user_agent: dict[str, str] | str | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)

    def revision_of(self, repo_id: RitualRepoId) -> str | None:
        """Return the branch, tag or commit that is meant; None for the newest.

        Raises:
            RepoIdError: id and options name different ones.
        """
        if repo_id.version is not None and self.revision not in {None, repo_id.version}:
            message = f"revision {self.revision!r} does not agree with the repository id {repo_id}"
            raise RepoIdError(message)
        return repo_id.version or self.revision


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """What a user can say about one upload.

    Attributes:
        commit_message: First line of the commit.
        commit_description: The rest of it.
        create_pr: Open a pull request instead of moving the branch.
        parent_commit: Upload only if the branch is at this commit.
        private: Whether a repository that has to be created can be seen by its owner alone (default: yes).
            One that exists stays what it is.
        tag: Name the published commit; a tag never moves.
        delete_patterns: Remove the repository's files that match these patterns and are not the artifact's.
        card: Write a card (`README.md`) where the repository has none.
        license: The card's licence, as the Hub spells it, such as `"apache-2.0"`.
        base_model: Repository of the model that this one was made from.
        pipeline_tag: The task that it is for, such as `"text-generation"`.
        space_sdk: What a space that has to be created runs on: `"gradio"`, `"docker"` or `"static"`.
    """

    commit_message: str | None = None
    commit_description: str | None = None
    create_pr: bool = False
    parent_commit: str | None = None
    private: bool | None = None
    tag: str | None = None
    delete_patterns: str | Sequence[str] | None = None
    card: bool = True
    license: str | None = None
    base_model: str | Sequence[str] | None = None
    pipeline_tag: str | None = None
    space_sdk: str | None = None


def make_connection(options: Mapping[str, Any]) -> Connection:
    """Build a connection of what the user said and what the environment says.

    Args:
        options: Fields of `Connection`, and the names that `huggingface_hub.snapshot_download` has for them.

    Raises:
        BackendError: there is no such option, or it cannot have this value.
    """
    given = {"endpoint": os.environ.get("HF_ENDPOINT") or None} | dict(options)
    if given.get("token") == "":  # as os.getenv("HF_TOKEN", "") has it: there is none
        del given["token"]
    if "etag_timeout" in given:
        given.setdefault("timeout", given.pop("etag_timeout"))
    names = _names(Connection)
    _refuse_unknown(given, names)
    chosen = {name: value for name, value in given.items() if name in names and value is not None}
    if chosen.get("repo_type", "model") not in get_args(RepoType):
        message = f"repo_type must be one of {', '.join(get_args(RepoType))}, not {chosen['repo_type']!r}"
        raise BackendError(message)
    connection = Connection(**chosen)
    return replace(connection, endpoint=_check_endpoint(connection.endpoint))


def split_upload_options(options: Mapping[str, Any]) -> tuple[UploadOptions, dict[str, Any]]:
    """Take the options of an upload apart from those of its connection, such as `token`.

    Raises:
        BackendError: there is no such option.
    """
    own, others = _names(UploadOptions), _names(Connection) | {"etag_timeout"}
    _refuse_unknown(options, own | others)
    chosen = {name: value for name, value in options.items() if name in own and value is not None}
    return UploadOptions(**chosen), {name: value for name, value in options.items() if name in others}


def merge(connection: Connection, options: Mapping[str, Any]) -> Connection:
    """Return the connection with what an upload says about it."""
    if not options:
        return connection
    known = {f.name: getattr(connection, f.name) for f in fields(connection)}
    return make_connection(known | {name: value for name, value in options.items() if value is not None})


def patterns(value: str | Sequence[str] | None) -> Collection[str]:
    """Return patterns as a collection, however they were given."""
    return [value] if isinstance(value, str) else value or []


def _names(options: type[Connection | UploadOptions]) -> frozenset[str]:
    return frozenset(f.name for f in fields(options))


def _refuse_unknown(options: Mapping[str, Any], known: Collection[str]) -> None:
    for name, value in options.items():
        if name in known or name in _NEEDLESS or (name in _REFUSED and not value):
            continue
        problem = _REFUSED.get(name, f"those that there are: {', '.join(sorted(known))}")
        message = f"the Hugging Face backend does not take the option {name!r}; {problem}"
        raise BackendError(message)


def _check_endpoint(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        message = "the endpoint (HF_ENDPOINT) must be a URL such as https://huggingface.co, without a user"
        raise BackendError(message)
    return endpoint.rstrip("/")

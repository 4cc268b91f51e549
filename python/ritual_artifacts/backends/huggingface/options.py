"""What a user can say about the connection to a Hub, and about one upload."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, fields
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from ritual_artifacts.errors import AuthenticationError, BackendError, RepoIdError
from ritual_artifacts.repo_id import RitualRepoId

Options = TypeVar("Options", "Connection", "UploadOptions")
RepoType: TypeAlias = Literal["model", "dataset", "space"]

MAIN: Final = "main"
"""The branch that an id without a version names."""
DEFAULT_ENDPOINT: Final = "https://huggingface.co"
DEFAULT_TIMEOUT: Final = 60.0
"""Seconds without a byte after which a connection counts as cut."""
DEFAULT_MAX_WORKERS: Final = 8

_MOST_WORKERS: Final = 1024
_LONGEST_TIMEOUT: Final = 86_400.0
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_REF_NAME: Final = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^@$|^[-/]|/$|\.$|(^|/)\.|\.lock(/|$)|^refs/|^HEAD$"
)
"""What the name of a branch or tag cannot have in it (git-check-ref-format(1)), or cannot be on the Hub."""

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


def _check_header_text(text: str) -> str:
    """Check that a text can be part of a header; its error does not repeat it."""
    if not (text.isascii() and text.isprintable()):
        message = "it holds a character that no header can have, such as a line break"
        raise ValueError(message)
    return text


def _check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        message = f"there is no header called {name!r}"
        raise ValueError(message)
    return name


def _strip_token(token: object) -> object:
    """Return a token without what a file or an editor has put around it."""
    return token.strip() if isinstance(token, str) else token


def _check_token(token: str | bool | None) -> str | bool | None:  # noqa: FBT001 - False stands for none at all
    if isinstance(token, str) and is_malformed(token):
        message = (
            "it has white space, control or other characters inside that no token has; copy it once more"
        )
        raise ValueError(message)
    return token


def is_malformed(token: str) -> bool:
    """Say whether something cannot be a token, and so must not be sent."""
    return not (token.isascii() and token.isprintable()) or " " in token


def _check_endpoint(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        valid = False
    is_odd = any(character.isspace() or not character.isprintable() for character in endpoint)
    if not valid or is_odd or parts.query or parts.fragment:
        message = "it (HF_ENDPOINT) must be a URL such as https://huggingface.co, without a user"
        raise ValueError(message)
    return endpoint.rstrip("/")


def _check_tag(tag: str) -> str:
    if not can_be_ref(tag):
        message = f"git allows no tag called {tag!r}"
        raise ValueError(message)
    return tag


def can_be_ref(name: str) -> bool:
    """Say whether git allows a name for a branch or tag."""
    return bool(name) and not _NO_REF_NAME.search(name)


_Text: TypeAlias = Annotated[str, AfterValidator(_check_header_text)]
_Name: TypeAlias = Annotated[str, AfterValidator(_check_header_name)]
_Token: TypeAlias = Annotated[str | bool | None, BeforeValidator(_strip_token), AfterValidator(_check_token)]
# Nobody's words are turned into numbers here, and no error repeats what may be a secret.
_CONFIG: Final = ConfigDict(strict=True, hide_input_in_errors=True)


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
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

    endpoint: Annotated[str, AfterValidator(_check_endpoint)] = DEFAULT_ENDPOINT
    token: _Token = field(default=None, repr=False)
    repo_type: RepoType = "model"
    revision: str | None = None
    max_workers: Annotated[int, Field(ge=1, le=_MOST_WORKERS)] = DEFAULT_MAX_WORKERS
    timeout: Annotated[float, Field(gt=0, le=_LONGEST_TIMEOUT)] = DEFAULT_TIMEOUT
    local_files_only: bool = False
    library_name: _Text | None = None
    library_version: _Text | None = None
    user_agent: dict[_Text, _Text] | _Text | None = None
    headers: Mapping[_Name, _Text] | None = field(default=None, repr=False)

    def revision_of(self, repo_id: RitualRepoId) -> str | None:
        """Return the branch, tag or commit that is meant; None for the newest.

        Raises:
            RepoIdError: id and options name different ones.
        """
        if repo_id.version is not None and self.revision not in {None, repo_id.version}:
            message = f"revision {self.revision!r} does not agree with the repository id {repo_id}"
            raise RepoIdError(message)
        return repo_id.version or self.revision


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
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
        space_sdk: What a space that has to be created runs on: `"gradio"`, `"streamlit"`, `"docker"` or
            `"static"`.
    """

    commit_message: str | None = None
    commit_description: str | None = None
    create_pr: bool = False
    parent_commit: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{7,40}$")] | None = None
    private: bool | None = None
    tag: Annotated[str, AfterValidator(_check_tag)] | None = None
    delete_patterns: str | Sequence[str] | None = None
    card: bool = True
    license: str | None = None
    base_model: str | Sequence[str] | None = None
    pipeline_tag: str | None = None
    space_sdk: Literal["gradio", "streamlit", "docker", "static"] | None = None


def make_connection(options: Mapping[str, Any]) -> Connection:
    """Build a connection of what the user said and what the environment says.

    Args:
        options: Fields of `Connection`, and the names that `huggingface_hub.snapshot_download` has for them.

    Raises:
        BackendError: there is no such option, or it cannot have this value.
    """
    given = {"endpoint": os.environ.get("HF_ENDPOINT") or None} | _keep_given(options)
    names = _names(Connection)
    _refuse_unknown(given, names)
    return _build(Connection, {name: value for name, value in given.items() if name in names})


def split_upload_options(options: Mapping[str, Any]) -> tuple[UploadOptions, dict[str, Any]]:
    """Take the options of an upload apart from those of its connection, such as `token`.

    Raises:
        BackendError: there is no such option, or it cannot have this value.
    """
    own, others = _names(UploadOptions), _names(Connection) | {"etag_timeout"}
    _refuse_unknown(options, own | others)
    chosen = _build(UploadOptions, {name: value for name, value in options.items() if name in own})
    return chosen, {name: value for name, value in options.items() if name in others}


def merge(connection: Connection, options: Mapping[str, Any]) -> Connection:
    """Return the connection with what an upload says about it."""
    if not options:
        return connection
    known = {f.name: getattr(connection, f.name) for f in fields(connection)}
    return make_connection(known | _keep_given(options))


def _keep_given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say something, under the names of `Connection`.

    No characters, as `os.getenv("HF_TOKEN", "")` has them, are no token and no revision.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in ("token", "revision"):
        if isinstance(given.get(name), str) and not given[name].strip():
            del given[name]
    if "etag_timeout" in given:
        given = {"timeout": given.pop("etag_timeout")} | given
    return given


def patterns(value: str | Sequence[str] | None) -> Collection[str]:
    """Return patterns as a collection, however they were given."""
    return [value] if isinstance(value, str) else value or []


def _build(options: type[Options], given: Mapping[str, Any]) -> Options:
    """Build options of what was given; None stands for what is not.

    Raises:
        AuthenticationError: the token cannot be one.
        BackendError: another option cannot have this value.
    """
    try:
        return options(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False, include_context=False)
        worst = min(errors, key=lambda each: each["type"] != "value_error")  # which says most
        name = str(worst["loc"][0])
        problem = worst["msg"].removeprefix("Value error, ")
        message = f"the option {name!r} of the Hugging Face backend: {problem[:1].lower()}{problem[1:]}"
    raise AuthenticationError(message) if name == "token" else BackendError(message)


def _names(options: type[Connection | UploadOptions]) -> frozenset[str]:
    return frozenset(f.name for f in fields(options))


def _refuse_unknown(options: Mapping[str, Any], known: Collection[str]) -> None:
    for name, value in options.items():
        if name in known or name in _NEEDLESS or (name in _REFUSED and not value):
            continue
        problem = _REFUSED.get(name, f"those that there are: {', '.join(sorted(known))}")
        message = f"the Hugging Face backend does not take the option {name!r}; {problem}"
        raise BackendError(message)

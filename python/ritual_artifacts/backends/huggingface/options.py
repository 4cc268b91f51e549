"""The options of a connection to a Hub, and of one upload. They are checked here, and used elsewhere."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from ritual_artifacts.backends.options import Flag, Options
from ritual_artifacts.errors import RepoIdError
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.secret import Secret
from ritual_artifacts.settings import Settings

RepoType: TypeAlias = Literal["model", "dataset", "space"]

MAIN: Final = "main"
"""The branch that an id without a version names."""
DEFAULT_ENDPOINT: Final = "https://huggingface.co"

_TITLE: Final = "the Hugging Face backend"
_MAX_WORKERS: Final = 1024
_MAX_TIMEOUT: Final = 86_400.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_INVALID_REF: Final = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^@$|^[-/]|/$|\.$|(^|/)\.|\.lock(/|$)|^refs/|^HEAD$"
)
"""What the name of a branch or tag cannot contain (git-check-ref-format(1)), or cannot be on the Hub."""

_WHOLE: Final = "an artifact is downloaded and published as a whole; to download a part, pass fields=[…]"
_REFUSED: Final[Mapping[str, str]] = {
    "allow_patterns": _WHOLE,
    "ignore_patterns": _WHOLE,
    "cache_dir": "set RITUAL_CACHE_DIR, or pass a directory",
    "local_dir": "pass a directory",
    "folder_path": "the artifact's fields say which files are uploaded",
    "path_in_repo": "files keep the names that the manifest gives them",
    "proxies": "set HTTPS_PROXY, or call huggingface_hub.set_client_factory",
    "run_as_future": "start a thread of your own",
    "tqdm_class": "pass progress=…",
}
"""Options of huggingface_hub that would contradict a typed artifact, and what to do instead."""

_IGNORED: Final = frozenset({"force_download", "resume_download", "local_dir_use_symlinks"})
"""Options of huggingface_hub without a meaning here: all bytes are verified, and all downloads resume."""


def is_commit(revision: str) -> bool:
    """Return whether a revision is a commit, and so never names another one."""
    return _COMMIT.fullmatch(revision) is not None


def is_blank(text: object) -> bool:
    """Return whether an option is text without any characters, such as `os.getenv("HF_TOKEN", "")`."""
    return isinstance(text, str) and not text.strip()


def is_malformed(token: str) -> bool:
    """Return whether text cannot be a token, and so must not be sent."""
    return not (token.isascii() and token.isprintable()) or " " in token


def is_ref_name(name: str) -> bool:
    """Return whether git allows a name for a branch or tag."""
    return bool(name) and not _INVALID_REF.search(name)


def as_patterns(value: str | Sequence[str] | None) -> Collection[str]:
    """Return one pattern, several or none as a collection."""
    return [value] if isinstance(value, str) else value or []


def _check_header_text(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        message = "it contains a character that a header cannot have, such as a line break"
        raise ValueError(message)
    return text


def _check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        message = f"{name!r} is not a valid header name"
        raise ValueError(message)
    return name


def _strip_token(token: object) -> object:
    """Remove white space that a file or an editor has added."""
    return Secret(token.strip()) if isinstance(token, str) else token


def _check_token(token: str | bool | None) -> str | bool | None:  # noqa: FBT001 - False means "send none"
    if isinstance(token, str) and is_malformed(token):
        message = (
            "it contains white space, control or other characters that a token cannot have; copy it again"
        )
        raise ValueError(message)
    return Secret(token) if isinstance(token, str) else token


def _hide_values(headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return None if headers is None else {name: Secret(value) for name, value in headers.items()}


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
    if not is_ref_name(tag):
        message = f"git does not allow a tag called {tag!r}"
        raise ValueError(message)
    return tag


_Text: TypeAlias = Annotated[str, AfterValidator(_check_header_text)]
_Name: TypeAlias = Annotated[str, AfterValidator(_check_header_name)]
_Token: TypeAlias = Annotated[str | bool | None, BeforeValidator(_strip_token), AfterValidator(_check_token)]
_Timeout: TypeAlias = Annotated[float, Field(gt=0, le=_MAX_TIMEOUT)]


class HubConnection(Options):
    """How to talk to a Hub."""

    title: ClassVar[str] = _TITLE
    ignored: ClassVar[frozenset[str]] = _IGNORED
    refused: ClassVar[Mapping[str, str]] = _REFUSED
    credential: ClassVar[str | None] = "token"

    endpoint: Annotated[
        str,
        AfterValidator(_check_endpoint),
        Field(description="Address of the Hub; default `HF_ENDPOINT`, else the public Hub."),
    ] = DEFAULT_ENDPOINT
    token: Annotated[
        _Token,
        Field(
            repr=False,
            description="Access token; default `HF_TOKEN` or the stored login. False: send no token.",
        ),
    ] = None
    repo_type: Annotated[
        RepoType, Flag(("--repo-type",)), Field(description="Kind of repository: model, dataset or space.")
    ] = "model"
    revision: Annotated[
        str | None,
        Flag(("--revision",)),
        Field(description="Branch, tag, commit or `refs/pr/N`, where the repository id has no version."),
    ] = None
    max_workers: Annotated[
        int | None,
        Field(
            ge=1,
            le=_MAX_WORKERS,
            description="Files in flight at once; default `RITUAL_MAX_WORKERS`, else 8.",
        ),
    ] = None
    timeout: Annotated[
        _Timeout, Field(description="Seconds without a byte after which a connection counts as lost.")
    ] = 60.0
    write_timeout: Annotated[
        _Timeout | None,
        Field(
            description="The same for a request that changes the repository, because a commit of many files "
            "keeps the server busy; default 10 times `timeout`."
        ),
    ] = None
    local_files_only: Annotated[
        bool, Field(description="Send no request; use only complete copies on this machine.")
    ] = False
    library_name: Annotated[
        _Text | None, Field(description="Name of the program in the `User-Agent` header.")
    ] = None
    library_version: Annotated[
        _Text | None, Field(description="Version of the program in the `User-Agent` header.")
    ] = None
    user_agent: Annotated[
        dict[_Text, _Text] | _Text | None, Field(description="More content for the `User-Agent` header.")
    ] = None
    headers: Annotated[
        Mapping[_Name, _Text] | None,
        AfterValidator(_hide_values),
        Field(repr=False, description="More headers; they are sent to the endpoint only."),
    ] = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Build the options from what the user gave; see `Options.parse`.

        The names that `huggingface_hub.snapshot_download` has for them are accepted, too.
        """
        return super().parse(_normalized(given))

    @classmethod
    def connect(cls, given: Mapping[str, Any], settings: Settings) -> Self:
        """Build the options from what the user gave and what the environment says; see `Options.parse`."""
        return cls.parse({"endpoint": settings.hf_endpoint, **_normalized(given)})

    def merged(self, given: Mapping[str, Any]) -> "HubConnection":
        """Return these options with those that the user gave for one upload; see `Options.parse`."""
        given = _normalized(given)
        if not given:
            return self
        return self.parse({name: getattr(self, name) for name in type(self).model_fields} | given)

    def revision_of(self, repo_id: RitualRepoId) -> str | None:
        """Return the branch, tag or commit that an id names; None for the newest.

        Raises:
            RepoIdError: the id and the option `revision` name different ones.
        """
        if repo_id.version is not None and self.revision not in {None, repo_id.version}:
            message = f"revision {self.revision!r} does not agree with the repository id {repo_id}"
            raise RepoIdError(message)
        return repo_id.version or self.revision


class HubUploadOptions(Options):
    """What a user can say about one upload, besides the options of `HubConnection`."""

    title: ClassVar[str] = _TITLE
    ignored: ClassVar[frozenset[str]] = _IGNORED
    refused: ClassVar[Mapping[str, str]] = _REFUSED

    commit_message: Annotated[
        str | None,
        Flag(("--message", "-m"), metavar="TEXT"),
        Field(description="First line of the commit message."),
    ] = None
    commit_description: Annotated[
        str | None,
        Flag(("--description",), metavar="TEXT"),
        Field(description="The rest of the commit message."),
    ] = None
    create_pr: Annotated[
        bool,
        Flag(("--create-pr",)),
        Field(description="Open a pull request instead of committing to the branch."),
    ] = False
    parent_commit: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9A-Fa-f]{7,40}$", description="Upload only if this is the branch's newest commit."
        ),
    ] = None
    private: Annotated[
        bool | None,
        Flag(("--private/--public",)),
        Field(
            description="Whether a new repository is visible to its owner only (the default). An existing "
            "repository keeps its visibility."
        ),
    ] = None
    tag: Annotated[
        str | None,
        AfterValidator(lambda tag: tag if tag is None else _check_tag(tag)),
        Flag(("--tag",)),
        Field(description="Tag the commit; a tag never moves."),
    ] = None
    delete_patterns: Annotated[
        str | Sequence[str] | None,
        Flag(("--delete",), metavar="PATTERN"),
        Field(description="Delete files that match a pattern and are not part of the artifact."),
    ] = None
    card: Annotated[
        bool,
        Flag(("--card/--no-card",)),
        Field(description="Write a card (`README.md`) if the repository has none."),
    ] = True
    license: Annotated[
        str | None,
        Flag(("--license",)),
        Field(description="Licence for the card, as the Hub spells it, such as `apache-2.0`."),
    ] = None
    base_model: Annotated[
        str | Sequence[str] | None,
        Flag(("--base-model",), metavar="REPO"),
        Field(description="Repository of the model that this one was made from, for the card."),
    ] = None
    pipeline_tag: Annotated[
        str | None,
        Flag(("--pipeline-tag",)),
        Field(description="Task of the model, such as `text-generation`, for the card."),
    ] = None
    space_sdk: Annotated[
        Literal["gradio", "streamlit", "docker", "static"] | None,
        Field(description="What a new space runs on: gradio, streamlit, docker or static (the default)."),
    ] = None


class HubUpload(HubUploadOptions):
    """The options of one upload, with those of the connection that it uses."""

    connection: HubConnection

    @classmethod
    def merge(cls, given: Mapping[str, Any], connection: HubConnection) -> Self:
        """Build the options from what the user gave for one upload; options of the connection are among them.

        Raises:
            AuthenticationError: the token cannot be valid.
            BackendError: there is no such option, or it cannot have this value.
        """
        own = HubUploadOptions.model_fields.keys()
        others = HubConnection.model_fields.keys() | {"etag_timeout"}
        cls.refuse_unknown(given, own | others)
        options = HubUploadOptions.parse({name: value for name, value in given.items() if name in own})
        merged = connection.merged({name: value for name, value in given.items() if name in others})
        return cls(connection=merged, **{name: getattr(options, name) for name in own})


def _normalized(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say something, under our names; a blank token or revision says nothing."""
    said = {
        name: value
        for name, value in given.items()
        if value is not None and not (name in {"token", "revision"} and is_blank(value))
    }
    if "etag_timeout" in said:
        said = {"timeout": said.pop("etag_timeout")} | said
    return said

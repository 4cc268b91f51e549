"""What goes wrong at the Hub, as errors of this package; none of them holds a token or a signed address."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ritual_artifacts.backends.http import RETRYABLE, describe, one_line
from ritual_artifacts.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    AuthenticationError,
    BackendError,
    ConflictError,
    RepoIdError,
    TransferError,
)

_LOG_IN: Final = "pass token=…, set HF_TOKEN, or log in with 'hf auth login'"
_SECRETS: Final = re.compile(r"hf_[A-Za-z0-9]{8,}|(?i:bearer)\s+\S+|(?<=\?)[^\s'\"]*")
"""Tokens, and the query of an address, which may be signed."""


_SHORTEST_SECRET: Final = 8
"""Characters; a shorter header could be part of any word."""

_known_secrets: Final[set[str]] = set()


def keep_secret(headers: Mapping[str, str]) -> None:
    """Let no message hold what these headers say, whoever repeats it."""
    values = {value for name, value in headers.items() if name.lower() != "user-agent"}
    values |= {value.rpartition(" ")[2] for name, value in headers.items() if name.lower() == "authorization"}
    _known_secrets.update(value for value in values if len(value) >= _SHORTEST_SECRET)


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn every error of the client library inside the block into one of this package.

    Args:
        doing: What was being done, such as "reading huggingface/me/model".
    """
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:  # noqa: BLE001 - what is not the library's is raised as it is
        raise translate(error, doing) from None  # the cause's own words may hold an address with a signature


def translate(error: BaseException, doing: str) -> BaseException:  # noqa: C901, PLR0911 - one case per kind
    """Return this package's error for one of the client library's; any other one as it is."""
    match error:
        case ArtifactError():
            return error
        case RuntimeError(__cause__=BaseException() as cause):  # how the library wraps what failed
            return translate(cause, doing)
        case HfHubHTTPError():
            return _translate_answer(error, doing)
        case httpx2.UnsupportedProtocol():
            return BackendError(f"{doing}: the server led to an address that cannot be used")
        case httpx2.HTTPError():
            return TransferError(f"{doing}: {describe(error, clean)}; try again", retryable=True)
        case OfflineModeIsEnabled():
            return TransferError(f"{doing}: offline mode is on (HF_HUB_OFFLINE), so nothing was asked")
        case LocalTokenNotFoundError():
            return AuthenticationError(f"{doing}: there is no token; {_LOG_IN}")
        case HFValidationError():
            return RepoIdError(f"{doing}: the Hub does not allow this name: {clean(str(error))}")
        case OSError(errno=int()):
            return error  # of this machine: a full disk, a file that cannot be read
        case OSError() | RuntimeError():  # what hf-xet raises
            return TransferError(f"{doing}: {clean(str(error))}; try again", retryable=True)
        case ValueError() | LookupError() | TypeError() | AttributeError():  # a malformed answer
            said = clean(f"{type(error).__name__}: {error}")
            return BackendError(f"{doing}: the server's answer cannot be used ({said})")
    return error


def clean(text: str) -> str:
    """Return a server's words on one line, cut short, without what looks like a secret."""
    for secret in sorted(_known_secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return one_line(_SECRETS.sub("…", text))


def place(url: str) -> str:
    """Return an address without user, query and fragment, which may be secret."""
    parts = urlsplit(url)
    return clean(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def _translate_answer(error: HfHubHTTPError, doing: str) -> ArtifactError:  # noqa: PLR0911 - one per answer
    status = error.response.status_code
    authorization = error.response.request.headers.get("authorization", "")
    words = error.server_message or ""
    if token := authorization.rpartition(" ")[2]:
        words = words.replace(token, "…")  # a server may repeat what it was sent
    said = f" ({clean(words)})" if words else ""
    if isinstance(error, GatedRepoError):
        message = f"{doing}: access is restricted; ask for it on the repository's page, then {_LOG_IN}{said}"
        return AuthenticationError(message)
    if isinstance(error, RevisionNotFoundError):
        return ArtifactNotFoundError(f"{doing}: there is no such revision{said}")
    if isinstance(error, RemoteEntryNotFoundError):
        return ArtifactNotFoundError(f"{doing}: there is no such file{said}")
    sent_token = bool(authorization)
    if status == HTTPStatus.UNAUTHORIZED and (sent_token or not isinstance(error, RepositoryNotFoundError)):
        why = "the token was not accepted; it may be wrong or expired" if sent_token else "a token is needed"
        return AuthenticationError(f"{doing}: {why}; {_LOG_IN}{said}")
    if isinstance(error, RepositoryNotFoundError) or status == HTTPStatus.NOT_FOUND:
        hint = "" if sent_token else f", or it is private; in that case {_LOG_IN}"
        return ArtifactNotFoundError(f"{doing}: there is no such thing on the server{hint}{said}")
    if status == HTTPStatus.FORBIDDEN:
        return AuthenticationError(f"{doing}: the token does not allow it; {_LOG_IN}{said}")
    if status in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
        return ConflictError(f"{doing}: something else is there already{said}")
    if status in RETRYABLE:
        return TransferError(f"{doing}: the server answered {status}; try again later{said}", retryable=True)
    return BackendError(f"{doing}: the server answered {status}{said}")

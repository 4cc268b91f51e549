"""Errors of the client library and the Hub as errors of this package, without tokens and signed addresses."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias
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

from ritual_artifacts.backends.http import RETRYABLE, describe, keep_body, one_line, read_error
from ritual_artifacts.backends.huggingface.library import cleaned_logs
from ritual_artifacts.context import Bounds
from ritual_artifacts.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    AuthenticationError,
    BackendError,
    ConflictError,
    RepoIdError,
    TransferError,
)

Clean: TypeAlias = Callable[[str], str]
"""Makes a server's text fit for a message; see `Redactor.clean`."""

_LOG_IN: Final = "pass token=…, set HF_TOKEN, or log in with 'hf auth login'"
_SECRETS: Final = re.compile(r"hf_[A-Za-z0-9]{8,}|(?i:bearer)\s+\S+|(?<=\?)[^\s'\"]*")
"""Tokens, and the query of an address, which may be signed."""
_JSON_STARTS: Final = (b"{", b"[")
_MIN_SECRET: Final = 8
"""Characters; a shorter header value could be part of any word."""


class Redactor:
    """Removes secrets from text that a server has sent: those of one connection, and what looks like one."""

    def __init__(self) -> None:
        """Start without known secrets."""
        self._secrets: frozenset[str] = frozenset()

    def add(self, headers: Mapping[str, str]) -> None:
        """Remember the values of headers as secrets."""
        values = {value for name, value in headers.items() if name.lower() != "user-agent"}
        values |= {v.rpartition(" ")[2] for name, v in headers.items() if name.lower() == "authorization"}
        self._secrets |= {value for value in values if len(value) >= _MIN_SECRET}

    def hide(self, text: str) -> str:
        """Return text without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "…")
        return _SECRETS.sub("…", text)

    def clean(self, text: str) -> str:
        """Return text from a server on one line, cut short, without secrets."""
        return one_line(self.hide(text))

    def cleaned_logs(self) -> contextlib.AbstractContextManager[None]:
        """Remove secrets from what the libraries log inside the block, such as the headers of an answer."""
        return cleaned_logs(self.hide)

    def place(self, url: str) -> str:
        """Return an address without user, query and fragment, which may be secret."""
        parts = urlsplit(url)
        return self.clean(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")

    @contextlib.contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Turn every error of the client library inside the block into one of this package.

        Args:
            doing: What is being done, such as "reading huggingface/me/model".
        """
        try:
            yield
        except ArtifactError:
            raise
        except Exception as error:  # noqa: BLE001 - errors of other origin are raised unchanged
            raise self.translate(error, doing) from None

    def translate(self, error: BaseException, doing: str) -> BaseException:
        """Return this package's error for one of the client library's; any other one unchanged.

        The library's error loses its text and its frames, which can hold the token: Python keeps it as the
        context of the new one, whatever that is raised from.
        """
        translated = _translate(error, doing, self.clean)
        if translated is not error:
            error.args = ()
            error.__traceback__ = error.__cause__ = error.__context__ = None
        return translated


def _translate(error: BaseException, doing: str, clean: Clean) -> BaseException:  # noqa: C901, PLR0911 - one case per kind
    match error:
        case ArtifactError():
            return error
        case RecursionError():
            return BackendError(
                f"{doing}: the server sent an invalid answer (JSON that is nested too deeply)"
            )
        case RuntimeError(__cause__=BaseException() as cause):  # how the library wraps errors of its threads
            return _translate(cause, doing, clean)
        case HfHubHTTPError():
            return _translate_status(error, doing, clean)
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            return BackendError(f"{doing}: the server redirected to an address that cannot be used")
        case httpx2.HTTPError():
            return TransferError(f"{doing}: {describe(error, clean)}; try again", retryable=True)
        case OfflineModeIsEnabled():
            return TransferError(f"{doing}: offline mode is on (HF_HUB_OFFLINE), so no request was sent")
        case LocalTokenNotFoundError():
            return AuthenticationError(f"{doing}: no token found; {_LOG_IN}")
        case HFValidationError():
            return RepoIdError(f"{doing}: the Hub does not allow this name: {clean(str(error))}")
        case OSError(errno=int()):
            return error  # of this machine: a full disk, a file that cannot be read
        case OSError() | RuntimeError():  # how hf-xet reports errors
            return TransferError(f"{doing}: {clean(str(error))}; try again", retryable=True)
        case ValueError() | LookupError() | TypeError() | AttributeError():  # a malformed answer
            said = clean(f"{type(error).__name__}: {error}")
            return BackendError(f"{doing}: the server sent an invalid answer ({said})")
    return error


def _translate_status(error: HfHubHTTPError, doing: str, clean: Clean) -> ArtifactError:  # noqa: PLR0911 - one per status
    status = error.response.status_code
    authorization = error.response.request.headers.get("authorization", "")
    words = error.server_message or ""
    if token := authorization.rpartition(" ")[2]:
        words = words.replace(token, "…")  # a server may repeat what it was sent
    said = f" ({clean(words)})" if words else ""
    if isinstance(error, GatedRepoError):
        message = f"{doing}: access is restricted; request it on the repository's page, then {_LOG_IN}{said}"
        return AuthenticationError(message)
    if isinstance(error, RevisionNotFoundError):
        return ArtifactNotFoundError(f"{doing}: there is no such revision{said}")
    if isinstance(error, RemoteEntryNotFoundError):
        return ArtifactNotFoundError(f"{doing}: there is no such file{said}")
    sent_token = bool(authorization)
    if status == HTTPStatus.UNAUTHORIZED and (sent_token or not isinstance(error, RepositoryNotFoundError)):
        why = "the token was rejected; it may be wrong or expired" if sent_token else "a token is required"
        return AuthenticationError(f"{doing}: {why}; {_LOG_IN}{said}")
    if isinstance(error, RepositoryNotFoundError) or status == HTTPStatus.NOT_FOUND:
        hint = "" if sent_token else f", or it is private; in that case {_LOG_IN}"
        return ArtifactNotFoundError(f"{doing}: not found on the server{hint}{said}")
    if status == HTTPStatus.FORBIDDEN:
        return AuthenticationError(f"{doing}: the token does not permit this; {_LOG_IN}{said}")
    if status in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
        return ConflictError(f"{doing}: something else exists there already{said}")
    if status in RETRYABLE:
        return TransferError(f"{doing}: the server answered {status}; try again later{said}", retryable=True)
    return BackendError(f"{doing}: the server answered {status}{said}")


def read_error_message(response: httpx2.Response, bounds: Bounds) -> None:
    """Read the body of an error within bounds, and keep only what the client library can read in it.

    The library reads it without bounds otherwise, and fails if it is not what the library expects.
    """
    body = read_error(response, bounds)
    is_html = "html" in response.headers.get("content-type", "").lower()
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        text = "" if is_html or body.lstrip().startswith(_JSON_STARTS) else body.decode(errors="replace")
        response.headers["content-type"] = "text/plain; charset=utf-8"
        keep_body(response, text.encode())
    else:
        response.headers["content-type"] = "application/json"
        keep_body(response, json.dumps(_keep_messages(told)).encode())


def _keep_messages(told: object) -> dict[str, object]:
    """Return an error in JSON without the messages that do not have the form that the library expects."""
    if not isinstance(told, dict):
        return {}
    error, errors = told.get("error"), told.get("errors")
    kept: dict[str, object] = {"error_description": _as_text(told.get("error_description"))}
    kept["error"] = [str(_as_text(e) or "") for e in error] if isinstance(error, list) else _as_text(error)
    if isinstance(errors, list):
        found = [e.get("message") for e in errors if isinstance(e, dict)]
        kept["errors"] = [{"message": text} for text in found if isinstance(text, str)]
    others = {name: value for name, value in told.items() if name not in {*kept, "errors"}}
    return others | {name: value for name, value in kept.items() if value is not None}


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None

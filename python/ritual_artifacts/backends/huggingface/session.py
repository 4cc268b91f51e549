"""The client library's session, guarded while an upload runs: headers stay at their endpoint, requests end.

The library itself does the upload, and it sends the token wherever the server tells it to, such as to the
address at which an upload is confirmed. Headers of the user's own even follow redirects. It sends a stored
login although the user has forbidden that. And the library sets no timeout, and reads answers of any size.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import get_session
from huggingface_hub.utils import _http

from ritual_artifacts.backends.http import ACCEPTED_ENCODING, is_limited, read_bounded, time_limits
from ritual_artifacts.backends.huggingface.errors import read_error_message
from ritual_artifacts.backends.huggingface.library import SharedChange, replaced
from ritual_artifacts.context import Context

Origin: TypeAlias = tuple[str, str, int | None]

OWN: Final = "ritual_artifacts"
"""In the extensions of a request that is not the library's: it goes only where it may, and has its limits."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AGENT: Final = "user-agent"
_AUTHORIZATION: Final = "authorization"


def origin(url: str) -> Origin:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme)


@dataclass(frozen=True)
class _Upload:
    """What belongs to one upload: the endpoint's origin, its headers, and the limits of requests."""

    origin: Origin
    agent: str
    headers: frozenset[tuple[str, str]] = field(repr=False)  # they can be secret
    timeout: float
    context: Context = field(repr=False)


class _SessionGuard:
    """Checks every request of the library's session while at least one upload runs.

    The session is the whole process's, so that other code may use it at the same time. Its requests keep
    their headers, because they have another user agent.
    """

    def __init__(self) -> None:
        self._uploads: tuple[_Upload, ...] = ()  # replaced as a whole: requests read it without the lock
        self._clients: list[httpx2.Client] = []
        self._lock = threading.Lock()
        self._installed = SharedChange(self._install)

    @contextlib.contextmanager
    def active(self, upload: _Upload) -> Iterator[None]:
        with self._lock:
            self._uploads = (*self._uploads, upload)
        try:
            with self._installed.active():
                yield
        finally:
            with self._lock:
                rest = list(self._uploads)
                rest.remove(upload)
                self._uploads = tuple(rest)

    @contextlib.contextmanager
    def _install(self) -> Iterator[None]:
        """Hook into the session, and into those by which the library replaces it when a connection fails.

        The public way to set the factory of sessions would close the session, which other code may be using.
        """
        with replaced(_http, "_GLOBAL_CLIENT_FACTORY", self._guarded):
            self._hook(get_session())
            try:
                yield
            finally:
                self._unhook()

    def _guarded(self, make: Callable[[], httpx2.Client]) -> Callable[[], httpx2.Client]:
        return lambda: self._hook(make())

    def _hook(self, client: httpx2.Client) -> httpx2.Client:
        with self._lock:
            hooks = client.event_hooks
            if self._check not in hooks["request"]:
                client.event_hooks = {
                    "request": [*hooks["request"], self._check],
                    "response": [self._read, *hooks["response"]],
                }
                self._clients.append(client)
        return client

    def _unhook(self) -> None:
        with self._lock:
            for client in self._clients:
                hooks = client.event_hooks
                client.event_hooks = {
                    "request": [hook for hook in hooks["request"] if hook != self._check],
                    "response": [hook for hook in hooks["response"] if hook != self._read],
                }
            self._clients.clear()

    def _check(self, request: httpx2.Request) -> None:
        """Remove headers that belong to another origin, and set time limits; each redirect is a request."""
        if OWN in request.extensions:
            return
        uploads = self._uploads
        agent, target = request.headers.get(_AGENT, ""), origin(str(request.url))
        ours = [upload for upload in uploads if upload.agent == agent]
        for name, value in list(request.headers.items()):
            owners = {upload.origin for upload in ours if (name, value) in upload.headers}
            is_stored_login = name == _AUTHORIZATION and bool(ours) and not owners
            if is_stored_login or (owners and target not in owners):
                del request.headers[name]
        timeouts = request.extensions.get("timeout", {})
        if uploads and all(seconds is None for seconds in timeouts.values()):
            slowest = max(uploads, key=lambda upload: upload.timeout)
            limits = time_limits(slowest.timeout, slowest.context)
            request.extensions = {**request.extensions, **limits}
            if ours:
                request.headers["accept-encoding"] = ACCEPTED_ENCODING

    def _read(self, response: httpx2.Response) -> None:
        """Read an answer within bounds; the library would read all of it, whatever its size.

        A request of this package's has the headers or the time limits of an upload. Other code that uses the
        session reads its answers itself, such as a file that it downloads.
        """
        request, uploads = response.request, self._uploads
        is_file = request.method == "GET" and request.headers.get(_AGENT) not in {u.agent for u in uploads}
        if OWN in request.extensions or is_file or not uploads or not is_limited(response):
            return
        bounds = uploads[0].context.bounds
        if response.is_error:
            read_error_message(response, bounds)
        else:
            read_bounded(response, bounds.answer_bytes, f"{request.method} {request.url.path}")


_guard: Final = _SessionGuard()  # one, because the library has one session


def guarded_session(
    endpoint: str, headers: Mapping[str, str], timeout: float, context: Context
) -> contextlib.AbstractContextManager[None]:
    """Guard the library's session inside the block.

    Args:
        endpoint: Where the headers may be sent; requests to all other origins lose them.
        headers: The endpoint's headers, with the token.
        timeout: Seconds without a byte after which a request without a timeout of its own fails.
        context: The call that the upload belongs to.
    """
    sent = httpx2.Headers(headers)
    own = frozenset((name, value) for name, value in sent.items() if name != _AGENT)
    return _guard.active(_Upload(origin(endpoint), sent.get(_AGENT, ""), own, timeout, context))

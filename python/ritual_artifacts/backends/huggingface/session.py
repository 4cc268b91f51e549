"""The client library's session, guarded while an upload runs: headers stay at their endpoint, requests end.

The library itself does the upload, and it sends the token wherever the server tells it to, such as to the
address at which an upload is confirmed. Headers of the user's own even follow redirects. And the library sets
no timeout.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import get_session
from huggingface_hub.utils import _http

from ritual_artifacts.backends.huggingface.library import SharedChange, replaced

Origin: TypeAlias = tuple[str, str, int | None]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AGENT: Final = "user-agent"


def origin(url: str) -> Origin:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme)


@dataclass(frozen=True)
class _Upload:
    """What belongs to one upload: the endpoint's origin, its headers, and the timeout of requests."""

    origin: Origin
    agent: str
    headers: frozenset[tuple[str, str]]
    timeout: float


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
                client.event_hooks = {**hooks, "request": [*hooks["request"], self._check]}
                self._clients.append(client)
        return client

    def _unhook(self) -> None:
        with self._lock:
            for client in self._clients:
                hooks = client.event_hooks
                others = [hook for hook in hooks["request"] if hook != self._check]
                client.event_hooks = {**hooks, "request": others}
            self._clients.clear()

    def _check(self, request: httpx2.Request) -> None:
        """Remove headers that belong to another origin, and set a timeout; each redirect is a request."""
        uploads = self._uploads
        agent, target = request.headers.get(_AGENT, ""), origin(str(request.url))
        for name, value in list(request.headers.items()):
            owners = {u.origin for u in uploads if u.agent == agent and (name, value) in u.headers}
            if owners and target not in owners:
                del request.headers[name]
        timeouts = request.extensions.get("timeout", {})
        if uploads and all(seconds is None for seconds in timeouts.values()):
            timeout = httpx2.Timeout(max(upload.timeout for upload in uploads))
            request.extensions = {**request.extensions, "timeout": timeout.as_dict()}


_guard: Final = _SessionGuard()  # one, because the library has one session


def guarded_session(
    endpoint: str, headers: Mapping[str, str], timeout: float
) -> contextlib.AbstractContextManager[None]:
    """Guard the library's session inside the block.

    Args:
        endpoint: Where the headers may be sent; requests to all other origins lose them.
        headers: The endpoint's headers, with the token.
        timeout: Seconds without a byte after which a request without a timeout of its own fails.
    """
    sent = httpx2.Headers(headers)
    own = frozenset((name, value) for name, value in sent.items() if name != _AGENT)
    return _guard.active(_Upload(origin(endpoint), sent.get(_AGENT, ""), own, timeout))

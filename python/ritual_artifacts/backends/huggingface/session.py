"""The client library's session, guarded: what belongs to an endpoint is sent to no other server.

An upload is the library's own work, and the library sends the token wherever the server tells it to: to the
address at which a file is to be confirmed, say. Headers of the user's own would even follow redirects.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import get_session
from huggingface_hub.utils import _http

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AGENT: Final = "user-agent"

_owners: Final[dict[tuple[str, str, str], set[tuple[str, str, int | None]]]] = {}
"""Origins that may see a header, by user agent, name and value; others in the process go their own ways."""


class _GuardedFactory:
    """Makes guarded sessions: the library replaces its session whenever a connection fails."""

    def __init__(self, make: Callable[[], httpx2.Client]) -> None:
        self._make = make

    def __call__(self) -> httpx2.Client:
        return _guard(self._make())


def guard_session(endpoint: str, headers: Mapping[str, str]) -> None:
    """Let the headers of one endpoint go to its origin alone, in whatever the client library asks.

    Args:
        endpoint: Where the headers belong.
        headers: The headers, with the token.
    """
    sent = httpx2.Headers(headers)
    for name, value in sent.items():
        if name != _AGENT:
            _owners.setdefault((sent.get(_AGENT, ""), name, value), set()).add(origin(endpoint))
    # The public way to set a factory closes the session, which others in the process may be using.
    if not isinstance(_http._GLOBAL_CLIENT_FACTORY, _GuardedFactory):  # noqa: SLF001 - see above
        _http._GLOBAL_CLIENT_FACTORY = _GuardedFactory(_http._GLOBAL_CLIENT_FACTORY)  # noqa: SLF001 - see above
    _guard(get_session())


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _guard(client: httpx2.Client) -> httpx2.Client:
    hooks = client.event_hooks
    if _drop_foreign not in hooks["request"]:
        client.event_hooks = {**hooks, "request": [*hooks["request"], _drop_foreign]}
    return client


def _drop_foreign(request: httpx2.Request) -> None:
    """Take out of a request what belongs to another origin; each step of a redirect is a request."""
    agent = request.headers.get(_AGENT, "")
    target = origin(str(request.url))
    for name, value in list(request.headers.items()):
        owners = _owners.get((agent, name, value))
        if owners is not None and target not in owners:
            del request.headers[name]

"""The HTTP client of one session, and what ends a request whose task is to stop."""

import contextlib
import socket
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx2

from ritual_artifacts import workers
from ritual_artifacts.backends.http import shut_down

_MAX_REDIRECTS: Final = 5


class HttpClient:
    """Sends requests. The connections are closed when nothing uses the client any more."""

    def __init__(self, timeout: float, connections: int) -> None:
        """Prepare; nothing is sent.

        Args:
            timeout: Seconds without a byte after which a connection counts as lost.
            connections: Connections at once; further requests wait for their turn as long as it takes.
        """
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(timeout, pool=None),  # our own queue is not a fault of a server
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            max_redirects=_MAX_REDIRECTS,
            headers={"user-agent": "ritual-artifacts"},
        )
        self._sockets = _OpenSockets()
        self._finalizer = weakref.finalize(self, self._client.close)

    @contextlib.contextmanager
    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Iterator[httpx2.Response]:
        """Send a request; redirects of GET requests are followed, and the body is not read yet.

        A task that is to stop does not wait for an answer any longer, nor for its body. Which of the
        connections a request waits on is not known before the answer arrives. So all of them are shut down:
        those of other tasks, if there are any, count as lost, and their requests are repeated.

        Raises:
            httpx2.HTTPError: the connection failed, or the answer is malformed.
            Stopped: the task is to end.
        """
        with workers.stopped_by(self._sockets.shut_down):
            try:
                with self._client.stream(
                    method,
                    url,
                    content=content,
                    headers=dict(headers),
                    follow_redirects=method == "GET",
                    extensions={"trace": self._sockets.note},
                ) as response:
                    yield response
            except httpx2.HTTPError:
                workers.check()  # a connection that was shut down looks like one that was lost
                raise
            workers.check()  # or like a body that has ended


class _OpenSockets:
    """The sockets that a client has opened, as far as they are still in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember a new connection; called by the HTTP library, with each event of a request."""
        if event not in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            return
        opened = info["return_value"].get_extra_info("socket")
        if not isinstance(opened, socket.socket):
            return
        with self._lock:
            self._sockets.add(opened)
        try:
            workers.check()
        except workers.Stopped:  # the task had to stop while it connected
            shut_down(opened)

    def shut_down(self) -> None:
        """Wake every thread that waits for a server."""
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            shut_down(each)

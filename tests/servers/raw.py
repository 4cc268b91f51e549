"""A server that sends exactly the bytes of a script, for answers that no HTTP library would send."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

Script: TypeAlias = Callable[[str], Iterable[bytes]]
"""Returns what to send, in pieces, for a request with this path; a piece that is empty waits for a moment."""

MOMENT = 0.05


class RawServer:
    """Sends what a script yields, then closes the connection.

    Attributes:
        url: Its address.
        requests: The heads of the requests, in the order in which they arrived.
        sent: Bytes that clients took.
    """

    def __init__(self, script: Script) -> None:
        self.requests: list[str] = []
        self.sent = 0
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._is_over = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._is_over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head:
                block = connection.recv(65536)
                if not block:
                    return
                head += block
            self.requests.append(head.decode())
            for piece in self._script(head.split(b" ")[1].decode()):
                if self._is_over.is_set():
                    return
                if not piece:
                    time.sleep(MOMENT)
                connection.sendall(piece)
                self.sent += len(piece)


@contextlib.contextmanager
def raw_server(script: Script) -> Iterator[RawServer]:
    """Serve a script inside the block."""
    server = RawServer(script)
    try:
        yield server
    finally:
        server.stop()


def trickle(data: bytes) -> Iterator[bytes]:
    """Send one byte in each moment."""
    for byte in data:
        yield bytes([byte])
        yield b""

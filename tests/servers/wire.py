"""HTTP/1.1 on a loopback port: requests become calls, replies become bytes, and nothing outlives its test."""

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.replies import BLOCK_SIZE, Call, Reply, Slice

TICK = 0.05  # seconds between two pieces of a slow body


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A call, its reply, and how many bytes of either body crossed the wire."""

    call: Call
    reply: Reply
    received: int
    sent: int


class Origin:
    """A server of its own origin (scheme, host, port), which answers every call by one function."""

    def __init__(
        self,
        name: str,
        folder: Path,
        handle: Callable[[Call], Reply],
        report: Callable[[Answered], None],
        *,
        host: str = "127.0.0.1",
    ) -> None:
        self.name = name
        self.folder = folder
        self.handle = handle
        self.report = report
        self._server = _Server(self)
        self.address = f"{host}:{self._server.server_port}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name=f"{name} origin"
        )

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, cut every open connection and wait for their threads."""
        self._server.shutdown()
        self._server.cut_connections()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for them
    request_queue_size = 128  # a client may open many connections at once

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # its client may have gone first
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def serve(self) -> None:
        origin = self.server.origin
        upload = self._store_body() if self.command == "PUT" else None
        body = b"" if upload else b"".join(self._body())
        target = urlsplit(self.path)
        call = Call(
            origin=origin.name,
            method=self.command,
            raw_path=target.path,
            query=parse_qs(target.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            upload=upload,
        )
        received = upload.stat().st_size if upload else len(body)
        try:
            reply = origin.handle(call)
        finally:
            if upload:
                upload.unlink(missing_ok=True)
        # Reported before it is sent: whoever has the answer may look at the ledger at once.
        sent = 0 if self.command == "HEAD" else reply.length
        for stop in (reply.cut_after, reply.stall_after):
            sent = sent if stop is None else max(0, min(sent, stop))
        origin.report(Answered(call=call, reply=reply, received=received, sent=sent))
        self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = serve  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the inherited name
        """Print nothing."""

    def _body(self) -> Iterator[bytes]:
        """Yield the body of the request, of a known length or in chunks."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield from self._read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield from self._read(int(self.headers.get("Content-Length", 0)))

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            block = self.rfile.read(min(size, BLOCK_SIZE))
            if not block:
                message = "the client went away in the middle of its request"
                raise ConnectionError(message)
            size -= len(block)
            yield block

    def _store_body(self) -> Path:
        with tempfile.NamedTemporaryFile(
            dir=self.server.origin.folder, prefix="upload-", delete=False
        ) as file:
            path = Path(file.name)
            try:
                file.writelines(self._body())
            except BaseException:
                path.unlink()
                raise
        return path

    def _send(self, reply: Reply) -> None:
        if reply.cut_after is not None and reply.cut_after < 0:
            self.close_connection = True
            return
        if reply.stall_after is not None and reply.stall_after < 0:
            self._wait_for_the_client_to_leave()
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif "content-length" not in {name.lower() for name in reply.headers}:
            self.send_header("Content-Length", str(reply.length))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(reply)

    def _send_body(self, reply: Reply) -> None:
        stop = reply.cut_after if reply.stall_after is None else reply.stall_after
        if isinstance(reply.body, Slice) and stop is None and reply.pace is None and not reply.chunked:
            self.wfile.flush()
            with reply.body.path.open("rb") as file:
                self.connection.sendfile(file, reply.body.start, reply.length)
        elif stop != 0:
            for block in self._paced(reply.blocks(stop), reply.pace):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if reply.chunked and block else block)
        if reply.chunked and stop is None:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if reply.stall_after is not None:
            self._wait_for_the_client_to_leave()
        elif stop is not None:
            self.close_connection = True

    def _paced(self, blocks: Iterator[bytes], pace: int | None) -> Iterator[bytes]:
        if pace is None:
            yield from blocks
            return
        size = max(1, int(pace * TICK))
        for block in blocks:
            for start in range(0, len(block), size):
                yield block[start : start + size]
                self.wfile.flush()
                time.sleep(size / pace)

    def _wait_for_the_client_to_leave(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):  # it may leave with a reset
            while self.connection.recv(1024):
                pass

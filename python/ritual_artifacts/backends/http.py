"""What backends that use HTTP share: retries, bounded reads, resumed bodies, reads that can be interrupted.

Nothing here knows a particular server, its addresses or its errors. A backend sends each request with the
`extensions` that `time_limits` returns, reads an answer with `read_bounded`, an error with `read_error`, and
a file with `from_position`. Then no server can take more memory or time than `context.bounds` allows.
"""

import contextlib
import logging
import math
import random
import socket
import zlib
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin

import httpx2

from ritual_artifacts import workers
from ritual_artifacts.context import Bounds, Context
from ritual_artifacts.errors import BackendError, TransferError

log = logging.getLogger(__name__)

RETRYABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes after which the same request may succeed later."""
BLOCK_SIZE: Final = 1 << 20
"""Small pieces of a body are joined into blocks of this many bytes."""

ACCEPTED_ENCODING: Final = "gzip"
"""The `Accept-Encoding` of requests whose answer is read by `read_bounded`."""

_DECODED_BLOCK: Final = 1 << 16
_GZIP_BITS: Final = 31
"""What zlib calls gzip."""
_SHOWN: Final = 300
"""Characters of a server's text that a message repeats."""


class TooSlow(httpx2.ReadTimeout):
    """A server sends bytes, but too few in the time that it has."""


class ReadTimer:
    """How many seconds the next read of one request may wait.

    The HTTP library hands the read timeout to the socket before every read, and the socket asks for its value
    then. So this object is given as the timeout: a number would start again with each byte, and a server that
    sends one byte now and then could hold the call for ever.
    """

    def __init__(self, timeout: float, context: Context) -> None:
        """Start at the first read, so that the time to send the request is not counted.

        Args:
            timeout: Seconds without a byte after which the connection counts as lost.
            context: Its `bounds` and its `clock` are used.
        """
        self._timeout = timeout
        self._bounds = context.bounds
        self._now = context.clock.monotonic
        self._seconds = max(timeout, context.bounds.answer_seconds)
        self._end: float | None = None
        self._is_file = False
        self._slow_seconds = max(timeout, context.bounds.slow_seconds)
        self._since: float | None = None
        self._waited = 0.0
        self._arrived = 0

    def __float__(self) -> float:
        """Return the seconds; called before each read.

        Raises:
            TooSlow: there is no time left.
        """
        now = self._now()
        if self._is_file:
            left = self._slow_seconds - self._waited - (0.0 if self._since is None else now - self._since)
            problem = f"the server sent less than {self._bounds.slow_bytes} bytes in {self._slow_seconds:g}"
        else:
            if self._end is None:
                self._end = now + self._seconds
            left = self._end - now
            problem = f"the server did not finish its answer in {self._seconds:g}"
        if left <= 0:
            message = f"{problem} seconds"
            raise TooSlow(message)
        return min(float(self._timeout), left)

    def __index__(self) -> int:
        """Return whole seconds, at least one: the only number besides a `float` that a socket accepts."""
        return max(1, math.ceil(float(self)))

    def shorten(self, seconds: float) -> None:
        """Leave at most so much time for the rest of the answer."""
        end = self._now() + seconds
        self._end = end if self._end is None else min(self._end, end)

    def each(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the blocks of a file: from now on its speed counts, not the time for the whole answer."""
        self._is_file = True
        iterator = iter(blocks)
        while True:
            self._since = self._now()
            block = next(iterator, None)
            self._waited += self._now() - self._since
            self._since = None
            if block is None:
                return
            self._arrived += len(block)
            if self._arrived >= self._bounds.slow_bytes:
                self._arrived, self._waited = 0, 0.0
            yield block


def time_limits(timeout: float, context: Context) -> dict[str, Any]:
    """Return the `extensions` of a request that is to end, however slowly the server sends.

    Args:
        timeout: Seconds without a byte after which the connection counts as lost.
        context: The call that the request belongs to.
    """
    return {"timeout": httpx2.Timeout(timeout).as_dict() | {"read": ReadTimer(timeout, context)}}


def is_limited(response: httpx2.Response) -> bool:
    """Return whether the request of this response was sent with `time_limits`."""
    return _timer_of(response) is not None


def _timer_of(response: httpx2.Response) -> ReadTimer | None:
    timer = response.request.extensions.get("timeout", {}).get("read")
    return timer if isinstance(timer, ReadTimer) else None


def read_bounded(response: httpx2.Response, limit: int, doing: str) -> bytes:
    """Read an answer that is not a file, and keep it in the response (see `keep_body`).

    Args:
        response: The answer, whose body was not read yet.
        limit: Bytes that it may have, as sent and decoded.
        doing: What the answer is needed for, for messages.

    Raises:
        BackendError: it is larger, or encoded in another way than requested.
        httpx2.TransportError: the connection was lost, or the time is over.
    """
    try:
        body = _read_decoded(response, limit)
    except zlib.error:
        message = f"{doing}: the server's answer is encoded in a way that was not requested, or damaged"
        raise BackendError(message) from None
    if body is None:
        message = f"{doing}: the server's answer is larger than {limit} bytes"
        raise BackendError(message)
    keep_body(response, body)
    return body


def read_error(response: httpx2.Response, bounds: Bounds) -> bytes:
    """Return the body of an error; one beyond the bounds counts as empty. Call `keep_body` afterwards.

    It never fails, because the status alone says that the request failed.
    """
    if timer := _timer_of(response):
        timer.shorten(bounds.error_seconds)
    with contextlib.suppress(zlib.error, httpx2.TransportError):
        return _read_decoded(response, bounds.error_bytes) or b""
    return b""


def _read_decoded(response: httpx2.Response, limit: int) -> bytes | None:
    """Return the body; None if it is larger than `limit`.

    Raises:
        zlib.error: it is neither plain nor in gzip's format.
    """
    stream = response.stream
    if not isinstance(stream, httpx2.SyncByteStream):
        message = "expected a response of a synchronous client"
        raise TypeError(message)
    encoding = response.headers.get("content-encoding", "").strip().lower()
    decoder = None if encoding in {"", "identity"} else zlib.decompressobj(_GZIP_BITS)
    body = bytearray()
    received = 0
    try:
        for block in stream:
            received += len(block)
            rest = block
            while rest:
                if decoder is None:
                    body += rest
                    rest = b""
                else:
                    body += decoder.decompress(rest, _DECODED_BLOCK)
                    rest = decoder.unconsumed_tail
                if max(received, len(body)) > limit:
                    return None
    finally:
        stream.close()
    if decoder is not None and received:
        body += decoder.flush()
        if not decoder.eof:
            message = "the answer ends in the middle"
            raise zlib.error(message)
    return bytes(body)


def keep_body(response: httpx2.Response, body: bytes) -> None:
    """Make `body` the content of a response whose stream was read, for other code that reads it again."""
    for name in ("content-encoding", "content-length"):
        response.headers.pop(name, None)
    response.stream = httpx2.ByteStream(body)
    response.read()


def redirect_target(url: str, location: str) -> str:
    """Return the address that a `Location` header names.

    Args:
        url: The address that was requested.
        location: The header.

    Raises:
        ValueError: it is not an address of a web server, or not as safe as the first one.
    """
    target = urljoin(url, location)
    try:
        parts = httpx2.URL(target)
    except httpx2.InvalidURL:  # whose text can repeat a password
        message = "it is not a valid address"
        raise ValueError(message) from None
    is_less_safe = url.startswith("https:") and parts.scheme != "https"
    if parts.scheme not in {"http", "https"} or not parts.host or is_less_safe:
        message = "it is not a safe address"
        raise ValueError(message)
    return target


def one_line(text: str) -> str:
    """Return text from a server on one line, cut short, without control characters."""
    words = " ".join(text.split())
    printable = "".join(c if c.isprintable() else "�" for c in words)
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}…"


def describe(error: httpx2.HTTPError, clean: Callable[[str], str] = one_line) -> str:
    """Say what happened to a connection.

    Args:
        error: The failure.
        clean: Makes its text fit for a message, and removes secrets.
    """
    if isinstance(error, TooSlow):
        return str(error)
    if isinstance(error, httpx2.TimeoutException):
        return "the server did not answer in time"
    if isinstance(error, httpx2.ConnectError):
        return f"cannot connect to the server ({clean(str(error))})"
    return f"the connection was lost ({clean(str(error)) or type(error).__name__})"


class Retries:
    """Counts the failures of one job in a row, and waits before each further attempt."""

    def __init__(self, doing: str, context: Context, clean: Callable[[str], str] = one_line) -> None:
        """Start counting.

        Args:
            doing: The job, for messages, such as "downloading 'a.bin'".
            context: Its `retry` policy and its `clock` are used.
            clean: See `describe`.
        """
        self._doing = doing
        self._policy = context.retry
        self._clock = context.clock
        self._enough = context.bounds.slow_bytes
        self._clean = clean
        self._failures = 0
        self._arrived = 0

    def reset(self) -> None:
        """Start counting again, because bytes arrived."""
        self._failures = 0

    def note(self, count: int) -> None:
        """Start counting again if enough bytes of a file have arrived since the last failure.

        A few bytes do not count: a server could send one with each attempt.
        """
        self._arrived += count
        if self._arrived >= self._enough:
            self.reset()

    def wait(
        self, problem: str, retry_after: float | None = None, *, max_attempts: int | None = None
    ) -> None:
        """Wait before the next attempt.

        Args:
            problem: Why the last attempt failed.
            retry_after: Seconds that the server asked for.
            max_attempts: Failures in a row after which an error is raised; default from the retry policy.

        Raises:
            TransferError: there were enough attempts, or the server asks for too long a pause.
        """
        self._failures += 1
        self._arrived = 0
        if self._failures >= (max_attempts or self._policy.max_attempts):
            message = f"{self._doing}: {problem}, {self._failures} times in a row; try again later"
            raise TransferError(message, retryable=True)
        if retry_after is not None and retry_after > self._policy.longest_wait:
            message = f"{self._doing}: {problem}, and the server asks to wait {retry_after:.0f} seconds"
            raise TransferError(message, retryable=True)
        step = min(self._policy.longest_step, self._policy.first_wait * 2 ** (self._failures - 1))
        # "Retry-After: 0" must not use up all attempts within a moment.
        pause = max(step * random.uniform(0.75, 1.25), retry_after or 0.0)  # noqa: S311 - jitter
        log.info("%s: %s; trying again in %.1f s", self._doing, problem, pause)
        self._clock.sleep(pause)

    def wait_after(self, error: httpx2.TransportError) -> None:
        """Wait after a connection failed; a server that cannot be reached gets fewer attempts.

        Raises:
            TransferError: there were enough attempts.
        """
        attempts = self._policy.max_connections if isinstance(error, httpx2.ConnectError) else None
        self.wait(describe(error, self._clean), max_attempts=attempts)


@contextlib.contextmanager
def interruptible(response: httpx2.Response) -> Iterator[httpx2.Response]:
    """End reads of the body inside the block at once when the task is to stop (see `workers.each`).

    Put it around the code that reads a streamed body. Without it, a thread that waits for a slow server would
    keep the whole call waiting until the read times out.

    Raises:
        Stopped: the task is to end.
    """
    with workers.stopped_by(lambda: _shut_down_response(response)):
        try:
            yield response
        except httpx2.TransportError:
            workers.check()  # a shut down connection looks like one that was lost
            raise
        workers.check()  # or like a body that has ended


def _shut_down_response(response: httpx2.Response) -> None:
    stream = response.extensions.get("network_stream")
    connection = None if stream is None else stream.get_extra_info("socket")
    if isinstance(connection, socket.socket):
        shut_down(connection)


def shut_down(connection: socket.socket) -> None:
    """Wake a thread that waits for the other end of a connection."""
    with contextlib.suppress(OSError):  # it is closed already
        # The method of the base class: that of SSLSocket also changes what the reading thread uses.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def from_position(
    response: httpx2.Response, position: int, doing: str, *, limit: int | None = None
) -> Iterator[bytes]:
    """Yield a body from the file's `position`, also where the server ignored the `Range` header.

    Args:
        response: The answer, whose body was not read yet.
        position: Where in the file the caller continues.
        doing: What the file is needed for, for messages.
        limit: Bytes that the file may have; None if the caller knows its size and stops there.

    Raises:
        BackendError: the file is larger than `limit`.
        TransferError: the server sends another range than the requested one.
        httpx2.TransportError: the connection was lost, or is too slow.
    """
    skipped, end = 0, position
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        start = response.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(position):
            message = f"{doing}: requested the bytes from {position}, but the server sent another range"
            raise TransferError(message, retryable=True)
    else:
        skipped = position
    timer = _timer_of(response)
    blocks = response.iter_raw()
    for block in _gather(blocks if timer is None else timer.each(blocks)):
        if skipped >= len(block):
            skipped -= len(block)
            continue
        rest = block[skipped:] if skipped else block
        skipped = 0
        end += len(rest)
        if limit is not None and end > limit:
            message = f"{doing}: the file has more than {limit} bytes, the limit for a file of unknown size"
            raise BackendError(message)
        yield rest


def _gather(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Join small blocks; bytes that arrived before an error are yielded before it is raised."""
    held: list[bytes] = []
    size = 0
    try:
        for block in blocks:
            held.append(block)
            size += len(block)
            if size >= BLOCK_SIZE:
                yield b"".join(held)
                held, size = [], 0
    except httpx2.TransportError:
        if held:
            yield b"".join(held)
        raise
    if held:
        yield b"".join(held)


def retry_after(response: httpx2.Response, now: float) -> float | None:
    """Return the seconds that the server asks to wait (RFC 9110, section 10.2.3).

    Args:
        response: The answer.
        now: The time, in seconds since 1970.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    with contextlib.suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    return None

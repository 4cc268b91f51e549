"""What backends that use HTTP share: retries, bodies read from the middle, reads that can be interrupted.

Nothing here knows a particular server, its addresses or its errors.
"""

import contextlib
import logging
import random
import socket
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx2

from ritual_artifacts import workers
from ritual_artifacts.context import Context
from ritual_artifacts.errors import TransferError

log = logging.getLogger(__name__)

RETRYABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes after which the same request may succeed later."""
BLOCK_SIZE: Final = 1 << 20
"""Small pieces of a body are joined into blocks of this many bytes."""

_SHOWN: Final = 300
"""Characters of a server's text that a message repeats."""


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
        self._clean = clean
        self._failures = 0

    def reset(self) -> None:
        """Start counting again, because bytes arrived."""
        self._failures = 0

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
    with workers.stopped_by(lambda: _shut_down(response)):
        try:
            yield response
        except httpx2.TransportError:
            workers.check()  # a shut down connection looks like one that was lost
            raise
        workers.check()  # or like a body that has ended


def _shut_down(response: httpx2.Response) -> None:
    stream = response.extensions.get("network_stream")
    connection = None if stream is None else stream.get_extra_info("socket")
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):  # it is closed already
            # The method of the base class: that of SSLSocket also changes what the reading thread uses.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def from_position(response: httpx2.Response, position: int, doing: str) -> Iterator[bytes]:
    """Yield a body from the file's `position`, also where the server ignored the `Range` header.

    Raises:
        TransferError: the server sends another range than the requested one.
    """
    skipped = 0
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        start = response.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(position):
            message = f"{doing}: requested the bytes from {position}, but the server sent another range"
            raise TransferError(message, retryable=True)
    else:
        skipped = position
    for block in _gather(response.iter_raw()):
        if skipped >= len(block):
            skipped -= len(block)
        else:
            yield block[skipped:] if skipped else block
            skipped = 0


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

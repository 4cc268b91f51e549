"""What all backends that speak HTTP share: how long to be patient, and how to take a body from its middle."""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx2

from ritual_artifacts.errors import TransferError

log = logging.getLogger(__name__)

RETRYABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What a server answers when the same request may succeed later."""
MAX_ATTEMPTS: Final = 6
"""Attempts in a row that may fail without one byte of progress."""
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 60.0
"""Seconds; a server that asks for a longer pause gets an error instead."""
BLOCK_SIZE: Final = 1 << 20
"""Bytes that are handed on at once, as far as they are there."""

_MAX_CONNECTIONS: Final = 3
_LONGEST_STEP: Final = 8.0
_SHOWN: Final = 300
"""Characters of a server's own words that a message repeats."""


def one_line(text: str) -> str:
    """Return a server's words on one line, cut short, without control characters."""
    words = " ".join(text.split())
    printable = "".join(c if c.isprintable() else "�" for c in words)
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}…"


def describe(error: httpx2.HTTPError, clean: Callable[[str], str] = one_line) -> str:
    """Say what became of a connection; `clean` takes out of its words what nobody may read."""
    if isinstance(error, httpx2.TimeoutException):
        return "the server did not answer in time"
    if isinstance(error, httpx2.ConnectError):
        return f"no connection to the server ({clean(str(error))})"
    return f"the connection was cut ({clean(str(error)) or type(error).__name__})"


class Patience:
    """How often and how long to wait for one server; progress makes it new."""

    def __init__(self, doing: str, clean: Callable[[str], str] = one_line) -> None:
        """Name what is being done, for messages; `clean` is what `describe` takes."""
        self._doing = doing
        self._clean = clean
        self._failures = 0

    def renew(self) -> None:
        """Forget the failures: something arrived."""
        self._failures = 0

    def wait(
        self, problem: str, retry_after: float | None = None, *, max_attempts: int = MAX_ATTEMPTS
    ) -> None:
        """Wait before the next attempt.

        Args:
            problem: Why the last one failed.
            retry_after: Seconds that the server asked for.
            max_attempts: Failures in a row after which there is no further attempt.

        Raises:
            TransferError: there have been enough attempts, or the server asks for too long a pause.
        """
        self._failures += 1
        if self._failures >= max_attempts:
            message = f"{self._doing}: {problem}, {self._failures} times in a row; try again later"
            raise TransferError(message, retryable=True)
        if retry_after is not None and retry_after > LONGEST_WAIT:
            message = f"{self._doing}: {problem}, and the server asks to wait {retry_after:.0f} seconds"
            raise TransferError(message, retryable=True)
        step = min(_LONGEST_STEP, FIRST_WAIT * 2 ** (self._failures - 1))
        # A server that asks for no pause at all must not use up the attempts at once.
        pause = max(step * random.uniform(0.75, 1.25), retry_after or 0.0)  # noqa: S311 - jitter
        log.info("%s: %s; trying again in %.1f s", self._doing, problem, pause)
        time.sleep(pause)

    def wait_after(self, error: httpx2.TransportError) -> None:
        """Wait because of a connection; one that never came about is not tried for long."""
        attempts = _MAX_CONNECTIONS if isinstance(error, httpx2.ConnectError) else MAX_ATTEMPTS
        self.wait(describe(error, self._clean), max_attempts=attempts)


def from_position(response: httpx2.Response, position: int, doing: str) -> Iterator[bytes]:
    """Yield the body from the file's `position`, also where the server ignored the range.

    Raises:
        TransferError: the server sends another range than the one that was asked for.
    """
    skipped = 0
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        start = response.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(position):
            message = f"{doing}: bytes from {position} were asked for, the server sent others"
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
    """Join small blocks; what arrived before an error is handed on before it."""
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


def retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds that the server asks to wait (RFC 9110, section 10.2.3)."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    with contextlib.suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None

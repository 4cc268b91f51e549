"""Requests that are repeated when that makes sense, and never carry the token to another server.

The session is `huggingface_hub`'s own, so that proxies, certificates and offline mode are as the user set
them. Redirects are followed here, because the token belongs to the endpoint alone: whatever a redirect leads
to on another origin (the CDN, as a rule) is asked without it.
"""

import contextlib
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import get_session, hf_raise_for_status

from ritual_artifacts.backends.huggingface.errors import RETRYABLE, describe, place
from ritual_artifacts.backends.huggingface.session import origin
from ritual_artifacts.errors import BackendError, TransferError

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 6
"""Attempts in a row that may fail without one byte of progress."""
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 60.0
"""Seconds; a server that asks for a longer pause gets an error instead."""
BLOCK_SIZE: Final = 1 << 20
"""Bytes that are handed on at once, as far as they are there."""

_MAX_CONNECTIONS: Final = 3
_LONGEST_STEP: Final = 8.0
_MAX_REDIRECTS: Final = 8
_MAX_ANSWER_BYTES: Final = 64 << 20
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Patience:
    """How often and how long to wait for one server; progress makes it new."""

    def __init__(self, doing: str) -> None:
        """Name what is being done, for messages."""
        self._doing = doing
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
        pause = step * random.uniform(0.75, 1.25) if retry_after is None else retry_after  # noqa: S311 - jitter
        log.info("%s: %s; trying again in %.1f s", self._doing, problem, pause)
        time.sleep(pause)

    def wait_after(self, error: httpx2.TransportError) -> None:
        """Wait because of a connection; one that never came about is not tried for long."""
        attempts = _MAX_CONNECTIONS if isinstance(error, httpx2.ConnectError) else MAX_ATTEMPTS
        self.wait(describe(error), max_attempts=attempts)


class Transport:
    """GET requests to one endpoint."""

    def __init__(
        self, endpoint: str, make_headers: Callable[[], Mapping[str, str]], *, timeout: float
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            endpoint: The only origin that gets the headers.
            make_headers: Returns the endpoint's headers, with the token; called for each request.
            timeout: Seconds without a byte after which a connection counts as cut.
        """
        self._endpoint = endpoint
        self._make_headers = make_headers
        self._timeout = httpx2.Timeout(timeout)

    def get_json(
        self, url: str, doing: str, params: Mapping[str, str] | None = None
    ) -> tuple[Any, str | None]:
        """Return a JSON answer, and the address of its next page.

        Raises:
            TransferError: the server cannot be reached, or fails again and again.
            HfHubHTTPError: it answered with another error.
        """
        patience = Patience(doing)
        while True:
            try:
                with self._open(url, {}, params) as response:
                    if response.status_code not in RETRYABLE:
                        hf_raise_for_status(response)
                        next_page = response.links.get("next", {}).get("url")
                        answer = json.loads(_read_all(response, doing))
                        return answer, None if next_page is None else urljoin(url, next_page)
                    problem, pause = f"the server answered {response.status_code}", retry_after(response)
            except httpx2.TransportError as error:
                patience.wait_after(error)
            else:
                patience.wait(problem, pause)

    def stream(self, url: str, doing: str, *, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes at `url` from `offset` to the end; a cut connection is continued where it was cut.

        Raises:
            TransferError: the server cannot be reached, fails again and again, or answers another range.
            HfHubHTTPError: it answered with another error.
        """
        patience = Patience(doing)
        position = offset
        while True:
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={position}-"} if position else {})
            try:
                with self._open(url, headers, None) as response:
                    if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and position:
                        return  # the file is no longer than what is there already
                    if not self._is_temporary(response):
                        hf_raise_for_status(response)
                        for block in _from_position(response, position, doing):
                            position += len(block)
                            patience.renew()
                            yield block
                        return
                    problem, pause = f"the server answered {response.status_code}", retry_after(response)
            except httpx2.TransportError as error:
                patience.wait_after(error)
            else:
                patience.wait(problem, pause)

    def _is_temporary(self, response: httpx2.Response) -> bool:
        """Say whether to ask again; a signed address of another server may have expired meanwhile."""
        if response.status_code in RETRYABLE:
            return True
        is_refused = response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        return is_refused and origin(str(response.url)) != origin(self._endpoint)

    @contextlib.contextmanager
    def _open(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None
    ) -> Iterator[httpx2.Response]:
        """Send a GET request and follow where it leads; the body is not read yet."""
        trusted = origin(url) == origin(self._endpoint)
        for _ in range(_MAX_REDIRECTS):
            sent = {**self._make_headers(), **headers} if trusted else dict(headers)
            with get_session().stream(
                "GET", url, headers=sent, params=params, timeout=self._timeout, follow_redirects=False
            ) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or location is None:
                    yield response
                    return
                target = urljoin(url, location)
            if urlsplit(target).scheme not in {"http", "https"} or (
                url.startswith("https:") and not target.startswith("https:")
            ):
                message = f"{place(url)} leads to {place(target)}, which is not asked: it is no safe address"
                raise BackendError(message)
            trusted = trusted and origin(target) == origin(self._endpoint)
            url, params = target, None
        message = f"{place(url)} leads from one address to the next without end"
        raise BackendError(message)


def _read_all(response: httpx2.Response, doing: str) -> bytes:
    body = bytearray()
    for block in response.iter_bytes():
        body += block
        if len(body) > _MAX_ANSWER_BYTES:
            message = f"{doing}: the server's answer is larger than {_MAX_ANSWER_BYTES} bytes"
            raise BackendError(message)
    return bytes(body)


def _from_position(response: httpx2.Response, position: int, doing: str) -> Iterator[bytes]:
    """Yield the body from the file's `position`, also where the server ignored the range."""
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

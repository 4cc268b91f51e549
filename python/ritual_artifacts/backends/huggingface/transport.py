"""Requests that are repeated when that makes sense, and never carry the token to another server.

The session is `huggingface_hub`'s own, so that proxies, certificates and offline mode are as the user set
them. Redirects are followed here, because the token belongs to the endpoint alone: whatever a redirect leads
to on another origin (the CDN, as a rule) is asked without it.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import get_session, hf_raise_for_status

from ritual_artifacts.backends.http import RETRYABLE, Patience, from_position, retry_after
from ritual_artifacts.backends.huggingface.errors import clean, place
from ritual_artifacts.backends.huggingface.session import origin
from ritual_artifacts.errors import BackendError

log = logging.getLogger(__name__)

_MAX_REDIRECTS: Final = 8
_MAX_ANSWER_BYTES: Final = 64 << 20
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


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
        patience = Patience(doing, clean)
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
        patience = Patience(doing, clean)
        position = offset
        while True:
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={position}-"} if position else {})
            try:
                with self._open(url, headers, None) as response:
                    if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and position:
                        return  # the file is no longer than what is there already
                    if not self._is_temporary(response):
                        hf_raise_for_status(response)
                        for block in from_position(response, position, doing):
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

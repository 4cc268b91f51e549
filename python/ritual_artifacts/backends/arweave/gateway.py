"""Requests to one gateway or node, which may be slow, broken, or lie, and what its answers mean."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httpx2

from ritual_artifacts.backends.arweave.asking import Later, Refused, Took
from ritual_artifacts.backends.arweave.client import HttpClient
from ritual_artifacts.backends.http import RETRYABLE, describe, one_line, retry_after
from ritual_artifacts.context import Clock
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, NotFinalizedError

MAX_ANSWER_BYTES: Final = 32 << 20
"""Of an answer that is not streamed. The longest is data as base64, of which a node sends at most 12 MiB."""

_TOO_LONG: Final = 599
_ABSENT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_UNSUPPORTED: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)
"""How nodes and gateways answer a way to request data that they do not have."""
_REDIRECTS: Final = frozenset(
    {
        *(HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND),
        *(HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT),
    }
)
"""303 is not among them: a node takes a chunk with it."""
_MAX_REDIRECTS: Final = 5


@dataclass(frozen=True)
class Answer:
    """An answer that was read as a whole.

    Attributes:
        status: The HTTP status.
        body: The whole body.
        retry_after: Seconds that the server asks to wait.
    """

    status: int
    body: bytes
    retry_after: float | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in RETRYABLE

    @property
    def is_html(self) -> bool:
        """Whether the body is a page for people, which no part of the protocol is."""
        return self.body.lstrip()[:1] == b"<"

    @property
    def says_absent(self) -> bool:
        """Whether this is a well-formed "not found"; all other answers leave open what the gateway has."""
        return self.status in _ABSENT and not self.is_html

    @property
    def text(self) -> str:
        """The beginning of the body, for a message."""
        return one_line(self.body[:1024].decode(errors="replace"))

    def __str__(self) -> str:
        """Describe the answer on one line."""
        return f"{self.status} ({self.text})" if self.body else str(self.status)

    def later(self) -> Later:
        """Return the outcome of an attempt that got this answer and may succeed later."""
        return Later(f"the answer is {self}", self.retry_after)


class Gateway:
    """One address.

    Attributes:
        url: The address, without a slash at its end.
    """

    def __init__(self, url: str, client: HttpClient, clock: Clock) -> None:
        """Prepare; nothing is sent."""
        self.url = url
        self._client = client
        self._clock = clock

    def __str__(self) -> str:
        """Return the address."""
        return self.url

    def get(self, path: str) -> Took[Answer] | Refused | Later:
        """Send a GET request and read the answer, which is not judged unless it is temporary."""
        try:
            with self.open(path) as response:
                answer = self._read(response)
        except httpx2.TransportError as error:
            return Later(describe(error))
        except httpx2.HTTPError as error:  # endless redirects, or a body that cannot be decoded
            return Refused(BackendError(describe(error)))
        return answer.later() if answer.is_temporary else Took(answer)

    def post(self, path: str, body: bytes) -> Took[Answer] | Later:
        """Send a POST request with a JSON body and read the answer, which is not judged.

        Redirects are followed with the same method and body. Where the connection fails, the request may have
        arrived or not.
        """
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        url = self.url + path
        try:
            for _ in range(_MAX_REDIRECTS):
                with self._client.send("POST", url, headers=headers, content=body) as response:
                    answer, target = self._read(response), _redirect_target(response)
                if target is None:
                    break
                url = target
        except httpx2.HTTPError as error:
            return Later(describe(error))
        return Took(answer)

    @contextlib.contextmanager
    def open(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx2.Response]:
        """Send a GET request and follow redirects; the body is not read yet.

        Raises:
            httpx2.HTTPError: the connection failed.
        """
        sent = {"accept-encoding": "identity", **(headers or {})}
        with self._client.send("GET", self.url + path, headers=sent) as response:
            yield response

    def judge(self, response: httpx2.Response) -> Refused | Later | None:
        """Return why the body of an answer cannot be the requested data; None: it may be."""
        status = response.status_code
        if status in RETRYABLE:
            return Later(f"the answer is {status}", retry_after(response, self._clock.time()))
        if status == HTTPStatus.ACCEPTED:
            return Refused(NotFinalizedError("it is not mined yet; try again in some minutes"))
        if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return None
        is_html = response.headers.get("content-type", "").startswith("text/html")
        if status in _UNSUPPORTED or (status in _ABSENT and not is_html):
            return Refused(ArtifactNotFoundError(f"the answer is {status}"))
        return Refused(BackendError(f"the answer is {status}"))

    def _read(self, response: httpx2.Response) -> Answer:
        body = bytearray()
        for block in response.iter_bytes():
            body += block
            if len(body) > MAX_ANSWER_BYTES:
                return Answer(_TOO_LONG, b"the answer is longer than a valid one can be")
        return Answer(response.status_code, bytes(body), retry_after(response, self._clock.time()))


def check_found(answer: Answer, what: str) -> None:
    """Check that an answer says what was asked.

    Raises:
        NotFinalizedError: it is not mined yet.
        ArtifactNotFoundError: the gateway does not have it.
        BackendError: the answer is another error.
    """
    if answer.status == HTTPStatus.ACCEPTED or answer.body.strip().lower() == b"pending":
        message = f"{what} is not mined yet; try again in some minutes"
        raise NotFinalizedError(message)
    if answer.says_absent:
        message = f"{what} was not found"
        raise ArtifactNotFoundError(message)
    if answer.status != HTTPStatus.OK:
        message = f"the answer is {answer}"
        raise BackendError(message)


def _redirect_target(response: httpx2.Response) -> str | None:
    """Return where a redirect leads, if it leads to another address of the web."""
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    try:
        target = response.url.join(location)
    except httpx2.InvalidURL:
        return None
    return str(target) if target.scheme in {"http", "https"} else None


def read_json(answer: Answer, what: str) -> Any:  # noqa: ANN401 - any JSON
    """Parse an answer.

    Raises:
        BackendError: it is not JSON.
    """
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        message = f"the answer to {what} is not valid JSON: {answer.text}"
        raise BackendError(message) from None

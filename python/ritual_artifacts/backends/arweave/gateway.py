"""One gateway or node, and what its answers mean. It may be slow, broken, or lie."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import httpx2

from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.backends.http import RETRYABLE, one_line, retry_after
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    InsufficientFundsError,
    NotFinalizedError,
)

MAX_ANSWER_BYTES: Final = 32 << 20
"""Of an answer that is no stream: a node sends at most 12 MiB of data as base64, and it is the longest."""

_KNOWN: Final = "transaction is already"
"""What a node says of a transaction that waits, or is on the weave; others say 'already' of other things."""
_MAX_REDIRECTS: Final = 5
_TOO_LONG: Final = 599


@dataclass(frozen=True)
class Answer:
    """What a gateway said.

    Attributes:
        status: The HTTP status.
        body: The whole body; of an error, its beginning.
        retry_after: Seconds that it asks to wait.
    """

    status: int
    body: bytes
    retry_after: float | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in RETRYABLE

    @property
    def words(self) -> str:
        """The body, for a message."""
        return one_line(self.body[:1024].decode(errors="replace"))

    def __str__(self) -> str:
        """Describe the answer on one line."""
        return f"{self.status} ({self.words})" if self.body else str(self.status)


class Verdict(Enum):
    """What became of a post."""

    STORED = auto()
    """Taken."""
    KNOWN = auto()
    """A transaction that is there already."""
    HALF = auto()
    """Taken for a while by a node that will not keep it."""
    UNKNOWN_ROOT = auto()
    """A chunk of a transaction that the node does not know."""
    STALE_ANCHOR = auto()
    """A transaction whose anchor is too old: it has to be signed again."""
    FULL = auto()
    """A chunk of a transaction of which the node keeps no more before it is mined."""
    TEMPORARY = auto()
    """Refused for now."""


class Gateway:
    """Requests to one address.

    Attributes:
        url: The address, without a slash at its end.
    """

    def __init__(self, url: str, client: httpx2.Client) -> None:
        """Prepare; nothing is asked yet."""
        self.url = url
        self._client = client

    def __str__(self) -> str:
        """Return the address."""
        return self.url

    def get(self, path: str, *, limit: int = MAX_ANSWER_BYTES) -> Answer:
        """Return the answer to a GET request; one with more than `limit` bytes counts as broken.

        Raises:
            httpx2.TransportError: the connection failed.
        """
        with self.open(path) as response:
            return _read(response, limit)

    def post(self, path: str, body: bytes, *, limit: int = MAX_ANSWER_BYTES) -> Answer:
        """Return the answer to a POST request with a JSON body.

        Raises:
            httpx2.TransportError: the connection failed; nobody knows whether the post arrived.
        """
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        with self._client.stream("POST", f"{self.url}{path}", content=body, headers=headers) as response:
            return _read(response, limit)

    @contextlib.contextmanager
    def open(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx2.Response]:
        """Send a GET request and follow where it leads; the body is not read yet.

        Raises:
            httpx2.TransportError: the connection failed.
        """
        sent = {"accept-encoding": "identity", **(headers or {})}
        with self._client.stream("GET", f"{self.url}{path}", headers=sent, follow_redirects=True) as response:
            yield response

    def post_transaction(self, transaction: Transaction) -> tuple[Verdict, Answer]:
        """Post a transaction, which may be there already.

        Raises:
            BackendError: the node will never take it.
            httpx2.TransportError: the connection failed.
        """
        answer = self.post("/tx", json.dumps(transaction.to_json()).encode())
        words = answer.words.lower()
        if answer.status == HTTPStatus.OK:
            return Verdict.STORED, answer
        if answer.status == HTTPStatus.ALREADY_REPORTED:
            return Verdict.KNOWN, answer
        if answer.status == HTTPStatus.BAD_REQUEST and _KNOWN in words:
            return Verdict.KNOWN, answer
        if answer.is_temporary:
            return Verdict.TEMPORARY, answer
        if "anchor" in words:
            return Verdict.STALE_ANCHOR, answer
        if answer.status == HTTPStatus.PAYMENT_REQUIRED or "enough" in words or "funds" in words:
            message = f"{self} does not take a transaction, because the wallet cannot pay for it: {answer}"
            raise InsufficientFundsError(message)
        message = f"{self} refuses a transaction: {answer}"
        raise BackendError(message)

    def post_chunk(self, body: bytes) -> tuple[Verdict, Answer]:
        """Post a chunk with its proof.

        Raises:
            BackendError: the node will never take it.
            httpx2.TransportError: the connection failed.
        """
        answer = self.post("/chunk", body)
        if answer.status == HTTPStatus.OK:
            return Verdict.STORED, answer
        if answer.status == HTTPStatus.SEE_OTHER:
            return Verdict.HALF, answer
        error = _error_code(answer)
        if error == "data_root_not_found":
            return Verdict.UNKNOWN_ROOT, answer
        if error == "exceeds_disk_pool_size_limit":
            return Verdict.FULL, answer
        if answer.is_temporary or error == "disk_full":
            return Verdict.TEMPORARY, answer
        message = f"{self} refuses a chunk: {answer}"
        raise BackendError(message)


def make_client(timeout: float, connections: int) -> httpx2.Client:
    """Make the client that all gateways of a connection share."""
    return httpx2.Client(
        timeout=httpx2.Timeout(timeout, pool=None),  # our own queue is no fault of a server
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        max_redirects=_MAX_REDIRECTS,
        headers={"user-agent": "ritual-artifacts"},
    )


def check_found(answer: Answer, what: str) -> None:
    """Check that an answer says what was asked for.

    Raises:
        NotFinalizedError: it is not mined yet.
        ArtifactNotFoundError: it is not there.
        BackendError: the answer is another error.
    """
    if answer.status == HTTPStatus.ACCEPTED or answer.body.strip().lower() == b"pending":
        message = f"{what} is not mined yet; that takes some minutes, so try again later"
        raise NotFinalizedError(message)
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        message = f"{what} is not there"
        raise ArtifactNotFoundError(message)
    if answer.status != HTTPStatus.OK:
        message = f"the answer is {answer}"
        raise BackendError(message)


def read_json(answer: Answer, what: str) -> Any:  # noqa: ANN401 - any JSON
    """Parse an answer.

    Raises:
        BackendError: it is no JSON.
    """
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        message = f"the answer to {what} is no JSON: {answer.words}"
        raise BackendError(message) from None


def _error_code(answer: Answer) -> str | None:
    """Return the word for what is wrong with a chunk; nodes say it as JSON."""
    try:
        values = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    error = values.get("error") if isinstance(values, dict) else None
    return error if isinstance(error, str) else None


def _read(response: httpx2.Response, limit: int) -> Answer:
    body = bytearray()
    for block in response.iter_bytes():
        body += block
        if len(body) > limit:
            return Answer(_TOO_LONG, b"the answer is longer than what was asked for can be")
    return Answer(response.status_code, bytes(body), retry_after(response))

"""The ways on which data comes from gateways, what goes wrong there, and who has sent which bytes."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx2

from ritual_artifacts.backends.arweave.gateway import Gateway
from ritual_artifacts.backends.http import RETRYABLE, describe, retry_after
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, NotFinalizedError

log = logging.getLogger(__name__)

_MAX_PIECES: Final = 1000
"""Of some data, that are remembered with their senders; more are joined, two by two."""


@dataclass(frozen=True)
class Route:
    """One way to get data: a gateway, and what it calls the data.

    Attributes:
        gateway: Who is asked; None where all are asked for chunks.
        template: The path, with a place for the data's id.
        encoded: Whether the answer is base64url, always with all of the data.
    """

    gateway: Gateway | None
    template: str
    encoded: bool = False

    def path(self, name: str) -> str:
        """Return what to ask the gateway for."""
        return self.template.format(name)

    def __str__(self) -> str:
        """Return where the data comes from, for messages."""
        return "the chunks" if self.gateway is None else f"{self.gateway}{self.template}"


BY_CHUNKS: Final = Route(None, "")
"""Chunk by chunk, each with its proof."""


class TemporaryError(Exception):
    """A gateway may answer better later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Remember how many seconds the gateway asks to wait."""
        super().__init__(message)
        self.retry_after = retry_after


class AbsentError(Exception):
    """A gateway does not have the data, and will not have it soon."""

    def __init__(self, cause: BackendError) -> None:
        """Remember what it said."""
        super().__init__(str(cause))
        self.cause = cause


@contextlib.contextmanager
def sorted_out() -> Iterator[None]:
    """Sort what goes wrong in the block into what may pass and what will not.

    Raises:
        AbsentError: the data is not there.
        TemporaryError: anything else.
    """
    try:
        yield
    except (ArtifactNotFoundError, NotFinalizedError) as error:
        raise AbsentError(error) from None
    except BackendError as error:
        raise TemporaryError(str(error)) from None
    except httpx2.HTTPError as error:
        raise TemporaryError(describe(error)) from None


def check_answer(response: httpx2.Response) -> None:
    """Check that a body follows which may be the data.

    Raises:
        TemporaryError: the same request may succeed later.
        ArtifactNotFoundError: it will not.
        NotFinalizedError: the data is not mined yet.
    """
    if response.status_code in RETRYABLE:
        message = f"answered {response.status_code}"
        raise TemporaryError(message, retry_after(response))
    if response.status_code == HTTPStatus.ACCEPTED:
        message = "it is not mined yet; that takes some minutes, so try again later"
        raise NotFinalizedError(message)
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        message = f"answered {response.status_code}"
        raise ArtifactNotFoundError(message)


def take(blocks: Iterator[bytes], size: int) -> bytes:
    """Return the first bytes of a stream, at most `size`."""
    data = bytearray()
    for block in blocks:
        data += block
        if len(data) >= size:
            break
    return bytes(data[:size])


@dataclass(frozen=True)
class _Piece:
    start: int
    end: int
    routes: frozenset[Route]


class Senders:
    """Remembers who has sent which bytes, so that whoever lies is not asked again."""

    def __init__(self) -> None:
        """Suspect nobody."""
        self._lock = threading.Lock()
        self._pieces: dict[str, list[_Piece]] = {}
        self._liars: set[tuple[str, Route]] = set()

    def is_liar(self, name: str, route: Route) -> bool:
        """Say whether wrong bytes of this data came on this route."""
        with self._lock:
            return (name, route) in self._liars

    def note(self, name: str, route: Route, start: int, end: int) -> None:
        """Take note of where the bytes from `start` to `end` came from."""
        routes = frozenset([route])
        with self._lock:
            pieces = self._pieces.setdefault(name, [])
            if pieces and pieces[-1].end == start and pieces[-1].routes == routes:
                start = pieces.pop().start
            pieces.append(_Piece(start, end, routes))
            if len(pieces) > _MAX_PIECES:
                pieces[:] = [_join(pieces[index : index + 2]) for index in range(0, len(pieces), 2)]

    def blame(self, name: str, start: int, end: int) -> bool:
        """Believe nobody again who has sent a byte between `start` and `end`; chunks prove themselves.

        Returns:
            Whether it makes sense to fetch these bytes again.
        """
        with self._lock:
            pieces = self._pieces.pop(name, [])
            suspects = [piece.routes for piece in pieces if piece.start < end and start < piece.end]
            guilty = frozenset[Route]().union(*suspects) - {BY_CHUNKS}
            self._liars |= {(name, route) for route in guilty}
        for route in guilty:
            log.warning("%s sent wrong bytes of %s, and is not asked for them again", route, name)
        # What an earlier process left behind is nobody's here; it is fetched anew.
        return bool(guilty) or not _covers(pieces, start, end)


def _join(pieces: list[_Piece]) -> _Piece:
    start, end = min(piece.start for piece in pieces), max(piece.end for piece in pieces)
    return _Piece(start, end, frozenset[Route]().union(*(piece.routes for piece in pieces)))


def _covers(pieces: list[_Piece], start: int, end: int) -> bool:
    place = start
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if piece.start <= place:
            place = max(place, piece.end)
    return place >= end

"""Which route each byte of a transaction arrived by, so that a gateway that sent a wrong one is skipped."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ritual_artifacts.backends.arweave.reading.routes import BY_CHUNKS, Route

log = logging.getLogger(__name__)

_MAX_SPANS: Final = 1000
"""Spans of bytes that are remembered; beyond that, neighbours are merged two by two."""


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    routes: frozenset[Route]


class Provenance:
    """The routes by which the bytes of one transaction arrived. Several threads use it at once."""

    def __init__(self, name: str) -> None:
        """Start without any bytes.

        Args:
            name: The transaction, for messages.
        """
        self._name = name
        self._lock = threading.Lock()
        self._spans: list[_Span] = []
        self._distrusted: set[Route] = set()

    def is_distrusted(self, route: Route) -> bool:
        """Return whether wrong bytes arrived by this route."""
        with self._lock:
            return route in self._distrusted

    def note(self, route: Route, start: int, end: int) -> None:
        """Remember that the bytes from `start` to `end` arrived by this route."""
        routes = frozenset([route])
        with self._lock:
            if self._spans and self._spans[-1].end == start and self._spans[-1].routes == routes:
                start = self._spans.pop().start
            self._spans.append(_Span(start, end, routes))
            if len(self._spans) > _MAX_SPANS:
                self._spans = [_merge(self._spans[i : i + 2]) for i in range(0, len(self._spans), 2)]

    def distrust(self, start: int, end: int) -> bool:
        """Distrust every route by which a byte between `start` and `end` arrived; chunks are verified.

        Returns:
            Whether it may help to read these bytes again: another route would be used, or some of the bytes
                are from an earlier process.
        """
        with self._lock:
            spans, self._spans = self._spans, []
            suspects = [span.routes for span in spans if span.start < end and start < span.end]
            distrusted = frozenset[Route]().union(*suspects) - {BY_CHUNKS}
            self._distrusted |= distrusted
        for route in distrusted:
            log.warning("%s sent wrong bytes of %s, and is skipped from now on", route, self._name)
        return bool(distrusted) or not _covers(spans, start, end)


def _merge(spans: Sequence[_Span]) -> _Span:
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    return _Span(start, end, frozenset[Route]().union(*(span.routes for span in spans)))


def _covers(spans: Sequence[_Span], start: int, end: int) -> bool:
    place = start
    for span in sorted(spans, key=lambda span: span.start):
        if span.start <= place:
            place = max(place, span.end)
    return place >= end

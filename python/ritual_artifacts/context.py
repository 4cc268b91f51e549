"""What one public call carries: settings, progress, executor and clock. Made once, frozen, passed down.

Nothing below a public call reads the environment; it asks the context. Tests pass another context.
"""

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Protocol, Self, TypeAlias, TypeVar

from ritual_artifacts import workers
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.settings import Settings, load_settings

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

NoticeCallback: TypeAlias = Callable[[str], object]

DEFAULT_STREAMS: Final = 8
"""Requests in flight at once where nothing else is set: enough to hide the latency of a server."""


class Clock(Protocol):
    """The time, and the way to let it pass."""

    def time(self) -> float:
        """Return seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed point; it never goes backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a task that is to end (see `workers.each`) does not wait any longer."""
        ...


class SystemClock:
    """The clock of this machine."""

    def time(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some fixed point."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; see `workers.sleep`."""
        workers.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long a request that failed is repeated.

    Attributes:
        max_attempts: Failures in a row, without one byte of progress, after which an error is raised.
        max_connections: The same for a server to which no connection can be made.
        first_wait: Seconds before the second attempt; each further pause is twice as long.
        longest_step: Seconds that a pause grows to.
        longest_wait: Seconds; a server that asks for a longer pause gets an error instead.
    """

    max_attempts: int = 6
    max_connections: int = 3
    first_wait: float = 0.5
    longest_step: float = 8.0
    longest_wait: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a server may send, and how long it may take.

    Attributes:
        answer_bytes: Size of an answer that is not a file, as sent and decoded.
        answer_seconds: Time for such an answer, or for the headers of a file. A longer timeout of the
            connection counts instead.
        error_bytes: Size of an error's body; a longer body is ignored.
        error_seconds: Time for an error's body; a body that takes longer is ignored.
        slow_bytes: A server that sends less of a file than this in `slow_seconds` is too slow.
        slow_seconds: See `slow_bytes`; the time that this machine needs to store the bytes is not counted. A
            longer timeout of the connection counts instead.
        unsized_bytes: Size of a file whose manifest does not state one.
    """

    answer_bytes: int = 64 << 20
    answer_seconds: float = 120.0
    error_bytes: int = 1 << 20
    error_seconds: float = 10.0
    slow_bytes: int = 32 << 10
    slow_seconds: float = 60.0
    unsized_bytes: int = 64 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What one public call carries.

    Attributes:
        settings: What the environment says, read once.
        progress: Called while bytes are read, sent or received.
        executor: A thread pool for work on many files or requests; None: threads of the call's own.
        clock: The time.
        retry: When to give up on a server.
        bounds: How much a server may send, and how long it may take.
        notice: Called, on the calling thread, with what the user has to know before it happens, such as a
            price.
    """

    settings: Settings
    progress: ProgressCallback | None = None
    executor: Executor | None = None
    clock: Clock = field(default_factory=SystemClock)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    bounds: Bounds = field(default_factory=Bounds)
    notice: NoticeCallback | None = None

    @classmethod
    def create(
        cls,
        *,
        progress: ProgressCallback | None = None,
        executor: Executor | None = None,
        notice: NoticeCallback | None = None,
    ) -> Self:
        """Read the settings from the environment and make the context of a public call.

        Raises:
            ArtifactError: a variable has a value that cannot be used.
        """
        settings = load_settings()
        retry = RetryPolicy() if settings.retry_wait is None else RetryPolicy(first_wait=settings.retry_wait)
        return cls(settings=settings, progress=progress, executor=executor, retry=retry, notice=notice)

    @property
    def streams(self) -> int:
        """Files or requests in flight at once."""
        return self.settings.max_workers or DEFAULT_STREAMS

    def announce(self, text: str) -> None:
        """Say something that the user has to know before it happens: to the caller, and in the log."""
        log.info("%s", text)
        if self.notice is not None:
            self.notice(text)

    def meter(self, stage: str, bytes_total: int, files_total: int = 0) -> ProgressMeter:
        """Return a meter that reports `stage` to the caller; see `ProgressMeter`."""
        return ProgressMeter(self.progress, stage, bytes_total, files_total)

    def each(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        max_workers: int | None = None,
        meter: ProgressMeter | None = None,
    ) -> list[Result]:
        """Call `function` with each item on several threads; see `workers.each`.

        Args:
            function: Called on the worker threads.
            items: One call each.
            max_workers: Threads at most; default `streams`.
            meter: Reported on the calling thread.
        """
        return workers.each(
            function, items, max_workers=max_workers or self.streams, executor=self.executor, meter=meter
        )

"""How long work tells its caller how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a running upload, download or verification.

    Attributes:
        stage: What is being done: `"hash"`, `"copy"`, `"upload"`, `"download"` or `"verify"`.
        bytes_done: Bytes finished so far in this stage.
        bytes_total: Bytes that this stage has to do; 0 where nobody knows.
    """

    stage: str
    bytes_done: int
    bytes_total: int


ProgressCallback: TypeAlias = Callable[[Progress], object]
"""Called from the calling thread, some twenty times a second at most; what it raises stops the work."""


class ProgressMeter:
    """Adds up the bytes of one stage and reports the sum."""

    def __init__(self, callback: ProgressCallback | None, stage: str, bytes_total: int) -> None:
        """Report `stage`, which has `bytes_total` bytes to do, to `callback` (None: report nothing).

        A stage with nothing to do is not reported.
        """
        self._callback = callback
        self._stage = stage
        self._total = bytes_total
        self._done = 0
        if bytes_total:
            self.advance(0)

    def advance(self, count: int) -> None:
        """Count `count` more bytes as done; what has to be done twice is never more than the total."""
        self._done += count
        if self._total:
            self._done = min(self._done, self._total)
        if self._callback is not None:
            self._callback(Progress(self._stage, self._done, self._total))

    def finish(self) -> None:
        """Count what did not have to be done after all."""
        if self._done < self._total:
            self.advance(self._total - self._done)

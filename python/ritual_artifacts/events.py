"""Progress reports: what a running call tells its caller."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a running upload, download or verification.

    Attributes:
        stage: `"hash"`, `"copy"`, `"upload"`, `"download"` or `"verify"`.
        bytes_done: Bytes finished so far in this stage.
        bytes_total: Bytes that this stage has to process; 0 where the number is not known.
        files_done: Files finished so far in this stage.
        files_total: Files that this stage has to process; 0 where they are not counted.
    """

    stage: str
    bytes_done: int
    bytes_total: int
    files_done: int = 0
    files_total: int = 0


ProgressCallback: TypeAlias = Callable[[Progress], object]
"""Called on the calling thread, about twenty times a second at most; its exceptions stop the work."""


class ProgressMeter:
    """Adds up the bytes and files of one stage, from any thread, and reports the sums on its own thread."""

    def __init__(
        self, callback: ProgressCallback | None, stage: str, bytes_total: int, files_total: int = 0
    ) -> None:
        """Report `stage` to `callback` (None: report nothing), on the thread that calls this.

        A stage with nothing to do is not reported.

        Args:
            callback: Called with each report.
            stage: See `Progress`.
            bytes_total: Bytes to process.
            files_total: Files to process; 0 where they are not counted one by one.
        """
        self._callback = callback
        self._stage = stage
        self._total = bytes_total
        self._done = 0
        self._files_total = files_total
        self._files_done = 0
        self._owner = threading.get_ident()
        self._counted: deque[tuple[int, int]] = deque()  # appends are atomic
        if bytes_total or files_total:
            self.advance(0)

    def advance(self, count: int, files: int = 0) -> None:
        """Count more bytes and files as finished; work that is repeated never exceeds the total."""
        self._counted.append((count, files))
        if threading.get_ident() == self._owner:
            self.report(always=True)

    def report(self, *, always: bool = False) -> None:
        """Report what other threads have counted since the last report; on any other thread do nothing.

        Args:
            always: Report even when nothing was counted.
        """
        if threading.get_ident() != self._owner or not (self._counted or always):
            return
        while self._counted:
            count, files = self._counted.popleft()
            self._done += count
            self._files_done += files
        if self._total:
            self._done = min(self._done, self._total)
        self._files_done = min(self._files_done, self._files_total)
        if self._callback is not None:
            self._callback(
                Progress(self._stage, self._done, self._total, self._files_done, self._files_total)
            )

    def finish(self) -> None:
        """Count what did not have to be done after all; only on the meter's own thread."""
        self.report()
        if self._done < self._total or self._files_done < self._files_total:
            self.advance(max(0, self._total - self._done), self._files_total - self._files_done)

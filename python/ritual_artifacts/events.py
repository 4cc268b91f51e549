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
        files_done: Files finished so far in this stage.
        files_total: Files that this stage has to do; 0 where nobody counts them.
    """

    stage: str
    bytes_done: int
    bytes_total: int
    files_done: int = 0
    files_total: int = 0


ProgressCallback: TypeAlias = Callable[[Progress], object]
"""Called from the calling thread, some twenty times a second at most; what it raises stops the work."""


class ProgressMeter:
    """Adds up the bytes and files of one stage and reports the sums."""

    def __init__(
        self, callback: ProgressCallback | None, stage: str, bytes_total: int, files_total: int = 0
    ) -> None:
        """Report `stage` to `callback` (None: report nothing).

        A stage with nothing to do is not reported.

        Args:
            callback: Called with each report.
            stage: What is being done; see `Progress`.
            bytes_total: Bytes to do.
            files_total: Files to do; 0 where they are not counted one by one.
        """
        self._callback = callback
        self._stage = stage
        self._total = bytes_total
        self._done = 0
        self._files_total = files_total
        self._files_done = 0
        if bytes_total or files_total:
            self.advance(0)

    def advance(self, count: int, files: int = 0) -> None:
        """Count more bytes and files as done; what has to be done twice is never more than the total."""
        self._done += count
        if self._total:
            self._done = min(self._done, self._total)
        self._files_done = min(self._files_done + files, self._files_total)
        if self._callback is not None:
            self._callback(
                Progress(self._stage, self._done, self._total, self._files_done, self._files_total)
            )

    def finish(self) -> None:
        """Count what did not have to be done after all."""
        if self._done < self._total or self._files_done < self._files_total:
            self.advance(max(0, self._total - self._done), self._files_total - self._files_done)

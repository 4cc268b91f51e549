"""What hf-xet says of an upload while it is at work; the client library asks only to draw bars of its own."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from huggingface_hub.utils import _xet

from ritual_artifacts.workers import Stopped

Report: TypeAlias = Callable[[int, int], object]
"""Called with the numbers of bytes and of files that were done since its last call."""

_report: Final[ContextVar[Report | None]] = ContextVar("ritual_artifacts_xet_report", default=None)


@contextlib.contextmanager
def reported(report: Report) -> Iterator[None]:
    """Let `report` know what hf-xet does for this thread inside the block; other threads call it."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


class _ReportingSession:
    """A session of hf-xet, as far as the client library uses it to upload."""

    def __init__(self, session: Any, report: Report) -> None:  # noqa: ANN401 - hf-xet may not be there
        self._session = session
        self._report = report
        self._bytes = 0
        self._files = 0

    def new_upload_commit(self, **options: Any) -> Any:  # noqa: ANN401 - hf-xet's signature
        """Begin an upload that reports here, and to whoever else wants to know."""
        other = options.get("progress_callback")

        def update(group: Any, items: Any) -> None:  # noqa: ANN401 - hf-xet's signature
            if other is not None:
                other(group, items)
            self._update(group, items)

        return self._session.new_upload_commit(**options | {"progress_callback": update})

    def _update(self, group: Any, items: Any) -> None:  # noqa: ANN401 - hf-xet's signature
        done = max(self._bytes, group.total_bytes_completed)
        files = sum(item.bytes_completed == item.total_bytes for item in items.values())
        with contextlib.suppress(Stopped):  # nobody waits any more, and hf-xet is no place to raise it
            self._report(done - self._bytes, max(0, files - self._files))
        self._bytes, self._files = done, max(files, self._files)


def _report_sessions() -> None:
    """Let the library's sessions report; without that, its uploads are as good, and silent."""
    make = getattr(_xet, "get_xet_session", None)
    if make is None:
        return

    def get_session() -> Any:  # noqa: ANN401 - hf-xet may not be there
        report, session = _report.get(), make()
        return session if report is None else _ReportingSession(session, report)

    _xet.get_xet_session = get_session


_report_sessions()

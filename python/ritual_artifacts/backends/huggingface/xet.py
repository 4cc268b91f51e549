"""The progress of hf-xet, which uploads on threads of its own; the library uses it for its bars only."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from huggingface_hub.utils import _xet

from ritual_artifacts import workers
from ritual_artifacts.backends.huggingface.library import SharedChange, replaced

Report: TypeAlias = Callable[[int, int], object]
"""Called with the numbers of bytes and of files that were finished since its last call."""


class _Watch:
    """The uploads that hf-xet runs for one thread.

    Attributes:
        report: Called while they run.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self._commits: list[Any] = []

    def add(self, commit: Any) -> None:  # noqa: ANN401 - hf-xet may not be installed
        self._commits.append(commit)

    def clear(self) -> None:
        """Let go of the uploads: they keep their store open, and refer to this object."""
        self._commits.clear()

    def abort(self) -> None:
        """End the uploads; the thread that waits for them gets an error."""
        for commit in self._commits:
            with contextlib.suppress(Exception):  # it has ended already
                commit.abort()


_watch: Final[ContextVar[_Watch | None]] = ContextVar("ritual_artifacts_xet_watch", default=None)


@contextlib.contextmanager
def reported(report: Report) -> Iterator[None]:
    """Report what hf-xet uploads for this thread inside the block; other threads call `report`.

    The uploads are aborted when the task that this thread works on is to stop (see `workers.each`).

    Raises:
        Stopped: the task is to end.
    """
    watch = _Watch(report)
    token = _watch.set(watch)
    try:
        with _sessions.active(), workers.stopped_by(watch.abort):
            yield
    finally:
        _watch.reset(token)
        watch.clear()


class _ReportingSession:
    """A session of hf-xet, as far as the client library uses it for uploads."""

    def __init__(self, session: Any, watch: _Watch) -> None:  # noqa: ANN401 - hf-xet may not be installed
        self._session = session
        self._watch = watch
        self._bytes = 0
        self._files = 0

    def new_upload_commit(self, **options: Any) -> Any:  # noqa: ANN401 - hf-xet's signature
        """Start an upload that also reports here."""
        other = options.get("progress_callback")

        def update(group: Any, items: Any) -> None:  # noqa: ANN401 - hf-xet's signature
            if other is not None:
                other(group, items)
            self._update(group, items)

        commit = self._session.new_upload_commit(**options | {"progress_callback": update})
        self._watch.add(commit)
        workers.check()
        return commit

    def _update(self, group: Any, items: Any) -> None:  # noqa: ANN401 - hf-xet's signature
        done = max(self._bytes, group.total_bytes_completed)
        files = sum(item.bytes_completed == item.total_bytes for item in items.values())
        with contextlib.suppress(workers.Stopped):  # hf-xet cannot handle it; `abort` ends the upload
            self._watch.report(done - self._bytes, max(0, files - self._files))
        self._bytes, self._files = done, max(files, self._files)


def _report_sessions(make: Callable[[], Any]) -> Callable[[], Any]:
    def get_session() -> Any:  # noqa: ANN401 - hf-xet may not be installed
        watch, session = _watch.get(), make()
        return session if watch is None else _ReportingSession(session, watch)

    return get_session


def _change() -> contextlib.AbstractContextManager[None]:
    if not hasattr(_xet, "get_xet_session"):  # a later version of the library: uploads work, without progress
        return contextlib.nullcontext()
    return replaced(_xet, "get_xet_session", _report_sessions)


_sessions: Final = SharedChange(_change)  # one, because the library has one function for it

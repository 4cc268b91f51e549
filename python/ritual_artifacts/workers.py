"""Jobs on a few threads, while the calling thread reports progress and hears Ctrl-C."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

from ritual_artifacts.events import ProgressMeter

Result = TypeVar("Result")

_REPORTS_PER_SECOND: Final = 20
_FAREWELL: Final = 1.0
"""Seconds to wait for threads that were told to stop; one that waits for a server ends when that answers."""


class Stopped(Exception):  # noqa: N818 - no error: it ends a job that nobody waits for any more
    """Raised inside a job that is to end."""


class Job:
    """What a running job knows of the others."""

    def __init__(self, crew: "_Crew[Result]") -> None:
        """Join the crew."""
        self._crew = crew
        self._step = threading.Lock()

    def advance(self, count: int, files: int = 0) -> None:
        """Count bytes and files as done.

        Raises:
            Stopped: the job is to end.
        """
        self._crew.count(count, files)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Hold off the end while something is changed: what follows the end changes nothing any more.

        Raises:
            Stopped: the job is to end.
        """
        with self._step:
            self._crew.check()
            yield

    def end(self) -> None:
        """Wait for the step that is being taken; the crew is stopped already."""
        with self._step:
            pass


class _Crew(Generic[Result]):
    def __init__(self, jobs: Sequence[Callable[[Job], Result]], max_workers: int) -> None:
        self._jobs = list(enumerate(jobs))[::-1]
        self.results: dict[int, Result] = {}
        self.errors: list[BaseException] = []
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._stopped = False
        self._counted = (0, 0)
        self._members = [Job(self) for _ in range(min(max_workers, len(jobs)))]
        self._threads = [
            threading.Thread(target=self._work, args=(member,), daemon=True) for member in self._members
        ]
        self._working = len(self._threads)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _work(self, member: Job) -> None:
        try:
            while True:
                with self._lock:
                    if self._stopped or not self._jobs:
                        return
                    index, job = self._jobs.pop()
                self.results[index] = job(member)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - the calling thread raises it
            self.errors.append(error)
            self._stopped = True
        finally:
            with self._lock:
                self._working -= 1
                if not self._working:
                    self.done.set()

    def check(self) -> None:
        if self._stopped:
            raise Stopped

    def count(self, count: int, files: int) -> None:
        self.check()
        with self._lock:
            self._counted = (self._counted[0] + count, self._counted[1] + files)

    def report(self, meter: ProgressMeter) -> None:
        with self._lock:
            counted, self._counted = self._counted, (0, 0)
        if any(counted):
            meter.advance(*counted)

    def stop(self) -> None:
        self._stopped = True
        for member in self._members:
            member.end()
        self.done.wait(_FAREWELL)


def run_jobs(
    jobs: Sequence[Callable[[Job], Result]], *, max_workers: int, meter: ProgressMeter
) -> list[Result]:
    """Run jobs on threads and return what they return, in their order.

    Args:
        jobs: Each is called with its `Job`.
        max_workers: Threads at most.
        meter: Told in the calling thread what the jobs have counted.

    Raises:
        BaseException: what the first job that failed has raised, or the meter; the other jobs are stopped.
    """
    if not jobs:
        return []
    crew: _Crew[Result] = _Crew(jobs, max_workers)
    crew.start()
    try:
        while not crew.done.wait(1 / _REPORTS_PER_SECOND) and not crew.errors:
            crew.report(meter)
        if not crew.errors:
            crew.report(meter)
    finally:
        crew.stop()
    if crew.errors:
        raise crew.errors[0]
    return [crew.results[index] for index in range(len(jobs))]

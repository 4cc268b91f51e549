"""Work on several threads at once, all of which have ended when the call returns.

The calling thread reports progress and receives Ctrl-C, which can interrupt it between any two instructions.
It therefore keeps no count of its own: worker threads record when they start and end, and it polls these
records. Both use lists and `queue.SimpleQueue`, whose methods are atomic; `threading.Event` is
Python code, and an exception raised inside it can leave its lock taken forever.
"""

import _thread
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextvars import ContextVar, copy_context
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from ritual_artifacts.events import ProgressMeter

Item = TypeVar("Item")
Result = TypeVar("Result")

_REPORTS_PER_SECOND: Final = 20


class Stopped(Exception):  # noqa: N818 - not an error: it ends work whose result is no longer wanted
    """Raised inside a task that is to end, because another one failed or the user interrupted the call."""


def each(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    max_workers: int,
    executor: Executor | None = None,
    meter: ProgressMeter | None = None,
) -> list[Result]:
    """Call `function` with each item on several threads and return the results in the order of the items.

    When one call fails or the calling thread is interrupted, no further call begins, running calls are told
    to stop (see `check`), and the exception is raised once they have ended. A second interrupt is raised at
    once.

    Inside a task of another `each`, threads of its own are used in any case: all threads of the pool may be
    waiting for such a task. When the outer task is to end, so are these.

    Args:
        function: Called on the worker threads.
        items: One call each; taken as a whole before the first call.
        max_workers: Threads at most, 1 or more.
        executor: A thread pool to use instead of threads of its own.
        meter: Reported on the calling thread about twenty times a second.

    Raises:
        BaseException: what the first failed call raised, or the meter.
    """
    crew = _Crew(function, items)
    try:
        try:
            crew.start(max_workers, executor if _current.get() is None else None)
            while not crew.is_finished():
                crew.wait()
                check()
                if meter is not None and not crew.errors:
                    meter.report()
            crew.stop()
            crew.join()
            if meter is not None and not crew.errors:
                meter.report()
        except BaseException:
            crew.stop()
            crew.join()
            raise
    finally:
        crew.stop()  # a second interrupt skips the joining, and may have skipped this too
    if crew.errors:
        raise crew.errors[0]
    return [crew.results[index] for index in range(len(crew.results))]


def check() -> None:
    """End the task that calls this if its result is no longer wanted; elsewhere do nothing.

    Raises:
        Stopped: the task is to end.
    """
    crew = _current.get()
    if crew is not None:
        crew.check()


def sleep(seconds: float) -> None:
    """Wait; a task that is to end does not wait any longer.

    Raises:
        Stopped: the task is to end.
    """
    crew = _current.get()
    if crew is None:
        time.sleep(seconds)
    else:
        crew.sleep(seconds)


@contextlib.contextmanager
def stopped_by(interrupt: Callable[[], object]) -> Iterator[None]:
    """Call `interrupt` when the task is to end while it is inside the block; elsewhere do nothing.

    It is called from another thread, perhaps more than once, and must wake whatever the task waits for (such
    as a socket); its exceptions are ignored.

    Raises:
        Stopped: the task is to end.
    """
    crew = _current.get()
    if crew is None:
        yield
        return
    key = object()
    crew.interrupts[key] = interrupt
    try:
        crew.check()
        yield
    finally:
        crew.interrupts.pop(key, None)


class _Crew(Generic[Item, Result]):
    """The threads of one call of `each`.

    Attributes:
        results: By the item's index.
        errors: What failed, in the order in which it failed.
        interrupts: Calls that wake waiting tasks.
    """

    def __init__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> None:
        self._function = function
        self._waiting = deque(enumerate(items))
        self._count = len(self._waiting)
        self.results: dict[int, Result] = {}
        self.errors: list[BaseException] = []
        self.interrupts: dict[object, Callable[[], object]] = {}
        self._threads: list[int] = []
        self._futures: list[Future[None]] = []
        self._begun: list[None] = []  # one item per thread that works
        self._ended: list[None] = []
        self._news: SimpleQueue[None] = SimpleQueue()  # wakes the calling thread
        self._stopped = False
        self._alarm: SimpleQueue[None] = SimpleQueue()  # filled when the crew stops; wakes sleeping tasks

    def start(self, max_workers: int, executor: Executor | None) -> None:
        tasks: list[Callable[..., None]] = [copy_context().run for _ in range(min(max_workers, self._count))]
        works = [self._work] * len(tasks)
        # `extend` and `map` note each thread in the very instruction that starts it.
        if executor is not None:
            submit: Callable[..., Future[None]] = executor.submit
            self._futures.extend(map(submit, tasks, works))
            return
        start: Callable[..., int] = _thread.start_new_thread
        try:
            self._threads.extend(map(start, tasks, [(work,) for work in works]))
        except RuntimeError:  # the system has no more threads
            if not self._threads:
                raise

    def _work(self) -> None:
        token = _current.set(self)
        self._begun.append(None)
        try:
            while not self._stopped:
                try:
                    index, item = self._waiting.popleft()
                except IndexError:
                    break
                self.results[index] = self._function(item)
        except BaseException as error:  # noqa: BLE001 - the calling thread raises it
            if not (isinstance(error, Stopped) and self._stopped):
                self.errors.append(error)
            self._stopped = True  # no further call begins
        finally:
            _current.reset(token)
            self._ended.append(None)
            self._news.put(None)

    def is_finished(self) -> bool:
        """Return whether there is nothing more to wait for: all results are here, or a call failed.

        Raises:
            Exception: the thread pool could not run the work.
        """
        if self.errors or len(self.results) == self._count:
            return True
        if self._futures and all(future.done() for future in self._futures):
            for future in self._futures:
                future.result()
        return False

    def wait(self) -> None:
        """Wait until a thread ends, or for a short time."""
        with contextlib.suppress(Empty):
            self._news.get(timeout=1 / _REPORTS_PER_SECOND)

    def stop(self) -> None:
        """Tell all threads to end; it may be called again, wherever it was interrupted."""
        self._stopped = True
        self._alarm.put(None)
        for interrupt in list(self.interrupts.values()):
            with contextlib.suppress(Exception):
                interrupt()
        for future in self._futures:
            future.cancel()

    def join(self) -> None:
        """Wait for the threads that have begun; once the crew has stopped, no other one calls anything."""
        while len(self._ended) < len(self._begun):
            self.wait()

    def check(self) -> None:
        if self._stopped:
            raise Stopped

    def sleep(self, seconds: float) -> None:
        with contextlib.suppress(Empty):
            self._alarm.get(timeout=max(0.0, seconds))
            self._alarm.put(None)  # for the next task
        self.check()


_current: ContextVar[_Crew[Any, Any] | None] = ContextVar("ritual_artifacts_crew", default=None)

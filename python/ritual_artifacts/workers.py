"""Work on several threads at once, all of which have ended when the call returns.

The calling thread reports progress and receives Ctrl-C, so it waits with calls that a signal cannot leave
half done: `queue.SimpleQueue` and a plain lock, both atomic in C. `threading.Event` is Python code, and an
exception raised inside it can leave its lock taken for ever.
"""

import _thread
import contextlib
import threading
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
    once. A task may call this again: its own tasks stop with it, and always have threads of their own,
    because a pool whose threads all wait for further ones would wait for ever.

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
    is_nested = _current.get() is not None
    try:
        crew.start(max_workers, None if is_nested else executor)
        while crew.running:
            crew.wait_for_one(1 / _REPORTS_PER_SECOND)
            check()
            if meter is not None and not crew.errors:
                meter.report()
    except BaseException:
        crew.stop()
        while crew.running:
            crew.wait_for_one(None)
        raise
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

    It is called from another thread, and must wake whatever the task waits for (such as a socket).

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
        running: Threads that have not ended yet.
        interrupts: Calls that wake waiting tasks.
    """

    def __init__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> None:
        self._function = function
        self._waiting = deque(enumerate(items))
        self.results: dict[int, Result] = {}
        self.errors: list[BaseException] = []
        self.running = 0
        self.interrupts: dict[object, Callable[[], object]] = {}
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()
        self._futures: list[Future[None]] = []
        self._stopped = False
        self._latch = threading.Lock()  # held until the crew stops; tasks wait for it
        self._latch.acquire()

    def start(self, max_workers: int, executor: Executor | None) -> None:
        for _ in range(min(max_workers, len(self._waiting))):
            context = copy_context()
            if executor is not None:
                future = executor.submit(context.run, self._work)
                self._futures.append(future)
            else:
                try:
                    _thread.start_new_thread(context.run, (self._work,))
                except RuntimeError:  # the system has no more threads
                    if not self.running:
                        raise
                    return
            self.running += 1

    def _work(self) -> None:
        error: BaseException | None = None
        token = _current.set(self)
        try:
            while not self._stopped:
                try:
                    index, item = self._waiting.popleft()
                except IndexError:
                    break
                self.results[index] = self._function(item)
        except Stopped:
            pass
        except BaseException as failure:  # noqa: BLE001 - the calling thread raises it
            error = failure
        finally:
            _current.reset(token)
            self._ended.put(error)

    def wait_for_one(self, timeout: float | None) -> None:
        """Wait until a thread ends; stop all others when it failed."""
        try:
            error = self._ended.get(timeout=timeout)
        except Empty:
            return
        self.running -= 1
        if error is not None:
            self.errors.append(error)
            self.stop()

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._latch.release()
        for interrupt in list(self.interrupts.values()):
            interrupt()
        for future in self._futures:
            if future.cancel():
                self.running -= 1

    def check(self) -> None:
        if self._stopped:
            raise Stopped

    def sleep(self, seconds: float) -> None:
        if self._latch.acquire(timeout=max(0.0, seconds)):
            self._latch.release()
        self.check()


_current: ContextVar[_Crew[Any, Any] | None] = ContextVar("ritual_artifacts_crew", default=None)

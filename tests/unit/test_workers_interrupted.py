"""`workers.each` is interrupted between any two instructions: it never hangs, and leaves no task at work."""

import _thread
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from ritual_artifacts import events, workers
from ritual_artifacts.events import Progress, ProgressMeter
from ritual_artifacts.workers import each

FOR_EVER = 1000.0
OURS = {workers.__file__, events.__file__, contextlib.__file__}

pytestmark = pytest.mark.timeout(250)


class Interrupter:
    """Raises KeyboardInterrupt at the `at`-th instruction of our own code that a call runs on this thread.

    The code of thread pools is left out: it takes locks, and one may stay taken. (A real signal is not
    handled at every instruction, and in that code not where it would matter.)

    Attributes:
        happened: Whether the call ran that far.
        seen: Instructions that were run.
    """

    def __init__(self, at: int, last_wait: int | None = None) -> None:
        """Set the instruction; or, by `last_wait`, the call of `_Crew.wait` with which to interrupt."""
        self._at = at
        self._waits_left = last_wait
        self.seen = 0
        self.happened = False

    def call(self, function: Callable[[], object]) -> None:
        previous = sys.gettrace()
        sys.settrace(self._trace)
        try:
            function()
        except KeyboardInterrupt:
            self.happened = True
        finally:
            sys.settrace(previous)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in OURS:
            return None
        frame.f_trace_opcodes = True
        if event == "call" and frame.f_code is workers._Crew.wait.__code__ and self._waits_left is not None:
            self._waits_left -= 1
            if self._waits_left == 0:
                raise KeyboardInterrupt
        if event == "opcode":
            self.seen += 1
            if self.seen == self._at:
                raise KeyboardInterrupt
        return self._trace


class Work:
    """Tasks, and which of them are running."""

    def __init__(self) -> None:
        self.begun: list[object] = []
        self.ended: list[object] = []

    def task(self, how: Callable[[], object]) -> None:
        self.begun.append(how)
        try:
            how()
        finally:
            self.ended.append(how)


def end_at_once() -> None:
    pass


def fail() -> None:
    message = "on purpose"
    raise ValueError(message)


def sleep_for_ever() -> None:
    workers.sleep(FOR_EVER)


def wait_for_ever() -> None:
    woken = threading.Event()
    with workers.stopped_by(woken.set):
        woken.wait(FOR_EVER)


def check_for_ever() -> None:
    while True:
        workers.check()
        time.sleep(0.001)


# Two of the five end, so that the calling thread waits twice without losing time.
ENDLESS = [sleep_for_ever, wait_for_ever, check_for_ever, end_at_once, end_at_once]


@pytest.fixture(params=["threads of its own", "a thread pool"])
def executor(request: pytest.FixtureRequest) -> Iterator[ThreadPoolExecutor | None]:
    if request.param == "threads of its own":
        yield None
        return
    with ThreadPoolExecutor(5) as pool:
        for _ in range(5):
            pool.submit(time.sleep, 0.01)  # all of its threads are there
        yield pool


def interrupt_at(
    interrupter: Interrupter, tasks: list[Callable[[], None]], executor: ThreadPoolExecutor | None
) -> None:
    """Run the tasks, and check that none of them is at work, or begins, after the interrupt."""
    work = Work()
    reports: list[Progress] = []
    meter = ProgressMeter(reports.append, "test", 100)

    def run() -> None:
        with contextlib.suppress(ValueError):
            each(work.task, tasks, max_workers=5, executor=executor, meter=meter)

    before = time.monotonic()
    interrupter.call(run)

    assert len(work.ended) == len(work.begun)
    assert time.monotonic() - before < 30
    begun = len(work.begun)
    if executor is not None:
        executor.submit(end_at_once).result()  # what still waits in the pool comes first
    assert len(work.begun) == begun


@pytest.mark.parametrize(
    "tasks",
    [[end_at_once] * 4, [end_at_once, fail, sleep_for_ever, end_at_once]],
    ids=["all succeed", "one fails"],
)
def test_an_interrupt_at_any_instruction_of_a_call_that_ends(
    tasks: list[Callable[[], None]], executor: ThreadPoolExecutor | None
) -> None:
    at, missed = 0, 0
    while missed < 100:  # the number of instructions differs a little from run to run
        at += 1
        interrupter = Interrupter(at)
        interrupt_at(interrupter, tasks, executor)
        missed = 0 if interrupter.happened else missed + 1

    assert at > 300


def test_an_interrupt_at_any_instruction_of_a_call_that_would_wait_for_ever(
    executor: ThreadPoolExecutor | None,
) -> None:
    whole = Interrupter(0, last_wait=3)
    interrupt_at(whole, ENDLESS, executor)
    assert whole.seen > 300

    for at in range(1, whole.seen):
        interrupter = Interrupter(at)
        interrupt_at(interrupter, ENDLESS, executor)
        assert interrupter.happened


@pytest.fixture
def default_interrupt() -> Iterator[None]:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("default_interrupt")
def test_the_first_interrupt_waits_for_the_tasks_and_a_second_one_does_not() -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()
    stopped = threading.Event()

    def ignore_the_stop() -> None:
        with workers.stopped_by(stopped.set):
            begun.set()
            release.wait(60)
        ended.set()

    def interrupt_twice() -> None:
        begun.wait(30)
        _thread.interrupt_main()
        stopped.wait(30)
        time.sleep(0.2)
        after_the_first.append(ended.is_set())
        _thread.interrupt_main()

    after_the_first: list[bool] = []
    user = threading.Thread(target=interrupt_twice)
    user.start()

    with pytest.raises(KeyboardInterrupt):
        each(lambda work: work(), [ignore_the_stop], max_workers=1)

    user.join()
    assert after_the_first == [False]
    assert stopped.is_set()
    assert not ended.is_set()
    release.set()
    assert ended.wait(30)

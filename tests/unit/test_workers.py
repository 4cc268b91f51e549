"""`workers.each`: results in order, the first error, and no thread at work after the call.

That an interrupt may come between any two instructions has a file of its own, `test_workers_interrupted.py`.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from ritual_artifacts import workers
from ritual_artifacts.events import Progress, ProgressMeter
from ritual_artifacts.workers import Stopped, each

FOR_EVER = 1000.0

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=["threads of its own", "a thread pool"])
def executor(request: pytest.FixtureRequest) -> Iterator[ThreadPoolExecutor | None]:
    if request.param == "threads of its own":
        yield None
        return
    with ThreadPoolExecutor(3) as pool:
        yield pool


def fail(message: str = "on purpose") -> None:
    raise ValueError(message)


def test_results_are_in_the_order_of_the_items(executor: ThreadPoolExecutor | None) -> None:
    def double(number: int) -> int:
        time.sleep(0.01 * (5 - number))
        return 2 * number

    assert each(double, range(5), max_workers=3, executor=executor) == [0, 2, 4, 6, 8]
    assert each(double, [], max_workers=3, executor=executor) == []


def test_no_more_calls_run_at_once_than_asked_for(executor: ThreadPoolExecutor | None) -> None:
    lock = threading.Lock()
    peaks: list[int] = []
    now = 0

    def work(_: int) -> None:
        nonlocal now
        with lock:
            now += 1
            peaks.append(now)
        time.sleep(0.02)
        with lock:
            now -= 1

    each(work, range(8), max_workers=2, executor=executor)

    assert max(peaks) == 2


def test_a_thread_pool_does_the_work_where_one_is_given() -> None:
    with ThreadPoolExecutor(2, thread_name_prefix="mine") as pool:
        names = each(lambda _: threading.current_thread().name, range(4), max_workers=2, executor=pool)

    assert all(name.startswith("mine") for name in names)


def test_tasks_see_the_context_variables_of_the_caller(executor: ThreadPoolExecutor | None) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")
    variable.set("the caller's")

    assert each(lambda _: variable.get(), range(2), max_workers=2, executor=executor) == ["the caller's"] * 2


# --- errors ---


def test_the_first_error_is_raised_and_the_others_are_stopped_and_joined(
    executor: ThreadPoolExecutor | None,
) -> None:
    both = threading.Barrier(2, timeout=30)
    ended: list[str] = []

    def work(name: str) -> None:
        both.wait()
        if name == "fails":
            fail()
        try:
            workers.sleep(FOR_EVER)
        except Stopped:
            time.sleep(0.1)
            ended.append(name)
            raise

    with pytest.raises(ValueError, match="on purpose"):
        each(work, ["sleeps", "fails"], max_workers=2, executor=executor)

    assert ended == ["sleeps"]


def test_the_first_of_several_errors_is_raised() -> None:
    def work(number: int) -> None:
        if number == 0:
            fail("first")
        try:
            workers.sleep(FOR_EVER)
        finally:
            fail("second")

    with pytest.raises(ValueError, match="first"):
        each(work, range(2), max_workers=2)


def test_no_further_call_begins_after_an_error(executor: ThreadPoolExecutor | None) -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        fail()

    with pytest.raises(ValueError, match="on purpose"):
        each(work, range(100), max_workers=1, executor=executor)

    assert begun == [0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_even_an_error_that_is_no_exception_is_raised_by_the_caller(error: type[BaseException]) -> None:
    def work(_: int) -> None:
        raise error

    with pytest.raises(error):
        each(work, range(2), max_workers=2)


def test_a_task_that_ends_itself_is_an_error() -> None:
    def work(_: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        each(work, range(2), max_workers=2)


def test_a_pool_that_cannot_run_the_work_is_an_error() -> None:
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        each(str, [1], max_workers=1, executor=closed)

    with ThreadPoolExecutor(1) as busy:
        release = threading.Event()
        busy.submit(release.wait)

        def end() -> None:
            busy.shutdown(wait=False, cancel_futures=True)
            release.set()

        threading.Timer(0.2, end).start()
        with pytest.raises(CancelledError):
            each(str, [1], max_workers=1, executor=busy)

    with ProcessPoolExecutor(1) as processes, pytest.raises(TypeError, match="pickle"):
        each(str, [1], max_workers=1, executor=processes)


# --- waking tasks ---


def test_a_stop_is_seen_by_check() -> None:
    begun = threading.Event()

    def work(name: str) -> None:
        if name == "fails":
            begun.wait(30)
            fail()
        begun.set()
        while True:
            workers.check()
            time.sleep(0.001)

    with pytest.raises(ValueError, match="on purpose"):
        each(work, ["works", "fails"], max_workers=2)


def test_a_stop_wakes_every_task_that_sleeps() -> None:
    woken: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            time.sleep(0.1)
            fail()
        try:
            workers.sleep(FOR_EVER)
        except Stopped:
            woken.append(number)
            raise

    with pytest.raises(ValueError, match="on purpose"):
        each(work, range(4), max_workers=4)

    assert sorted(woken) == [0, 1, 2]


def test_sleeping_takes_as_long_as_asked_for() -> None:
    def work(seconds: float) -> float:
        before = time.monotonic()
        workers.sleep(seconds)
        return time.monotonic() - before

    took = [*each(work, [-1.0, 0.0, 0.1], max_workers=3), work(0.1)]

    assert took[2] >= 0.09
    assert took[3] >= 0.09


def test_a_stop_calls_the_interrupt_of_a_task_inside_its_block() -> None:
    inside, woken = threading.Barrier(2, timeout=30), threading.Event()

    def work(name: str) -> None:
        if name == "fails":
            inside.wait()
            fail()
        with workers.stopped_by(lambda: fail("and its errors are ignored")):
            pass
        with workers.stopped_by(woken.set), workers.stopped_by(lambda: fail("these too")):
            inside.wait()
            assert woken.wait(30)
            workers.check()

    with pytest.raises(ValueError, match="on purpose"):
        each(work, ["waits", "fails"], max_workers=2)

    assert woken.is_set()


def test_a_block_that_was_left_is_not_interrupted() -> None:
    left, interrupted = threading.Barrier(2, timeout=30), []

    def work(name: str) -> None:
        if name == "fails":
            left.wait()
            fail()
        with workers.stopped_by(lambda: interrupted.append(name)):
            pass
        left.wait()
        workers.sleep(FOR_EVER)

    with pytest.raises(ValueError, match="on purpose"):
        each(work, ["leaves", "fails"], max_workers=2)

    assert interrupted == []


def test_a_task_that_is_to_end_enters_no_block() -> None:
    entered: list[str] = []

    def work(name: str) -> None:
        if name == "fails":
            fail()
        try:
            workers.sleep(FOR_EVER)
        except Stopped:
            with workers.stopped_by(lambda: None):
                entered.append(name)

    with pytest.raises(ValueError, match="on purpose"):
        each(work, ["waits", "fails"], max_workers=2)

    assert entered == []


def test_outside_a_task_nothing_is_stopped() -> None:
    workers.check()
    workers.sleep(0)
    with workers.stopped_by(fail):
        pass


# --- one inside another ---


def test_an_inner_call_does_not_wait_for_the_pool_that_its_own_task_is_in() -> None:
    with ThreadPoolExecutor(1) as pool:

        def outer(number: int) -> list[int]:
            return each(lambda inner: 10 * number + inner, range(2), max_workers=2, executor=pool)

        assert each(outer, range(3), max_workers=3, executor=pool) == [[0, 1], [10, 11], [20, 21]]


def test_a_stop_of_the_outer_call_ends_the_inner_ones() -> None:
    asleep = threading.Barrier(3, timeout=30)
    ended: list[int] = []

    def inner(number: int) -> None:
        asleep.wait()
        try:
            workers.sleep(FOR_EVER)
        finally:
            ended.append(number)

    def outer(name: str) -> None:
        if name == "fails":
            asleep.wait()
            fail()
        each(inner, range(2), max_workers=2)

    with pytest.raises(ValueError, match="on purpose"):
        each(outer, ["nests", "fails"], max_workers=2)

    assert sorted(ended) == [0, 1]


# --- the meter ---


def test_the_meter_reports_on_the_calling_thread_alone_and_adds_up(
    executor: ThreadPoolExecutor | None,
) -> None:
    reports: list[Progress] = []
    threads: set[int] = set()

    def note(progress: Progress) -> None:
        reports.append(progress)
        threads.add(threading.get_ident())

    meter = ProgressMeter(note, "test", 200, 4)

    def inner(_: int) -> None:
        meter.advance(5)
        time.sleep(0.01)

    def work(_: int) -> None:
        each(inner, range(10), max_workers=2, meter=meter)  # whose calling thread is not the meter's
        meter.advance(0, files=1)

    each(work, range(4), max_workers=2, executor=executor, meter=meter)

    assert threads == {threading.get_ident()}
    assert reports[0] == Progress("test", 0, 200, 0, 4)
    assert reports[-1] == Progress("test", 200, 200, 4, 4)
    assert len(reports) > 2


def test_an_exception_of_the_callback_stops_the_work() -> None:
    ended: list[str] = []

    def complain(progress: Progress) -> None:
        if progress.bytes_done:
            raise KeyboardInterrupt

    meter = ProgressMeter(complain, "test", 10**9)

    def work(_: int) -> None:
        meter.advance(1)
        try:
            workers.sleep(FOR_EVER)
        finally:
            ended.append("ended")

    with pytest.raises(KeyboardInterrupt):
        each(work, range(2), max_workers=2, meter=meter)

    assert ended == ["ended"] * 2


def test_the_counts_never_exceed_the_totals() -> None:
    reports: list[Progress] = []
    meter = ProgressMeter(reports.append, "test", 10, 3)

    each(lambda _: meter.advance(8, files=2), range(2), max_workers=2, meter=meter)
    meter.finish()

    assert reports[-1] == Progress("test", 10, 10, 3, 3)
    assert all(r.bytes_done <= r.bytes_total and r.files_done <= r.files_total for r in reports)


def test_a_meter_that_finishes_counts_the_rest() -> None:
    reports: list[Progress] = []

    ProgressMeter(reports.append, "test", 10, 3).finish()

    assert reports == [Progress("test", 0, 10, 0, 3), Progress("test", 10, 10, 3, 3)]

"""The context of a call: made once from the environment, and passed down."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError

import pytest

from ritual_artifacts.context import DEFAULT_STREAMS, Clock, Context, RetryPolicy, SystemClock
from ritual_artifacts.errors import ArtifactError
from ritual_artifacts.events import Progress
from ritual_artifacts.settings import Settings


def test_a_context_keeps_what_the_environment_said_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "3")
    monkeypatch.setenv("RITUAL_RETRY_WAIT", "0.25")
    context = Context.create()

    monkeypatch.setenv("RITUAL_MAX_WORKERS", "5")
    monkeypatch.setenv("RITUAL_RETRY_WAIT", "7")

    assert (context.streams, context.settings.max_workers, context.retry.first_wait) == (3, 3, 0.25)
    assert Context.create().streams == 5


def test_without_settings_the_defaults_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RITUAL_RETRY_WAIT", raising=False)

    context = Context.create()

    assert context.streams == DEFAULT_STREAMS
    assert context.retry == RetryPolicy()
    assert (context.progress, context.executor) == (None, None)


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_RETRY_WAIT", "soon")

    with pytest.raises(ArtifactError, match="RITUAL_RETRY_WAIT"):
        Context.create()


def test_a_context_does_not_change() -> None:
    context = Context(settings=Settings())

    with pytest.raises(FrozenInstanceError):
        context.retry = RetryPolicy()  # type: ignore[misc]  # which is the point


def test_a_meter_reports_to_the_callers_callback() -> None:
    reports: list[Progress] = []

    context = Context.create(progress=reports.append)
    context.meter("hash", 10, 2).advance(4, files=1)

    assert reports == [Progress("hash", 0, 10, 0, 2), Progress("hash", 4, 10, 1, 2)]


@pytest.mark.parametrize(("setting", "given", "expected"), [("2", None, 2), ("2", 1, 1), ("1", 3, 3)])
def test_tasks_run_on_as_many_threads_as_asked_for_or_set(
    setting: str, given: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RITUAL_MAX_WORKERS", setting)
    threads: set[int] = set()
    all_here = threading.Barrier(expected, timeout=30)

    def work(_: int) -> None:
        threads.add(threading.get_ident())
        all_here.wait()

    Context.create().each(work, range(expected), max_workers=given)

    assert len(threads) == expected


def test_tasks_run_in_the_callers_thread_pool() -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        names = Context.create(executor=pool).each(lambda _: threading.current_thread().name, range(3))

    assert all(name.startswith("mine") for name in names)


def test_the_clock_of_this_machine_goes_on_and_sleeps() -> None:
    clock: Clock = SystemClock()
    before, wall = clock.monotonic(), time.time()

    clock.sleep(0.02)

    assert clock.monotonic() - before >= 0.015
    assert abs(clock.time() - wall) < 60


def test_a_sleep_inside_a_task_ends_with_the_task() -> None:
    context = Context.create()
    asleep = threading.Event()

    def work(name: str) -> None:
        if name == "fails":
            asleep.wait(30)
            message = "on purpose"
            raise ValueError(message)
        asleep.set()
        context.clock.sleep(1000)

    before = time.monotonic()
    with pytest.raises(ValueError, match="on purpose"):
        context.each(work, ["sleeps", "fails"], max_workers=2)
    assert time.monotonic() - before < 30

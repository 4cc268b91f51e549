"""Jobs on threads: results in order, errors and Ctrl-C at once, and no change after the end."""

import threading
import time
from collections.abc import Callable

import pytest

from ritual_artifacts.events import Progress, ProgressMeter
from ritual_artifacts.workers import Job, Stopped, run_jobs

SILENT = ProgressMeter(None, "test", 0)


def test_results_come_in_the_order_of_the_jobs() -> None:
    def work(number: int) -> Callable[[Job], int]:
        def job(_: Job) -> int:
            time.sleep(0.01 * (5 - number))
            return number

        return job

    assert run_jobs([work(n) for n in range(5)], max_workers=3, meter=SILENT) == [0, 1, 2, 3, 4]


def test_without_jobs_there_is_nothing_to_do() -> None:
    assert run_jobs([], max_workers=3, meter=SILENT) == []


def test_no_more_jobs_run_at_once_than_asked_for() -> None:
    running: list[int] = []
    peaks: list[int] = []

    def job(_: Job) -> None:
        running.append(1)
        peaks.append(len(running))
        time.sleep(0.02)
        running.pop()

    run_jobs([job] * 8, max_workers=2, meter=SILENT)

    assert max(peaks) == 2


def test_progress_is_reported_in_the_calling_thread_and_adds_up() -> None:
    reports: list[Progress] = []
    threads: set[int] = set()

    def note(progress: Progress) -> None:
        reports.append(progress)
        threads.add(threading.get_ident())

    def job(member: Job) -> None:
        for _ in range(10):
            member.advance(5)
            time.sleep(0.01)

    run_jobs([job] * 2, max_workers=2, meter=ProgressMeter(note, "test", 100))

    assert threads == {threading.get_ident()}
    assert reports[-1].bytes_done == 100
    assert len(reports) > 2


def test_an_error_stops_the_other_jobs_and_is_raised() -> None:
    stopped = threading.Event()

    def fail(_: Job) -> None:
        message = "on purpose"
        raise ValueError(message)

    def go_on(member: Job) -> None:
        try:
            while True:
                with member.step():
                    time.sleep(0.001)
        except Stopped:
            stopped.set()
            raise

    with pytest.raises(ValueError, match="on purpose"):
        run_jobs([go_on, fail], max_workers=2, meter=SILENT)

    assert stopped.wait(5)


def test_jobs_that_wait_are_not_started_after_an_error() -> None:
    started: list[int] = []

    def fail(_: Job) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs([fail, lambda _: started.append(1)], max_workers=1, meter=SILENT)

    assert started == []


def test_what_the_meter_raises_ends_the_jobs() -> None:
    def complain(progress: Progress) -> None:
        if progress.bytes_done:
            raise KeyboardInterrupt

    def job(member: Job) -> None:
        while True:
            member.advance(1)
            time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        run_jobs([job], max_workers=1, meter=ProgressMeter(complain, "test", 10**9))


def test_a_job_that_hangs_does_not_keep_the_caller_and_changes_nothing_afterwards() -> None:
    release, ended = threading.Event(), threading.Event()
    changes: list[str] = []

    def hang(member: Job) -> None:
        try:
            release.wait()
            with member.step():
                changes.append("too late")
        finally:
            ended.set()

    def fail(_: Job) -> None:
        message = "on purpose"
        raise ValueError(message)

    with pytest.raises(ValueError, match="on purpose"):
        run_jobs([hang, fail], max_workers=2, meter=SILENT)
    release.set()

    assert ended.wait(5)
    assert changes == []


def test_the_end_waits_for_the_step_that_is_being_taken() -> None:
    inside = threading.Event()
    done: list[str] = []

    def step(member: Job) -> None:
        with member.step():
            inside.set()
            time.sleep(0.1)
            done.append("step")

    def fail(_: Job) -> None:
        inside.wait()
        message = "on purpose"
        raise ValueError(message)

    with pytest.raises(ValueError, match="on purpose"):
        run_jobs([step, fail], max_workers=2, meter=SILENT)

    assert done == ["step"]


def test_files_are_counted_and_never_more_than_there_are() -> None:
    reports: list[Progress] = []
    meter = ProgressMeter(reports.append, "test", 10, 3)

    run_jobs([lambda member: member.advance(5, files=2)] * 2, max_workers=2, meter=meter)
    meter.finish()

    assert reports[0] == Progress("test", 0, 10, 0, 3)
    assert reports[-1] == Progress("test", 10, 10, 3, 3)
    assert all(report.files_done <= report.files_total for report in reports)


def test_what_nobody_counted_is_counted_at_the_end() -> None:
    reports: list[Progress] = []

    ProgressMeter(reports.append, "test", 10, 3).finish()

    assert reports == [Progress("test", 0, 10, 0, 3), Progress("test", 10, 10, 3, 3)]

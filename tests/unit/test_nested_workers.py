"""Tasks that start tasks of their own: these stop with the outer ones, and never wait for a busy pool."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ritual_artifacts import workers

SOON = 5.0


def test_a_nested_task_stops_when_another_outer_task_fails() -> None:
    sleeping, ended = threading.Event(), threading.Event()

    def sleep(_: int) -> None:
        sleeping.set()
        try:
            workers.sleep(60)
        finally:
            ended.set()

    def work(number: int) -> None:
        if number:
            assert sleeping.wait(SOON)
            message = "failed"
            raise KeyError(message)
        workers.each(sleep, [0], max_workers=1)

    started = time.monotonic()
    with pytest.raises(KeyError, match="failed"):
        workers.each(work, [0, 1], max_workers=2)

    assert ended.is_set()
    assert time.monotonic() - started < SOON


def test_nested_tasks_do_not_wait_for_the_pool_of_the_outer_ones() -> None:
    def work(number: int) -> list[int]:
        return workers.each(lambda each: each + number, [10, 20], max_workers=2, executor=pool)

    with ThreadPoolExecutor(2) as pool:
        results = workers.each(work, [1, 2], max_workers=2, executor=pool)

    assert results == [[11, 21], [12, 22]]

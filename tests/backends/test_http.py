"""Retries, and reads that end when nobody needs their bytes; against sockets of the test's own."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from ritual_artifacts import workers
from ritual_artifacts.backends.http import Retries, interruptible, retry_after
from ritual_artifacts.context import Context, RetryPolicy
from ritual_artifacts.errors import TransferError
from ritual_artifacts.settings import load_settings


@dataclass
class StoppedClock:
    """A clock that notes pauses instead of making them."""

    pauses: list[float] = field(default_factory=list)

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def retries(clock: StoppedClock) -> Retries:
    return Retries("asking", Context(settings=load_settings(), clock=clock))


def fail_always(retries: Retries, retry_after: float | None = None) -> None:
    while True:
        retries.wait("no", retry_after)


def test_pauses_grow_until_it_is_enough(retries: Retries, clock: StoppedClock) -> None:
    with pytest.raises(TransferError, match="asking: no, 6 times in a row") as caught:
        fail_always(retries)

    assert caught.value.retryable
    assert len(clock.pauses) == 5
    for pause, step in zip(clock.pauses, (0.5, 1, 2, 4, 8), strict=True):
        assert 0.7 * step < pause < 1.3 * step


def test_the_policy_says_how_often_and_how_long(clock: StoppedClock) -> None:
    policy = RetryPolicy(max_attempts=3, first_wait=100.0, longest_step=1.0)

    with pytest.raises(TransferError, match="3 times in a row"):
        fail_always(Retries("asking", Context(settings=load_settings(), clock=clock, retry=policy)))

    assert len(clock.pauses) == 2
    assert max(clock.pauses) < 1.3


def test_a_server_that_cannot_be_reached_gets_fewer_attempts(retries: Retries, clock: StoppedClock) -> None:
    retries.wait_after(httpx2.ConnectError("refused"))
    retries.wait_after(httpx2.ConnectError("refused"))

    with pytest.raises(TransferError, match=r"cannot connect to the server \(refused\), 3 times in a row"):
        retries.wait_after(httpx2.ConnectError("refused"))

    assert len(clock.pauses) == 2


def test_a_server_that_asks_for_no_pause_does_not_get_all_attempts_at_once(
    retries: Retries, clock: StoppedClock
) -> None:
    with pytest.raises(TransferError):
        fail_always(retries, retry_after=0)

    assert sum(clock.pauses) > 10


def test_a_server_that_asks_for_a_pause_gets_it(retries: Retries, clock: StoppedClock) -> None:
    retries.wait("busy", retry_after=42)

    assert clock.pauses == [42]


def test_a_server_that_asks_for_too_long_a_pause_ends_it(retries: Retries, clock: StoppedClock) -> None:
    with pytest.raises(TransferError, match="asks to wait 3600 seconds"):
        retries.wait("busy", retry_after=3600)

    assert not clock.pauses


def test_progress_starts_the_count_again(retries: Retries, clock: StoppedClock) -> None:
    for _ in range(20):
        retries.wait("no")
        retries.reset()

    assert max(clock.pauses) < 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_a_pause_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    response = httpx2.Response(503, headers=[(b"Retry-After", value.encode())])

    assert retry_after(response, now=60.0) == seconds


@contextmanager
def stalling_server() -> Iterator[str]:
    """Serve one answer whose body stops in the middle."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        release = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n12345")
                release.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            release.set()
            thread.join()


def test_a_read_that_waits_ends_when_another_task_fails() -> None:
    is_reading = threading.Event()
    ended: list[type[BaseException]] = []

    def read(url: str) -> None:
        try:
            with (
                httpx2.Client(timeout=60) as client,
                client.stream("GET", url) as response,
                interruptible(response),
            ):
                for _ in response.iter_raw():
                    is_reading.set()
        except BaseException as error:
            ended.append(type(error))
            raise

    def fail(_: str) -> None:
        is_reading.wait(60)
        raise TransferError("the other task failed")  # noqa: EM101, TRY003 - a test's own

    with stalling_server() as url:
        started = time.monotonic()
        with pytest.raises(TransferError, match="the other task failed"):
            workers.each(lambda run: run(url), [read, fail], max_workers=2)

    assert ended == [workers.Stopped]
    assert time.monotonic() - started < 30


def test_outside_of_tasks_a_lost_connection_is_the_clients_own_error() -> None:
    with (
        stalling_server() as url,
        httpx2.Client(timeout=0.2) as client,
        client.stream("GET", url) as response,
        pytest.raises(httpx2.ReadTimeout),
        interruptible(response),
    ):
        response.read()

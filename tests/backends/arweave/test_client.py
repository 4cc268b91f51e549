"""The HTTP client: a request whose task is to stop ends at once, and connections close with the session."""

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from ritual_artifacts import workers
from ritual_artifacts.backends.arweave.client import HttpClient
from tests.servers import faults
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import g2, publish
from tests.servers.arweave.signing import Key
from tests.servers.faults import Fault

TIMEOUT = 30.0
SOON = 5.0


def hang(reached: threading.Event) -> Fault:
    """Take a request and answer nothing."""
    return replace(faults.hang(), act=lambda _: reached.set())


def stop_while(read: Callable[[], object], reached: threading.Event) -> float:
    """Return how many seconds a task that reads takes to end once another one has failed."""
    failed: list[float] = []

    def work(is_reader: bool) -> object:  # noqa: FBT001 - an item
        if is_reader:
            return read()
        assert reached.wait(SOON)
        failed.append(time.monotonic())
        message = "failed"
        raise KeyError(message)

    with pytest.raises(KeyError, match="failed"):
        workers.each(work, [True, False], max_workers=2)
    return time.monotonic() - failed[0]


@pytest.mark.parametrize("is_reused", [False, True], ids=["new connection", "reused connection"])
def test_a_task_that_waits_for_an_answer_ends_at_once(arweave_node: ArweaveNode, *, is_reused: bool) -> None:
    client, reached = HttpClient(TIMEOUT, 2), threading.Event()

    def read() -> int:
        with client.send("GET", f"{arweave_node.url}/info", headers={}) as response:
            return len(response.read())

    if is_reused:
        assert read() > 0
    arweave_node.faults.add("/info", hang(reached))

    assert stop_while(read, reached) < SOON


def test_a_task_that_waits_for_a_body_ends_at_once(arweave_node: ArweaveNode, wallet: Key) -> None:
    name = publish(arweave_node, wallet, g2(300_000))
    client, reached = HttpClient(TIMEOUT, 2), threading.Event()
    arweave_node.faults.add(f"/raw/{name}", faults.stall(after=100_000))

    def read() -> None:
        with client.send("GET", f"{arweave_node.url}/raw/{name}", headers={}) as response:
            for _ in response.iter_raw():
                reached.set()

    assert stop_while(read, reached) < SOON


def test_connections_work_again_after_a_task_was_stopped(arweave_node: ArweaveNode) -> None:
    client, reached = HttpClient(TIMEOUT, 2), threading.Event()

    def read() -> int:
        with client.send("GET", f"{arweave_node.url}/info", headers={}) as response:
            response.read()
            return response.status_code

    arweave_node.faults.add("/info", hang(reached), times=1)
    stop_while(read, reached)

    assert [read() for _ in range(3)] == [200, 200, 200]


def test_connections_close_when_nothing_uses_the_client() -> None:
    client = HttpClient(TIMEOUT, 2)
    inner = client._client
    assert not inner.is_closed

    del client
    gc.collect()

    assert inner.is_closed


def test_a_request_waits_for_its_turn_as_long_as_it_takes() -> None:
    timeout = HttpClient(5.0, 1)._client.timeout

    assert timeout.pool is None
    assert timeout.read == 5.0

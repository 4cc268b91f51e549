"""Many requests at once, waiting, and who has sent what."""

import random
import threading
import time
import tracemalloc

import pytest

from ritual_artifacts.backends.arweave import network
from ritual_artifacts.backends.arweave.gateway import Gateway, make_client
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.options import make_connection
from ritual_artifacts.backends.arweave.reader import DataReader
from ritual_artifacts.backends.arweave.repository import Repositories
from ritual_artifacts.backends.arweave.routes import BY_CHUNKS, Route, Senders
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, NotFinalizedError
from tests.backends.arweave.conftest import Client
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.encoding import b64
from tests.servers.arweave.publish import g2, publish, publish_ritual_repo
from tests.servers.faults import Fault
from tests.servers.replies import Call

CHUNK = 262_144
WORKERS = 4


class Crowd:
    """Counts how many requests there are at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0

    def fault(self) -> Fault:
        return Fault(act=self._meet)

    def _meet(self, _: Call) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        with self._lock:
            self._now -= 1


@pytest.fixture
def gateways(client: Client) -> Network:
    return Network(make_connection(client.connection))


@pytest.fixture
def reader(gateways: Network) -> DataReader:
    return DataReader(gateways, max_workers=WORKERS)


# --- many requests ------------------------------------------------------------------------------------------


def test_lost_chunks_are_looked_for_several_at_a_time(client: Client, reader: DataReader) -> None:
    name = publish(client.node, client.wallet, g2(9 * CHUNK + 1000))
    client.node.lose_chunks(name, [0, 3 * CHUNK, 8 * CHUNK])
    crowd = Crowd()
    client.node.faults.add("*", crowd.fault(), kind="chunk")

    lost = reader.find_lost_chunks(reader.read_by_id(name))

    assert lost == [0, 3, 8]
    assert crowd.most == WORKERS


def test_of_no_data_no_chunk_is_lost(client: Client, reader: DataReader) -> None:
    name = publish(client.node, client.wallet, b"")

    assert reader.find_lost_chunks(reader.read_by_id(name)) == []


def test_a_chunk_that_nobody_tells_the_truth_about_is_not_called_lost(
    client: Client, reader: DataReader
) -> None:
    name = publish(client.node, client.wallet, g2(5 * CHUNK))
    garbage = faults.change_json(lambda values: values.update(chunk=b64(b"x")))
    client.node.faults.add("*", garbage, kind="chunk", skip=3)

    with pytest.raises(BackendError, match="does not match its proof") as caught:
        reader.find_lost_chunks(reader.read_by_id(name))

    assert not isinstance(caught.value, ArtifactNotFoundError)


def test_sections_are_proven_several_at_a_time(client: Client, gateways: Network, reader: DataReader) -> None:
    content = g2(100_000)
    repo = publish_ritual_repo(client.node, client.wallet, "old", {"w.bin": content}, max_upload_size=10_000)
    crowd = Crowd()
    client.node.faults.add("*", crowd.fault(), kind="tx")
    repositories = Repositories(gateways, reader)
    snapshot = repositories.open(reader.read_by_id(repo.manifest))

    parts = repositories.find_parts(snapshot, "w.bin")

    assert [part.id for part in parts] == list(repo.sections["w.bin"])
    assert crowd.most == WORKERS


def test_a_section_that_is_gone_ends_it(client: Client, gateways: Network, reader: DataReader) -> None:
    files = {"w.bin": g2(100_000)}
    repo = publish_ritual_repo(client.node, client.wallet, "old", files, max_upload_size=10_000)
    gone = repo.sections["w.bin"][7]
    client.node.drop(gone)
    repositories = Repositories(gateways, reader)
    snapshot = repositories.open(reader.read_by_id(repo.manifest))

    with pytest.raises(ArtifactNotFoundError, match=gone):
        repositories.find_parts(snapshot, "w.bin")


# --- waiting ------------------------------------------------------------------------------------------------


@pytest.fixture
def slow_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "POLL_SECONDS", 60.0)


@pytest.mark.usefixtures("slow_polls")
def test_the_last_look_is_when_the_time_is_over(client: Client, gateways: Network) -> None:
    name = publish(client.node, client.wallet, b"1")
    client.node.faults.add("*", node_faults.refuse(202, "Pending"), kind="tx-status", times=1)

    assert gateways.wait_for(name, 1, timeout=0.1).confirmations == 1


@pytest.mark.usefixtures("slow_polls")
def test_after_the_last_look_nobody_waits(client: Client, gateways: Network) -> None:
    name = publish(client.node, client.wallet, b"1", mine=False)

    for timeout, looks in ((0.1, 2), (0.0, 1), (-1.0, 1)):
        client.node.ledger.forget()
        with pytest.raises(NotFinalizedError, match="expected 1"):
            gateways.wait_for(name, 1, timeout=timeout)
        assert client.node.ledger.count("tx-status") == looks


# --- who has sent what --------------------------------------------------------------------------------------


@pytest.fixture
def routes() -> list[Route]:
    client = make_client(1.0, 1)
    client.close()
    return [Route(Gateway(f"http://127.0.0.1:{port}", client), "/raw/{}") for port in range(3)]


def test_who_sent_the_wrong_byte_is_blamed_and_nobody_else(routes: list[Route]) -> None:
    senders = Senders()
    for index, route in enumerate(routes):
        senders.note("name", route, 10 * index, 10 * index + 10)

    assert senders.blame("name", 19, 20)
    assert [senders.is_liar("name", route) for route in routes] == [False, True, False]
    assert not senders.is_liar("other", routes[1])


def test_chunks_prove_themselves(routes: list[Route]) -> None:
    senders = Senders()
    senders.note("name", routes[0], 0, 10)
    senders.note("name", BY_CHUNKS, 10, 20)

    assert not senders.blame("name", 10, 20)
    assert not senders.is_liar("name", BY_CHUNKS)


def test_what_nobody_here_has_sent_is_worth_another_try(routes: list[Route]) -> None:
    senders = Senders()
    senders.note("name", BY_CHUNKS, 10, 20)

    assert senders.blame("name", 9, 20)
    assert senders.blame("other", 0, 1)
    assert not any(senders.is_liar("name", route) for route in routes)


def test_of_no_bytes_none_are_wrong() -> None:
    assert not Senders().blame("name", 0, 0)


def test_routes_that_alternate_for_long_cost_little_memory_and_are_still_found(routes: list[Route]) -> None:
    senders = Senders()
    places = random.Random(1)  # noqa: S311 - test data
    tracemalloc.start()
    try:
        for start in range(100_000):
            senders.note("name", routes[places.randrange(2)], start, start + 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    senders.note("name", routes[2], 100_000, 100_001)

    assert peak < 1 << 20
    assert senders.blame("name", 50_000, 50_001)
    assert senders.is_liar("name", routes[0]) or senders.is_liar("name", routes[1])
    assert not senders.is_liar("name", routes[2])

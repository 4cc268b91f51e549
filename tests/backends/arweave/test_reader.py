"""Many requests at once, waiting, and which gateway sent which bytes."""

import random
import threading
import time
import tracemalloc

import pytest

from ritual_artifacts.backends.arweave.client import HttpClient
from ritual_artifacts.backends.arweave.gateway import Gateway
from ritual_artifacts.backends.arweave.reading.chunks import ChunkReader
from ritual_artifacts.backends.arweave.reading.paths import PathManifest
from ritual_artifacts.backends.arweave.reading.provenance import Provenance
from ritual_artifacts.backends.arweave.reading.routes import BY_CHUNKS, Route
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.context import SystemClock
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
def weave(client: Client) -> Weave:
    client.connection["max_workers"] = WORKERS
    return client.weave()


def chunks_of(weave: Weave, name: str) -> ChunkReader:
    return weave.reader.read_transaction(name).chunks


# --- many requests ------------------------------------------------------------------------------------------


def test_lost_chunks_are_looked_for_several_at_a_time(client: Client, weave: Weave) -> None:
    name = publish(client.node, client.wallet, g2(9 * CHUNK + 1000))
    client.node.lose_chunks(name, [0, 3 * CHUNK, 8 * CHUNK])
    crowd = Crowd()
    client.node.faults.add("*", crowd.fault(), kind="chunk")

    lost = chunks_of(weave, name).find_lost()

    assert lost == [0, 3, 8]
    assert crowd.most == WORKERS


def test_of_no_data_no_chunk_is_lost(client: Client, weave: Weave) -> None:
    name = publish(client.node, client.wallet, b"")

    assert chunks_of(weave, name).find_lost() == []


def test_a_chunk_that_every_gateway_forges_is_not_called_lost(client: Client, weave: Weave) -> None:
    name = publish(client.node, client.wallet, g2(5 * CHUNK))
    garbage = faults.change_json(lambda values: values.update(chunk=b64(b"x")))
    client.node.faults.add("*", garbage, kind="chunk", skip=3)

    with pytest.raises(BackendError, match="does not match its proof") as caught:
        chunks_of(weave, name).find_lost()

    assert not isinstance(caught.value, ArtifactNotFoundError)


def test_sections_are_proven_several_at_a_time(client: Client, weave: Weave) -> None:
    content = g2(100_000)
    repo = publish_ritual_repo(client.node, client.wallet, "old", {"w.bin": content}, max_upload_size=10_000)
    crowd = Crowd()
    client.node.faults.add("*", crowd.fault(), kind="tx")
    manifest = PathManifest(weave.reader, weave.reader.find(repo.manifest))

    parts = manifest.find_parts("w.bin")

    assert [part.id for part in parts] == list(repo.sections["w.bin"])
    assert crowd.most == WORKERS


def test_a_missing_section_is_an_error(client: Client, weave: Weave) -> None:
    files = {"w.bin": g2(100_000)}
    repo = publish_ritual_repo(client.node, client.wallet, "old", files, max_upload_size=10_000)
    gone = repo.sections["w.bin"][7]
    client.node.drop(gone)
    manifest = PathManifest(weave.reader, weave.reader.find(repo.manifest))

    with pytest.raises(ArtifactNotFoundError, match=gone):
        manifest.find_parts("w.bin")


# --- waiting ------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(client: Client) -> Client:
    """Return a client that looks once a minute."""
    client.change_timing(poll_seconds=60.0)
    return client


def test_the_last_look_is_when_the_time_is_over(patient: Client) -> None:
    name = publish(patient.node, patient.wallet, b"1")
    patient.node.faults.add("*", node_faults.refuse(202, "Pending"), kind="tx-status", times=1)

    assert patient.weave().network.wait_for(name, 1, timeout=0.1).confirmations == 1


def test_after_the_last_look_there_is_no_wait(patient: Client) -> None:
    name = publish(patient.node, patient.wallet, b"1", mine=False)

    for timeout, looks in ((0.1, 2), (0.0, 1), (-1.0, 1)):
        patient.node.ledger.forget()
        with pytest.raises(NotFinalizedError, match="expected 1"):
            patient.weave().network.wait_for(name, 1, timeout=timeout)
        assert patient.node.ledger.count("tx-status") == looks


# --- which gateway sent which bytes -------------------------------------------------------------------------


@pytest.fixture
def routes() -> list[Route]:
    client = HttpClient(1.0, 1)
    urls = [f"http://127.0.0.1:{port}" for port in range(3)]
    return [Route(Gateway(url, client, SystemClock()), "/raw/{}") for url in urls]


@pytest.fixture
def provenance() -> Provenance:
    return Provenance("name")


def test_only_the_route_of_the_wrong_byte_is_distrusted(routes: list[Route], provenance: Provenance) -> None:
    for index, route in enumerate(routes):
        provenance.note(route, 10 * index, 10 * index + 10)

    assert provenance.distrust(19, 20)
    assert [provenance.is_distrusted(route) for route in routes] == [False, True, False]


def test_chunks_are_never_distrusted(routes: list[Route], provenance: Provenance) -> None:
    provenance.note(routes[0], 0, 10)
    provenance.note(BY_CHUNKS, 10, 20)

    assert not provenance.distrust(10, 20)
    assert not provenance.is_distrusted(BY_CHUNKS)


def test_bytes_from_an_earlier_process_are_worth_another_try(
    routes: list[Route], provenance: Provenance
) -> None:
    provenance.note(BY_CHUNKS, 10, 20)

    assert provenance.distrust(9, 20)
    assert provenance.distrust(0, 1)
    assert not any(provenance.is_distrusted(route) for route in routes)


def test_of_no_bytes_none_are_wrong(provenance: Provenance) -> None:
    assert not provenance.distrust(0, 0)


def test_routes_that_alternate_for_long_cost_little_memory_and_are_still_found(
    routes: list[Route], provenance: Provenance
) -> None:
    places = random.Random(1)  # noqa: S311 - test data
    tracemalloc.start()
    try:
        for start in range(100_000):
            provenance.note(routes[places.randrange(2)], start, start + 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    provenance.note(routes[2], 100_000, 100_001)

    assert peak < 1 << 20
    assert provenance.distrust(50_000, 50_001)
    assert provenance.is_distrusted(routes[0]) or provenance.is_distrusted(routes[1])
    assert not provenance.is_distrusted(routes[2])

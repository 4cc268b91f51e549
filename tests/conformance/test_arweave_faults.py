"""Every fault of the loopback node does to a plain client what its name says."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.servers import faults
from tests.servers.arweave import faults as arweave_faults
from tests.servers.arweave.encoding import b64
from tests.servers.arweave.merkle import tree_of
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import g2, publish, publish_manifest, sign_transaction
from tests.servers.arweave.signing import Key
from tests.servers.arweave.transactions import Transaction
from tests.servers.faults import Fault
from tests.servers.replies import Call, Reply

DATA = g2(300_000)
QUERY = "{ transactions { edges { node { id owner { address } data { size } tags { name value } } } } }"


@pytest.fixture
def tx_id(arweave_node: ArweaveNode, wallet: Key) -> str:
    return publish(arweave_node, wallet, DATA, {"Name": "data"})


def get(node: ArweaveNode, path: str, **headers: str) -> httpx2.Response:
    return httpx2.get(f"{node.url}{path}", headers=headers, timeout=5)


def find(node: ArweaveNode) -> list[dict[str, Any]]:
    answer = httpx2.post(f"{node.url}/graphql", json={"query": QUERY}).json()
    return [edge["node"] for edge in answer["data"]["transactions"]["edges"]]


def post_chunk(node: ArweaveNode, wallet: Key) -> tuple[Transaction, httpx2.Response]:
    """Post a transaction and its only chunk."""
    node.mint(wallet.address)
    transaction = sign_transaction(node, wallet, b"hello")
    httpx2.post(f"{node.url}/tx", content=transaction.to_bytes())
    chunk = {
        "data_root": transaction.to_json()["data_root"],
        "data_size": "5",
        "data_path": b64(tree_of(b"hello").chunks[0].path),
        "offset": "4",
        "chunk": b64(b"hello"),
    }
    return transaction, httpx2.post(f"{node.url}/chunk", json=chunk)


# --- answers ---


def test_a_rate_limit_tells_when_to_come_back_and_ends(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", arweave_faults.rate_limit(7), skip=1, times=1)

    answers = [get(arweave_node, f"/raw/{tx_id}") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("fault", "status", "error", "kept"),
    [
        (arweave_faults.refuse_chunk("data_root_not_found"), 400, "data_root_not_found", False),
        (arweave_faults.refuse_chunk("disk_full"), 400, "disk_full", False),
        (arweave_faults.not_joined(), 503, "not_joined", False),
        (arweave_faults.refuse(500), 500, "", False),
        (arweave_faults.refuse(500, applied=True), 500, "", True),
        (arweave_faults.accept_temporarily(), 303, "", True),
        (arweave_faults.lose_after_accepting(), 200, "", False),
    ],
)
def test_a_chunk_is_refused_or_kept(
    arweave_node: ArweaveNode, wallet: Key, fault: Fault, status: int, error: str, *, kept: bool
) -> None:
    arweave_node.faults.add("/chunk", fault, kind="post-chunk", times=1)

    transaction, answer = post_chunk(arweave_node, wallet)

    assert (answer.status_code, error in answer.text) == (status, True)
    assert arweave_node.is_complete(transaction.id) == kept
    assert arweave_node.posts_of(transaction.id, status=status) == {4: 1}


@pytest.mark.parametrize("applied", [False, True])
def test_a_post_is_cut_before_or_after_it_is_applied(
    arweave_node: ArweaveNode, wallet: Key, *, applied: bool
) -> None:
    arweave_node.mint(wallet.address)
    arweave_node.faults.add("/tx", faults.drop(applied=applied))
    transaction = sign_transaction(arweave_node, wallet, b"hello")

    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.post(f"{arweave_node.url}/tx", content=transaction.to_bytes(b"hello"))

    assert bool(arweave_node.transactions()) == applied


def test_a_sandbox_is_another_host(arweave_node: ArweaveNode, tx_id: str) -> None:
    fault = arweave_faults.redirect_to_sandbox(arweave_node.sandbox_url)
    arweave_node.faults.add(f"/{tx_id}", fault)

    sent_away = get(arweave_node, f"/{tx_id}")
    followed = httpx2.get(f"{arweave_node.url}/{tx_id}", follow_redirects=True)

    assert sent_away.status_code == 302
    assert sent_away.headers["Location"].startswith("http://localhost:")
    assert followed.content == DATA
    assert {exchange.origin for exchange in arweave_node.ledger.of("data")} == {"node", "sandbox"}


# --- bodies and connections ---


def test_one_bit_is_flipped_whatever_part_is_asked_for(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", faults.flip_bit(at=200_000))

    whole = get(arweave_node, f"/raw/{tx_id}").content
    part = get(arweave_node, f"/raw/{tx_id}", Range="bytes=199999-200001").content
    before = get(arweave_node, f"/raw/{tx_id}", Range="bytes=0-199999").content

    assert [at for at in range(len(DATA)) if whole[at] != DATA[at]] == [200_000]
    assert part == whole[199_999:200_002]
    assert before == DATA[:200_000]


def test_bodies_are_shorter_or_longer_than_the_data(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", faults.short_body(10), times=1)
    short = get(arweave_node, f"/raw/{tx_id}")
    arweave_node.faults.add("/raw/*", faults.long_body(10), times=1)
    long = get(arweave_node, f"/raw/{tx_id}")

    assert (short.content, short.headers["Content-Length"]) == (DATA[:-10], "299990")
    assert (long.content, long.headers["Content-Length"]) == (DATA + bytes(10), "300010")


def test_a_body_is_cut_short_of_its_length(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", faults.cut_after(1000))

    with pytest.raises(httpx2.RemoteProtocolError, match="1000 bytes"):
        get(arweave_node, f"/raw/{tx_id}")


@pytest.mark.parametrize("after", [0, 1000])
def test_a_body_stalls(arweave_node: ArweaveNode, tx_id: str, after: int) -> None:
    arweave_node.faults.add("/raw/*", faults.stall(after))

    with httpx2.stream("GET", f"{arweave_node.url}/raw/{tx_id}", timeout=0.3) as answer:
        blocks = answer.iter_raw()
        got = b"".join(itertools.islice(blocks, 1 if after else 0))
        with pytest.raises(httpx2.ReadTimeout):
            next(blocks)

    assert (answer.status_code, got) == (200, DATA[:after])


def test_an_answer_hangs(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", faults.hang())

    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{arweave_node.url}/raw/{tx_id}", timeout=0.2)


def test_a_body_never_ends(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", faults.endless_body())
    got = 0

    with httpx2.stream("GET", f"{arweave_node.url}/raw/{tx_id}") as answer:
        for block in answer.iter_raw():
            got += len(block)
            if got > 5 * len(DATA):
                break

    assert "Content-Length" not in answer.headers


def test_a_body_is_slow(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", faults.slow(1_000_000))
    start = time.monotonic()

    content = get(arweave_node, f"/raw/{tx_id}").content

    assert content == DATA
    assert time.monotonic() - start > 0.2


def test_a_node_stops_while_clients_read(tmp_path: Path, wallet: Key) -> None:
    with ArweaveNode(tmp_path / "node") as node, ThreadPoolExecutor() as pool:
        node.faults.add("/raw/*", faults.slow(10))
        path = f"/raw/{publish(node, wallet, DATA)}"
        reading = pool.submit(get, node, path)
        while not node.ledger.count("raw"):
            time.sleep(0.01)

        node.stop()

        assert isinstance(reading.exception(5), httpx2.RemoteProtocolError)


def test_a_range_is_ignored(arweave_node: ArweaveNode, tx_id: str) -> None:
    arweave_node.faults.add("/raw/*", faults.ignore_range())

    got = get(arweave_node, f"/raw/{tx_id}", Range="bytes=3-")

    assert (got.status_code, got.content) == (200, DATA)


# --- lies ---


def test_a_gateway_lies_about_what_it_finds(
    arweave_node: ArweaveNode, tx_id: str, wallet: Key, other_wallet: Key
) -> None:
    second = publish(arweave_node, wallet, b"x", {"Name": "other"})
    true = find(arweave_node)

    def lie(fault: Fault) -> list[dict[str, Any]]:
        arweave_node.faults.add("/graphql", fault, times=1)
        return find(arweave_node)

    assert [node["id"] for node in true] == [second, tx_id]
    assert lie(arweave_faults.reverse_edges()) == true[::-1]
    assert lie(arweave_faults.hide_edges()) == []
    owners = {node["owner"]["address"] for node in lie(arweave_faults.lie_about_owner(other_wallet.address))}
    assert owners == {other_wallet.address}
    assert {node["data"]["size"] for node in lie(arweave_faults.lie_about_size(7))} == {"7"}
    tagged = lie(arweave_faults.lie_about_tags({"Name": None, "New": "tag"}))
    assert [node["tags"] for node in tagged] == [[{"name": "New", "value": "tag"}]] * 2
    assert lie(arweave_faults.lie_in_edges(lambda edges: edges * 2)) == true * 2
    assert find(arweave_node) == true


def test_a_gateway_lies_about_a_transaction(
    arweave_node: ArweaveNode, tx_id: str, wallet: Key, other_wallet: Key
) -> None:
    other = publish(arweave_node, wallet, b"x")
    path = f"/tx/{tx_id}"
    arweave_node.faults.add(path, arweave_faults.swap_transaction(arweave_node.transaction(other)), times=1)
    swapped = Transaction.from_json(get(arweave_node, path).json())
    arweave_node.faults.add(path, arweave_faults.lie_in_transaction(owner=other_wallet.owner), times=1)
    forged = Transaction.from_json(get(arweave_node, path).json())

    assert (swapped.id, swapped.is_signed()) == (other, True)
    assert (forged.address, forged.is_signed()) == (other_wallet.address, False)


def test_a_gateway_serves_other_bytes(arweave_node: ArweaveNode, wallet: Key, tx_id: str) -> None:
    manifest = publish_manifest(arweave_node, wallet, {"a": tx_id})
    arweave_node.faults.add(f"/raw/{tx_id}", faults.replace_content(b"other bytes"))
    arweave_node.faults.add(f"/raw/{manifest}", faults.change_json(lambda told: told["paths"].clear()))

    assert get(arweave_node, f"/raw/{tx_id}").content == b"other bytes"
    part = get(arweave_node, f"/raw/{tx_id}", Range="bytes=6-")
    assert (part.content, part.headers["Content-Range"]) == (b"bytes", "bytes 6-10/11")
    assert get(arweave_node, f"/raw/{manifest}").json()["paths"] == {}


def test_a_function_is_a_fault(arweave_node: ArweaveNode, tx_id: str) -> None:
    def tease(call: Call, reply: Reply) -> Reply:
        return Reply(status=reply.status, body=call.method.encode())

    arweave_node.faults.add("/raw/*", Fault(change=tease))

    assert get(arweave_node, f"/raw/{tx_id}").content == b"GET"


def test_a_fault_that_nobody_met_fails_the_test(arweave_node: ArweaveNode) -> None:
    arweave_node.faults.add("/nothing", faults.hang())

    with pytest.raises(AssertionError, match="no request met"):
        arweave_node.check()
    arweave_node.faults.clear()

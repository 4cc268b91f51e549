"""What nodes answer to posts, and how an upload goes on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ritual_artifacts.errors import (
    BackendError,
    InsufficientFundsError,
    TransferError,
)
from ritual_artifacts.settings import load_settings
from tests.backends.arweave.conftest import PLENTY, Client, has_path_manifest, is_published
from tests.backends.sample import Sample
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key
from tests.servers.faults import Fault
from tests.servers.replies import Call, Reply


@pytest.mark.parametrize(
    "fault",
    [
        node_faults.refuse(500, "Internal Server Error"),
        node_faults.refuse(503, "Service Unavailable", retry_after=0),
        node_faults.rate_limit(),
        node_faults.refuse(500, applied=True),
        faults.drop(),
        faults.drop(applied=True),
    ],
    ids=["500", "503", "429", "500 after", "cut", "cut after"],
)
@pytest.mark.parametrize("kind", ["post-tx", "post-chunk", "anchor", "price", "balance"])
def test_temporary_failures_are_retried(
    kind: str, fault: Fault, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.node.faults.add("*", fault, kind=kind, times=2)

    result = client.upload(sample)

    assert result.cost == sum(t.reward for t in client.node.transactions())
    assert is_published(client, sample, tmp_path / "out")


@pytest.mark.parametrize("remembers", [True, False])
def test_a_transaction_that_is_there_already_counts_as_posted(
    client: Client, sample: Sample, tmp_path: Path, *, remembers: bool
) -> None:
    client.node.rules.remembers_posts = remembers
    client.node.faults.add("/tx", node_faults.refuse(503, applied=True), kind="post-tx", times=3)

    client.upload(sample)

    assert len(client.node.transactions()) == 6
    assert is_published(client, sample, tmp_path / "out")


def test_a_node_that_takes_the_rest_after_mining_is_waited_for(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    full = node_faults.refuse_chunk("exceeds_disk_pool_size_limit")
    client.node.faults.add("/chunk", full, kind="post-chunk", skip=1, times=100)

    client.upload(sample)

    assert is_published(client, sample, tmp_path / "out")


@pytest.mark.parametrize("error", ["data_root_not_found", "exceeds_disk_pool_size_limit", "disk_full"])
def test_a_chunk_that_a_node_cannot_take_now_is_posted_again(
    error: str, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.node.faults.add("/chunk", node_faults.refuse_chunk(error), kind="post-chunk", times=2)

    client.upload(sample)

    assert is_published(client, sample, tmp_path / "out")


@pytest.mark.parametrize(
    "error",
    [
        "invalid_json",
        "chunk_too_big",
        "data_path_too_big",
        "offset_too_big",
        "data_size_too_big",
        "offset_field_required",
        "chunk_proof_ratio_not_attractive",
        "invalid_proof",
    ],
)
def test_a_chunk_that_no_node_will_take_ends_the_upload(error: str, client: Client, sample: Sample) -> None:
    client.node.faults.add("/chunk", node_faults.refuse_chunk(error), kind="post-chunk")

    with pytest.raises(BackendError, match=error) as caught:
        client.upload(sample)

    assert not isinstance(caught.value, TransferError)
    assert not has_path_manifest(client)


def test_a_node_that_never_has_room_ends_in_an_error_that_can_be_tried_again(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.node.faults.add("/chunk", node_faults.refuse_chunk("disk_full"), kind="post-chunk", times=60)
    with pytest.raises(TransferError, match="disk_full") as caught:
        client.upload(sample)
    assert caught.value.retryable
    client.node.faults.clear()

    client.upload(sample)

    assert is_published(client, sample, tmp_path / "out")


def test_one_node_that_keeps_a_chunk_for_a_while_is_not_enough(client: Client, sample: Sample) -> None:
    client.node.faults.add("/chunk", node_faults.accept_temporarily(), kind="post-chunk")

    with pytest.raises(TransferError, match="name more gateways"):
        client.upload(sample)


def test_two_nodes_that_keep_a_chunk_for_a_while_are_enough(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample, tmp_path: Path
) -> None:
    second = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    client = Client(arweave_node, second, wallet=wallet)
    for node in (arweave_node, second):
        node.faults.add("/chunk", node_faults.accept_temporarily(), kind="post-chunk")

    client.upload(sample)

    assert {post.offset for post in second.chunk_posts} == {post.offset for post in arweave_node.chunk_posts}
    assert is_published(client, sample, tmp_path / "out")


def test_another_gateway_takes_over(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample, tmp_path: Path
) -> None:
    second = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    client = Client(arweave_node, second, wallet=wallet)
    for kind in ("anchor", "price", "balance", "post-tx", "post-chunk", "tx-status"):
        arweave_node.faults.add("*", node_faults.refuse(503), kind=kind)

    client.upload(sample)
    arweave_node.faults.clear()

    assert is_published(client, sample, tmp_path / "out")


def test_a_refused_transaction_says_why(client: Client, sample: Sample) -> None:
    client.node.faults.add("/tx", node_faults.refuse(400, "Transaction verification failed."), kind="post-tx")

    with pytest.raises(BackendError, match="Transaction verification failed"):
        client.upload(sample)


@pytest.mark.parametrize("status", [402, 410])
def test_a_node_that_says_the_wallet_is_empty_is_understood(
    status: int, client: Client, sample: Sample
) -> None:
    words = "You don't have enough tokens"
    client.node.faults.add("/tx", node_faults.refuse(status, words), kind="post-tx")

    with pytest.raises(InsufficientFundsError, match="cannot pay"):
        client.upload(sample)


def test_an_anchor_that_is_too_old_is_replaced_before_anything_is_paid_twice(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    stale = node_faults.refuse(400, "Invalid anchor (last_tx).")
    client.node.faults.add("/tx", stale, kind="post-tx", times=2)

    result = client.upload(sample)

    assert len(client.node.transactions()) == 6
    assert result.cost == sum(t.reward for t in client.node.transactions())
    assert is_published(client, sample, tmp_path / "out")


def test_a_long_upload_outlives_its_anchor(client: Client, sample: Sample, tmp_path: Path) -> None:
    mined = faults.run(lambda: client.node.mine(60))
    client.node.faults.add("/chunk", mined, kind="post-chunk", times=1)

    client.upload(sample)

    assert is_published(client, sample, tmp_path / "out")
    assert len(client.node.transactions()) == 6


def test_roots_that_a_node_forgets_are_known_again_once_they_are_mined(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    forgotten = faults.run(client.node.forget_roots)
    client.node.faults.add("/chunk", forgotten, kind="post-chunk", times=1)
    with pytest.raises(TransferError, match="data_root_not_found") as caught:
        client.upload(sample)
    assert caught.value.retryable
    client.node.mine()

    result = client.upload(sample, reseed=True)  # small files were inside of what the node has forgotten

    assert len(client.node.transactions()) == 6
    client.node.mine()
    assert client.upload(sample, reseed=True).transaction_id == result.transaction_id
    assert is_published(client, sample, tmp_path / "out")


def test_transactions_that_are_dropped_in_mid_upload_are_signed_again(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    def vanish() -> None:
        for transaction in client.node.transactions():
            if transaction.data_size > 262_144:
                client.node.drop(transaction.id)
        client.node.mine(60, empty=True)

    client.node.faults.add("/chunk", faults.run(vanish), kind="post-chunk", times=1)

    client.upload(sample)

    assert is_published(client, sample, tmp_path / "out")


def test_chunks_lost_while_waiting_for_confirmations_are_posted_again(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.change_timing(recheck_seconds=300.0)  # so that only what waits asks for the status

    def lose() -> None:
        client.node.mine(3)
        for transaction in client.node.transactions():
            client.node.lose_chunks(transaction.id)

    client.node.faults.add("/tx/*/status", faults.run(lose), kind="tx-status", times=1)

    client.upload(sample, confirmations=2)

    assert is_published(client, sample, tmp_path / "out")


def test_a_dropped_upload_is_posted_again_for_the_same_money(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    first = client.upload(sample)
    for transaction in client.node.transactions():
        client.node.drop(transaction.id)

    again = client.upload(sample)

    assert again.transaction_id == first.transaction_id
    assert again.transactions == first.transactions
    assert is_published(client, sample, tmp_path / "out")


def test_no_gateway_at_all_is_a_network_error(sample: Sample, client: Client) -> None:
    client.connection["gateways"] = ["http://127.0.0.1:9"]

    with pytest.raises(TransferError, match="cannot connect"):
        client.upload(sample)


@pytest.mark.parametrize("status", [429, 503])
def test_a_node_that_says_already_of_something_else_has_not_taken_it(
    status: int, client: Client, sample: Sample, tmp_path: Path
) -> None:
    busy = node_faults.refuse(status, "you have already sent too many requests")
    client.node.faults.add("/tx", busy, kind="post-tx", times=2)

    client.upload(sample)

    assert len(client.node.transactions()) == 6
    assert is_published(client, sample, tmp_path / "out")


def test_nothing_is_signed_again_while_a_gateway_cannot_be_asked(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample
) -> None:
    ignorant = make_arweave()
    for node in (arweave_node, ignorant):
        node.mint(wallet.address, PLENTY)
    first = Client(arweave_node, wallet=wallet).upload(sample)
    for node in (arweave_node, ignorant):
        node.mine(60)
        node.faults.add("/tx", node_faults.refuse(400, "Invalid anchor (last_tx)."), kind="post-tx")
        node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql")
    arweave_node.faults.add("/tx/*/status", node_faults.refuse(503), kind="tx-status")

    with pytest.raises(TransferError, match="503"):
        Client(arweave_node, ignorant, wallet=wallet).upload(sample)

    assert {t.id for t in arweave_node.transactions()} >= set(first.transactions.values())
    (journal,) = Path(load_settings().state_dir, "arweave", wallet.address).iterdir()
    signed = json.loads((journal / "upload.json").read_text())
    assert signed["final"]["tx"]["id"] == first.transaction_id


def test_anchors_that_no_node_takes_end_the_upload(client: Client, sample: Sample) -> None:
    stale = node_faults.refuse(400, "Invalid anchor (last_tx).")
    client.node.faults.add("/tx", stale, kind="post-tx", times=500)

    with pytest.raises(TransferError, match="anchor"):
        client.upload(sample)

    assert client.node.ledger.count("post-tx") < 100


def test_a_gateway_that_takes_no_chunks_is_skipped(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample, tmp_path: Path
) -> None:
    reader = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    reader.faults.add("/chunk", node_faults.refuse(405, "Method Not Allowed"), kind="post-chunk")
    client = Client(reader, arweave_node, wallet=wallet)

    client.upload(sample)

    assert is_published(client, sample, tmp_path / "out")


@pytest.mark.parametrize("kind", ["post-tx", "post-chunk"])
def test_an_answer_that_cannot_be_decoded_is_a_network_error(
    kind: str, client: Client, sample: Sample
) -> None:
    def garble(_: Call, reply: Reply) -> Reply:
        return replace(reply, body=b"no gzip").with_headers({"Content-Encoding": "gzip"})

    client.node.faults.add("*", Fault(change=garble), kind=kind)

    with pytest.raises(TransferError, match="posting"):
        client.upload(sample)

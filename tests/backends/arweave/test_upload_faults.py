"""What nodes answer to posts, and what the upload makes of it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ritual_artifacts.errors import (
    ArtifactModelError,
    BackendError,
    InsufficientFundsError,
    ManifestError,
    RepoIdError,
    SourceChangedError,
    TransferError,
)
from ritual_artifacts.settings import load_settings
from tests.backends.arweave.conftest import PLENTY, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key
from tests.servers.arweave.transactions import Transaction
from tests.servers.faults import Fault
from tests.servers.replies import Call, Reply


def pairs(transaction: Transaction) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in transaction.tags]


def has_path_manifest(client: Client) -> bool:
    return any(t.tag("Type") == "manifest" for t in client.node.transactions())


def is_published(client: Client, sample: Sample, folder: Path) -> bool:
    client.node.mine()
    return contents(client.download(folder).artifact) == contents(sample)


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
def test_what_may_pass_is_tried_again(
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


def test_a_node_that_will_not_keep_a_chunk_is_half_a_success(client: Client, sample: Sample) -> None:
    client.node.faults.add("/chunk", node_faults.accept_temporarily(), kind="post-chunk")

    with pytest.raises(TransferError, match="name more gateways"):
        client.upload(sample)


def test_two_halves_are_a_whole(
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
    arweave_node.faults.add("*", node_faults.refuse(503))

    client.upload(sample)
    arweave_node.faults.clear()

    assert is_published(client, sample, tmp_path / "out")


def test_a_refused_transaction_says_why(client: Client, sample: Sample) -> None:
    client.node.faults.add("/tx", node_faults.refuse(400, "Transaction verification failed."), kind="post-tx")

    with pytest.raises(BackendError, match="Transaction verification failed"):
        client.upload(sample)


@pytest.mark.parametrize("status", [402, 410])
def test_a_node_that_says_that_the_money_is_gone_is_understood(
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


def test_what_is_lost_while_it_is_waited_for_is_posted_again(
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


def test_chunks_that_the_network_has_lost_are_posted_again_for_nothing(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    result = client.upload(sample)
    client.node.mine()
    client.node.lose_chunks(result.transactions["weights.bin"], [262_144])
    client.node.lose_chunks(result.transactions["config.json"])
    client.node.ledger.forget()

    again = client.upload(sample, reseed=True)

    assert again.cost == 0
    assert client.node.ledger.count("post-chunk") == 2
    assert client.node.ledger.count("post-tx") == 0
    assert is_published(client, sample, tmp_path / "out")


def test_a_file_that_was_paid_for_and_lost_is_not_named_again_unseen(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    first = client.upload(sample)
    client.node.mine()
    client.node.lose_chunks(first.transactions["weights.bin"])
    sample.config.write_bytes(b"new")

    second = client.upload(sample)

    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]
    assert is_published(client, sample, tmp_path / "out")


def test_a_stranger_cannot_have_their_file_named(client: Client, other_wallet: Key, sample: Sample) -> None:
    theirs = Client(client.node, wallet=other_wallet)
    client.node.mint(other_wallet.address, PLENTY)
    first = theirs.upload(sample)
    client.node.mine()
    client.node.faults.add("/graphql", node_faults.lie_about_owner(client.wallet.address), kind="graphql")

    mine = client.upload(sample)

    assert set(mine.transactions.values()).isdisjoint(first.transactions.values())


def test_a_file_that_changes_during_the_upload_is_not_published(client: Client, sample: Sample) -> None:
    def change() -> None:
        before = sample.weights.stat()
        data = bytearray(sample.weights.read_bytes())
        data[600_000] ^= 1
        sample.weights.write_bytes(data)
        os.utime(sample.weights, ns=(before.st_atime_ns, before.st_mtime_ns))

    client.connection["max_workers"] = 1
    client.node.faults.add("/chunk", faults.run(change), kind="post-chunk", times=1)

    with pytest.raises(SourceChangedError, match=r"weights\.bin"):
        client.upload(sample)

    assert not has_path_manifest(client)


def test_a_small_file_that_changes_before_it_is_posted_is_not_published(
    client: Client, sample: Sample
) -> None:
    changed = faults.run(lambda: sample.config.write_bytes(b'{"layers": 9}\n') and None)
    client.node.faults.add("/tx_anchor", changed, kind="anchor", times=1)

    with pytest.raises(SourceChangedError, match=r"config\.json"):
        client.upload(sample)


@pytest.mark.parametrize("name", ["x" * 250 + ".bin", "模型" * 40 + ".bin"])
def test_tags_are_checked_before_anything_is_paid(client: Client, sample: Sample, name: str) -> None:
    path = sample.config.with_name("ok.bin")
    path.write_bytes(b"x")

    with pytest.raises(BackendError, match="2048"):
        client.upload(
            sample.model_copy(update={"config": path}), extra_file_tags={"ok.bin": {"Note": name * 10}}
        )

    assert client.node.ledger.count("post-tx") == 0


def test_options_that_name_no_file_are_refused(client: Client, sample: Sample) -> None:
    for option in ({"version_mapping": {"no.bin": "1"}}, {"extra_file_tags": {"no.bin": {"a": "b"}}}):
        with pytest.raises(BackendError, match=r"'no\.bin'.*no such file"):
            client.upload(sample, **option)

    assert client.node.ledger.count("post-tx") == 0


def test_tags_are_what_was_asked_for(client: Client, sample: Sample) -> None:
    result = client.upload(
        sample,
        "arweave/me/model/v2",
        version_mapping={"config.json": "7"},
        extra_file_tags={"config.json": {"Licence": "MIT"}},
    )

    tags = pairs(client.node.transaction(result.transactions["config.json"]))

    names = [name for name, _ in tags]
    assert names == [
        "Licence",
        "Content-Type",
        "File-Version",
        "File-Name",
        "File-SHA256",
        "App-Name",
        "App-Version",
        "Unix-Time",
        "Repo-Name",
        "File-Size",
        "Artifact-Digest",
    ]
    assert dict(tags)["File-Version"] == "7"
    assert dict(tags)["Content-Type"] == "application/json"
    others = dict(pairs(client.node.transaction(result.transactions["weights.bin"])))
    assert others["File-Version"] == "v2"
    assert others["Artifact-Digest"] == result.digest
    paths = dict(pairs(client.node.transaction(result.transaction_id)))
    assert (paths["Type"], paths["Repo-Name"], paths["Repo-Version"]) == ("manifest", "model", "v2")


@pytest.mark.parametrize("answer", [b"", b"many", b"-5", b"1e9", b"9" * 1000, b"<html>"])
def test_a_price_that_makes_no_sense_ends_the_upload(client: Client, sample: Sample, answer: bytes) -> None:
    client.node.faults.add("/price/*", faults.set_body(answer), kind="price")

    with pytest.raises(BackendError, match="winston"):
        client.upload(sample)

    assert client.node.ledger.count("post-tx") == 0


def test_no_gateway_at_all_is_a_network_error(sample: Sample, client: Client) -> None:
    client.connection["gateways"] = ["http://127.0.0.1:9"]

    with pytest.raises(TransferError, match="no connection"):
        client.upload(sample)


def test_errors_of_a_model_come_before_any_request(client: Client, sample: Sample) -> None:
    sample.weights.unlink()

    with pytest.raises((ArtifactModelError, ManifestError, FileNotFoundError)):
        client.upload(sample)

    assert client.node.ledger.count() == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_node_that_says_already_of_something_else_has_not_taken_it(
    status: int, client: Client, sample: Sample, tmp_path: Path
) -> None:
    busy = node_faults.refuse(status, "you have already sent too many requests")
    client.node.faults.add("/tx", busy, kind="post-tx", times=2)

    client.upload(sample)

    assert len(client.node.transactions()) == 6
    assert is_published(client, sample, tmp_path / "out")


def test_where_one_gateway_cannot_be_asked_nothing_is_signed_and_paid_again(
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


def test_anchors_that_no_node_ever_takes_do_not_keep_an_upload_going(client: Client, sample: Sample) -> None:
    stale = node_faults.refuse(400, "Invalid anchor (last_tx).")
    client.node.faults.add("/tx", stale, kind="post-tx", times=500)

    with pytest.raises(TransferError, match="anchor"):
        client.upload(sample)

    assert client.node.ledger.count("post-tx") < 100


def test_a_gateway_that_takes_no_chunks_is_passed_over(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample, tmp_path: Path
) -> None:
    reader = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    reader.faults.add("/chunk", node_faults.refuse(405, "Method Not Allowed"), kind="post-chunk")
    client = Client(reader, arweave_node, wallet=wallet)

    client.upload(sample)

    assert is_published(client, sample, tmp_path / "out")


@pytest.mark.parametrize("kind", ["post-tx", "post-chunk"])
def test_an_answer_that_cannot_be_unpacked_is_an_error_of_the_network(
    kind: str, client: Client, sample: Sample
) -> None:
    def garble(_: Call, reply: Reply) -> Reply:
        return replace(reply, body=b"no gzip").with_headers({"Content-Encoding": "gzip"})

    client.node.faults.add("*", Fault(change=garble), kind=kind)

    with pytest.raises(TransferError, match="posting"):
        client.upload(sample)


def test_a_gateway_that_makes_up_lost_data_does_not_get_a_file_named_again(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    first = client.upload(sample)
    client.node.mine()
    lost = first.transactions["weights.bin"]
    client.node.lose_chunks(lost)
    made_up = Fault(instead=lambda _: Reply(body=bytes(900_000)))
    client.node.faults.add(f"/raw/{lost}", made_up, kind="raw")
    sample.config.write_bytes(b"new")

    second = client.upload(sample)

    assert second.transactions["weights.bin"] == lost
    assert client.node.is_complete(lost)
    assert is_published(client, sample, tmp_path / "out")


def test_what_an_upload_may_cost_counts_when_it_is_continued(client: Client, sample: Sample) -> None:
    client.node.faults.add("/tx", node_faults.refuse(400, "no"), kind="post-tx")
    with pytest.raises(BackendError, match="refuses a transaction"):
        client.upload(sample)
    client.node.faults.clear()

    with pytest.raises(BackendError, match="max_cost"):
        client.upload(sample, max_cost=1)

    assert not client.node.transactions()


def test_a_version_that_nobody_could_find_is_not_paid_for(client: Client, sample: Sample) -> None:
    with pytest.raises(RepoIdError, match="another label"):
        client.upload(sample, f"arweave/me/model/{'A' * 43}")

    assert not client.node.ledger.count()

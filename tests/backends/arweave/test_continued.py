"""What an upload that is run again makes of what was signed, posted, mined, forgotten or lost before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts.errors import (
    ArtifactError,
    BackendError,
    InsufficientFundsError,
    NotFinalizedError,
    TransferError,
)
from tests.backends.arweave.conftest import PLENTY, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key

STALE = "Invalid anchor (last_tx)."
CHUNK = 262_144
CONFIG = b'{"layers": 2}\n'


class One(BaseModel):
    file: Path
    note: str = ""


def interrupt(client: Client, sample: BaseModel, *, after: int, **options: Any) -> None:
    """Upload one chunk after the other until some are acknowledged."""
    client.connection["max_workers"] = 1
    fault = node_faults.refuse_chunk("invalid_proof")
    client.node.faults.add("/chunk", fault, kind="post-chunk", skip=after, times=1)
    with pytest.raises(BackendError, match="invalid_proof"):
        client.upload(sample, **options)


def is_whole(client: Client, sample: Sample, folder: Path) -> bool:
    client.node.mine()
    return contents(client.download(folder).artifact) == contents(sample)


# --- chunks that nodes have forgotten -------------------------------------------------------------------


def test_chunks_acknowledged_long_ago_are_checked(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.change_timing(kept_seconds=0.0)
    interrupt(client, sample, after=3)
    client.node.forget_roots()
    with pytest.raises(TransferError, match="data_root_not_found"):  # known, and without its root
        client.upload(sample)
    client.node.mine()

    result = client.upload(sample)

    assert client.node.is_complete(result.transactions["weights.bin"])
    client.node.mine()
    client.upload(sample, reseed=True)  # small files were inside of what was forgotten
    assert is_whole(client, sample, tmp_path / "out")


def test_chunks_that_are_there_still_are_not_sent_again_however_old(client: Client, sample: Sample) -> None:
    interrupt(client, sample, after=3)
    client.node.mine()
    client.node.ledger.forget()
    client.change_timing(kept_seconds=0.0)

    client.upload(sample)

    assert client.node.ledger.count("post-chunk") == 1


def test_chunks_are_posted_again_when_their_root_is_forgotten_in_mid_upload(
    client: Client, sample: Sample
) -> None:
    client.connection["max_workers"] = 1
    client.change_timing(kept_seconds=0.0)

    def forget() -> None:
        for transaction in client.node.transactions():
            if transaction.data_size > CHUNK:
                client.node.lose_chunks(transaction.id)
                client.node.drop(transaction.id)

    client.node.faults.add("/chunk", faults.run(forget), kind="post-chunk", skip=2, times=1)

    result = client.upload(sample)

    assert client.node.is_complete(result.transactions["weights.bin"])


def test_acknowledged_chunks_stay_where_a_gateway_shows_no_status(client: Client, sample: Sample) -> None:
    interrupt(client, sample, after=3)
    client.node.ledger.forget()
    client.node.faults.add("/tx/*/status", node_faults.refuse(404), kind="tx-status", times=5)

    client.upload(sample)

    assert client.node.ledger.count("post-chunk") == 1


def test_chunks_of_a_transaction_that_was_dropped_are_sent_again(client: Client, sample: Sample) -> None:
    interrupt(client, sample, after=3)
    for transaction in client.node.transactions():
        client.node.lose_chunks(transaction.id)
        client.node.drop(transaction.id)

    result = client.upload(sample)

    assert client.node.is_complete(result.transactions["weights.bin"])


# --- what the network has lost --------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"reseed": True}, {"confirmations": 1}], ids=str)
def test_a_file_that_was_dropped_when_the_path_manifest_was_mined_is_posted_again(
    client: Client, sample: Sample, tmp_path: Path, own_folders: Path, options: dict[str, Any]
) -> None:
    first = client.upload(sample)
    client.node.drop(first.transactions["weights.bin"])
    client.node.mine()
    if "confirmations" in options:
        client.node.faults.add("/tx/*/status", faults.run(client.node.mine), kind="tx-status", times=20)

    again = client.upload(sample, **options)

    assert again.transactions == first.transactions
    assert is_whole(client, sample, tmp_path / "out")
    client.upload(sample)
    assert not list(own_folders.rglob("upload.json"))


def test_confirmations_are_those_of_every_file(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.change_timing(recheck_seconds=300.0)  # so that only what waits asks for the status

    def drop() -> None:
        for transaction in client.node.transactions():
            if transaction.data_size > CHUNK:
                client.node.drop(transaction.id)
        client.node.mine()

    client.node.faults.add("/tx/*/status", faults.run(drop), kind="tx-status", times=1)

    with pytest.raises(NotFinalizedError, match="no gateway knows"):
        client.upload(sample, confirmations=1)

    client.change_timing()
    client.upload(sample)
    assert is_whole(client, sample, tmp_path / "out")


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize("options", [{"reseed": True}, {"confirmations": 1}], ids=str)
def test_lost_chunks_of_a_bundle_are_posted_again(
    client: Client, sample: Sample, tmp_path: Path, options: dict[str, Any], *, is_indexed: bool
) -> None:
    result = client.upload(sample, bundle=True)
    if is_indexed:
        client.node.mine()
    client.node.lose_chunks(result.final_transaction)
    client.node.mine(3)

    again = client.upload(sample, bundle=True, **options)

    assert again.cost == 0
    assert client.node.is_complete(result.final_transaction)
    assert is_whole(client, sample, tmp_path / "out")


@pytest.mark.parametrize("options", [{"reseed": True}, {"confirmations": 1}], ids=str)
def test_a_lost_path_manifest_is_posted_again(
    client: Client, sample: Sample, tmp_path: Path, options: dict[str, Any]
) -> None:
    result = client.upload(sample)
    client.node.mine()
    client.node.lose_chunks(result.transaction_id)

    client.upload(sample, **options)

    assert is_whole(client, sample, tmp_path / "out")


@pytest.mark.parametrize("is_new", [False, True])
def test_lost_chunks_that_cannot_be_posted_now_are_a_retryable_error(
    client: Client, sample: Sample, *, is_new: bool
) -> None:
    result = client.upload(sample)
    client.node.mine()
    client.node.lose_chunks(result.transactions["weights.bin"])
    if is_new:
        sample.config.write_bytes(b"new")
    unknown = node_faults.refuse_chunk("data_root_not_found")
    client.node.faults.add("/chunk", unknown, kind="post-chunk")
    client.node.faults.add("/tx", node_faults.refuse(400, STALE), kind="post-tx")

    with pytest.raises(TransferError, match="weights") as caught:
        client.upload(sample, reseed=True)

    assert caught.value.retryable


def test_equal_files_are_checked_once(client: Client, write: Callable[..., Path]) -> None:
    class Many(BaseModel):
        files: list[Path]

    same = bytes(range(256)) * 4096
    many = Many(files=[write(f"{name}/{name}.bin", content=same) for name in range(5)])
    client.upload(many)
    client.node.mine()
    client.node.ledger.forget()

    client.upload(many, reseed=True)

    assert client.node.ledger.count("chunk") <= 4 + 2


# --- what this machine knows before an index does -------------------------------------------------------


def test_files_posted_from_this_machine_are_not_paid_again_before_an_index_lists_them(
    client: Client, sample: Sample
) -> None:
    first = client.upload(sample)
    client.node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql")
    sample.config.write_bytes(b"new")
    with pytest.raises(NotFinalizedError, match=first.transactions["weights.bin"]):
        client.upload(sample)
    client.node.mine()

    second = client.upload(sample)

    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]


def test_an_invalid_journal_of_another_upload_is_skipped(
    client: Client, sample: Sample, own_folders: Path
) -> None:
    client.upload(sample, "arweave/me/other")
    (path,) = own_folders.rglob("upload.json")
    path.write_bytes(b"{")
    client.node.mine()

    assert client.upload(sample).cost > 0


def test_an_index_that_is_behind_the_chain_does_not_stop_an_upload(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    client.node.mine(100)
    sample.config.write_bytes(b"new")

    def fall_behind(edges: list[dict[str, dict[str, object]]]) -> None:
        for edge in edges:
            edge["node"]["block"] = None

    client.node.faults.add("/graphql", node_faults.lie_in_edges(fall_behind), kind="graphql")

    second = client.upload(sample)

    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]


def test_an_older_artifact_becomes_the_newest_again_although_another_waits(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    sample.weights.write_bytes(b"so small that nobody waits for it")
    client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"B")
    client.upload(sample)
    sample.config.write_bytes(CONFIG)

    client.upload(sample)

    client.node.mine()
    assert client.download(tmp_path / "out").artifact.config.read_bytes() == CONFIG


# --- money ----------------------------------------------------------------------------------------------


def test_a_continued_upload_that_the_wallet_cannot_pay_posts_nothing(
    arweave_node: ArweaveNode, wallet: Key, sample: Sample, write: Callable[..., Path]
) -> None:
    client = Client(arweave_node, wallet=wallet, max_workers=1)
    price = arweave_node.weave.price
    arweave_node.mint(wallet.address, price(4 * CHUNK) + 5 * price(CHUNK))
    arweave_node.faults.add("/tx", node_faults.refuse(400, "no"), kind="post-tx")
    with pytest.raises(BackendError, match="refuses"):
        client.upload(sample)
    arweave_node.faults.clear()
    client.upload(One(file=write("other.bin", 10)), "arweave/me/other")
    arweave_node.mine()
    before = len(arweave_node.transactions())

    with pytest.raises(InsufficientFundsError, match="costs"):
        client.upload(sample)

    assert len(arweave_node.transactions()) == before


def test_a_price_that_has_risen_is_signed_again(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.connection["max_workers"] = 1
    client.node.faults.add("/tx", node_faults.refuse(400, "no"), kind="post-tx")
    with pytest.raises(BackendError, match="refuses"):
        client.upload(sample)
    client.node.faults.clear()
    client.node.rules.winston_per_byte *= 2

    result = client.upload(sample)

    assert result.cost == sum(t.reward for t in client.node.transactions())
    assert is_whole(client, sample, tmp_path / "out")


def test_a_price_that_rises_within_max_cost_only_is_paid(client: Client, sample: Sample) -> None:
    def rise() -> None:
        client.node.rules.winston_per_byte *= 2
        client.node.mine(60, empty=True)

    client.node.faults.add("/tx", faults.run(rise), kind="post-tx", times=1)
    price = client.node.weave.price
    cost = price(4 * CHUNK) + 5 * price(CHUNK)

    with pytest.raises(BackendError, match="max_cost"):
        client.upload(sample, max_cost=cost)

    assert client.upload(sample).cost > cost


def test_max_cost_holds_when_a_gateway_takes_what_it_refuses(client: Client, sample: Sample) -> None:
    taken = node_faults.refuse(400, STALE, applied=True)
    client.node.faults.add("/tx", taken, kind="post-tx")
    client.node.faults.add("/tx/*/status", node_faults.refuse(404), kind="tx-status")
    price = client.node.weave.price
    cost = price(4 * CHUNK) + 5 * price(CHUNK)

    with pytest.raises(ArtifactError, match="max_cost"):
        client.upload(sample, max_cost=cost)

    assert PLENTY - client.node.weave.balance(client.wallet.address, waiting=True) <= cost


def test_a_gateway_that_is_greedy_for_small_files_is_not_paid(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample
) -> None:
    greedy = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    greedy.faults.add(f"/price/{CHUNK}", faults.set_body(b"99999999999999"), kind="price")

    with pytest.raises(BackendError, match="trust"):
        Client(greedy, arweave_node, wallet=wallet).upload(sample)

    assert not arweave_node.transactions()


def test_the_refusal_of_a_node_that_answered_is_reported(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample
) -> None:
    down = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    down.faults.add("/tx", node_faults.refuse(503, "down"), kind="post-tx")
    arweave_node.faults.add("/tx", node_faults.refuse(402, "not enough tokens"), kind="post-tx")

    with pytest.raises(InsufficientFundsError, match="not enough tokens"):
        Client(down, arweave_node, wallet=wallet).upload(sample)


def test_only_what_is_signed_again_costs_again(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    client.node.drop(first.transaction_id)
    client.node.mine(60)

    again = client.upload(sample)

    assert again.cost == client.node.transaction(again.transaction_id).reward < first.cost
    assert again.bytes_sent == 0


def test_many_confirmations_have_the_time_that_they_take(client: Client) -> None:
    client.change_timing(confirmation_seconds=3600.0, block_seconds=300.0)
    network = client.weave().network

    assert [network.default_timeout(count) for count in (1, 12, 40)] == [3600, 3600, 40 * 300]

"""Money across networks, prices and redirects: who took what, what can still be charged, and what is said."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.errors import BackendError, InsufficientFundsError, IntegrityError
from ritual_artifacts.settings import load_settings
from tests.backends.arweave.conftest import PLENTY, REPO, Client, is_published
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.encoding import b64
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key
from tests.servers.faults import Fault
from tests.servers.replies import Reply

CHUNK = 262_144


def whole_cost(client: Client) -> int:
    price = client.node.weave.price
    return price(4 * CHUNK) + 4 * price(CHUNK) + price(0)


# --- networks ---------------------------------------------------------------------------------------------


def test_what_one_network_took_is_posted_and_paid_on_another(
    client: Client, make_arweave: MakeArweave, sample: Sample, tmp_path: Path
) -> None:
    client.change_timing(recheck_seconds=300.0)
    client.upload(sample)
    other = make_arweave()
    other.mint(client.wallet.address, PLENTY)
    there = Client(other, wallet=client.wallet, timing=client.connection["timing"])

    result = there.upload(sample, max_cost=whole_cost(there))

    assert result.cost == sum(t.reward for t in other.transactions()) == whole_cost(there)
    assert {t.id for t in other.transactions()} == {*result.transactions.values(), result.transaction_id}
    assert is_published(there, sample, tmp_path / "out")


def test_another_gateway_of_the_same_network_is_not_paid_again(
    client: Client, make_arweave: MakeArweave, sample: Sample
) -> None:
    client.change_timing(recheck_seconds=300.0)
    first = client.upload(sample)
    second = make_arweave(weave=client.node.weave)

    again = Client(second, wallet=client.wallet, timing=client.connection["timing"]).upload(sample)

    assert (again.cost, again.transaction_id) == (0, first.transaction_id)
    assert not second.ledger.count("post-tx", "post-chunk")


def test_a_journal_without_gateways_is_still_read(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    (posted,) = Path(load_settings().state_dir).rglob("posted")
    lines = [line.rsplit(maxsplit=1)[0] for line in posted.read_text().splitlines()]
    posted.write_text("".join(f"{line}\n" for line in lines))

    assert client.upload(sample).transaction_id == first.transaction_id


# --- prices -----------------------------------------------------------------------------------------------


def test_what_every_node_refused_does_not_count_when_the_price_has_risen(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.node.faults.add("/tx", node_faults.refuse(400, "no"), kind="post-tx")
    with pytest.raises(BackendError, match="refuses"):
        client.upload(sample)
    client.node.faults.clear()
    client.node.rules.winston_per_byte *= 2

    result = client.upload(sample, max_cost=whole_cost(client))

    assert result.cost == whole_cost(client)
    assert is_published(client, sample, tmp_path / "out")


def test_a_refused_price_says_what_was_posted(client: Client, sample: Sample) -> None:
    client.node.faults.add("/tx", node_faults.refuse(400, "no"), kind="post-tx")
    with pytest.raises(BackendError, match="refuses"):
        client.upload(sample)
    client.node.faults.clear()
    client.node.rules.winston_per_byte *= 2

    with pytest.raises(BackendError, match=r"max_cost allows .*nothing was posted"):
        client.upload(sample, max_cost=whole_cost(client) - 1)

    assert not client.node.transactions()


def test_the_price_is_announced_before_anything_is_posted(
    client: Client, sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    posted_before: list[bool] = []

    def look() -> None:
        posted_before.append(any("the upload costs" in r.getMessage() for r in caplog.records))

    client.node.faults.add("/tx", faults.run(look), kind="post-tx")

    result = client.upload(sample)

    (said,) = [r for r in caplog.records if "the upload costs" in r.getMessage()]
    assert said.levelno == logging.INFO
    assert f"{format_ar(result.cost)}; the wallet {client.wallet.address} has" in said.getMessage()
    assert posted_before
    assert all(posted_before)


# --- what nodes answer to posts ---------------------------------------------------------------------------


def redirect(status: int, node: ArweaveNode) -> Fault:
    return Fault(
        instead=lambda call: Reply(status=status, headers={"Location": f"{node.url}{call.raw_path}"})
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirected_posts_are_followed(
    status: int, client: Client, make_arweave: MakeArweave, sample: Sample, tmp_path: Path
) -> None:
    front = make_arweave(weave=client.node.weave)
    for kind in ("post-tx", "post-chunk", "graphql"):
        front.faults.add("*", redirect(status, client.node), kind=kind)

    Client(front, wallet=client.wallet).upload(sample)

    assert not front.chunk_posts or all(post.status == status for post in front.chunk_posts)
    assert is_published(client, sample, tmp_path / "out")


def test_redirects_without_end_are_an_error(client: Client, sample: Sample) -> None:
    client.node.faults.add("/tx", redirect(307, client.node), kind="post-tx")

    with pytest.raises(BackendError, match="307"):
        client.upload(sample)

    assert client.node.ledger.count("post-tx") < 100


def test_the_codes_of_a_node_say_that_the_wallet_is_overspent(
    arweave_node: ArweaveNode, wallet: Key, sample: Sample
) -> None:
    client = Client(arweave_node, wallet=wallet)
    arweave_node.mint(wallet.address, 1000)
    arweave_node.faults.add("/wallet/*/balance", faults.set_body(str(PLENTY).encode()), kind="balance")

    with pytest.raises(InsufficientFundsError, match="overspend"):
        client.upload(sample)


# --- lost chunks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_journal", [True, False])
@pytest.mark.parametrize("lost", [0, 5, 9])
def test_a_lost_chunk_is_posted_again_by_the_same_upload(
    lost: int, client: Client, sample: Sample, tmp_path: Path, own_folders: Path, *, has_journal: bool
) -> None:
    sample.weights.write_bytes(bytes(range(256)) * 10_240)  # 10 chunks
    weights = client.upload(sample).transactions["weights.bin"]
    client.node.mine()
    if not has_journal:
        client.upload(sample)
    client.node.lose_chunks(weights, [lost * CHUNK])
    with pytest.raises(BackendError, match="upload the same with the option reseed"):
        client.download(tmp_path / "before")

    again = client.upload(sample)

    assert again.cost == 0
    assert client.node.is_complete(weights)
    assert list(own_folders.rglob("upload.json")) if has_journal else True
    client.upload(sample)
    assert not list(own_folders.rglob("upload.json"))
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


# --- forged data ------------------------------------------------------------------------------------------


def forge(client: Client, name: str) -> None:
    """Let the first gateway send wrong bytes by every route."""
    for pattern in ("/raw/{}", "/{}", "/tx/{}/data"):
        client.node.faults.add(pattern.format(name), faults.flip_bit(3))
    client.node.faults.add("/chunk/*", faults.change_json(lambda v: v.update(chunk=b64(b"x"))), kind="chunk")


@pytest.mark.parametrize("name", ["weights.bin", "config.json", "ritual_manifest.json"])
@pytest.mark.parametrize("is_alone", [True, False])
def test_forged_data_is_named_or_read_elsewhere(
    name: str, pair: Client, sample: Sample, tmp_path: Path, *, is_alone: bool
) -> None:
    result = pair.upload(sample)
    pair.node.mine()
    forge(pair, result.transactions[name])
    client = Client(pair.node, wallet=pair.wallet) if is_alone else pair

    if not is_alone:
        assert contents(client.download(tmp_path / "out").artifact) == contents(sample)
        pair.node.faults.clear()
        return
    field = {"weights.bin": r" \(field 'weights'\)", "config.json": r" \(field 'config'\)"}.get(name, "")
    with pytest.raises(IntegrityError, match=rf"'{name}'{field}"):
        client.download(tmp_path / "out")
    assert not (tmp_path / "out" / name).exists()


# --- an interruption --------------------------------------------------------------------------------------


def test_an_interrupted_upload_says_what_is_posted(client: Client, sample: Sample, own_folders: Path) -> None:
    def interrupt(progress: Any) -> None:
        if progress.stage == "upload" and progress.bytes_done > 300_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        RitualArtifactManager(artifact=sample).to_repo(
            REPO, None, client.wallet.path, client.connection, progress=interrupt
        )

    (journal,) = own_folders.rglob("upload.json")
    signed = json.loads(journal.read_text())
    (said,) = caught.value.__notes__
    count = len(signed["transactions"]) + 1
    assert f"of {count} transactions are posted" in said
    assert str(journal.parent) in said
    assert client.upload(sample).transaction_id == signed["final"]["tx"]["id"]

"""Nothing is paid for twice: not by another machine, not for equal files, not because an index is down."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.errors import (
    BackendError,
    ConflictError,
    InsufficientFundsError,
    NotFinalizedError,
    TransferError,
)
from ritual_artifacts.events import Progress
from tests.backends.arweave.conftest import PLENTY, REPO, Client
from tests.backends.sample import Sample, contents, make_sample
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key


@contextmanager
def hidden(client: Client) -> Iterator[None]:
    """Let the index know nothing yet."""
    client.node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql")
    yield
    client.node.faults.clear()


# --- another machine ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", [False, True])
@pytest.mark.parametrize("repo", [REPO, f"{REPO}/v1"])
def test_what_another_machine_has_posted_is_waited_for(
    client: Client, sample: Sample, repo: str, another_machine: Callable[[], None], *, bundle: bool
) -> None:
    first = client.upload(sample, repo, bundle=bundle)
    another_machine()
    client.node.ledger.forget()

    with pytest.raises(NotFinalizedError, match=first.final_transaction):
        client.upload(sample, repo, bundle=bundle)

    assert client.node.ledger.count("post-tx", "post-chunk") == 0
    client.node.mine()
    again = client.upload(sample, repo, bundle=bundle)
    assert (again.cost, again.transaction_id) == (0, first.transaction_id)


def test_an_older_version_does_not_hide_what_waits(
    client: Client, sample: Sample, another_machine: Callable[[], None]
) -> None:
    client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"new")
    second = client.upload(sample)
    another_machine()

    with pytest.raises(NotFinalizedError, match=second.transaction_id):
        client.upload(sample)


def test_what_was_dropped_is_not_waited_for(
    client: Client, sample: Sample, another_machine: Callable[[], None], tmp_path: Path
) -> None:
    first = client.upload(sample)
    indexed = [t.id for t in client.node.transactions()]
    edges = [
        {"cursor": name, "node": {"id": name, "bundledIn": None, "block": None}}
        for name in (first.transaction_id, first.transactions["weights.bin"])
    ]
    for name in indexed:
        client.node.drop(name)
    client.node.faults.add("/graphql", node_faults.lie_in_edges(lambda _: edges), kind="graphql")
    another_machine()

    client.upload(sample)

    client.node.faults.clear()
    client.node.mine()
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def test_a_large_file_that_waits_to_be_mined_is_not_paid_again(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    sample.config.write_bytes(b"new")
    client.node.ledger.forget()

    with pytest.raises(NotFinalizedError, match=first.transactions["weights.bin"]):
        client.upload(sample)

    assert client.node.ledger.count("post-tx") == 0
    client.node.mine()
    assert client.upload(sample).transactions["weights.bin"] == first.transactions["weights.bin"]


def test_small_files_are_not_waited_for(client: Client, write: Callable[..., Path]) -> None:
    sample = make_sample(write, 100_000)
    client.upload(sample)
    sample.config.write_bytes(b"new")

    assert client.upload(sample).cost > 0


def test_two_machines_with_one_label_do_not_both_succeed(
    client: Client, sample: Sample, another_machine: Callable[[], None], tmp_path: Path
) -> None:
    first_bytes = contents(sample)
    client.node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql", times=3)
    client.upload(sample, f"{REPO}/v1")
    client.node.faults.clear()
    another_machine()
    sample.weights.write_bytes(b"other" * 1000)
    client.node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql", times=3)

    with pytest.raises(NotFinalizedError, match=r"everything is posted .* mined first"):
        client.upload(sample, f"{REPO}/v1")

    client.node.mine()
    downloaded = contents(client.download(tmp_path / "out", client.repo("v1")).artifact)
    if downloaded == first_bytes:
        with pytest.raises(ConflictError, match="choose another label"):
            client.upload(sample, f"{REPO}/v1")
    else:
        assert client.upload(sample, f"{REPO}/v1").cost == 0


def test_a_label_taken_during_the_upload_is_a_conflict(
    client: Client, sample: Sample, another_machine: Callable[[], None], tmp_path: Path
) -> None:
    first = client.upload(sample, f"{REPO}/v1")
    first_bytes = contents(sample)
    another_machine()
    sample.weights.write_bytes(b"other" * 1000)
    client.node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql", times=3)
    client.node.faults.add("/tx_anchor", faults.run(client.node.mine), kind="anchor", times=1)

    with pytest.raises(ConflictError, match=f"everything is posted .*{first.transaction_id}"):
        client.upload(sample, f"{REPO}/v1")

    client.node.mine()
    assert contents(client.download(tmp_path / "out", client.repo("v1")).artifact) == first_bytes


# --- an index that is down ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [node_faults.refuse(503), faults.drop()], ids=["503", "cut"])
@pytest.mark.parametrize("is_alone", [True, False])
def test_an_index_that_is_down_for_a_moment_is_asked_again(
    fault: faults.Fault,
    arweave_node: ArweaveNode,
    make_arweave: MakeArweave,
    wallet: Key,
    sample: Sample,
    *,
    is_alone: bool,
) -> None:
    arweave_node.mint(wallet.address, PLENTY)
    first = Client(arweave_node, wallet=wallet).upload(sample)
    arweave_node.mine()
    sample.config.write_bytes(b"new")
    arweave_node.faults.add("/graphql", fault, kind="graphql", times=3)
    nodes = [arweave_node]
    if not is_alone:
        ignorant = make_arweave(weave=arweave_node.weave)
        ignorant.faults.add("/graphql", node_faults.hide_edges(), kind="graphql")
        nodes.insert(0, ignorant)

    second = Client(*nodes, wallet=wallet).upload(sample)

    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]


def test_an_index_that_stays_down_does_not_stop_a_download(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample, tmp_path: Path
) -> None:
    second = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    Client(arweave_node, wallet=wallet).upload(sample)
    arweave_node.mine()
    second.faults.add("/graphql", node_faults.refuse(503), kind="graphql")

    manager = Client(second, arweave_node, wallet=wallet).download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


def test_a_stored_file_that_is_not_available_now_is_not_paid_again(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"new")
    client.node.ledger.forget()
    weights = first.transactions["weights.bin"]
    client.node.faults.add(f"/tx/{weights}", node_faults.refuse(503))

    with pytest.raises(TransferError, match="503"):
        client.upload(sample)

    assert client.node.ledger.count("post-tx") == 0


# --- equal files ----------------------------------------------------------------------------------------


class Twins(BaseModel):
    files: list[Path]
    note: str = ""


@pytest.mark.parametrize("bundle", [False, True])
def test_equal_files_are_paid_once(
    client: Client, write: Callable[..., Path], tmp_path: Path, *, bundle: bool
) -> None:
    same = bytes(range(256)) * 2000
    twins = Twins(
        files=[
            *(write(f"{name}/{name}.bin", content=same) for name in ("a", "b", "c")),
            *(write(f"{name}/{name}.empty", 0) for name in ("a", "b")),
            *(write(f"{name}/{name}.txt", content=b"small") for name in ("a", "b")),
        ]
    )

    result = client.upload(twins, bundle=bundle)

    ids = result.transactions
    assert ids["a.bin"] == ids["b.bin"] == ids["c.bin"]
    assert ids["a.empty"] == ids["b.empty"]
    assert ids["a.txt"] == ids["b.txt"]
    assert len(client.node.transactions()) == (1 if bundle else 5)
    assert (result.bytes_sent, result.bytes_reused) == (512_005, 2 * 512_000 + 5)
    client.node.mine()
    again = RitualArtifactManager.from_repo(
        Twins, client.repo(), tmp_path / "out", repomanager_kwargs=client.connection
    ).artifact
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in twins.files]


def test_equal_files_stay_one_when_they_are_signed_again(
    client: Client, write: Callable[..., Path], tmp_path: Path
) -> None:
    twins = Twins(files=[write(f"{name}/x{name}.bin", content=b"same") for name in ("a", "b")])
    stale = node_faults.refuse(400, "Invalid anchor (last_tx).")
    client.node.faults.add("/tx", stale, kind="post-tx", times=1)

    result = client.upload(twins)

    assert result.transactions["xa.bin"] == result.transactions["xb.bin"]
    client.node.mine()
    again = RitualArtifactManager.from_repo(
        Twins, client.repo(), tmp_path / "out", repomanager_kwargs=client.connection
    ).artifact
    assert [path.read_bytes() for path in again.files] == [b"same", b"same"]


# --- what was signed is what is posted ------------------------------------------------------------------


def test_an_upload_goes_on_when_the_fields_of_the_class_have_another_order(
    client: Client, write: Callable[..., Path], tmp_path: Path
) -> None:
    fields: dict[str, Any] = {"weights": Path, "layers": int, "note": str}
    before = create_model("Circuit", **fields)
    after = create_model("Circuit", **dict(reversed(fields.items())))
    weights = write("weights.bin", 300_000)
    client.node.faults.add("/chunk", node_faults.refuse_chunk("invalid_proof"), kind="post-chunk", times=1)
    with pytest.raises(BackendError, match="invalid_proof"):
        client.upload(before(weights=weights, layers=1, note="a"))
    signed = {t.id for t in client.node.transactions()}

    result = client.upload(after(weights=weights, layers=1, note="a"))

    assert signed <= {*result.transactions.values(), result.transaction_id}
    client.node.mine()
    again = RitualArtifactManager.from_repo(
        after, client.repo(), tmp_path / "out", repomanager_kwargs=client.connection
    ).artifact
    assert again.model_dump()["weights"].read_bytes() == weights.read_bytes()


def test_data_missing_from_the_journal_is_an_error(client: Client, sample: Sample, own_folders: Path) -> None:
    client.node.faults.add("/chunk", node_faults.refuse_chunk("invalid_proof"), kind="post-chunk", times=1)
    with pytest.raises(BackendError, match="invalid_proof"):
        client.upload(sample)
    for path in own_folders.rglob("*.data"):
        path.unlink()

    with pytest.raises(BackendError, match="journal has lost"):
        client.upload(sample)


# --- what it costs --------------------------------------------------------------------------------------


def test_gateways_that_disagree_about_the_price_are_not_paid(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample
) -> None:
    greedy = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    greedy.faults.add("/price/*", faults.set_body(b"999999999999"), kind="price")

    with pytest.raises(BackendError, match=r"999999999999 winston.*trust"):
        Client(greedy, arweave_node, wallet=wallet).upload(sample)

    assert not arweave_node.transactions()


def test_a_gateway_without_a_price_is_not_compared(
    arweave_node: ArweaveNode, make_arweave: MakeArweave, wallet: Key, sample: Sample
) -> None:
    silent = make_arweave(weave=arweave_node.weave)
    arweave_node.mint(wallet.address, PLENTY)
    silent.faults.add("/price/*", node_faults.refuse(503), kind="price")

    assert Client(arweave_node, silent, wallet=wallet).upload(sample).cost > 0


def test_signing_again_must_be_affordable_with_the_path_manifest(
    client: Client, write: Callable[..., Path]
) -> None:
    stale = node_faults.refuse(400, "Invalid anchor (last_tx).")
    client.node.faults.add("/tx", stale, kind="post-tx", times=2)
    without_paths = client.node.weave.price(4 * 262_144) + client.node.weave.price(262_144)
    balance = faults.set_body(str(without_paths).encode())

    def lose_money() -> None:
        client.node.faults.add("/wallet/*/balance", balance, kind="balance")

    client.node.faults.add("/tx_anchor", faults.run(lose_money), kind="anchor", times=1)

    with pytest.raises(InsufficientFundsError, match=f"has {format_ar(without_paths)}"):
        client.upload(Twins(files=[write("weights.bin", 900_000)]))

    assert not client.node.transactions()


def test_a_finished_upload_that_is_signed_again_says_what_it_costs(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    for transaction in client.node.transactions():
        client.node.drop(transaction.id)
    client.node.mine(60, empty=True)

    again = client.upload(sample)

    assert again.cost == sum(t.reward for t in client.node.transactions()) > 0
    assert again.transaction_id != first.transaction_id


# --- what the user sees ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", [False, True])
def test_an_upload_counts_all_that_it_posts(client: Client, sample: Sample, *, bundle: bool) -> None:
    sent = []

    def note(report: Progress) -> None:
        if report.stage == "upload":
            sent.append(report)

    RitualArtifactManager(artifact=sample).to_repo(
        REPO, None, client.wallet.path, client.connection, {"bundle": bundle}, progress=note
    )

    assert sent[-1].bytes_done == sent[-1].bytes_total
    assert sent[-1].bytes_total == sum(t.data_size for t in client.node.transactions())
    assert sent[-2].bytes_done < sent[-1].bytes_total


def test_a_journal_goes_once_an_index_knows_what_it_has(
    client: Client, sample: Sample, own_folders: Path
) -> None:
    client.change_timing(recheck_seconds=300.0)  # so that only what waits asks for the status
    client.node.faults.add("/tx/*/status", faults.run(client.node.mine), kind="tx-status", times=1)
    client.upload(sample, confirmations=1)
    with hidden(client):
        assert client.upload(sample).cost == 0

    client.upload(sample)

    left = [path.name for path in (own_folders / "state" / "arweave").rglob("*") if path.is_file()]
    assert set(left) <= {"lock"}


def test_many_files_are_posted_at_once(client: Client, write: Callable[..., Path], tmp_path: Path) -> None:
    files = [write(f"{number}.bin", 262_145 + number) for number in range(12)]

    client.upload(Twins(files=files))

    client.node.mine()
    again = RitualArtifactManager.from_repo(
        Twins, client.repo(), tmp_path / "out", repomanager_kwargs=client.connection
    ).artifact
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in files]

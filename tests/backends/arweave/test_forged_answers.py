"""Gateways and indexes that forge answers: who owns what, and which transaction a repository names."""

from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.backends.arweave.index import Index
from ritual_artifacts.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    BackendError,
    TransferError,
)
from tests.backends.arweave.conftest import PLENTY, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.publish import publish_manifest
from tests.servers.arweave.signing import Key
from tests.servers.faults import Fault


@pytest.mark.parametrize(
    "fault",
    [
        node_faults.lie_in_transaction(owner=b"\1" * 512),
        node_faults.lie_in_transaction(data_root=bytes(32)),
        node_faults.lie_in_transaction(data_size="5"),
        node_faults.lie_in_transaction(tags=[]),
        node_faults.lie_in_transaction(signature=bytes(512)),
        node_faults.lie_in_transaction(format=1),
        faults.set_body(b"{}"),
        faults.set_body(b"Pending"),
        faults.set_body(b"[" * 10_000),
    ],
    ids=["owner", "root", "size", "tags", "signature", "format", "empty", "pending", "deep"],
)
@pytest.mark.usefixtures("published")
def test_a_forged_transaction_is_skipped(fault: Fault, pair: Client, sample: Sample, tmp_path: Path) -> None:
    pair.node.faults.add("/tx/*", fault, kind="tx")

    assert contents(pair.download(tmp_path / "out").artifact) == contents(sample)


@pytest.mark.parametrize(
    "fault",
    [
        node_faults.lie_in_transaction(owner=b"\1" * 512),
        node_faults.lie_in_transaction(data_root=bytes(32)),
        node_faults.lie_in_transaction(tags=[]),
    ],
    ids=["owner", "root", "tags"],
)
def test_with_one_lying_gateway_there_is_an_error_and_no_file(
    fault: Fault, client: Client, published: dict[str, str], tmp_path: Path
) -> None:
    client.node.faults.add(f"/tx/{published['weights.bin']}", fault, kind="tx")

    with pytest.raises(BackendError, match="not signed by its owner"):
        client.download(tmp_path / "out")

    assert not (tmp_path / "out" / "weights.bin").exists()


def test_the_order_in_which_an_index_answers_does_not_matter(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    for content in (b"1", b"2", b"3"):
        sample.config.write_bytes(content)
        client.upload(sample)
        client.node.mine()
    client.node.faults.add("/graphql", node_faults.reverse_edges(), kind="graphql")

    assert client.download(tmp_path / "out").artifact.config.read_bytes() == b"3"


def test_in_one_block_the_later_time_is_the_newer(client: Client, sample: Sample, tmp_path: Path) -> None:
    sample.weights.write_bytes(b"so small that nobody waits for it")
    for content in (b"1", b"2"):
        sample.config.write_bytes(content)
        client.upload(sample)
    client.node.mine()

    assert client.download(tmp_path / "out").artifact.config.read_bytes() == b"2"


def test_a_newest_version_that_is_not_available_now_is_not_skipped(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"new")
    newest = client.upload(sample).transaction_id
    client.node.mine()
    client.node.faults.add(f"/tx/{newest}", node_faults.refuse(503))

    with pytest.raises(TransferError, match="503"):
        Client(client.node, wallet=client.wallet).download(tmp_path / "out")


def test_versions_on_several_pages_are_all_listed(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.node.rules.page_limit = 2
    for content in (b"1", b"2", b"3", b"4", b"5"):
        sample.config.write_bytes(content)
        client.upload(sample)
        client.node.mine()
    client.node.faults.add("/graphql", node_faults.reverse_edges(), kind="graphql")

    assert client.download(tmp_path / "out").artifact.config.read_bytes() == b"5"


def test_more_versions_than_fill_50_pages_are_all_seen(client: Client) -> None:
    client.node.rules.page_limit = 1
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "many"}
    for number in range(52):
        publish_manifest(client.node, client.wallet, {f"{number}.txt": "A" * 43}, tags)

    with pytest.raises(ArtifactNotFoundError, match=r"it has 51\.txt"):
        client.download(None, f"arweave/{client.wallet.address}/many")


@pytest.mark.usefixtures("published")
def test_an_index_that_knows_nothing_is_not_the_only_one(
    pair: Client, sample: Sample, tmp_path: Path
) -> None:
    pair.node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql")

    assert contents(pair.download(tmp_path / "out").artifact) == contents(sample)


@pytest.mark.parametrize(
    "fault",
    [
        node_faults.lie_about_owner("A" * 43),
        node_faults.lie_about_size(5),
        node_faults.lie_about_tags({"Repo-Name": "other", "App-Name": None}),
    ],
    ids=["owner", "size", "tags"],
)
@pytest.mark.usefixtures("published")
def test_what_an_index_says_beside_ids_does_not_matter(
    fault: Fault, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.node.faults.add("/graphql", fault, kind="graphql")
    try:
        manager = client.download(tmp_path / "out")
    finally:
        client.node.faults.clear()

    assert contents(manager.artifact) == contents(sample)


@pytest.mark.usefixtures("published")
def test_a_path_manifest_of_another_repository_is_rejected(client: Client, sample: Sample) -> None:
    other = client.upload(sample, "arweave/me/other")
    client.node.mine()

    def lie(edges: list[node_faults.Edge]) -> None:
        for edge in edges:
            edge["node"]["id"] = other.transaction_id

    client.node.faults.add("/graphql", node_faults.lie_in_edges(lie), kind="graphql")

    with pytest.raises(ArtifactNotFoundError, match="Arweave has no"):
        client.download(None, client.repo("v1"))


@pytest.mark.usefixtures("published")
def test_a_path_manifest_of_another_owner_is_rejected(
    client: Client, other_wallet: Key, sample: Sample
) -> None:
    client.node.mint(other_wallet.address, PLENTY)
    theirs = Client(client.node, wallet=other_wallet).upload(sample, "arweave/me/model/v1")
    client.node.mine()

    def lie(edges: list[node_faults.Edge]) -> None:
        for edge in edges:
            edge["node"]["id"] = theirs.transaction_id

    client.node.faults.add("/graphql", node_faults.lie_in_edges(lie), kind="graphql")

    with pytest.raises(ArtifactNotFoundError):
        client.download(None, client.repo("v1"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"data": null}',
        b'{"data": {"transactions": {"edges": [{"node": {"id": "../../etc"}}]}}}',
        b'{"data": {"transactions": {"edges": {}}}}',
        b'{"errors": [{"message": "too complex"}]}',
        b"[" * 100_000,
    ],
)
@pytest.mark.usefixtures("published")
def test_an_invalid_answer_of_an_index_is_an_error(client: Client, body: bytes) -> None:
    client.node.faults.add("/graphql", faults.set_body(body), kind="graphql")

    with pytest.raises(BackendError):
        client.download(None)


@pytest.mark.usefixtures("published")
def test_pages_without_end_are_an_error(client: Client) -> None:
    seen: list[node_faults.Edge] = []

    def again(answer: Any) -> None:
        transactions = answer["data"]["transactions"]
        seen.extend(transactions["edges"])
        transactions["edges"] = seen[:1]
        transactions["pageInfo"]["hasNextPage"] = True

    client.node.faults.add("/graphql", faults.change_json(again), kind="graphql")

    with pytest.raises(TransferError, match="more than 20 pages"):
        list(Index(client.weave().network, max_pages=20).search(owner=client.wallet.address))

    assert client.node.ledger.count("graphql") == 20


@pytest.mark.parametrize("name", ['x"]}) { edges', "a\\b", "{", "name'; drop"])
def test_a_name_is_never_a_part_of_a_query(client: Client, name: str) -> None:
    with pytest.raises(ArtifactError):
        client.download(None, f"arweave/{client.wallet.address}/{name}")

    assert client.node.ledger.count("graphql") <= 1  # which the node has parsed, or it would have failed

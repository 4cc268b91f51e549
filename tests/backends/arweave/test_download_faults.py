"""Gateways that fail, stall and lie; nothing wrong is ever at a final path."""

import json
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends.arweave.index import Index
from ritual_artifacts.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
    ManifestError,
    NotFinalizedError,
    TransferError,
)
from tests.backends.arweave.conftest import PLENTY, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.encoding import b64
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.publish import publish, publish_manifest, publish_ritual_repo
from tests.servers.arweave.signing import Key
from tests.servers.faults import Fault

CHUNK = 262_144


@pytest.fixture
def published(client: Client, sample: Sample) -> dict[str, str]:
    """Publish the sample and return where its files are."""
    result = client.upload(sample, "arweave/me/model/v1")
    client.node.mine()
    client.node.ledger.forget()
    return {**result.transactions, "": result.transaction_id}


@pytest.fixture
def pair(client: Client, make_arweave: MakeArweave) -> Client:
    """Return a client with two gateways to the same chain; faults are the first one's."""
    second = make_arweave(weave=client.node.weave)
    return Client(client.node, second, wallet=client.wallet, timeout=1.0)


def nothing_wrong(folder: Path, sample: Sample) -> bool:
    """Say whether every file that is in place is right."""
    good = contents(sample)
    return all(
        path.read_bytes() == good[path.name]
        for path in folder.glob("*")
        if path.is_file() and path.name in good
    )


# --- one gateway --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut_after(300_000),
        faults.cut_after(0),
        faults.drop(),
        faults.short_body(100_000),
        faults.long_body(1000),
        faults.ignore_range(),
        node_faults.refuse(503, retry_after=0),
        node_faults.refuse(502),
        node_faults.rate_limit(),
    ],
    ids=["cut", "cut at once", "dropped", "short", "long", "no range", "503", "502", "429"],
)
def test_what_may_pass_is_tried_again(
    fault: Fault, client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    client.node.faults.add(f"/raw/{published['weights.bin']}", faults.cut_after(400_000), times=1)
    client.node.faults.add(f"/{published['weights.bin']}", fault, times=1)

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


def test_a_flipped_bit_is_found_and_only_what_is_wrong_is_fetched_again(
    client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    raw = f"/raw/{published['weights.bin']}"
    client.node.faults.add(raw, faults.flip_bit(3 * CHUNK + 5))

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)
    asked = [e for e in client.node.ledger.of("raw") if e.path == raw]
    assert len(asked) == 1
    again = [e for e in client.node.ledger.of("data") if e.path == raw.removeprefix("/raw")]
    assert [e.range for e in again] == [f"bytes={3 * CHUNK}-"]


def test_where_every_stream_lies_the_chunks_tell_the_truth(
    client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    for pattern in ("/raw/{}", "/{}", "/tx/{}/data"):
        client.node.faults.add(pattern.format(published["weights.bin"]), faults.flip_bit(100))

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


def test_where_everything_lies_nothing_wrong_is_in_place(
    client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    for pattern in ("/raw/{}", "/{}", "/tx/{}/data"):
        client.node.faults.add(pattern.format(published["weights.bin"]), faults.flip_bit(100))
    client.node.faults.add("/chunk/*", faults.change_json(lambda v: v.update(chunk=b64(b"x"))), kind="chunk")

    with pytest.raises((IntegrityError, TransferError)):
        client.download(tmp_path / "out")

    assert not (tmp_path / "out" / "weights.bin").exists()
    assert nothing_wrong(tmp_path / "out", sample)
    client.node.faults.clear()
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


@pytest.mark.parametrize(
    "kinds", [["raw"], ["raw", "data"], ["raw", "data", "tx-data"]], ids=["raw", "data", "all but chunks"]
)
@pytest.mark.usefixtures("published")
def test_what_one_address_lacks_comes_from_the_next(
    kinds: list[str], client: Client, sample: Sample, tmp_path: Path
) -> None:
    for kind in kinds:
        client.node.faults.add("*", node_faults.refuse(404), kind=kind)

    manager = client.download(tmp_path / "out")

    client.node.faults.clear()  # a path manifest is asked for at two of these addresses only
    assert contents(manager.artifact) == contents(sample)


def test_lost_chunks_end_in_an_error_that_leaves_a_start(
    client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    client.node.lose_chunks(published["weights.bin"], [2 * CHUNK])

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")

    assert not (tmp_path / "out" / "weights.bin").exists()
    assert 2 * CHUNK in [path.stat().st_size for path in (tmp_path / "out").rglob("*")]
    client.upload(sample, "arweave/me/model/v1", reseed=True)
    client.node.ledger.forget()
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)
    ranges = [e.range for e in client.node.ledger.of("raw") if e.path.endswith(published["weights.bin"])]
    assert ranges == [f"bytes={2 * CHUNK}-"]


def test_a_transaction_that_was_dropped_is_not_found(
    client: Client, published: dict[str, str], tmp_path: Path
) -> None:
    client.node.drop(published["config.json"])

    with pytest.raises(ArtifactNotFoundError, match=published["config.json"]):
        client.download(tmp_path / "out")


# --- several gateways ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        faults.stall(after=300_000),
        faults.cut_after(300_000),
        faults.flip_bit(300_001),
        faults.short_body(500_000),
        faults.replace_content(b"something else"),
        faults.set_body(b"<html>busy</html>"),
        node_faults.refuse(500),
        node_faults.refuse(404),
        faults.drop(),
    ],
    ids=["stall", "cut", "flip", "short", "other file", "html", "500", "404", "drop"],
)
def test_the_next_gateway_continues(
    fault: Fault, pair: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    pair.node.faults.add(f"/raw/{published['weights.bin']}", fault)

    manager = pair.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


def test_a_gateway_that_sends_without_end_is_not_listened_to(
    pair: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    pair.node.faults.add(f"/raw/{published['config.json']}", faults.endless_body())

    manager = pair.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


@pytest.mark.usefixtures("published")
def test_a_gateway_that_is_gone_costs_nothing_but_time(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.connection["gateways"] = ["http://127.0.0.1:9", client.node.url]

    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


# --- lies about where ---------------------------------------------------------------------------------------


def move(step: int) -> Fault:
    """Say that data is elsewhere on the weave."""

    def change(place: dict[str, str]) -> None:
        place["offset"] = str(int(place["offset"]) + step)

    return faults.change_json(change)


@pytest.fixture
def chunks_only(client: Client, published: dict[str, str], make_arweave: MakeArweave) -> Client:
    """Return a client with two gateways that have the largest file only chunk by chunk."""
    second = make_arweave(weave=client.node.weave)
    for node in (client.node, second):
        for kind in ("raw", "data", "tx-data"):
            node.faults.add(f"*{published['weights.bin']}*", node_faults.refuse(404), kind=kind)
    return Client(client.node, second, wallet=client.wallet)


@pytest.mark.parametrize(
    ("step", "times"), [(10**12, None), (10**6, None), (10**6, 1), (1, None), (-1, None)]
)
def test_a_wrong_place_on_the_weave_is_not_believed(
    step: int, times: int | None, chunks_only: Client, sample: Sample
) -> None:
    chunks_only.node.faults.add("*", move(step), kind="tx-offset", times=times)

    assert contents(chunks_only.download(None).artifact) == contents(sample)


def test_a_place_that_is_proven_is_not_asked_for_again(chunks_only: Client, sample: Sample) -> None:
    assert contents(chunks_only.download(None).artifact) == contents(sample)
    assert chunks_only.node.ledger.count("tx-offset") == 1


@pytest.mark.parametrize("size", [0, 5, 1_000_000])
def test_a_size_that_the_owner_has_not_signed_ends_it_before_anything_comes(
    size: int, client: Client, published: dict[str, str], tmp_path: Path
) -> None:
    other = publish(client.node, client.wallet, bytes(size))
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "cut"}
    files = {name: value for name, value in published.items() if name}
    publish_manifest(client.node, client.wallet, {**files, "weights.bin": other}, tags)

    with pytest.raises(IntegrityError, match=rf"'weights\.bin' .*expected 900000 bytes, got {size} bytes"):
        client.download(tmp_path / "out", f"arweave/{client.wallet.address}/cut")

    asked = client.node.ledger.of("raw", "data", "tx-data", "chunk")
    assert not [e.path for e in asked if other in e.path]
    assert not (tmp_path / "out" / "weights.bin").exists()


@pytest.mark.parametrize("sizes", [[400_000, 400_000], [400_000, 500_001], [900_000, 100_000]])
def test_so_does_the_size_of_all_sections(
    sizes: list[int], client: Client, published: dict[str, str], tmp_path: Path
) -> None:
    parts = [publish(client.node, client.wallet, bytes(size)) for size in sizes]
    sections = {f"{number}.section": part for number, part in enumerate(parts)}
    sectioned = publish_manifest(client.node, client.wallet, sections, {"File-Type": "Sectioned"})
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "cut"}
    files = {name: value for name, value in published.items() if name}
    publish_manifest(client.node, client.wallet, {**files, "weights.bin": sectioned}, tags)

    with pytest.raises(IntegrityError, match=rf"expected 900000 bytes, got {sum(sizes)} bytes"):
        client.download(tmp_path / "out", f"arweave/{client.wallet.address}/cut")

    assert not [e.path for e in client.node.ledger.of("raw", "data") if parts[0] in e.path]


# --- lies about who, what and which -------------------------------------------------------------------------


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
def test_a_forged_transaction_is_seen_through(
    fault: Fault, pair: Client, sample: Sample, tmp_path: Path
) -> None:
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


def test_a_newest_version_that_nobody_serves_now_is_not_passed_over(
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


def test_many_versions_come_in_pages(client: Client, sample: Sample, tmp_path: Path) -> None:
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
def test_another_repositorys_manifest_is_not_taken_for_this_one(client: Client, sample: Sample) -> None:
    other = client.upload(sample, "arweave/me/other")
    client.node.mine()

    def lie(edges: list[node_faults.Edge]) -> None:
        for edge in edges:
            edge["node"]["id"] = other.transaction_id

    client.node.faults.add("/graphql", node_faults.lie_in_edges(lie), kind="graphql")

    with pytest.raises(ArtifactNotFoundError, match="Arweave has no"):
        client.download(None, client.repo("v1"))


@pytest.mark.usefixtures("published")
def test_somebody_elses_manifest_is_not_taken_for_the_owners(
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
def test_an_index_that_makes_no_sense_is_an_error(client: Client, body: bytes) -> None:
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


# --- hostile publishers -------------------------------------------------------------------------------------


def publish_manifest_of(client: Client, files: dict[str, bytes], name: str = "bad") -> str:
    """Publish files, with a `ritual_manifest.json` among them, and return the repository's id."""
    publish_ritual_repo(client.node, client.wallet, name, files)
    return f"arweave/{client.wallet.address}/{name}"


@pytest.mark.parametrize("path", ["../escape.bin", "/etc/escape.bin", "a\\b.bin", "CON", "a/../../b"])
def test_a_hostile_name_is_refused_before_anything_is_written(
    client: Client, path: str, tmp_path: Path
) -> None:
    manifest = {"weights": path, "artifact_type": "Bad", "file_hashes": {path: "0" * 64}}
    repo = publish_manifest_of(client, {"ritual_manifest.json": json.dumps(manifest).encode(), "x": b"x"})

    with pytest.raises(ManifestError):
        client.download(tmp_path / "out", repo)

    assert not list(tmp_path.rglob("escape.bin"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"paths": []}',
        '{"paths": {"a": {"id": "short"}}}',
        '{"paths": {"a": "no"}}',
        '{"paths": {"a": {"id": "' + "A" * 43 + '"}, "a": {"id": "' + "B" * 43 + '"}}}',
        "[" * 100_000,
    ],
)
def test_a_malformed_path_manifest_is_an_error(client: Client, text: str) -> None:
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "bad"}
    publish_manifest(client.node, client.wallet, text or " ", tags)

    with pytest.raises(BackendError, match="malformed"):
        client.download(None, f"arweave/{client.wallet.address}/bad")


def test_a_repository_without_a_manifest_says_what_is_there(client: Client) -> None:
    repo = publish_manifest_of(client, {"model.bin": b"1", "notes.txt": b"2"})

    with pytest.raises(ArtifactNotFoundError, match=r"no ritual_manifest\.json.*model\.bin, notes\.txt"):
        client.download(None, repo)


def test_a_file_of_another_owner_is_refused(client: Client, other_wallet: Key) -> None:
    theirs = publish(client.node, other_wallet, b"theirs")
    manifest = publish(client.node, client.wallet, b"{}")
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "bad"}
    publish_manifest(client.node, client.wallet, {"ritual_manifest.json": theirs, "a": manifest}, tags)

    with pytest.raises(BackendError, match=f"which {other_wallet.address} owns"):
        client.download(None, f"arweave/{client.wallet.address}/bad")


def test_a_file_that_is_not_what_its_manifest_says_is_the_publishers_fault(
    client: Client, tmp_path: Path
) -> None:
    manifest = {"weights": "w.bin", "artifact_type": "Bad", "file_hashes": {"w.bin": "0" * 64}}
    repo = publish_manifest_of(
        client, {"ritual_manifest.json": json.dumps(manifest).encode(), "w.bin": b"x" * 600_000}
    )

    class Bad(Sample):
        pass

    with pytest.raises((IntegrityError, ManifestError)):
        RitualArtifactManager.from_repo(Bad, repo, tmp_path / "out", repomanager_kwargs=client.connection)

    assert not (tmp_path / "out" / "w.bin").exists()


# --- not mined yet ------------------------------------------------------------------------------------------


def test_a_version_that_waits_to_be_mined_says_so(client: Client, sample: Sample) -> None:
    client.upload(sample, "arweave/me/model/v1")

    with pytest.raises(NotFinalizedError, match="try again"):
        client.download(None, client.repo("v1"))


def test_while_a_newer_one_waits_the_older_one_comes(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.node.mine()
    before = contents(sample)
    sample.config.write_bytes(b"new")
    client.upload(sample)

    assert contents(client.download(tmp_path / "out").artifact) == before

"""Gateways that fail, stall and send wrong bytes; no wrong byte is ever at a final path."""

from pathlib import Path

import pytest

from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
)
from tests.backends.arweave.conftest import Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.encoding import b64
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.publish import publish, publish_manifest
from tests.servers.faults import Fault

CHUNK = 262_144


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
def test_temporary_failures_are_retried(
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


def test_where_every_stream_is_wrong_the_chunks_are_used(
    client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    for pattern in ("/raw/{}", "/{}", "/tx/{}/data"):
        client.node.faults.add(pattern.format(published["weights.bin"]), faults.flip_bit(100))

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


def test_where_everything_is_wrong_no_file_is_in_place(
    client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    for pattern in ("/raw/{}", "/{}", "/tx/{}/data"):
        client.node.faults.add(pattern.format(published["weights.bin"]), faults.flip_bit(100))
    client.node.faults.add("/chunk/*", faults.change_json(lambda v: v.update(chunk=b64(b"x"))), kind="chunk")

    with pytest.raises(IntegrityError, match=r"'weights\.bin' \(field 'weights'\)"):
        client.download(tmp_path / "out")

    assert not (tmp_path / "out" / "weights.bin").exists()
    assert nothing_wrong(tmp_path / "out", sample)
    client.node.faults.clear()
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


@pytest.mark.parametrize(
    "kinds", [["raw"], ["raw", "data"], ["raw", "data", "tx-data"]], ids=["raw", "data", "all but chunks"]
)
@pytest.mark.usefixtures("published")
def test_data_missing_at_one_address_is_read_from_the_next(
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


def test_an_endless_body_is_cut_off(
    pair: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    pair.node.faults.add(f"/raw/{published['config.json']}", faults.endless_body())

    manager = pair.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


@pytest.mark.usefixtures("published")
def test_a_gateway_that_cannot_be_reached_is_skipped(client: Client, sample: Sample, tmp_path: Path) -> None:
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
def test_a_wrong_offset_is_rejected(
    step: int, times: int | None, chunks_only: Client, sample: Sample
) -> None:
    chunks_only.node.faults.add("*", move(step), kind="tx-offset", times=times)

    assert contents(chunks_only.download(None).artifact) == contents(sample)


def test_a_verified_offset_is_requested_once(chunks_only: Client, sample: Sample) -> None:
    assert contents(chunks_only.download(None).artifact) == contents(sample)
    assert chunks_only.node.ledger.count("tx-offset") == 1


@pytest.mark.parametrize("size", [0, 5, 1_000_000])
def test_a_size_that_differs_from_the_manifest_is_an_error_before_the_download(
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
def test_sections_whose_size_differs_from_the_manifest_are_an_error(
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

"""Small files and the manifests in one transaction."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends.arweave.upload.bundle import choose_bundled
from ritual_artifacts.backends.arweave.upload.unsigned import UnsignedData
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, IntegrityError
from tests.backends.arweave.conftest import PLENTY, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.bundles import item_id, make_bundle, make_item
from tests.servers.arweave.encoding import b64, unb64
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import BUNDLE_TAGS, publish_bundle, publish_manifest
from tests.servers.arweave.signing import Key

MIB = 1 << 20


class One(BaseModel):
    weights: Path


@pytest.fixture
def big_sample(sample: Sample) -> Sample:
    """Return a sample with a file that is too large for a bundle."""
    with sample.weights.open("ab") as file:
        file.truncate(4 * MIB + 1)
    return sample


def test_all_small_files_and_the_manifests_are_one_transaction(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    result = client.upload(sample, bundle=True)
    client.node.mine()

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)
    assert len(client.node.transactions()) == 1
    assert result.final_transaction == client.node.transactions()[0].id
    assert result.transaction_id != result.final_transaction
    assert result.cost == PLENTY - client.node.weave.balance(client.wallet.address)
    assert not client.node.weave.malformed_bundles


def test_a_large_file_has_a_transaction_of_its_own(
    client: Client, big_sample: Sample, tmp_path: Path
) -> None:
    result = client.upload(big_sample, bundle=True)
    client.node.mine()

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(big_sample)
    assert [t.id for t in client.node.transactions()] == [
        result.transactions["weights.bin"],
        result.final_transaction,
    ]


def test_a_bundled_artifact_is_found_by_its_id_alone(client: Client, sample: Sample) -> None:
    result = client.upload(sample, "arweave/me/model/v1", bundle=True)
    client.node.mine()

    manager = RitualArtifactManager.from_arweave(
        Sample, result.transaction_id, repomanager_kwargs=client.connection
    )

    assert contents(manager.artifact) == contents(sample)


def test_the_same_bundle_again_costs_nothing(client: Client, sample: Sample) -> None:
    first = client.upload(sample, bundle=True)
    client.node.mine()

    again = client.upload(sample, bundle=True)

    assert (again.cost, again.transaction_id) == (0, first.transaction_id)
    assert len(client.node.transactions()) == 1


def test_items_of_an_older_bundle_are_named_again(client: Client, sample: Sample, tmp_path: Path) -> None:
    first = client.upload(sample, bundle=True)
    client.node.mine()
    sample.config.write_bytes(b"new")

    second = client.upload(sample, bundle=True)
    client.node.mine()

    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]
    assert second.bytes_sent == 3
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def test_without_the_option_items_of_a_bundle_are_not_named(client: Client, sample: Sample) -> None:
    first = client.upload(sample, bundle=True)
    client.node.mine()
    sample.config.write_bytes(b"new")

    second = client.upload(sample)

    assert set(second.transactions.values()).isdisjoint(first.transactions.values())


# --- what gateways lack, and lies -------------------------------------------------------------------------


@pytest.fixture
def bundle_id(client: Client, sample: Sample) -> str:
    """Publish the sample in a bundle and return the transaction."""
    result = client.upload(sample, bundle=True)
    client.node.mine()
    client.node.ledger.forget()
    return result.final_transaction


@pytest.fixture
def second(client: Client, make_arweave: MakeArweave) -> ArweaveNode:
    """Return another gateway to the same chain."""
    return make_arweave(weave=client.node.weave)


WAYS = [["raw"], ["raw", "data"]]
WAY_NAMES = ["raw", "raw and plain"]


@pytest.mark.usefixtures("bundle_id")
@pytest.mark.parametrize("kinds", WAYS, ids=WAY_NAMES)
def test_a_bundle_missing_at_one_address_is_read_from_the_next(
    kinds: list[str], client: Client, second: ArweaveNode, sample: Sample, tmp_path: Path
) -> None:
    for node in (client.node, second):
        for kind in kinds:
            node.faults.add("*", node_faults.refuse(404), kind=kind)

    pair = Client(client.node, second, wallet=client.wallet)

    assert contents(pair.download(tmp_path / "out").artifact) == contents(sample)


def test_a_bundle_that_no_gateway_has_is_an_error(client: Client, sample: Sample) -> None:
    result = client.upload(sample, bundle=True)
    client.node.mine()
    for kind in ("raw", "data", "chunk"):
        client.node.faults.add("*", node_faults.refuse(404), kind=kind)

    with pytest.raises(ArtifactNotFoundError, match=f"of the bundle {result.final_transaction}"):
        client.connect().identify(result.transaction_id)


@pytest.mark.usefixtures("bundle_id")
@pytest.mark.parametrize("kind", ["raw", "data", "chunk"])
def test_temporary_failures_of_a_bundle_are_retried(
    kind: str, client: Client, sample: Sample, tmp_path: Path
) -> None:
    for other in {"raw", "data", "chunk"} - {kind}:
        client.node.faults.add("*", node_faults.refuse(404), kind=other)
    client.node.faults.add("*", node_faults.refuse(503), kind=kind, times=2)
    client.node.faults.add("*", faults.drop(), kind=kind, skip=2, times=1)

    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def swap_two_items(data: bytes) -> bytes:
    """Return a bundle whose index has two entries in the wrong order."""
    return data[:32] + data[96:160] + data[32:96] + data[160:]


def hide_items(data: bytes) -> bytes:
    """Return a bundle whose index names others."""
    count = int.from_bytes(data[:32], "little")
    entries = [data[32 + 64 * i :][:32] + bytes([i]) * 32 for i in range(count)]
    return b"".join([data[:32], *entries, data[32 + 64 * count :]])


def flip_bit_in_an_item(data: bytes) -> bytes:
    return data[:500_000] + bytes([data[500_000] ^ 1]) + data[500_001:]


@pytest.mark.parametrize("kinds", WAYS, ids=WAY_NAMES)
@pytest.mark.parametrize(
    "lie",
    [
        swap_two_items,
        hide_items,
        flip_bit_in_an_item,
        lambda _: b"",
        lambda _: b"\xff" * 64,
        lambda _: bytes(32),
        lambda _: b"<html>",
        lambda _: b"\x01" + bytes(31) + b"\xff" * 64,
    ],
    ids=["swapped", "hidden", "flipped", "empty", "huge", "no items", "html", "large item"],
)
def test_a_wrong_bundle_is_skipped(
    lie: Callable[[bytes], bytes], kinds: list[str], client: Client, bundle_id: str, sample: Sample
) -> None:
    told = lie(client.node.read(bundle_id))
    for kind in kinds:
        client.node.faults.add(f"*{bundle_id}", faults.replace_content(told), kind=kind)

    assert contents(client.download(None).artifact) == contents(sample)


def test_a_right_bundle_is_read_from_the_next_gateway(
    client: Client, second: ArweaveNode, bundle_id: str, sample: Sample, tmp_path: Path
) -> None:
    told = flip_bit_in_an_item(client.node.read(bundle_id))
    client.node.faults.add(f"/raw/{bundle_id}", faults.replace_content(told))

    pair = Client(client.node, second, wallet=client.wallet)

    assert contents(pair.download(tmp_path / "out").artifact) == contents(sample)
    assert client.node.ledger.count("data", "chunk") == 0


def test_wrong_bundles_from_every_gateway_are_an_error_and_leave_no_file(
    client: Client, bundle_id: str, tmp_path: Path
) -> None:
    told = flip_bit_in_an_item(client.node.read(bundle_id))
    for kind in ("raw", "data"):
        client.node.faults.add(f"*{bundle_id}", faults.replace_content(told), kind=kind)
    garbage = faults.change_json(lambda values: values.update(chunk=b64(b"x")))
    client.node.faults.add("*", garbage, kind="chunk")

    with pytest.raises(IntegrityError, match=r"'weights\.bin' \(field 'weights'\)"):
        client.download(tmp_path / "out")

    assert not (tmp_path / "out" / "weights.bin").exists()


def test_an_index_of_a_bundle_cannot_claim_a_transaction(
    client: Client, big_sample: Sample, tmp_path: Path
) -> None:
    result = client.upload(big_sample, bundle=True)
    client.node.mine()
    bundle_id = result.final_transaction
    data = client.node.read(bundle_id)
    empty = data.index(unb64(result.transactions["empty.safetensors"]))
    told = data[:empty] + unb64(result.transactions["weights.bin"]) + data[empty + 32 :]
    client.node.faults.add(f"/raw/{bundle_id}", faults.replace_content(told))

    assert contents(client.download(tmp_path / "out").artifact) == contents(big_sample)


@pytest.mark.parametrize("kinds", [[], ["raw"]], ids=["all there", "no raw"])
def test_items_of_a_bundle_inside_a_bundle_are_downloaded(
    kinds: list[str], client: Client, tmp_path: Path
) -> None:
    hashes = {"w.bin": hashlib.sha256(b"weights").hexdigest()}
    manifest = {"artifact_type": "One", "weights": "w.bin", "file_hashes": hashes}
    files = {"w.bin": b"weights", "ritual_manifest.json": json.dumps(manifest).encode()}
    items = [make_item(client.wallet, data) for data in files.values()]
    inner = make_bundle(items)
    publish_bundle(client.node, client.wallet, [(inner, BUNDLE_TAGS), (b"beside", ())])
    paths = dict(zip(files, map(item_id, items), strict=True))
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "nested"}
    publish_manifest(client.node, client.wallet, paths, tags)
    for kind in kinds:
        client.node.faults.add("*", node_faults.refuse(404), kind=kind)

    manager = RitualArtifactManager.from_arweave(
        One, f"{client.wallet.address}/nested", tmp_path / "out", repomanager_kwargs=client.connection
    )

    assert manager.artifact.weights.read_bytes() == b"weights"


# --- whose, and what fits -----------------------------------------------------------------------------------


def test_a_bundle_of_another_owner_is_not_the_owners(
    client: Client, other_wallet: Key, sample: Sample
) -> None:
    client.node.mint(other_wallet.address, PLENTY)
    Client(client.node, wallet=other_wallet).upload(sample, bundle=True)
    client.node.mine()

    with pytest.raises(BackendError, match="Arweave has no"):
        client.download(None)


def test_what_does_not_fit_into_a_bundle_is_left_out() -> None:
    sizes = {"a": 30_000, "large": 4 * MIB + 1, "b": 20_001, "c": 20_000, "d": 1}
    files = [
        UnsignedData(name=name, source=b"", size=size, data_root=b"", tags=()) for name, size in sizes.items()
    ]

    assert [file.name for file in choose_bundled(files, max_bytes=50_000)] == ["a", "c"]
    assert [file.name for file in choose_bundled(files)] == ["a", "b", "c", "d"]

"""Small files and the manifests in one transaction."""

from pathlib import Path

import pytest

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.errors import ArtifactError, BackendError
from tests.backends.arweave.conftest import PLENTY, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.signing import Key

MIB = 1 << 20


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


def test_a_flipped_bit_in_a_bundle_is_seen(
    client: Client, sample: Sample, make_arweave: MakeArweave, tmp_path: Path
) -> None:
    result = client.upload(sample, bundle=True)
    client.node.mine()
    client.node.faults.add(f"/raw/{result.final_transaction}", faults.flip_bit(500_000))

    with pytest.raises(BackendError, match="not what its owner has signed"):
        client.download(tmp_path / "one")

    second = make_arweave(weave=client.node.weave)
    pair = Client(client.node, second, wallet=client.wallet)
    assert contents(pair.download(tmp_path / "two").artifact) == contents(sample)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, bytes(32), b"<html>", b"\x01" + bytes(31) + b"\xff" * 64]
)
def test_a_hostile_bundle_is_an_error(client: Client, sample: Sample, content: bytes, tmp_path: Path) -> None:
    result = client.upload(sample, bundle=True)
    client.node.mine()
    client.node.faults.add(f"/raw/{result.final_transaction}", faults.replace_content(content))

    with pytest.raises(ArtifactError):
        client.download(tmp_path / "out")

    assert not list((tmp_path / "out").glob("*.bin"))


def test_a_bundle_of_another_owners_items_is_not_the_owners(
    client: Client, other_wallet: Key, sample: Sample
) -> None:
    client.node.mint(other_wallet.address, PLENTY)
    Client(client.node, wallet=other_wallet).upload(sample, bundle=True)
    client.node.mine()

    with pytest.raises(BackendError, match="Arweave has no"):
        client.download(None)

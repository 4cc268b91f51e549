"""What an upload checks before it posts: sources, tags, prices, and what is stored already."""

import os
from pathlib import Path

import pytest

from ritual_artifacts.errors import (
    ArtifactModelError,
    BackendError,
    ManifestError,
    RepoIdError,
    SourceChangedError,
)
from tests.backends.arweave.conftest import PLENTY, Client, has_path_manifest, is_published
from tests.backends.sample import Sample
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.signing import Key
from tests.servers.arweave.transactions import Transaction
from tests.servers.faults import Fault
from tests.servers.replies import Reply


def pairs(transaction: Transaction) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in transaction.tags]


def test_lost_chunks_are_posted_again_at_no_cost(client: Client, sample: Sample, tmp_path: Path) -> None:
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


def test_a_lost_file_is_posted_again_before_it_is_reused(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    first = client.upload(sample)
    client.node.mine()
    client.node.lose_chunks(first.transactions["weights.bin"])
    sample.config.write_bytes(b"new")

    second = client.upload(sample)

    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]
    assert is_published(client, sample, tmp_path / "out")


def test_a_file_of_another_owner_is_not_reused(client: Client, other_wallet: Key, sample: Sample) -> None:
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


def test_tags_follow_the_options(client: Client, sample: Sample) -> None:
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
def test_an_invalid_price_ends_the_upload(client: Client, sample: Sample, answer: bytes) -> None:
    client.node.faults.add("/price/*", faults.set_body(answer), kind="price")

    with pytest.raises(BackendError, match="winston"):
        client.upload(sample)

    assert client.node.ledger.count("post-tx") == 0


def test_errors_of_a_model_are_raised_before_any_request(client: Client, sample: Sample) -> None:
    sample.weights.unlink()

    with pytest.raises((ArtifactModelError, ManifestError, FileNotFoundError)):
        client.upload(sample)

    assert client.node.ledger.count() == 0


def test_forged_data_does_not_hide_that_a_file_is_lost(
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
    client.connection["max_workers"] = 1  # so that no other post is on its way when the fault is gone
    client.node.faults.add("/tx", node_faults.refuse(400, "no"), kind="post-tx")
    with pytest.raises(BackendError, match="refuses the transaction"):
        client.upload(sample)
    client.node.faults.clear()

    with pytest.raises(BackendError, match="max_cost"):
        client.upload(sample, max_cost=1)

    assert not client.node.transactions()


def test_a_version_that_could_not_be_found_again_is_refused(client: Client, sample: Sample) -> None:
    with pytest.raises(RepoIdError, match="another label"):
        client.upload(sample, f"arweave/me/model/{'A' * 43}")

    assert not client.node.ledger.count()

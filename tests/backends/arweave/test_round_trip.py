from pathlib import Path

import pytest

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.backends.arweave.options import UploadOptions
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    InsufficientFundsError,
    NotFinalizedError,
    RepoIdError,
    WalletError,
)
from ritual_artifacts.repo_id import RitualRepoId
from tests.backends.arweave.conftest import PLENTY, REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key


def test_a_download_equals_the_upload(client: Client, sample: Sample, tmp_path: Path) -> None:
    result = client.upload(sample)
    client.node.mine()

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)
    assert manager.artifact.note == "ø"
    assert manager.digest == result.digest


def test_the_result_says_where_it_went(client: Client, sample: Sample) -> None:
    result = client.upload(sample, "arweave/me/model/v1")

    assert str(result.repo_id) == client.repo("v1")
    assert result.revision == result.transaction_id
    assert result.manifest_url == f"{client.node.url}/{result.transaction_id}"
    assert result.bytes_sent == 970_014
    assert result.bytes_reused == 0
    assert set(result.transactions) == {*contents(sample), "ritual_manifest.json"}
    assert result.cost == sum(int(t.reward) for t in client.node.transactions())
    client.node.mine()
    assert all(client.node.is_complete(name) for name in result.transactions.values())


def test_the_documented_calls_run_as_written(client: Client, sample: Sample) -> None:
    manager = RitualArtifactManager(artifact=sample)
    wallet_path = client.wallet.path

    first = manager.to_arweave(
        repo_name="my-repo-name", wallet_path=wallet_path, repo_manager_kwargs=client.connection
    )
    client.node.mine()
    second = manager.to_repo(
        repo_id="arweave/my-username/my-model",
        repo_type="arweave",
        wallet_path=wallet_path,
        repo_manager_kwargs=client.connection,
    )
    client.node.mine()

    for result in (first, second):
        again = RitualArtifactManager.from_arweave(
            artifact_class=Sample,
            repo_id=f"{client.wallet.address}/{result.repo_id.name}",
            repomanager_kwargs=client.connection,
        )
        assert contents(again.artifact) == contents(sample)
    assert manager.manifest().repo_id == str(second.repo_id)


def test_a_transaction_is_found_by_its_id_alone(client: Client, sample: Sample) -> None:
    result = client.upload(sample, "arweave/me/model/v1")
    client.node.mine()

    manager = RitualArtifactManager.from_arweave(
        Sample, result.transaction_id, repomanager_kwargs=client.connection
    )

    assert contents(manager.artifact) == contents(sample)
    assert str(manager.repo_id) == client.repo(result.transaction_id)


def test_a_pinned_copy_in_the_cache_costs_no_request(client: Client, sample: Sample) -> None:
    result = client.upload(sample, "arweave/me/model/v1")
    client.node.mine()
    client.download(None, client.repo("v1"))
    RitualArtifactManager.from_arweave(Sample, result.transaction_id, repomanager_kwargs=client.connection)
    client.node.ledger.forget()

    client.download(None, client.repo("v1"))
    RitualArtifactManager.from_arweave(Sample, result.transaction_id, repomanager_kwargs=client.connection)

    assert client.node.ledger.count() == 0


def test_the_owner_is_the_wallet(client: Client, sample: Sample, caplog: pytest.LogCaptureFixture) -> None:
    client.upload(sample, "arweave/my-username/model")

    assert "my-username" in caplog.text
    assert client.wallet.address in caplog.text


def test_the_address_of_another_wallet_is_refused(client: Client, sample: Sample, other_wallet: Key) -> None:
    with pytest.raises(RepoIdError, match="owned by another wallet"):
        client.upload(sample, f"arweave/{other_wallet.address}/model")

    assert not client.node.transactions()


def test_without_a_wallet_nothing_is_asked(arweave_node: ArweaveNode, sample: Sample) -> None:
    with pytest.raises(WalletError, match="ARWEAVE_WALLET_FILE_PATH"):
        RitualArtifactManager(artifact=sample).to_repo(
            "arweave/me/model", repo_manager_kwargs={"gateways": arweave_node.url}
        )

    assert arweave_node.ledger.count() == 0


# --- paying ---------------------------------------------------------------------------------------------


def test_an_empty_wallet_posts_nothing(arweave_node: ArweaveNode, wallet: Key, sample: Sample) -> None:
    with pytest.raises(InsufficientFundsError, match=r"costs .* AR .*winston.* has 0 AR; nothing was posted"):
        Client(arweave_node, wallet=wallet).upload(sample)

    assert arweave_node.ledger.count("post-tx", "post-chunk") == 0


def test_the_result_states_what_was_paid(client: Client, sample: Sample) -> None:
    result = client.upload(sample)
    client.node.mine()

    balance = client.node.weave.balance(client.wallet.address)

    assert result.cost == PLENTY - balance > 0


def test_the_summary_says_what_was_paid(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    client.node.mine()
    again = client.upload(sample)

    assert first.summary() == [f"paid {format_ar(first.cost)}"]
    assert again.summary() == ["nothing to pay"]


def test_an_estimate_is_the_price_of_all_files_and_both_manifests(client: Client, sample: Sample) -> None:
    backend = client.connect()
    plan = plan_files(sample)

    price = backend.estimate(plan, RitualRepoId.from_unique_id(REPO), UploadOptions())

    assert price is not None
    assert price.amount == client.upload(sample).cost
    assert price.text == format_ar(price.amount)
    assert price.details == {"winston": str(price.amount), "ar": price.text.removesuffix(" AR")}


def test_what_costs_nothing_has_no_price(client: Client, sample: Sample) -> None:
    client.node.faults.add("/price/*", faults.set_body(b"0"), kind="price")

    assert (
        client.connect().estimate(plan_files(sample), RitualRepoId.from_unique_id(REPO), UploadOptions())
        is None
    )


def test_an_upload_above_max_cost_posts_nothing(client: Client, sample: Sample) -> None:
    with pytest.raises(BackendError, match=r"max_cost allows 0.00000000001 AR; nothing was posted"):
        client.upload(sample, max_cost=10)

    assert client.node.ledger.count("post-tx", "post-chunk") == 0


def test_the_same_again_costs_nothing(client: Client, sample: Sample) -> None:
    first = client.upload(sample)
    client.node.mine()
    client.node.ledger.forget()

    again = client.upload(sample)

    assert (again.cost, again.bytes_sent, again.bytes_reused) == (0, 0, 970_014)
    assert again.transaction_id == first.transaction_id
    assert again.transactions == first.transactions
    assert client.node.ledger.count("post-tx", "post-chunk") == 0


def test_the_same_again_costs_nothing_while_it_is_not_mined(client: Client, sample: Sample) -> None:
    first = client.upload(sample, "arweave/me/model/v1")
    client.node.ledger.forget()

    again = client.upload(sample, "arweave/me/model/v1")

    assert (again.cost, again.bytes_sent) == (0, 0)
    assert again.transaction_id == first.transaction_id
    assert client.node.ledger.count("post-tx", "post-chunk") == 0


def test_a_new_version_pays_for_what_changed(client: Client, sample: Sample, tmp_path: Path) -> None:
    first = client.upload(sample, "arweave/me/model/v1")
    client.node.mine()
    sample.config.write_bytes(b'{"layers": 3}\n')

    second = client.upload(sample, "arweave/me/model/v2")
    client.node.mine()

    assert second.bytes_sent == 14
    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]
    assert second.transactions["config.json"] != first.transactions["config.json"]
    assert second.cost < first.cost
    assert contents(client.download(tmp_path / "2", client.repo("v2")).artifact) == contents(sample)


def test_an_older_artifact_can_become_the_newest_again(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    first = client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"new")
    client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b'{"layers": 2}\n')

    third = client.upload(sample)

    client.node.mine()
    assert client.download(tmp_path / "out").artifact.config.read_bytes() == b'{"layers": 2}\n'
    assert third.transaction_id != first.transaction_id
    assert third.transactions["weights.bin"] == first.transactions["weights.bin"]
    assert third.bytes_sent == 0


# --- versions -------------------------------------------------------------------------------------------


def test_without_a_version_the_newest_is_downloaded(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"new")
    client.upload(sample)
    client.node.mine()

    assert client.download(tmp_path / "out").artifact.config.read_bytes() == b"new"


def test_a_version_stays_what_it_is(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample, "arweave/me/model/v1")
    client.node.mine()
    before = contents(sample)
    sample.config.write_bytes(b"new")

    with pytest.raises(ConflictError, match="never changes"):
        client.upload(sample, "arweave/me/model/v1")

    assert contents(client.download(tmp_path / "out", client.repo("v1")).artifact) == before


def test_a_missing_version_names_the_existing_ones(client: Client, sample: Sample) -> None:
    client.upload(sample, "arweave/me/model/v1")
    client.node.mine()

    with pytest.raises(ArtifactNotFoundError, match=r"its versions are v1"):
        client.download(None, client.repo("v2"))


def test_a_repository_that_is_not_there_is_an_error(client: Client) -> None:
    with pytest.raises(ArtifactNotFoundError, match="Arweave has no"):
        client.download(None)


def test_an_owner_that_is_not_an_address_is_an_error(client: Client) -> None:
    with pytest.raises(ArtifactNotFoundError, match="not an Arweave address"):
        client.download(None, "arweave/me/model")


def test_what_is_not_mined_yet_says_so(client: Client, sample: Sample) -> None:
    client.upload(sample)

    with pytest.raises(NotFinalizedError, match=r"not mined yet; try again"):
        client.download(None)


# --- status ---------------------------------------------------------------------------------------------


def test_a_transaction_is_pending_then_confirmed(client: Client, sample: Sample) -> None:
    result = client.upload(sample)

    assert result.status().state == "pending"
    client.node.mine(3)
    assert result.status().state == "confirmed"
    assert result.wait_for(3).confirmations == 3
    with pytest.raises(NotFinalizedError, match=r"3 blocks deep.*expected 4"):
        result.wait_for(4, timeout=0.05)


def test_a_dropped_transaction_is_not_waited_for(client: Client, sample: Sample) -> None:
    result = client.upload(sample)
    client.node.drop(result.transaction_id)

    assert result.status().state == "dropped"
    with pytest.raises(NotFinalizedError, match="no gateway knows"):
        result.wait_for(1)


def test_the_status_of_what_is_not_mined_yet_can_be_asked_for(client: Client, sample: Sample) -> None:
    result = client.upload(sample)

    found = client.connect().find_transaction(result.repo_id)

    assert found == result.transaction_id


def test_a_data_item_is_confirmed_with_its_bundle(client: Client, sample: Sample) -> None:
    result = client.upload(sample, bundle=True)
    client.node.mine()

    holder = client.connect().find_holder(result.transaction_id)

    assert holder == result.final_transaction

"""Commits made at the same time, unreadable answers, and branches that must not be left behind."""

import pytest
from huggingface_hub import HfApi

from ritual_artifacts.errors import ConflictError
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub


def test_a_new_version_is_complete_although_main_gets_the_same_files_during_the_upload(
    client: Client, sample: Sample
) -> None:
    repo = client.hub.create_repo("alice/model")
    files = contents(sample)
    client.hub.faults.add("*/preupload/*", faults.run(lambda: client.hub.put(repo, files)), times=1)

    client.upload(sample, f"{REPO}/v1")

    version = repo.find("v1")
    assert version is not None
    assert set(files) <= set(version.files)


def test_the_parent_commit_is_compared_with_a_commit_made_during_the_upload(
    client: Client, sample: Sample
) -> None:
    repo = client.hub.create_repo("alice/model")
    parent = repo.head.oid
    act = faults.run(lambda: client.hub.put(repo, {"notes.txt": b"hello"}))
    client.hub.faults.add("*/commit/*", act, times=1)

    with pytest.raises(ConflictError, match="parent_commit"):
        client.upload(sample, parent_commit=parent)

    assert "ritual_manifest.json" not in repo.head.files


@pytest.mark.parametrize(
    "fault",
    [faults.fail(507, applied=True), faults.fail(524, applied=True), faults.set_body(b"{}")],
    ids=["507", "524", "unreadable"],
)
@pytest.mark.parametrize("create_pr", [False, True], ids=["branch", "pull-request"])
def test_after_an_unreadable_answer_the_repository_is_read(
    *, create_pr: bool, fault: Fault, client: Client, sample: Sample
) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.faults.add("*/commit/*", fault, times=1)

    result = client.upload(sample, create_pr=create_pr)

    commits = list(repo.pulls.values()) if create_pr else [repo.head.oid]
    assert commits == [result.revision]
    assert client.hub.ledger.count("commit") == 1


def test_a_pull_request_whose_request_timed_out_is_not_opened_twice(
    hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = hub.create_repo("alice/model")
    monkeypatch.setenv("RITUAL_RETRY_WAIT", "2.0")
    hub.faults.add("*/commit/*", faults.delay(1.2), times=1)

    Client(hub, write_timeout=0.5).upload(sample, create_pr=True)

    assert len(repo.pulls) == 1


def test_a_commit_that_changes_an_existing_file_is_a_conflict(client: Client, sample: Sample) -> None:
    client.upload(sample)
    repo = client.hub.repo("alice/model")
    sample.config.write_bytes(b'{"layers": 3}\n')
    act = faults.run(lambda: client.hub.put(repo, {"weights.bin": b"other"}))
    client.hub.faults.add("*/commit/*", act, times=1)

    with pytest.raises(ConflictError, match=r"weights\.bin"):
        client.upload(sample)

    assert client.hub.read(repo, "weights.bin") == b"other"


def test_a_new_branch_is_created_even_if_there_is_nothing_to_commit(client: Client, sample: Sample) -> None:
    first = client.upload(sample)

    second = client.upload(sample, revision="v7")

    assert second.revision == first.revision
    assert "v7" in client.hub.repo("alice/model").branches
    assert str(second.repo_id) == f"{REPO}/v7"


def test_an_interrupted_upload_leaves_no_branch(
    client: Client, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.upload(sample)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HfApi, "create_commit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.upload(sample.model_copy(update={"note": "second"}), f"{REPO}/v2")

    assert "v2" not in client.hub.repo("alice/model").branches


def test_a_card_without_a_version_pins_no_digest(client: Client, sample: Sample) -> None:
    client.upload(sample)

    card = client.hub.read(client.hub.repo("alice/model"), "README.md").decode()

    assert "from_repo(" in card
    assert "expected_digest" not in card


def test_a_card_with_a_version_pins_the_digest(client: Client, sample: Sample) -> None:
    result = client.upload(sample, revision="v1")

    card = client.hub.read(client.hub.repo("alice/model"), "README.md", "v1").decode()

    assert f'"{REPO}/v1",\n    expected_digest="{result.digest}"' in card

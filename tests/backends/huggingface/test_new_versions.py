"""A new version appears with the artifact in it, or not at all."""

import itertools
from collections.abc import Callable
from functools import partial

import pytest
from huggingface_hub import HfApi

from ritual_artifacts.backends.huggingface.branch import STAGING_PREFIX
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, ConflictError, RepoIdError
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub
from tests.servers.repositories import Repository

LEFTOVER = f"{STAGING_PREFIX}-v1-{'0' * 16}"


def is_whole(repo: Repository, branch: str = "v1") -> bool:
    version = repo.find(branch)
    return version is not None and "ritual_manifest.json" in version.files


@pytest.fixture
def repo(hub: Hub) -> Repository:
    return hub.create_repo("alice/model")


def test_a_new_version_is_never_visible_without_its_artifact(
    client: Client, sample: Sample, repo: Repository
) -> None:
    seen: list[bool] = []

    def look() -> None:
        if "v1" in repo.branches:
            seen.append(is_whole(repo))

    client.hub.faults.add("*", faults.run(look))

    client.upload(sample, f"{REPO}/v1", tag="t1")

    assert set(repo.branches) == {"main", "v1"}
    assert seen
    assert all(seen)


@pytest.mark.parametrize("stage", range(3), ids=["staging", "naming", "cleaning"])
@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("make", [partial(faults.fail, 503), faults.drop], ids=["503", "cut"])
def test_a_lost_answer_about_a_branch_changes_nothing(
    *,
    make: Callable[..., Fault],
    applied: bool,
    stage: int,
    client: Client,
    sample: Sample,
    repo: Repository,
) -> None:
    client.hub.faults.add("*", make(applied=applied), kind="branch", skip=stage, times=1)

    result = client.upload(sample, f"{REPO}/v1")

    assert repo.branches["v1"] == result.revision
    assert len(list(repo.history(repo.commits[result.revision]))) == 2
    left = set(repo.branches) - {"main", "v1"}
    assert len(left) == (stage == 2 and not applied)  # a branch that could not be removed does no harm


@pytest.mark.parametrize("kind", ["branch", "commit", "tag", "preupload", "lfs-put"])
def test_a_version_that_cannot_be_published_leaves_no_branch(
    kind: str, client: Client, sample: Sample, repo: Repository
) -> None:
    client.hub.faults.add("*", faults.forbidden(), kind=kind, method=None if kind == "lfs-put" else "POST")

    with pytest.raises(BackendError):
        client.upload(sample, f"{REPO}/v1", tag="t1")

    assert set(repo.branches) == ({"main", "v1"} if kind == "tag" else {"main"})
    assert kind != "tag" or is_whole(repo)


def test_the_next_upload_removes_what_a_killed_one_left(
    client: Client, sample: Sample, repo: Repository
) -> None:
    other = f"{STAGING_PREFIX}-v1-2-{'0' * 16}"  # of another version
    repo.branches[LEFTOVER] = repo.branches[other] = repo.head.oid

    client.upload(sample, f"{REPO}/v1")

    assert set(repo.branches) == {"main", "v1", other}
    assert is_whole(repo)


def test_a_leftover_is_removed_even_if_there_is_nothing_to_commit(
    client: Client, sample: Sample, repo: Repository
) -> None:
    client.upload(sample, f"{REPO}/v1")
    repo.branches[LEFTOVER] = repo.head.oid

    client.upload(sample, f"{REPO}/v1")

    assert set(repo.branches) == {"main", "v1"}


def test_two_uploads_of_one_artifact_create_a_new_version_once(
    client: Client, sample: Sample, repo: Repository
) -> None:
    act = faults.run(lambda: Client(client.hub).upload(sample, f"{REPO}/v1"))
    client.hub.faults.add(f"*/branch/{STAGING_PREFIX}*", act, method="POST", times=1)

    result = client.upload(sample, f"{REPO}/v1")

    assert repo.branches["v1"] == result.revision
    assert set(repo.branches) == {"main", "v1"}


@pytest.mark.parametrize("kind", ["branch", "commit"])
def test_two_artifacts_for_a_new_version_are_a_conflict(
    kind: str, client: Client, sample: Sample, repo: Repository
) -> None:
    other = sample.model_copy(update={"note": "other"})
    act = faults.run(lambda: Client(client.hub).upload(other, f"{REPO}/v1"))
    client.hub.faults.add("*", act, kind=kind, method="POST", times=1)

    with pytest.raises(ConflictError):
        client.upload(sample, f"{REPO}/v1")

    assert len(list(repo.history(repo.commits[repo.branches["v1"]]))) == 2
    assert set(repo.branches) == {"main", "v1"}


def test_an_upload_whose_temporary_branch_was_removed_creates_another(
    client: Client, sample: Sample, repo: Repository
) -> None:
    def remove() -> None:
        [staging] = [name for name in repo.branches if name.startswith(STAGING_PREFIX)]
        del repo.branches[staging]

    client.hub.faults.add("*/commit/*", faults.run(remove), times=1)

    client.upload(sample, f"{REPO}/v1")

    assert set(repo.branches) == {"main", "v1"}
    assert is_whole(repo)


def test_a_branch_that_is_removed_during_the_upload_is_not_created_again(
    client: Client, sample: Sample, repo: Repository
) -> None:
    client.upload(sample, f"{REPO}/v1")
    client.hub.faults.add("*/commit/*", faults.run(lambda: repo.branches.pop("v1")), times=1)

    with pytest.raises(ConflictError, match="'v1' was removed"):
        client.upload(sample.model_copy(update={"note": "second"}), f"{REPO}/v1")

    assert set(repo.branches) == {"main"}


@pytest.mark.parametrize("name", ["a..b", "a b", "~a", "a.lock", "-a", "@", "a^", "a@{b"])
def test_a_branch_that_git_does_not_allow_is_refused_before_anything_is_sent(
    name: str, client: Client, sample: Sample, repo: Repository
) -> None:
    with pytest.raises(RepoIdError, match="git does not allow"):
        client.upload(sample, f"{REPO}/{name}")

    assert set(repo.branches) == {"main"}
    assert {e.method for e in client.hub.ledger.of()} == {"GET"}


@pytest.mark.parametrize("name", ["con", "a" * 256, "default"])
def test_a_revision_that_no_id_can_have_is_refused_before_any_request(
    name: str, client: Client, sample: Sample
) -> None:
    with pytest.raises(RepoIdError):
        client.upload(sample, revision=name, card=False)

    assert client.hub.ledger.of() == []


# --- removed repositories ---


@pytest.mark.usefixtures("repo")
@pytest.mark.parametrize("version", ["", "/v1"], ids=["main", "new-version"])
@pytest.mark.parametrize("kind", ["tree", "preupload", "lfs-batch", "lfs-put", "lfs-verify", "commit"])
def test_a_repository_that_is_removed_during_the_upload_is_not_created_again(
    kind: str, version: str, client: Client, sample: Sample
) -> None:
    remove = faults.run(client.hub.repositories.clear)
    client.hub.faults.add("*", remove, kind=kind, times=1)

    with pytest.raises(ArtifactNotFoundError):
        client.upload(sample, f"{REPO}{version}")

    assert client.hub.repositories == {}
    assert client.hub.ledger.count("create") == 0


@pytest.mark.usefixtures("repo")
def test_a_repository_that_is_removed_after_a_lost_answer_is_not_created_again(
    client: Client, sample: Sample
) -> None:
    client.hub.faults.add("*/commit/*", faults.run(client.hub.repositories.clear), times=1)
    client.hub.faults.add("*/commit/*", faults.fail(500), times=1)

    with pytest.raises(ArtifactNotFoundError, match="removed or renamed"):
        client.upload(sample)

    assert client.hub.repositories == {}


# --- tags ---


def test_a_tag_that_is_taken_is_refused_before_anything_is_sent_to_a_new_version(
    client: Client, sample: Sample, repo: Repository
) -> None:
    repo.tags["t1"] = repo.head.oid

    with pytest.raises(ConflictError, match=r"'t1'.*never moves"):
        client.upload(sample, f"{REPO}/v1", tag="t1")

    assert {e.method for e in client.hub.ledger.of()} == {"GET"}


@pytest.mark.parametrize("tag", ["main", "v1"])
@pytest.mark.usefixtures("repo")
def test_a_tag_does_not_take_the_name_of_a_branch(tag: str, client: Client, sample: Sample) -> None:
    with pytest.raises(ConflictError, match="name of a branch"):
        client.upload(sample, f"{REPO}/v1", tag=tag)

    assert {e.method for e in client.hub.ledger.of()} == {"GET"}


def test_a_tag_that_is_created_during_the_upload_is_noticed(
    client: Client, sample: Sample, repo: Repository
) -> None:
    old = repo.head.oid
    client.hub.faults.add("*/commit/*", faults.run(lambda: repo.tags.update(t1=old)), times=1)

    with pytest.raises(ConflictError, match="'t1'"):
        client.upload(sample, tag="t1")

    assert repo.tags["t1"] == old
    assert is_whole(repo, "main")


def test_an_upload_that_only_has_to_be_tagged_is_tagged(
    client: Client, sample: Sample, repo: Repository
) -> None:
    result = client.upload(sample)

    assert [client.upload(sample, tag="t1").bytes_sent for _ in range(2)] == [0, 0]
    assert repo.tags["t1"] == result.revision


# --- interruptions ---


@pytest.mark.parametrize("call", ["create_branch", "create_commit", "delete_branch"])
def test_an_interrupt_leaves_no_version_without_its_artifact(
    call: str, client: Client, sample: Sample, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()
    real = getattr(HfApi, call)

    def interrupt(*given: object, **options: object) -> object:
        if next(calls):
            return real(*given, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(HfApi, call, interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.upload(sample, f"{REPO}/v1")

    assert "v1" not in repo.branches or is_whole(repo)
    again = client.upload(sample, f"{REPO}/v1")
    assert set(repo.branches) == {"main", "v1"}
    downloaded = client.download(None, f"{REPO}/{again.revision}")
    assert contents(downloaded.artifact) == contents(sample)

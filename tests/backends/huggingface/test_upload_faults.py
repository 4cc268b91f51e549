"""Faults during an upload: there is one commit or none, and never a wrong one."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts.backends.huggingface.branch import STAGING_PREFIX
from ritual_artifacts.context import Context, RetryPolicy
from ritual_artifacts.errors import (
    AuthenticationError,
    BackendError,
    ConflictError,
    RepoIdError,
    SourceChangedError,
    TransferError,
)
from tests.backends.huggingface.conftest import REPO, Client, NotingClock
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.faults import Fault
from tests.servers.fixtures import MakeHub
from tests.servers.hub import Hub

FILES = {"a.safetensors", "config.json", "empty.safetensors", "ritual_manifest.json", "weights.bin"}


def artifact_commits(hub: Hub, branch: str = "main") -> list[Any]:
    """Return the commits after the one with which the repository began."""
    repo = hub.repo("alice/model")
    newest = repo.find(branch)
    assert newest is not None
    return [commit for commit in repo.history(newest) if commit.parent is not None]


# --- it is not known whether the commit was made ---


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "make", [partial(faults.fail, 500), partial(faults.fail, 504), faults.drop], ids=["500", "504", "cut"]
)
def test_a_lost_answer_leads_to_one_commit(
    *, make: Callable[..., Fault], applied: bool, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.hub.faults.add("*/commit/*", make(applied=applied), times=1)

    result = client.upload(sample)

    [commit] = artifact_commits(client.hub)
    assert result.revision == commit.oid
    assert client.hub.ledger.count("commit") == (1 if applied else 2)
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def test_a_commit_call_that_times_out_leads_to_one_commit(hub: Hub, sample: Sample) -> None:
    hub.faults.add("*/commit/*", faults.delay(1.5), times=1)

    result = Client(hub, write_timeout=0.5).upload(sample)

    assert [commit.oid for commit in artifact_commits(hub)] == [result.revision]


def test_a_server_that_always_fails_ends_in_an_error(client: Client, sample: Sample) -> None:
    rule = client.hub.faults.add("*/commit/*", faults.fail(500))

    with pytest.raises(TransferError, match="try again") as caught:
        client.upload(sample)

    assert caught.value.retryable
    assert rule.hits == RetryPolicy().max_attempts
    assert artifact_commits(client.hub) == []


def test_a_busy_server_is_given_the_pause_that_it_asks_for(
    client: Client, sample: Sample, context: Context, clock: NotingClock
) -> None:
    client.hub.faults.add("*/commit/*", faults.rate_limit(3), times=1)

    client.publish_in(context, sample)

    assert clock.pauses == [3.0]
    assert len(artifact_commits(client.hub)) == 1


# --- lost connections ---

STAGES = ["refs", "create", "tree", "preupload", "branch", "validate-yaml", "commit", "tag"]
LFS_STAGES = ["lfs-batch", "lfs-put", "lfs-verify"]


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("kind", "xet"),
    [*((kind, False) for kind in [*STAGES, *LFS_STAGES]), *((k, True) for k in [*STAGES, "xet-token"])],
)
def test_a_lost_connection_at_any_stage_leaves_all_or_nothing(
    *, kind: str, xet: bool, applied: bool, make_hub: MakeHub, sample: Sample, tmp_path: Path
) -> None:
    hub = make_hub(xet=xet)
    client = Client(hub)
    hub.faults.add("*", faults.drop(applied=applied), kind=kind, times=1)
    version, options = f"{REPO}/v1", {"tag": "t1"}

    try:
        client.upload(sample, version, **options)
    except TransferError:
        repo = hub.repositories.get(("models", "alice/model"))
        assert repo is None or set(repo.branches) <= {"main"}
    result = client.upload(sample, version, **options)

    repo = hub.repo("alice/model")
    assert {name for name in repo.branches if not name.startswith(STAGING_PREFIX)} == {"main", "v1"}
    assert (repo.branches["v1"], repo.tags["t1"]) == (result.revision,) * 2
    assert len(artifact_commits(hub, "v1")) == 1
    assert contents(client.download(tmp_path / "out", version).artifact) == contents(sample)


# --- other commits during the upload ---


def test_another_commit_during_the_upload_becomes_the_parent(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.faults.add(
        "*/commit/*", faults.run(lambda: client.hub.put(repo, {"notes.txt": b"hello"})), times=1
    )

    result = client.upload(sample)

    assert [c.title for c in artifact_commits(client.hub)][-1] == "put"
    assert FILES | {"notes.txt"} <= set(repo.head.files)
    assert result.revision == repo.head.oid
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)
    assert client.hub.ledger.count("lfs-put") == 2


def test_a_change_of_the_same_file_is_a_conflict(client: Client, sample: Sample) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.faults.add(
        "*/commit/*", faults.run(lambda: client.hub.put(repo, {"weights.bin": b"other"})), times=1
    )

    with pytest.raises(ConflictError, match=r"another commit changed .*weights\.bin"):
        client.upload(sample)

    assert client.hub.read(repo, "weights.bin") == b"other"
    assert "ritual_manifest.json" not in repo.head.files


def test_a_card_that_is_added_during_the_upload_is_kept(client: Client, sample: Sample) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.faults.add(
        "*/commit/*", faults.run(lambda: client.hub.put(repo, {"README.md": b"# mine"})), times=1
    )

    client.upload(sample)

    assert client.hub.read(repo, "README.md") == b"# mine"


def test_the_same_artifact_published_during_the_upload_is_not_published_again(
    client: Client, sample: Sample
) -> None:
    client.hub.create_repo("alice/model")
    client.hub.faults.add("*/commit/*", faults.run(lambda: Client(client.hub).upload(sample)), times=1)

    result = client.upload(sample)

    assert [commit.oid for commit in artifact_commits(client.hub)] == [result.revision]


# --- files that change ---


@pytest.mark.parametrize("name", ["weights.bin", "config.json"])
@pytest.mark.parametrize("kind", ["preupload", "refs"])
def test_a_file_that_changes_during_the_upload_is_not_published(
    kind: str, name: str, any_hub: Hub, sample: Sample
) -> None:
    path = sample.weights if name == "weights.bin" else sample.config
    any_hub.create_repo("alice/model")
    any_hub.rules.checks_xet = False
    size = path.stat().st_size
    any_hub.faults.add("*", faults.run(lambda: path.write_bytes(os.urandom(size))), kind=kind, times=1)

    with pytest.raises(SourceChangedError, match=name.replace(".", r"\.")):
        Client(any_hub).upload(sample)

    assert artifact_commits(any_hub) == []


def test_a_file_that_is_removed_during_the_upload_is_an_error(client: Client, sample: Sample) -> None:
    client.hub.create_repo("alice/model")
    client.hub.faults.add("*", faults.run(sample.weights.unlink), kind="preupload", times=1)

    with pytest.raises((SourceChangedError, FileNotFoundError)):
        client.upload(sample)

    assert artifact_commits(client.hub) == []


# --- refusals ---


@pytest.mark.parametrize(
    ("fault", "error"),
    [(faults.forbidden(), AuthenticationError), (faults.expired_token(), AuthenticationError)],
)
@pytest.mark.parametrize("kind", ["create", "preupload", "lfs-batch", "commit"])
def test_a_request_that_the_token_does_not_allow_is_not_repeated(
    kind: str, fault: Fault, error: type[BackendError], client: Client, sample: Sample
) -> None:
    rule = client.hub.faults.add("*", fault, kind=kind)

    with pytest.raises(error, match="alice/model"):
        client.upload(sample)

    assert rule.hits == 1


@pytest.mark.parametrize("kind", ["preupload", "lfs-batch", "lfs-put"])
def test_a_request_to_a_busy_server_is_repeated(
    kind: str, client: Client, sample: Sample, no_waiting: list[float]
) -> None:
    client.hub.faults.add("*", faults.unavailable(), kind=kind, times=1)

    client.upload(sample)

    assert no_waiting
    assert len(artifact_commits(client.hub)) == 1


def test_a_file_that_the_repository_ignores_is_published_or_named_in_an_error(
    client: Client, sample: Sample
) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.put(repo, {".gitignore": b"*.bin\n"})

    try:
        client.upload(sample)
    except BackendError as error:
        assert "weights.bin" in str(error)  # noqa: PT017 - either is right: all of it, or an error
    else:
        assert set(repo.head.files) >= FILES


def test_a_file_in_the_place_of_a_folder_is_a_conflict(client: Client, write: Callable[..., Path]) -> None:
    class Folder(BaseModel):
        nested: dict[str, Path]

    repo = client.hub.create_repo("alice/model")
    client.hub.put(repo, {"x.bin/inner.bin": b"x"})

    with pytest.raises(ConflictError, match=r"x\.bin"):
        client.upload(Folder(nested={"a": write("x.bin")}))

    assert client.hub.ledger.count("preupload") == 0


@pytest.mark.parametrize("name", ["a--b", "-a", "a.git", "ü", "a b"])
def test_a_name_that_the_hub_does_not_allow_is_refused(name: str, client: Client, sample: Sample) -> None:
    with pytest.raises((RepoIdError, BackendError)):
        client.upload(sample, f"huggingface/alice/{name}")

    assert client.hub.ledger.count("commit") == 0
    client.hub.ledger.violations.clear()


# --- secrets ---


@pytest.mark.parametrize("action", ["verify", "upload"])
@pytest.mark.parametrize("multipart", [False, True], ids=["basic", "multipart"])
def test_an_address_of_the_storage_on_another_host_gets_no_token(
    *, multipart: bool, action: str, hub: Hub, sample: Sample
) -> None:
    href = f"{hub.endpoint}/" if action == "verify" or multipart else f"{hub.storage_url}/"
    hub.rules.multipart_from = 1000 if multipart else hub.rules.multipart_from
    batch = faults.replace_text(
        f'"{action}": {{"href": "{href}', f'"{action}": {{"href": "{hub.foreign_url}/'
    )
    hub.faults.add("*", batch, kind="lfs-batch")
    calls: list[Any] = []
    hub.faults.add("*", Fault(act=calls.append))
    client = Client(hub, headers={"x-key": "hf_key_of_mine"})

    with pytest.raises(BackendError) as caught:
        client.upload(sample)

    own, foreign = ([c for c in calls if c.origin == origin] for origin in ("hub", "foreign"))
    assert any(call.header("authorization") and call.header("x-key") for call in own)
    assert foreign
    assert not any(call.header("authorization") or call.header("x-key") for call in foreign)
    assert hub.token not in str(caught.value)
    assert artifact_commits(hub) == []
    assert all("no such path" in violation for violation in hub.ledger.violations)
    hub.ledger.violations.clear()  # nothing is asked of the foreign host, as far as the hub knows


def test_the_token_is_in_no_error_and_no_log(
    client: Client, sample: Sample, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    token = client.hub.token
    echo = faults.fail(400, f"you sent Bearer {token} and {token}")
    client.hub.faults.add("*/commit/*", echo)

    with pytest.raises(BackendError) as caught:
        client.upload(sample)

    output = capfd.readouterr()
    logged = [r.getMessage() for r in caplog.records if not r.name.startswith("httpcore")]  # it logs answers
    texts = [repr(caught.value), str(caught.value), *logged, output.out, output.err]
    assert not any(token in text for text in texts)
    assert caught.value.__suppress_context__


def test_a_regular_file_that_changes_just_before_the_commit_is_not_published(
    client: Client, sample: Sample, write: Callable[..., Path]
) -> None:
    changing = write("notes.txt", 5000)
    client.hub.create_repo("alice/model")
    client.hub.faults.add("*", faults.run(lambda: changing.write_bytes(bytes(5000))), kind="validate-yaml")

    with pytest.raises(SourceChangedError, match=r"notes\.txt"):
        client.upload(sample.model_copy(update={"config": changing}))

    assert artifact_commits(client.hub) == []


def test_a_small_file_that_changes_just_before_the_commit_is_published_as_it_was_hashed(
    client: Client, sample: Sample
) -> None:
    hashed = sample.config.read_bytes()
    client.hub.faults.add(
        "*", faults.run(lambda: sample.config.write_bytes(b'{"layers": 3}\n')), kind="validate-yaml"
    )

    client.upload(sample)

    assert client.hub.read(client.hub.repo("alice/model"), "config.json") == hashed


def test_a_large_file_that_changes_after_it_was_sent_is_published_as_it_was_hashed(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    hashed = sample.weights.read_bytes()
    client.hub.faults.add("*", faults.run(lambda: sample.weights.write_bytes(b"new")), kind="validate-yaml")

    client.upload(sample)

    assert client.download(tmp_path / "out").artifact.weights.read_bytes() == hashed

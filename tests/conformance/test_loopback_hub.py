"""What only the loopback hub has: errors, roles, gates, pull requests, two origins."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Literal

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.servers.faults import cut_after
from tests.servers.hub import Hub

REPO = "alice/model"
WEIGHTS = random.Random(2).randbytes(300_000)  # noqa: S311 - test data


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)


def client(hub: Hub, token: str | Literal[False] | None = None) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=hub.token if token is None else token)


def status(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


# --- rights ---


def test_whoami_tells_the_user_and_the_role(hub: Hub) -> None:
    who = client(hub, hub.read_token).whoami()

    assert (who["name"], who["auth"]["accessToken"]["role"]) == ("alice", "read")


def test_an_unknown_token_is_refused(hub: Hub) -> None:
    with pytest.raises(HfHubHTTPError) as error:
        client(hub, "hf_nobody").whoami()

    assert status(error) == 401


@pytest.mark.parametrize("token", ["read_token", "other_token"])
def test_only_the_owner_writes(hub: Hub, token: str) -> None:
    hub.create_repo(REPO)

    with pytest.raises(HfHubHTTPError) as error:
        client(hub, getattr(hub, token)).create_commit(REPO, [add("a.txt", b"a")], commit_message="a")

    assert status(error) == 403


@pytest.mark.parametrize("token", [False, "hf_bob_writes"])
def test_a_private_repository_does_not_exist_for_others(hub: Hub, token: str | Literal[False]) -> None:
    hub.create_repo(REPO, private=True)

    with pytest.raises(RepositoryNotFoundError):
        client(hub, token).repo_info(REPO)

    assert client(hub).repo_info(REPO).private


@pytest.mark.parametrize("token", [False, "hf_bob_writes"])
def test_a_gate_hides_files_but_not_the_repository(
    hub: Hub, token: str | Literal[False], tmp_path: Path
) -> None:
    repo = hub.create_repo(REPO, gated=True)
    hub.put(repo, {"a.txt": b"a"})

    with pytest.raises(GatedRepoError):
        client(hub, token).hf_hub_download(REPO, "a.txt", local_dir=tmp_path)

    assert client(hub, token).repo_info(REPO).gated == "manual"
    repo.readers.add("bob")
    assert client(hub, hub.other_token).hf_hub_download(REPO, "a.txt", local_dir=tmp_path)


# --- missing and existing things ---


def test_a_missing_repository_has_its_own_error(hub: Hub) -> None:
    for token in (hub.token, False):
        with pytest.raises(RepositoryNotFoundError):
            client(hub, token).repo_info("alice/nothing")


def test_a_missing_revision_has_its_own_error(hub: Hub) -> None:
    hub.create_repo(REPO)

    with pytest.raises(RevisionNotFoundError):
        client(hub).repo_info(REPO, revision="v9")


def test_a_missing_file_has_its_own_error(hub: Hub) -> None:
    hub.create_repo(REPO)

    with pytest.raises(RemoteEntryNotFoundError):
        client(hub).hf_hub_download(REPO, "nothing.txt")


def test_a_second_repository_of_that_name_is_a_conflict(hub: Hub) -> None:
    client(hub).create_repo(REPO, private=True)

    with pytest.raises(HfHubHTTPError) as error:
        client(hub).create_repo(REPO)

    assert status(error) == 409
    assert client(hub).create_repo(REPO, exist_ok=True).repo_id == REPO
    assert hub.repo(REPO).private


@pytest.mark.parametrize("what", ["branch", "tag"])
def test_a_second_ref_of_that_name_is_a_conflict(hub: Hub, what: str) -> None:
    hub.create_repo(REPO)
    create = getattr(client(hub), f"create_{what}")
    create(REPO, **{what: "v1"})

    with pytest.raises(HfHubHTTPError) as error:
        create(REPO, **{what: "v1"})

    assert status(error) == 409
    create(REPO, **{what: "v1"}, exist_ok=True)


# --- commits ---


def test_a_stale_parent_is_refused(hub: Hub) -> None:
    stale = hub.create_repo(REPO).head.oid
    hub.put(hub.repo(REPO), {"other.txt": b"other"})

    with pytest.raises(HfHubHTTPError) as error:
        client(hub).create_commit(REPO, [add("a.txt", b"a")], commit_message="a", parent_commit=stale)

    assert status(error) == 412
    assert "a.txt" not in hub.repo(REPO).head.files


def test_a_pull_request_leaves_the_branch_alone(hub: Hub) -> None:
    head = hub.create_repo(REPO).head

    made = client(hub, hub.other_token).create_commit(
        REPO, [add("a.txt", b"a")], commit_message="a", create_pr=True
    )

    assert (made.pr_num, made.pr_revision) == (1, "refs/pr/1")
    assert hub.repo(REPO).head == head
    assert hub.read(hub.repo(REPO), "a.txt", "refs/pr/1") == b"a"
    assert client(hub).repo_info(REPO, revision="refs/pr/1").sha == made.oid


def test_a_card_without_yaml_is_refused_before_anything_is_sent(hub: Hub) -> None:
    hub.create_repo(REPO)

    with pytest.raises(ValueError, match="Invalid metadata"):
        client(hub).create_commit(REPO, [add("README.md", b"# hello")], commit_message="card")

    assert hub.ledger.count("preupload", "commit") == 0


def test_a_card_tells_its_fields(hub: Hub) -> None:
    hub.create_repo(REPO)
    card = b"---\nlicense: mit\ntags:\n- zk\n---\n# hello\n"

    client(hub).create_commit(REPO, [add("README.md", card)], commit_message="card")

    told = client(hub).model_info(REPO).card_data
    assert told is not None
    assert told["license"] == "mit"


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("multipart_from", [1, 1 << 40])
def test_an_object_whose_bytes_changed_is_refused(hub: Hub, tmp_path: Path, multipart_from: int) -> None:
    hub.rules.multipart_from, hub.rules.part_size = multipart_from, 100_000
    hub.create_repo(REPO)
    source = tmp_path / "weights.bin"
    source.write_bytes(WEIGHTS)
    operation = CommitOperationAdd("weights.bin", source)
    assert operation.upload_info.sha256
    source.write_bytes(WEIGHTS[::-1])

    with pytest.raises(RuntimeError, match=r"weights\.bin") as error:
        client(hub).create_commit(REPO, [operation], commit_message="changed")

    assert isinstance(error.value.__cause__, BadRequestError)
    assert "weights.bin" not in hub.repo(REPO).head.files
    assert not list((hub.folder / "incoming").iterdir())


def test_what_the_repository_ignores_is_left_out(hub: Hub) -> None:
    hub.put(hub.create_repo(REPO), {".gitignore": b"*.log\ncache\n"})
    operations = [add(path, b"a") for path in ("a.log", "cache/a.txt", "a.txt")]

    client(hub).create_commit(REPO, operations, commit_message="a")

    assert set(hub.repo(REPO).head.files) == {".gitattributes", ".gitignore", "a.txt"}


def test_a_file_cannot_be_where_a_folder_is(hub: Hub) -> None:
    hub.put(hub.create_repo(REPO), {"a/b.txt": b"b"})

    with pytest.raises(BadRequestError, match="one name"):
        client(hub).create_commit(REPO, [add("a", b"a")], commit_message="a")


def test_a_thousand_files_are_asked_about_in_portions(hub: Hub) -> None:
    hub.create_repo(REPO)

    client(hub).create_commit(
        REPO, [add(f"{i:03}.txt", b"%d" % i) for i in range(600)], commit_message="many"
    )

    assert hub.ledger.count("preupload") == 3
    assert hub.ledger.count("commit") == 1


# --- reading ---


def test_a_long_tree_has_several_pages(hub: Hub) -> None:
    repo = hub.create_repo(REPO)
    hub.put(repo, {f"folder/{i:03}.txt": b"%d" % i for i in range(25)})
    hub.rules.page_size = 10

    entries = list(client(hub).list_repo_tree(REPO, recursive=True))

    assert len(entries) == 27
    assert len({entry.path for entry in entries}) == 27
    assert hub.ledger.count("tree") == 3


def test_large_files_are_served_by_another_origin_without_the_token(hub: Hub, tmp_path: Path) -> None:
    hub.put(hub.create_repo(REPO, private=True), {"w.bin": WEIGHTS, "a.txt": b"a"})

    snapshot_download(REPO, endpoint=hub.endpoint, token=hub.token, local_dir=tmp_path / "out")

    assert {exchange.origin for exchange in hub.ledger.of("bytes")} == {"storage"}
    assert not any(exchange.authorized for exchange in hub.ledger.of("bytes"))
    assert hub.ledger.sent("bytes") == len(WEIGHTS)


@pytest.mark.usefixtures("no_waiting")
def test_an_interrupted_download_continues_where_it_stopped(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # it keeps whole chunks only
    hub.put(hub.create_repo(REPO), {"w.bin": WEIGHTS})
    hub.faults.add("*/w.bin", cut_after(100_000), times=1)

    path = client(hub).hf_hub_download(REPO, "w.bin")

    assert Path(path).read_bytes() == WEIGHTS
    assert [exchange.range for exchange in hub.ledger.of("bytes")] == [None, "bytes=100000-"]
    assert hub.ledger.sent("bytes") == len(WEIGHTS)


@pytest.mark.parametrize(
    ("wanted", "code", "content_range", "body"),
    [
        ("bytes=0-0", 206, "bytes 0-0/6", b"a"),
        ("bytes=2-", 206, "bytes 2-5/6", b"cdef"),
        ("bytes=-2", 206, "bytes 4-5/6", b"ef"),
        ("bytes=4-99", 206, "bytes 4-5/6", b"ef"),
        ("bytes=6-", 416, "bytes */6", b""),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.bin"])
def test_parts_of_files_are_served(
    hub: Hub, *, name: str, wanted: str, code: int, content_range: str, body: bytes
) -> None:
    hub.put(hub.create_repo(REPO), {name: b"abcdef"})
    url = hf_hub_url(REPO, name, endpoint=hub.endpoint)

    reply = httpx2.get(url, headers={"Range": wanted}, follow_redirects=True)

    assert (reply.status_code, reply.headers["Content-Range"], reply.content) == (code, content_range, body)


def test_regular_files_can_be_redirected_as_the_live_hub_does(hub: Hub) -> None:
    hub.rules.redirects_regular_files = True
    hub.put(hub.create_repo(REPO), {"deep/a.txt": b"abc"})

    assert Path(client(hub).hf_hub_download(REPO, "deep/a.txt")).read_bytes() == b"abc"


def test_regular_files_can_be_compressed(hub: Hub) -> None:
    hub.rules.compresses = True
    hub.put(hub.create_repo(REPO), {"a.txt": b"abc" * 1000})

    assert Path(client(hub).hf_hub_download(REPO, "a.txt")).read_bytes() == b"abc" * 1000
    assert hub.ledger.sent("resolve") < 3000


def test_files_in_xet_also_come_over_http(xet_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    xet_hub.create_repo(REPO)
    client(xet_hub).create_commit(REPO, [add("w.bin", WEIGHTS)], commit_message="w")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)

    assert Path(client(xet_hub).hf_hub_download(REPO, "w.bin")).read_bytes() == WEIGHTS
    assert xet_hub.ledger.sent("bytes") == len(WEIGHTS)


def test_spaces_are_repositories_too(hub: Hub) -> None:
    client(hub).create_repo(REPO, repo_type="space", space_sdk="static")
    client(hub).create_commit(REPO, [add("a.txt", b"a")], commit_message="a", repo_type="space")

    assert Path(client(hub).hf_hub_download(REPO, "a.txt", repo_type="space")).read_bytes() == b"a"
    assert client(hub).space_info(REPO, expand=["sha"]).sha == hub.repo(REPO, "spaces").head.oid


def test_a_process_is_told_of_the_hub_by_its_environment(any_hub: Hub, tmp_path: Path) -> None:
    any_hub.create_repo(REPO, private=True)
    client(any_hub).create_commit(REPO, [add("w.bin", WEIGHTS), add("a.txt", b"a")], commit_message="w")
    program = Path(sys.executable).with_name("hf")

    subprocess.run(  # noqa: S603 - the library's own program
        [program, "download", REPO, "--local-dir", tmp_path / "out"],
        env={**os.environ, **any_hub.environment()},
        check=True,
        capture_output=True,
    )

    assert (tmp_path / "out" / "w.bin").read_bytes() == WEIGHTS

"""Every fault of the loopback hub has the effect that its name says, and affects no other request."""

import hashlib
import random
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from tests.servers import faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub
from tests.servers.repositories import Repository

REPO = "alice/model"
WEIGHTS = random.Random(3).randbytes(300_000)  # noqa: S311 - test data
BIN = "weights.bin"


@pytest.fixture
def repo(hub: Hub) -> Repository:
    repo = hub.create_repo(REPO)
    hub.put(repo, {BIN: WEIGHTS, "notes.txt": b"abcdef"})
    return repo


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=hub.token)


def get(hub: Hub, name: str, part: str | None = None, *, follow: bool = True) -> httpx2.Response:
    headers = {"Range": part} if part else {}
    return httpx2.get(hf_hub_url(REPO, name, endpoint=hub.endpoint), headers=headers, follow_redirects=follow)


def bits_apart(left: bytes, right: bytes) -> int:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).bit_count()


# --- bodies ---


@pytest.mark.usefixtures("repo")
def test_one_bit_is_flipped_and_the_library_does_not_see_it(hub: Hub, api: HfApi) -> None:
    hub.faults.add(f"*{BIN}", faults.flip_bit())

    got = Path(api.hf_hub_download(REPO, BIN)).read_bytes()

    assert len(got) == len(WEIGHTS)
    assert bits_apart(got, WEIGHTS) == 1


@pytest.mark.usefixtures("repo")
def test_a_bit_of_the_file_is_flipped_whatever_part_is_asked_for(hub: Hub) -> None:
    hub.faults.add("*notes.txt", faults.flip_bit(at=4))

    assert get(hub, "notes.txt").content == b"abcddf"
    assert get(hub, "notes.txt", "bytes=3-").content == b"ddf"
    assert get(hub, "notes.txt", "bytes=0-2").content == b"abc"


def test_one_bit_is_flipped_in_the_xet_store(xet_hub: Hub) -> None:
    api = HfApi(endpoint=xet_hub.endpoint, token=xet_hub.token)
    api.create_repo(REPO)
    api.create_commit(REPO, [CommitOperationAdd(BIN, WEIGHTS)], commit_message="weights")
    assert xet_hub.xet is not None
    xet_hub.xet.flip_bit(hashlib.sha256(WEIGHTS).hexdigest())

    got = Path(api.hf_hub_download(REPO, BIN)).read_bytes()

    assert bits_apart(got, WEIGHTS) == 1
    assert xet_hub.ledger.count("bytes") == 0


@pytest.mark.usefixtures("repo")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [(faults.short_body(2), b"abcd"), (faults.long_body(2), b"abcdef\0\0")],
    ids=["short", "long"],
)
def test_a_body_of_another_size_agrees_with_its_length(hub: Hub, fault: Fault, expected: bytes) -> None:
    hub.faults.add("*notes.txt", fault)

    got = get(hub, "notes.txt")

    assert (got.content, got.headers["Content-Length"]) == (expected, str(len(expected)))


@pytest.mark.usefixtures("repo")
def test_a_body_is_cut_short_of_its_length(hub: Hub) -> None:
    hub.faults.add(f"*{BIN}", faults.cut_after(1000))

    with pytest.raises(httpx2.RemoteProtocolError, match="1000 bytes"):
        get(hub, BIN)

    assert hub.ledger.sent("bytes") == 1000


@pytest.mark.usefixtures("repo")
def test_a_range_is_ignored(hub: Hub) -> None:
    hub.faults.add("*notes.txt", faults.ignore_range())

    got = get(hub, "notes.txt", "bytes=3-")

    assert (got.status_code, got.content) == (200, b"abcdef")
    assert "Content-Range" not in got.headers


# --- answers ---


@pytest.mark.usefixtures("repo")
def test_a_rate_limit_states_the_pause(hub: Hub, api: HfApi, no_waiting: list[float]) -> None:
    hub.faults.add("/api/models/*/tree/*", faults.rate_limit(7), times=2)

    assert BIN in {entry.path for entry in api.list_repo_tree(REPO)}

    assert no_waiting == [8.0, 8.0]


@pytest.mark.usefixtures("repo")
def test_the_storage_is_unavailable_while_the_hub_is_not(hub: Hub, api: HfApi) -> None:
    hub.faults.add("*", faults.unavailable(), kind="bytes", times=1)

    with pytest.raises(HfHubHTTPError, match="503"):
        api.hf_hub_download(REPO, BIN)

    assert Path(api.hf_hub_download(REPO, BIN)).read_bytes() == WEIGHTS


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(
    ("fault", "error"),
    [(faults.fail, HfHubHTTPError), (faults.drop, httpx2.RemoteProtocolError)],
    ids=["500", "cut"],
)
def test_a_commit_fails_before_or_after_it_is_applied(
    hub: Hub, repo: Repository, api: HfApi, fault: object, error: type[Exception], *, applied: bool
) -> None:
    head = repo.head.oid
    made = faults.fail(500, applied=applied) if fault is faults.fail else faults.drop(applied=applied)
    hub.faults.add("*/commit/*", made)

    with pytest.raises(error):
        api.create_commit(REPO, [CommitOperationAdd("new.txt", b"new")], commit_message="new")

    assert ("new.txt" in repo.head.files) == applied
    assert (repo.head.oid != head) == applied


@pytest.mark.usefixtures("repo")
def test_a_token_expires_in_the_middle(hub: Hub, api: HfApi) -> None:
    hub.faults.add("*/resolve/*", faults.run(lambda: hub.revoke(hub.token)), skip=2, times=1)
    api.hf_hub_download(REPO, "notes.txt")

    with pytest.raises(HfHubHTTPError, match="401"):
        api.hf_hub_download(REPO, BIN)


@pytest.mark.usefixtures("repo")
@pytest.mark.parametrize(
    ("fault", "code", "error_code"),
    [
        (faults.expired_token(), 401, None),
        (faults.forbidden(), 403, None),
        (faults.gated(), 403, "GatedRepo"),
        (faults.repo_not_found(), 404, "RepoNotFound"),
        (faults.revision_not_found(), 404, "RevisionNotFound"),
        (faults.entry_not_found(), 404, "EntryNotFound"),
    ],
)
def test_refusals_are_worded_as_the_hub_words_them(
    hub: Hub, fault: Fault, code: int, error_code: str | None
) -> None:
    hub.faults.add("*notes.txt", fault, times=1)

    refused = get(hub, "notes.txt")

    assert (refused.status_code, refused.headers.get("X-Error-Code")) == (code, error_code)
    assert get(hub, "notes.txt").content == b"abcdef"


@pytest.mark.usefixtures("repo")
def test_a_redirect_leads_to_a_foreign_host_that_is_watched(hub: Hub) -> None:
    hub.faults.add("*notes.txt", faults.redirect(f"{hub.foreign_url}/steal"))

    get(hub, "notes.txt")
    httpx2.get(f"{hub.foreign_url}/steal", headers={"Authorization": f"Bearer {hub.token}"})

    with pytest.raises(AssertionError, match="the token went to the foreign origin"):
        hub.check()
    assert len(hub.ledger.violations) == 1
    hub.ledger.violations.clear()


# --- words ---


@pytest.mark.usefixtures("repo")
def test_headers_can_be_hostile(hub: Hub) -> None:
    evil = '"../../evil"'
    hub.faults.add(f"*{BIN}", faults.set_headers({"X-Linked-Etag": evil, "X-Repo-Commit": None}))

    got = get(hub, BIN, follow=False)

    assert got.headers["X-Linked-Etag"] == evil
    assert "X-Repo-Commit" not in got.headers


@pytest.mark.usefixtures("repo")
def test_bodies_can_be_invalid(hub: Hub, api: HfApi) -> None:
    hub.faults.add("/api/models/*", faults.set_body(b"<html>"), kind="info")

    with pytest.raises(ValueError, match="Expecting value"):
        api.repo_info(REPO)


def test_names_in_the_tree_can_be_hostile(hub: Hub, repo: Repository, api: HfApi) -> None:
    hub.put(repo, {"../evil.txt": b"x", "Notes.txt": b"twin"})

    assert {"../evil.txt", "Notes.txt", "notes.txt"} <= set(api.list_repo_files(REPO))


# --- times ---


def test_a_revision_is_removed_between_two_calls(hub: Hub, repo: Repository, api: HfApi) -> None:
    api.create_branch(REPO, branch="v1")
    hub.faults.add("*/resolve/*", faults.run(lambda: repo.branches.pop("v1")), times=1)
    assert api.repo_info(REPO, revision="v1").sha

    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(REPO, "notes.txt", revision="v1")


@pytest.mark.usefixtures("repo")
def test_a_slow_answer_is_given_up(hub: Hub) -> None:
    hub.faults.add("*notes.txt", faults.delay(0.5), times=1)

    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(hf_hub_url(REPO, "notes.txt", endpoint=hub.endpoint), timeout=0.1)


@pytest.mark.usefixtures("repo")
def test_a_fault_waits_and_ends(hub: Hub) -> None:
    rule = hub.faults.add("*notes.txt", faults.unavailable(), skip=1, times=2)

    assert [get(hub, "notes.txt").status_code for _ in range(5)] == [200, 503, 503, 200, 200]

    assert rule.hits == 2


def test_an_unused_fault_fails_the_test(hub: Hub) -> None:
    hub.faults.add("*nothing*", faults.unavailable())

    with pytest.raises(AssertionError, match="no request met"):
        hub.check()
    hub.faults.clear()

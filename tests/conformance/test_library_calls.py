"""huggingface_hub's own calls against every counterpart of the Hub: they are what they stand for."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.hf_api import RepoFile

from tests.servers.fixtures import MakeHub
from tests.servers.repositories import git_oid

REPO = "alice/model"
WEIGHTS = random.Random(1).randbytes(3_000_000)  # noqa: S311 - test data
NOTES = b"notes\n" * 100


@pytest.fixture(params=["lfs", "multipart", "xet", "hfd"])
def api(request: pytest.FixtureRequest, make_hub: MakeHub) -> Iterator[HfApi]:
    """Return the library's client of one counterpart."""
    if request.param == "hfd":
        hfd = request.getfixturevalue("hfd")
        yield HfApi(endpoint=hfd.endpoint, token=hfd.token)
        return
    hub = make_hub(xet=request.param == "xet")
    if request.param == "multipart":
        hub.rules.multipart_from, hub.rules.part_size = 1, 700_000
    yield HfApi(endpoint=hub.endpoint, token=hub.token)
    kind_of_upload = {"lfs": "lfs-put", "multipart": "lfs-complete", "xet": "xet-token"}[request.param]
    assert hub.ledger.count(kind_of_upload), "the library did not take the way that this test is about"


def add(path: str, content: bytes | Path) -> CommitOperationAdd:
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)


@pytest.fixture
def commit(api: HfApi, tmp_path: Path) -> str:
    """Publish a small file, an empty one and a large one, and return the commit."""
    source = tmp_path / "weights.bin"
    source.write_bytes(WEIGHTS)
    api.create_repo(REPO)
    operations = [add("notes.txt", NOTES), add("empty.bin", b""), add("deep/er/weights.bin", source)]
    return api.create_commit(REPO, operations, commit_message="publish", commit_description="all of it").oid


def test_a_commit_comes_back_byte_for_byte(api: HfApi, commit: str, tmp_path: Path) -> None:
    folder = Path(api.snapshot_download(REPO, revision=commit, local_dir=tmp_path / "out"))

    assert (folder / "deep/er/weights.bin").read_bytes() == WEIGHTS
    assert (folder / "notes.txt").read_bytes() == NOTES
    assert (folder / "empty.bin").read_bytes() == b""


def test_one_file_can_be_fetched(api: HfApi, commit: str) -> None:
    del commit

    assert Path(api.hf_hub_download(REPO, "deep/er/weights.bin")).read_bytes() == WEIGHTS


def test_the_repository_tells_its_head_and_its_files(api: HfApi, commit: str) -> None:
    info = api.model_info(REPO, files_metadata=True)

    assert info.sha == commit
    assert info.siblings is not None
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings}
    sizes.pop(".gitattributes", None)
    assert sizes == {"notes.txt": len(NOTES), "empty.bin": 0, "deep/er/weights.bin": len(WEIGHTS)}


def test_the_tree_tells_digests(api: HfApi, commit: str) -> None:
    entries = {entry.path: entry for entry in api.list_repo_tree(REPO, revision=commit, recursive=True)}

    assert {"deep", "deep/er", "deep/er/weights.bin", "notes.txt", "empty.bin"} <= set(entries)
    large, small = entries["deep/er/weights.bin"], entries["notes.txt"]
    assert isinstance(large, RepoFile)
    assert isinstance(small, RepoFile)
    assert large.lfs is not None
    assert large.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert large.lfs.size == large.size == len(WEIGHTS)
    assert (small.blob_id, small.lfs) == (git_oid("blob", NOTES), None)


def test_an_object_that_is_there_is_not_uploaded_again(api: HfApi, commit: str) -> None:
    made = api.create_commit(REPO, [add("copy.bin", WEIGHTS)], commit_message="copy", parent_commit=commit)

    assert api.list_repo_commits(REPO)[0].commit_id == made.oid
    assert api.list_repo_commits(REPO)[1].commit_id == commit


def test_the_same_files_again_make_no_commit(api: HfApi, commit: str) -> None:
    again = api.create_commit(REPO, [add("notes.txt", NOTES)], commit_message="again")

    assert again.oid == commit


def test_a_file_can_be_removed(api: HfApi, commit: str) -> None:
    del commit
    api.create_commit(
        REPO, [CommitOperationDelete("notes.txt"), CommitOperationDelete("deep/")], commit_message="less"
    )

    assert set(api.list_repo_files(REPO)) - {".gitattributes"} == {"empty.bin"}


def test_a_branch_and_a_tag_keep_their_commit(api: HfApi, commit: str) -> None:
    api.create_branch(REPO, branch="release/1.0")
    api.create_tag(REPO, tag="v1.0", tag_message="the first")
    later = api.create_commit(REPO, [add("more.txt", b"more")], commit_message="more")

    refs = api.list_repo_refs(REPO)

    assert {branch.name: branch.target_commit for branch in refs.branches} == {
        "main": later.oid,
        "release/1.0": commit,
    }
    assert [tag.name for tag in refs.tags] == ["v1.0"]
    assert (
        api.repo_info(REPO, revision="release/1.0").sha == api.repo_info(REPO, revision="v1.0").sha == commit
    )


def test_a_branch_gets_commits_of_its_own(api: HfApi, commit: str) -> None:
    api.create_branch(REPO, branch="release/1.0", revision=commit)

    made = api.create_commit(
        REPO, [add("more.txt", b"more")], commit_message="more", revision="release/1.0", parent_commit=commit
    )

    assert api.repo_info(REPO, revision="release/1.0").sha == made.oid
    assert api.repo_info(REPO).sha == commit
    assert api.file_exists(REPO, "more.txt", revision="release/1.0")


def test_a_repository_can_be_deleted(api: HfApi, commit: str) -> None:
    del commit
    api.delete_repo(REPO)

    assert not api.repo_exists(REPO)


def test_datasets_live_apart_from_models(api: HfApi, commit: str, tmp_path: Path) -> None:
    api.create_repo(REPO, repo_type="dataset")
    made = api.create_commit(REPO, [add("data.bin", WEIGHTS)], commit_message="data", repo_type="dataset")

    folder = Path(api.snapshot_download(REPO, repo_type="dataset", local_dir=tmp_path / "out"))

    assert (folder / "data.bin").read_bytes() == WEIGHTS
    assert api.repo_info(REPO, repo_type="dataset").sha == made.oid
    assert api.repo_info(REPO).sha == commit

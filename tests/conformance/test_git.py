"""git and git-lfs read what was published: the ids of the loopback hub are git's own."""

import random
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from tests.servers.git import export, run_git
from tests.servers.hfd import Hfd
from tests.servers.hub import Hub

REPO = "alice/model"
FILES = {
    "deep/er/weights.bin": random.Random(5).randbytes(300_000),  # noqa: S311 - test data
    "deep/x": b"a file beside a folder",
    "deep.txt": b"sorts before deep/",
    "big": random.Random(6).randbytes(50_000),  # noqa: S311 - test data
    "empty.bin": b"",
}


def publish(api: HfApi) -> str:
    api.create_repo(REPO)
    operations = [CommitOperationAdd(path, content) for path, content in FILES.items()]
    return api.create_commit(REPO, operations, commit_message="publish", commit_description="all").oid


def clone(url: str, folder: Path, git_lfs: Path) -> dict[str, bytes]:
    """Clone a repository, let git and git-lfs check it, and return its files."""
    run_git("clone", "--quiet", url, folder, lfs=git_lfs)
    run_git("fsck", "--full", "--strict", folder=folder)
    run_git("lfs", "fsck", lfs=git_lfs, folder=folder)
    found = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
    files.pop(".gitattributes", None)
    return files


def test_git_reads_the_repositories_of_the_loopback_hub(any_hub: Hub, git_lfs: Path, tmp_path: Path) -> None:
    any_hub.rules.large_from = 20_000
    commit = publish(HfApi(endpoint=any_hub.endpoint, token=any_hub.token))
    export(any_hub.repo(REPO), tmp_path / "model.git")

    files = clone((tmp_path / "model.git").as_uri(), tmp_path / "clone", git_lfs)

    assert files == FILES
    assert run_git("rev-parse", "HEAD", folder=tmp_path / "clone").strip() == commit


def test_git_reads_the_repositories_of_hfd(hfd: Hfd, git_lfs: Path, tmp_path: Path) -> None:
    commit = publish(HfApi(endpoint=hfd.endpoint, token=hfd.token))

    files = clone(hfd.git_url(REPO), tmp_path / "clone", git_lfs)

    assert files == FILES
    assert run_git("rev-parse", "HEAD", folder=tmp_path / "clone").strip() == commit

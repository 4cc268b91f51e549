"""A repository of the loopback hub as a bare git repository, so that git itself can judge it."""

import os
import shutil
import subprocess
import zlib
from pathlib import Path

from tests.servers.repositories import DEFAULT_BRANCH, Repository, git_oid, tree_objects


def export(repo: Repository, folder: Path) -> None:
    """Write every commit, tree, file, branch and tag, and large files where git-lfs looks for them."""
    for name in ("objects", "refs/heads", "refs/tags"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text(f"ref: refs/heads/{DEFAULT_BRANCH}\n")
    (folder / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
    for commit in repo.commits.values():
        _write(folder, "commit", commit.raw)
        for tree in tree_objects(commit.files)[1].values():
            _write(folder, "tree", tree)
        for blob in commit.files.values():
            if blob.sha256 is None:
                assert isinstance(blob.content, bytes)
                _write(folder, "blob", blob.content)
                continue
            _write(folder, "blob", blob.pointer)
            assert isinstance(blob.content, Path)
            large = folder / "lfs" / "objects" / blob.sha256[:2] / blob.sha256[2:4] / blob.sha256
            large.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(blob.content, large)
    for kind, refs in {"heads": repo.branches, "tags": repo.tags}.items():
        for name, oid in refs.items():
            ref = folder / "refs" / kind / name
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(f"{oid}\n")


def run_git(*arguments: str | Path, lfs: Path | None = None, folder: Path | None = None) -> str:
    """Run git without the configuration of machine and user, with git-lfs where given; return its output."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment["GIT_TERMINAL_PROMPT"] = "0"
    filters: list[str] = []
    if lfs is not None:
        environment["PATH"] = f"{lfs.parent}{os.pathsep}{environment['PATH']}"
        filters = ["-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.required=true"]
    done = subprocess.run(  # noqa: S603 - git, on a repository of the test
        ["git", *filters, *arguments],  # noqa: S607 - whichever git the machine has
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def _write(folder: Path, kind: str, content: bytes) -> None:
    oid = git_oid(kind, content)
    path = folder / "objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(b"%b %d\0%b" % (kind.encode(), len(content), content), 1))

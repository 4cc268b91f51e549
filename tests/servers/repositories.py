"""Repositories of a loopback hub: git's own ids, a linear history per branch, large files in a folder."""

import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

DEFAULT_BRANCH = "main"
REPO_TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}
LFS_ATTRIBUTES = "filter=lfs diff=lfs merge=lfs -text"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Blob:
    """One file of a commit: its git id, its size, and its bytes or where they are."""

    oid: str
    size: int
    content: bytes | Path
    sha256: str | None = None
    xet_hash: str | None = None
    pointer: bytes = b""
    """What git stores instead of a large file."""

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One state of a repository."""

    oid: str
    parent: str | None
    files: Mapping[str, Blob]
    title: str
    description: str
    author: str
    date: datetime
    raw: bytes
    """The commit as git stores it."""


@dataclass
class Repository:
    """A repository; its owner's token writes, `readers` may pass its gate."""

    kind: str
    id: str
    private: bool = False
    gated: bool = False
    readers: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: dict[str, str] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    """SHA-256 and size of every large file that was uploaded here."""

    @property
    def owner(self) -> str:
        return self.id.partition("/")[0]

    @property
    def web_path(self) -> str:
        return self.id if self.kind == "models" else f"{self.kind}/{self.id}"

    @property
    def head(self) -> Commit:
        return self.commits[self.branches[DEFAULT_BRANCH]]

    def find(self, revision: str) -> Commit | None:
        """Return the commit that a branch, tag, ref or full commit id names."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        refs = {**self.tags, **self.branches, **self.pulls}
        return self.commits.get(refs.get(revision, refs.get(name, revision)))

    def history(self, commit: Commit) -> Iterator[Commit]:
        """Yield a commit and its ancestors, newest first."""
        current: Commit | None = commit
        while current is not None:
            yield current
            current = self.commits[current.parent] if current.parent else None

    def commit(
        self,
        files: Mapping[str, Blob],
        *,
        parent: Commit | None,
        ref: str,
        title: str,
        description: str = "",
    ) -> Commit:
        """Add a commit with exactly these files and move a branch (or the ref of a pull request) to it."""
        date = EPOCH + timedelta(seconds=len(self.commits))
        message = f"{title}\n\n{description}".rstrip() + "\n"
        lines = [f"tree {tree_oid(files)}"]
        lines += [f"parent {parent.oid}"] if parent else []
        who = f"{self.owner} <{self.owner}@users.example> {int(date.timestamp())} +0000"
        lines += [f"author {who}", f"committer {who}", "", message]
        raw = "\n".join(lines).encode()
        commit = Commit(
            oid=git_oid("commit", raw),
            parent=parent.oid if parent else None,
            files=dict(files),
            title=title,
            description=description,
            author=self.owner,
            date=date,
            raw=raw,
        )
        self.commits[commit.oid] = commit
        (self.pulls if ref.startswith("refs/pr/") else self.branches)[ref] = commit.oid
        return commit


def git_oid(kind: str, content: bytes) -> str:
    """Return git's SHA-1 of an object."""
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def regular_blob(content: bytes) -> Blob:
    return Blob(oid=git_oid("blob", content), size=len(content), content=content)


def large_blob(sha256: str, size: int, content: Path, xet_hash: str | None = None) -> Blob:
    """Return a file that git knows by an LFS pointer only."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return Blob(
        oid=git_oid("blob", pointer),
        size=size,
        content=content,
        sha256=sha256,
        xet_hash=xet_hash,
        pointer=pointer,
    )


def tree_oid(files: Mapping[str, Blob]) -> str:
    """Return git's id of the tree that holds these files."""
    return tree_objects(files)[0]


def tree_objects(files: Mapping[str, Blob]) -> tuple[str, dict[str, bytes]]:
    """Return the id of the tree that holds these files, and every tree in it as git stores it."""
    found: dict[str, bytes] = {}

    def collect(entries: list[tuple[list[str], str]]) -> str:
        lines: list[tuple[bytes, bytes]] = []
        for name, group in itertools.groupby(sorted(entries), key=lambda entry: entry[0][0]):
            inside, raw = list(group), name.encode()
            deeper = [(parts[1:], oid) for parts, oid in inside if len(parts) > 1]
            for parts, oid in inside:
                if len(parts) == 1:
                    lines.append((raw, b"100644 " + raw + b"\0" + bytes.fromhex(oid)))
            if deeper:  # git sorts a folder as if its name ended in a slash
                lines.append((raw + b"/", b"40000 " + raw + b"\0" + bytes.fromhex(collect(deeper))))
        content = b"".join(line for _, line in sorted(lines))
        tree = git_oid("tree", content)
        found[tree] = content
        return tree

    return collect([(path.split("/"), blob.oid) for path, blob in files.items()]), found


def tree_entries(files: Mapping[str, Blob], folder: str, *, recursive: bool) -> dict[str, Blob | str]:
    """Return the entries below a folder by full path, sorted: a blob for a file, a tree id for a folder."""
    prefix = f"{folder}/" if folder else ""
    below = {path: blob for path, blob in files.items() if path.startswith(prefix)}
    entries: dict[str, Blob | str] = {}
    for path, blob in below.items():
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts)):
            name = prefix + "/".join(parts[:depth])
            if name not in entries and (recursive or depth == 1):
                inner = {p.removeprefix(f"{name}/"): b for p, b in below.items() if p.startswith(f"{name}/")}
                entries[name] = tree_oid(inner)
        if recursive or len(parts) == 1:
            entries[path] = blob
    return dict(sorted(entries.items()))


def track(files: Mapping[str, Blob], covered: Collection[str]) -> dict[str, Blob]:
    """Return files with `.gitattributes` naming every large file whose suffix it does not cover.

    The live Hub does so in the same commit, or git would hand out pointers.
    """
    attributes = files.get(".gitattributes")
    text = attributes.content.decode() if attributes and isinstance(attributes.content, bytes) else ""
    known = {line.split(" ", 1)[0] for line in text.splitlines()}
    large = [
        path for path, blob in files.items() if blob.sha256 and PurePosixPath(path).suffix not in covered
    ]
    new = "".join(f"{path} {LFS_ATTRIBUTES}\n" for path in sorted(large) if path not in known)
    return {**files, ".gitattributes": regular_blob((text + new).encode())} if new else dict(files)

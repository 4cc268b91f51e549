"""A strict Hugging Face Hub on loopback: three origins, everything counted, every breach noted."""

import hashlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

from tests.servers.faults import FaultBook
from tests.servers.ledger import Exchange, Ledger
from tests.servers.replies import Call, ProtocolViolation, Refused, Reply, refusal
from tests.servers.repositories import (
    DEFAULT_BRANCH,
    LFS_ATTRIBUTES,
    Blob,
    Commit,
    Repository,
    large_blob,
    regular_blob,
    track,
)
from tests.servers.routes import Route, find_route
from tests.servers.wire import Answered, Origin
from tests.servers.xet import XetStore

LARGE_SUFFIXES = frozenset({".bin", ".ckpt", ".gguf", ".onnx", ".pt", ".safetensors", ".zip"})
GIT_ATTRIBUTES = "".join(f"*{suffix} {LFS_ATTRIBUTES}\n" for suffix in sorted(LARGE_SUFFIXES))


@dataclass(frozen=True)
class Token:
    """What a bearer token allows: `write` on its user's repositories, or only `read`."""

    user: str
    role: str = "write"


@dataclass(kw_only=True)
class Rules:
    """What a hub does in its own way; a test may change it at any time."""

    large_from: int = 10_000_000
    """Files of this size (bytes) or more are LFS."""
    large_suffixes: frozenset[str] = LARGE_SUFFIXES
    """Files with these suffixes are LFS whatever their size."""
    multipart_from: int = 1 << 40
    """LFS objects of this size (bytes) or more are uploaded in parts."""
    part_size: int = 5 << 20
    """Bytes of a part."""
    asks_to_verify: bool = True
    """LFS uploads end in a call of `verify`."""
    page_size: int = 1000
    """Entries of one page of a tree."""
    page_size_expanded: int = 50
    """Entries of one page of a tree with last commits and security status."""
    redirects_regular_files: bool = False
    """A regular file is served by a redirect to a path of the same origin, as the live Hub does."""
    compresses: bool = False
    """A regular file is sent gzipped and chunked to those who accept that."""
    serves_xet: bool = True
    """What was uploaded by xet can be downloaded; a client that is at work still has the store for itself."""
    checks_xet: bool = True
    """A commit that names a file with another SHA-256 than its bytes in xet have is a violation."""


class Hub:
    """The hub, its storage origin and a foreign one; use it as a context manager, then `check()`."""

    def __init__(self, folder: Path, *, xet: bool = False) -> None:
        self.folder = folder
        self.rules = Rules()
        self.ledger = Ledger()
        self.faults = FaultBook()
        self.lock = threading.RLock()
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.uploads: dict[str, Upload] = {}
        self.objects = folder / "objects"
        self.xet = XetStore(folder / "xet") if xet else None
        self.secret = secrets.token_hex(8)
        self.tokens = {
            "hf_alice_writes": Token("alice"),
            "hf_alice_reads": Token("alice", "read"),
            "hf_bob_writes": Token("bob"),
        }
        self.token, self.read_token, self.other_token = self.tokens
        self._hub = Origin("hub", folder / "incoming", self._handle, self._report)
        self._storage = Origin("storage", folder / "incoming", self._handle, self._report)
        self._foreign = Origin("foreign", folder / "incoming", self._handle, self._report, host="localhost")
        self.endpoint = self._hub.url
        self.storage_url = self._storage.url
        self.foreign_url = self._foreign.url

    def __enter__(self) -> Self:
        self.objects.mkdir(parents=True)
        for origin in (self._hub, self._storage, self._foreign):
            origin.start()
        return self

    def __exit__(self, *_: object) -> None:
        for origin in (self._hub, self._storage, self._foreign):
            origin.stop()

    def check(self) -> None:
        """Fail where a client broke the protocol, or where a fault was never met."""
        assert not self.ledger.violations, "\n".join(["the protocol was broken:", *self.ledger.violations])
        assert not self.faults.unmet(), f"no request met these faults: {self.faults.unmet()}"

    # --- what tests put in and look at ---

    def create_repo(
        self, repo_id: str, *, kind: str = "models", private: bool = False, gated: bool = False
    ) -> Repository:
        """Create a repository as the live Hub does: with one commit that holds `.gitattributes`."""
        repo = Repository(kind=kind, id=repo_id, private=private, gated=gated)
        files = {".gitattributes": regular_blob(GIT_ATTRIBUTES.encode())}
        repo.commit(files, parent=None, ref=DEFAULT_BRANCH, title="initial commit")
        with self.lock:
            self.repositories[kind, repo_id] = repo
        return repo

    def repo(self, repo_id: str, kind: str = "models") -> Repository:
        return self.repositories[kind, repo_id]

    def put(
        self,
        repo: Repository,
        files: Mapping[str, bytes | None],
        *,
        branch: str = DEFAULT_BRANCH,
        title: str = "put",
    ) -> Commit:
        """Commit files (`None` removes one) without a client, under any name: `../` and twins in case too."""
        with self.lock:
            parent = repo.commits[repo.branches.get(branch, repo.branches[DEFAULT_BRANCH])]
            given = {path: content for path, content in files.items() if content is not None}
            changed = {path: self._store(repo, path, content) for path, content in given.items()}
            kept = {path: blob for path, blob in parent.files.items() if path not in files}
            merged = track({**kept, **changed}, self.rules.large_suffixes)
            return repo.commit(merged, parent=parent, ref=branch, title=title)

    def read(self, repo: Repository, path: str, revision: str = DEFAULT_BRANCH) -> bytes:
        """Return a file as it was committed."""
        commit = repo.find(revision)
        assert commit is not None, f"{repo.id} has no revision {revision}"
        content = commit.files[path].content
        return content if isinstance(content, bytes) else content.read_bytes()

    def is_large(self, path: str, size: int) -> bool:
        suffix = PurePosixPath(path).suffix.lower()
        return size > 0 and (size >= self.rules.large_from or suffix in self.rules.large_suffixes)

    def revoke(self, token: str) -> None:
        with self.lock:
            del self.tokens[token]

    def environment(self) -> dict[str, str]:
        """Return what a process needs in its environment to use this hub as its writing user."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_XET": "0" if self.xet else "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    # --- what handlers use ---

    def caller(self, call: Call) -> Token | None:
        """Return who calls; nobody where there is no token."""
        given = call.header("authorization")
        if given is None:
            return None
        scheme, _, token = given.partition(" ")
        if scheme != "Bearer" or not token:
            message = f"Authorization is no bearer token but {scheme!r}"
            raise ProtocolViolation(message)
        known = self.tokens.get(token)
        if known is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        return known

    def writer(self, call: Call, owner: str) -> Token:
        """Return who calls, where that user may write."""
        caller = self.caller(call)
        if caller is None:
            raise Refused(401, "Invalid username or password.")
        if caller.role != "write" or caller.user != owner:
            raise Refused(403, f"Forbidden: you must use a write token of {owner}")
        return caller

    def open(self, call: Call, kind: str, repo_id: str, *, write: bool = False) -> Repository:
        """Return a repository that the caller may see; a private one does not exist for anybody else."""
        caller = self.caller(call)
        repo = self.repositories.get((kind, repo_id))
        if repo is None or (repo.private and (caller is None or caller.user != repo.owner)):
            if caller:
                raise Refused(404, "Repository not found", "RepoNotFound")
            # The live Hub sends no code here, but over plain http the client library needs it.
            raise Refused(401, "Invalid username or password.", "RepoNotFound")
        if write:
            self.writer(call, repo.owner)
        return repo

    def pass_gate(self, call: Call, repo: Repository) -> None:
        """Refuse the files of a gated repository to those who are not on its list."""
        caller = self.caller(call)
        if repo.gated and (caller is None or caller.user not in {repo.owner, *repo.readers}):
            message = f"Access to {repo.kind} {repo.id} is restricted. Ask for access to it."
            raise Refused(403 if caller else 401, message, "GatedRepo")

    def revision(self, repo: Repository, revision: str) -> Commit:
        commit = repo.find(revision)
        if commit is None:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def large(self, repo: Repository, sha256: str, size: int) -> Blob | None:
        """Return a large file that was uploaded to a repository, by LFS or by xet."""
        path = self.objects / sha256
        file = self.xet.find(sha256) if self.xet else None
        if file is not None and self.xet is not None:
            if not path.exists() and self.rules.serves_xet:
                self.xet.extract(file, path)
            if self.rules.serves_xet and self.rules.checks_xet and file_sha256(path) != sha256:
                self.ledger.violate(f"{repo.id}: the bytes in xet are not those of SHA-256 {sha256}")
            repo.objects[sha256] = file.size
        if repo.objects.get(sha256) != size:
            return None
        return large_blob(sha256, size, path, file.hash if file else None)

    def _store(self, repo: Repository, path: str, content: bytes) -> Blob:
        if not self.is_large(path, len(content)):
            return regular_blob(content)
        sha256 = hashlib.sha256(content).hexdigest()
        stored = self.objects / sha256
        stored.write_bytes(content)
        repo.objects[sha256] = len(content)
        return large_blob(sha256, len(content), stored)

    # --- the wire ---

    def _handle(self, call: Call) -> Reply:
        route = find_route(call)
        kind = route.kind if route else "unknown"

        def handle() -> Reply:
            try:
                return self._check(call, route).handle(self, call)
            except ProtocolViolation as violation:
                self.ledger.violate(f"{call.method} {call.origin}{call.path}: {violation}")
                return refusal(400, str(violation))
            except Refused as refused:
                return refused.reply
            except Exception as error:  # what no handler foresees must fail the test, not only the request
                self.ledger.violate(f"{call.method} {call.origin}{call.path}: {error!r}")
                raise

        return self.faults.interfere(call, kind, handle)

    def _check(self, call: Call, route: Route | None) -> Route:
        if route is None:
            message = "no such path"
            raise ProtocolViolation(message)
        if not call.header("user-agent") and not call.header("x-xet-session-id"):
            message = "no User-Agent"
            raise ProtocolViolation(message)
        return route

    def _report(self, answered: Answered) -> None:
        call = answered.call
        route = find_route(call)
        if call.origin != "hub" and call.header("authorization") is not None:
            self.ledger.violate(f"{call.method} {call.path}: the token went to the {call.origin} origin")
        exchange = Exchange(
            origin=call.origin,
            kind=route.kind if route else "unknown",
            method=call.method,
            path=call.path,
            query="&".join(f"{name}={value}" for name, values in call.query.items() for value in values),
            status=answered.reply.status,
            received=answered.received,
            sent=answered.sent,
            user_agent=call.header("user-agent") or "",
            authorized=call.header("authorization") is not None,
            range=call.header("range"),
        )
        self.ledger.record(exchange)


@dataclass
class Upload:
    """An upload that the hub has agreed to: one object of one repository."""

    repo: Repository
    sha256: str
    size: int
    parts: dict[int, Path] = field(default_factory=dict)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

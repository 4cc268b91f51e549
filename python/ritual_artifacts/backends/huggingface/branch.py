"""The branch that an upload goes to: found, or made when everything else is there."""

import contextlib
import logging
from dataclasses import dataclass, replace
from typing import Final

from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.backends.huggingface.errors import translated
from ritual_artifacts.backends.huggingface.hub import Hub, Refs
from ritual_artifacts.backends.huggingface.options import UploadOptions
from ritual_artifacts.errors import ArtifactNotFoundError, ConflictError, TransferError
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

MAIN: Final = "main"
PULL_REQUEST_PREFIX: Final = "refs/pr/"


@dataclass(frozen=True)
class Branch:
    """A branch at one moment.

    Attributes:
        name: The branch, or `refs/pr/<number>`.
        exists: Whether it is there; if not, it will start at `commit`.
        commit: Its newest commit; None where the repository is empty.
        files: What that commit holds.
    """

    name: str
    exists: bool
    commit: str | None
    files: dict[str, RemoteFile]

    @property
    def base(self) -> str:
        """What the server is asked about while the branch may be missing."""
        return self.name if self.exists else MAIN


class BranchFinder:
    """Finds an upload's branch, and makes the repository where it is missing."""

    def __init__(self, hub: Hub, repo_id: RitualRepoId, options: UploadOptions) -> None:
        """Remember which repository and branch are meant."""
        self._hub = hub
        self._repo_id = repo_id
        self._options = options
        self._name = hub.connection.revision_of(repo_id) or MAIN

    def find(self) -> Branch:
        """Look at the branch as it is now; make the repository where it is missing.

        Raises:
            ConflictError: the id names a tag or a commit, which do not move.
        """
        refs = self._read_refs()
        branch = self._choose(refs)
        if branch.commit is not None:
            branch = replace(branch, files=self._hub.list_files(self._repo_id, branch.commit))
        return branch

    def _choose(self, refs: Refs) -> Branch:
        if self._name.startswith(PULL_REQUEST_PREFIX):
            if self._name not in refs.pull_requests:
                message = f"{self._repo_id} has no pull request {self._name}"
                raise ArtifactNotFoundError(message)
            return Branch(self._name, exists=True, commit=refs.pull_requests[self._name], files={})
        if self._name in refs.branches:
            return Branch(self._name, exists=True, commit=refs.branches[self._name], files={})
        if self._name in refs.tags or self._hub.is_commit(self._name):
            message = f"{self._repo_id}: {self._name!r} is no branch, and only a branch can get a new commit"
            raise ConflictError(message)
        start = refs.branches.get(MAIN)
        return Branch(self._name, exists=self._name == MAIN, commit=start, files={})

    def _read_refs(self) -> Refs:
        wants_pull_requests = self._name.startswith(PULL_REQUEST_PREFIX)
        try:
            return self._hub.read_refs(self._repo_id, pull_requests=wants_pull_requests)
        except ArtifactNotFoundError:
            self._create_repo()
            return self._hub.read_refs(self._repo_id, pull_requests=wants_pull_requests)

    def _create_repo(self) -> None:
        private = True if self._options.private is None else self._options.private
        repo_type = self._hub.connection.repo_type
        sdk = (self._options.space_sdk or "static") if repo_type == "space" else None
        try:
            with translated(f"creating {self._repo_id}"):
                self._hub.api.create_repo(
                    self._repo_id.hf_id, private=private, repo_type=repo_type, exist_ok=True, space_sdk=sdk
                )
        except TransferError as error:  # it may have been created all the same: who looks will see
            log.info("%s", error)

    def create(self, branch: Branch) -> bool:
        """Make a branch that is missing, at the commit at which it was looked at.

        Returns:
            Whether this call made it; False where somebody else was faster, at the same commit.

        Raises:
            ConflictError: somebody else made it meanwhile, at another commit.
        """
        try:
            with translated(f"creating the branch {branch.name} of {self._repo_id}"):
                self._hub.api.create_branch(
                    self._repo_id.hf_id,
                    branch=branch.name,
                    revision=branch.commit,
                    repo_type=self._hub.connection.repo_type,
                )
        except ConflictError:
            if self._read_refs().branches.get(branch.name) != branch.commit:
                raise
            return False
        return True

    def drop(self, branch: Branch) -> None:
        """Remove a branch that was made for a commit which failed, unless somebody has used it since."""
        with contextlib.suppress(Exception):  # the error that led here is the one to report
            if self._hub.read_refs(self._repo_id).branches.get(branch.name) == branch.commit:
                self._hub.api.delete_branch(
                    self._repo_id.hf_id, branch=branch.name, repo_type=self._hub.connection.repo_type
                )

    def check_tag(self, commit: str | None) -> bool:
        """Say whether the tag to make is there already, at this commit.

        Raises:
            ConflictError: it is there at another commit.
        """
        tag = self._options.tag
        if tag is None:
            return True
        named = self._read_refs().tags.get(tag)
        if named is not None and named != commit:
            message = f"the tag {tag!r} of {self._repo_id} names the commit {named} already, and never moves"
            raise ConflictError(message)
        return named is not None

    def create_tag(self, commit: str) -> None:
        """Name the commit.

        Raises:
            ConflictError: the tag is there at another commit.
        """
        tag = self._options.tag
        if tag is None or self.check_tag(commit):
            return
        try:
            with translated(f"creating the tag {tag} of {self._repo_id}"):
                self._hub.api.create_tag(
                    self._repo_id.hf_id,
                    tag=tag,
                    revision=commit,
                    repo_type=self._hub.connection.repo_type,
                )
        except (ConflictError, TransferError):
            if not self.check_tag(commit):  # another process may have made it, or this one unnoticed
                raise

"""The branch that an upload goes to: found, or made when everything else is there.

A new branch shows up with the artifact in it: the commit is made on a temporary branch, and only then gets
its name. A killed upload leaves at most that temporary branch, which the next upload to the same version
removes.
"""

import logging
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.backends.http import Patience
from ritual_artifacts.backends.huggingface.errors import translated
from ritual_artifacts.backends.huggingface.hub import Hub, Refs
from ritual_artifacts.backends.huggingface.options import MAIN, UploadOptions, can_be_ref
from ritual_artifacts.errors import ArtifactNotFoundError, ConflictError, RepoIdError, TransferError
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

PULL_REQUEST_PREFIX: Final = "refs/pr/"
STAGING_PREFIX: Final = "ritual-artifacts-upload"
_TOKEN_BYTES: Final = 8


@dataclass(frozen=True)
class Branch:
    """A branch at one moment.

    Attributes:
        name: The branch, or `refs/pr/<number>`.
        exists: Whether it is there; if not, it will start at `commit`.
        commit: Its newest commit; None where the repository is empty.
        files: What that commit holds.
        staged_in: The temporary branch that `commit` is on, where this upload has made one.
    """

    name: str
    exists: bool
    commit: str | None
    files: dict[str, RemoteFile]
    staged_in: str | None = None

    @property
    def place(self) -> str:
        """The branch that the next commit goes to, and that the server is asked about until then."""
        return self.name if self.exists else self.staged_in or MAIN


class BranchFinder:
    """Finds an upload's branch; makes it, and its repository, where they are missing."""

    def __init__(self, hub: Hub, repo_id: RitualRepoId, options: UploadOptions) -> None:
        """Remember which repository and branch are meant."""
        self._hub = hub
        self._repo_id = repo_id
        self._options = options
        self._name = hub.connection.revision_of(repo_id) or MAIN
        self._staging = f"{STAGING_PREFIX}-{self._name}-{secrets.token_hex(_TOKEN_BYTES)}"
        self._is_staged = False
        self._refs: Refs | None = None

    def find(self) -> Branch:
        """Look at the branch as it is now; at the first look, make the repository where it is missing.

        Raises:
            ArtifactNotFoundError: the repository was there at the first look, and is gone.
            ConflictError: the id names a tag or a commit, which do not move.
            RepoIdError: there is no such branch, and there can be none.
        """
        branch = self._choose(self._read_refs())
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
        if not can_be_ref(self._name):
            message = f"{self._repo_id} cannot have a branch called {self._name!r}: git allows none"
            raise RepoIdError(message)
        staged_in = self._staging if self._staging in refs.branches else None
        commit = refs.branches.get(staged_in or MAIN)
        return Branch(self._name, exists=self._name == MAIN, commit=commit, files={}, staged_in=staged_in)

    def _read_refs(self) -> Refs:
        wants_pull_requests = self._name.startswith(PULL_REQUEST_PREFIX)
        try:
            refs = self._hub.read_refs(self._repo_id, pull_requests=wants_pull_requests)
        except ArtifactNotFoundError:
            if self._refs is not None:
                message = (
                    f"{self._repo_id} was removed or renamed during the upload, and is not made again; "
                    f"to publish there after all, upload once more"
                )
                raise ArtifactNotFoundError(message) from None
            self._create_repo()
            refs = self._hub.read_refs(self._repo_id, pull_requests=wants_pull_requests)
        self._refs = refs
        return refs

    def _create_repo(self) -> None:
        private = True if self._options.private is None else self._options.private
        repo_type = self._hub.connection.repo_type
        sdk = (self._options.space_sdk or "static") if repo_type == "space" else None

        def create() -> None:
            self._hub.api.create_repo(
                self._repo_id.hf_id, private=private, repo_type=repo_type, exist_ok=True, space_sdk=sdk
            )

        _insist(f"creating {self._repo_id}", create, lambda: False)  # which does no harm where it is there

    def stage(self, branch: Branch) -> Branch:
        """Make the temporary branch for the commit of a branch that is missing."""
        if branch.exists or branch.staged_in:
            return branch
        self._is_staged = True  # whatever becomes of the call
        self._create_branch(self._staging, branch.commit)
        return replace(branch, staged_in=self._staging)

    def unstage(self) -> None:
        """Remove the temporary branch."""
        if self._is_staged:
            self._remove([self._staging])

    def remove_leftovers(self) -> None:
        """Remove the temporary branches that killed uploads to this branch have left; it is there now.

        An upload that is at work on one of them finds this branch there, and builds on it.
        """
        leftover = re.compile(rf"{STAGING_PREFIX}-{re.escape(self._name)}-[0-9a-f]{{{2 * _TOKEN_BYTES}}}")
        seen = self._refs.branches if self._refs else {}
        self._remove(name for name in seen if leftover.fullmatch(name) and name != self._staging)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                with translated(f"removing the branch {name} of {self._repo_id}"):
                    self._hub.api.delete_branch(
                        self._repo_id.hf_id, branch=name, repo_type=self._hub.connection.repo_type
                    )
            except Exception as error:  # noqa: BLE001 - it changes nothing of what was published, or went wrong
                log.info("%s", error)

    def make_visible(self, branch: Branch, commit: str | None) -> None:
        """Give a commit the name of the branch, which is missing.

        Raises:
            ConflictError: somebody else made the branch meanwhile, at another commit.
        """
        self._create_branch(branch.name, commit)

    def _create_branch(self, name: str, commit: str | None) -> None:
        def create() -> None:
            self._hub.api.create_branch(
                self._repo_id.hf_id,
                branch=name,
                revision=commit,
                repo_type=self._hub.connection.repo_type,
            )

        self._create_ref(f"branch {name}", create, lambda: self._read_refs().branches.get(name), commit)

    def check_tag(self, commit: str | None) -> bool:
        """Say whether the tag to make was there at the last look, at this commit.

        Raises:
            ConflictError: it was there at another commit, or is the name of a branch.
        """
        tag = self._options.tag
        if tag is None or self._refs is None:
            return tag is None
        if tag in self._refs.branches or tag == self._name:
            message = f"the tag {tag!r} of {self._repo_id} would have the name of a branch; choose another"
            raise ConflictError(message)
        named = self._refs.tags.get(tag)
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
        if tag is None:
            return
        self._read_refs()  # somebody may have made it during the upload
        if self.check_tag(commit):
            return

        def create() -> None:
            self._hub.api.create_tag(
                self._repo_id.hf_id, tag=tag, revision=commit, repo_type=self._hub.connection.repo_type
            )

        self._create_ref(f"tag {tag}", create, lambda: self._read_refs().tags.get(tag), commit)

    def _create_ref(
        self, what: str, create: Callable[[], None], look: Callable[[], str | None], commit: str | None
    ) -> None:
        """Create a branch or a tag.

        Raises:
            ConflictError: it is there at another commit.
        """

        def is_there() -> bool:
            found = look()  # another process may have made it, or this one unnoticed
            if found not in {None, commit}:
                message = f"the {what} of {self._repo_id} is there already, at the commit {found}"
                raise ConflictError(message)
            return found is not None

        _insist(f"creating the {what} of {self._repo_id}", create, is_there)


def _insist(doing: str, create: Callable[[], None], is_there: Callable[[], bool]) -> None:
    """Create something once, whatever becomes of the answer.

    Raises:
        ConflictError: something else is there.
        TransferError: the server fails again and again.
    """
    patience = Patience(doing)
    while True:
        try:
            with translated(doing):
                create()
        except (ConflictError, TransferError) as error:
            if is_there():
                return
            if not (isinstance(error, TransferError) and error.retryable):
                raise
        else:
            return
        patience.wait("the server failed, or did not answer")

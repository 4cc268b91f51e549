"""The branch and the tag of an upload: found first, and created when everything else is stored.

A new branch appears with the artifact in it: the commit is made on a temporary branch, and gets the name of
the new branch afterwards. A killed upload leaves at most its temporary branch, which the next upload to the
same version removes.
"""

import logging
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.backends.http import Retries
from ritual_artifacts.backends.huggingface.hub import Hub, Refs
from ritual_artifacts.backends.huggingface.options import MAIN, HubUploadOptions, is_commit, is_ref_name
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
        exists: Whether it exists; if not, it will start at `commit`.
        commit: Its newest commit; None if the repository is empty.
        files: The files of that commit.
        staged_in: The temporary branch that has `commit`, if this upload has created one.
    """

    name: str
    exists: bool
    commit: str | None
    files: dict[str, RemoteFile]
    staged_in: str | None = None

    @property
    def place(self) -> str:
        """The branch that gets the next commit, and that is named in requests until then."""
        return self.name if self.exists else self.staged_in or MAIN


class BranchFinder:
    """Finds an upload's branch; creates it, its repository and its tag."""

    def __init__(self, hub: Hub, repo_id: RitualRepoId, options: HubUploadOptions) -> None:
        """Prepare; nothing is sent yet."""
        self._hub = hub
        self._repo_id = repo_id
        self._options = options
        self._name = hub.connection.revision_of(repo_id) or MAIN
        self._staging = f"{STAGING_PREFIX}-{self._name}-{secrets.token_hex(_TOKEN_BYTES)}"
        self._is_staged = False
        self._refs: Refs | None = None

    def find(self) -> Branch:
        """Return the branch as it is now; the first call creates the repository if there is none.

        Raises:
            ArtifactNotFoundError: the repository existed at the first call, and is gone.
            ConflictError: the id names a tag or a commit, which do not move.
            RepoIdError: there is no such branch, and it cannot be created.
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
        if self._name in refs.tags or is_commit(self._name):
            message = (
                f"{self._repo_id}: {self._name!r} is not a branch, and only a branch can get a new commit"
            )
            raise ConflictError(message)
        if not is_ref_name(self._name):
            message = f"{self._repo_id}: git does not allow a branch called {self._name!r}"
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
                    f"{self._repo_id} was removed or renamed during the upload, and is not created again; "
                    f"to publish there anyway, upload again"
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

        # A second attempt does no harm if the first one has created it.
        self._create_once(f"creating {self._repo_id}", create, lambda: False)

    def stage(self, branch: Branch) -> Branch:
        """Create the temporary branch for the commit of a branch that does not exist."""
        if branch.exists or branch.staged_in:
            return branch
        self._is_staged = True  # the call may create it and fail all the same
        self._create_branch(self._staging, branch.commit)
        return replace(branch, staged_in=self._staging)

    def unstage(self) -> None:
        """Remove the temporary branch."""
        if self._is_staged:
            self._remove([self._staging])

    def remove_leftovers(self) -> None:
        """Remove the temporary branches that killed uploads to this branch have left; the branch exists now.

        A running upload that uses one of them finds that this branch exists, and continues from it.
        """
        leftover = re.compile(rf"{STAGING_PREFIX}-{re.escape(self._name)}-[0-9a-f]{{{2 * _TOKEN_BYTES}}}")
        seen = self._refs.branches if self._refs else {}
        self._remove(name for name in seen if leftover.fullmatch(name) and name != self._staging)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                with self._hub.redactor.translated(f"removing the branch {name} of {self._repo_id}"):
                    self._hub.api.delete_branch(
                        self._repo_id.hf_id, branch=name, repo_type=self._hub.connection.repo_type
                    )
            except Exception as error:  # noqa: BLE001 - it does not affect the artifact
                log.info("%s", error)

    def make_visible(self, branch: Branch, commit: str | None) -> None:
        """Create the branch at a commit.

        Raises:
            ConflictError: another process has created it meanwhile, at another commit.
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
        """Return whether the tag of this upload already exists, at this commit.

        Raises:
            ConflictError: it exists at another commit, or is the name of a branch.
        """
        tag = self._options.tag
        if tag is None or self._refs is None:
            return tag is None
        if tag in self._refs.branches or tag == self._name:
            message = f"the tag {tag!r} of {self._repo_id} would have the name of a branch; choose another"
            raise ConflictError(message)
        found = self._refs.tags.get(tag)
        if found not in {None, commit}:
            message = f"the tag {tag!r} of {self._repo_id} names the commit {found}; a tag never moves"
            raise ConflictError(message)
        return found is not None

    def create_tag(self, commit: str) -> None:
        """Tag a commit, if the user wants that.

        Raises:
            ConflictError: the tag exists at another commit.
        """
        tag = self._options.tag
        if tag is None:
            return
        self._read_refs()  # another process may have created it during the upload
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
            ConflictError: it exists at another commit.
        """

        def exists() -> bool:
            found = look()  # another process may have created it, or this one although the answer was lost
            if found not in {None, commit}:
                message = f"the {what} of {self._repo_id} already exists, at the commit {found}"
                raise ConflictError(message)
            return found is not None

        self._create_once(f"creating the {what} of {self._repo_id}", create, exists)

    def _create_once(self, doing: str, create: Callable[[], None], exists: Callable[[], bool]) -> None:
        """Create something once, also if answers are lost.

        Raises:
            ConflictError: something else exists there.
            TransferError: the server fails repeatedly.
        """
        retries = Retries(doing, self._hub.context, self._hub.redactor.clean)
        while True:
            try:
                with self._hub.redactor.translated(doing):
                    create()
            except (ConflictError, TransferError) as error:
                if exists():
                    return
                if not (isinstance(error, TransferError) and error.retryable):
                    raise
            else:
                return
            retries.wait("the server failed, or did not answer")

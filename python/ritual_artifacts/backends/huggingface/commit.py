"""One commit with everything in it, made once, whatever becomes of the connection."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from http import HTTPStatus
from typing import Final, TypeAlias

from huggingface_hub import CommitInfo, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from ritual_artifacts.backends.http import Patience, retry_after
from ritual_artifacts.backends.huggingface.branch import Branch, BranchFinder
from ritual_artifacts.backends.huggingface.card import CARD_FILENAME
from ritual_artifacts.backends.huggingface.errors import translate, translated
from ritual_artifacts.backends.huggingface.hub import Hub
from ritual_artifacts.backends.huggingface.options import UploadOptions, patterns
from ritual_artifacts.backends.huggingface.sources import Addition
from ritual_artifacts.backends.huggingface.xet import reported
from ritual_artifacts.errors import BackendError, ConflictError, TransferError
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.workers import Job, run_jobs

log = logging.getLogger(__name__)

Contents: TypeAlias = Mapping[str, Addition]

_NOTHING_IGNORED: Final = "# An artifact is published whole.\n"
_KEPT: Final = frozenset({".gitattributes", CARD_FILENAME})
"""The Hub's own files, which no pattern removes."""


@dataclass(frozen=True)
class Published:
    """What came of it.

    Attributes:
        commit_info: The commit that holds everything.
        sent: Names of the files that had to be sent.
    """

    commit_info: CommitInfo
    sent: frozenset[str]


@dataclass(frozen=True)
class _Change:
    additions: Sequence[Addition]
    deletions: Sequence[CommitOperationDelete]


class Publisher:
    """Brings contents into a repository by one commit."""

    def __init__(
        self,
        hub: Hub,
        repo_id: RitualRepoId,
        options: UploadOptions,
        *,
        refuse_changed: Callable[[], None],
        meter: ProgressMeter,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            hub: Where to.
            repo_id: Under which name.
            options: What the user said of this upload.
            refuse_changed: Raises when a file is no longer what was hashed.
            meter: Told what was sent.
        """
        self._hub = hub
        self._repo_id = repo_id
        self._options = options
        self._refuse_changed = refuse_changed
        self._meter = meter
        self._finder = BranchFinder(hub, repo_id, options)
        self._sent: set[str] = set()
        self._pull_requests: frozenset[str] = frozenset()

    def publish(self, contents: Contents, card: Addition | None) -> Published:
        """Publish `contents`, and `card` where the repository has none.

        Nothing is committed where everything is there already. A commit of which nobody knows whether it was
        made is looked for before it is made again; the parent commit that goes with it makes sure of that.

        Raises:
            ConflictError: somebody else changed the same files meanwhile, or the id cannot get a new commit.
            SourceChangedError: a file changed while it was uploaded; nothing was published.
            BackendError: the Hub refused or failed.
        """
        self._hub.prepare_session()
        try:
            return self._publish(contents, card)
        finally:
            self._finder.unstage()

    def _publish(self, contents: Contents, card: Addition | None) -> Published:
        branch = self._finder.find()
        self._refuse_other_parent(branch)
        if self._options.create_pr:
            self._pull_requests = self._list_pull_requests()
        patience = Patience(f"publishing {self._repo_id}")
        while change := self._find_change(branch, contents, card):
            self._refuse_other_parent(branch)  # somebody may have committed since the last look
            self._finder.check_tag(None)
            self._send(branch, change.additions)
            if not self._options.create_pr:
                branch = self._finder.stage(branch)
            try:
                info = self._commit(branch, change)
            except Exception as error:  # noqa: BLE001 - the next line raises what is final
                problem, pause = self._judge(error)
            else:
                return self._conclude(branch, info, contents)
            if opened := self._find_pull_request(contents):
                return self._conclude(branch, opened, contents)
            before, branch = branch, self._finder.find()
            _refuse_collisions(before, branch, contents, change)
            has_moved = branch.commit != before.commit and not self._options.create_pr
            patience.wait(problem, 0.0 if has_moved else pause)
            # A call that timed out may have been at work still during the first look.
            if opened := self._find_pull_request(contents):
                return self._conclude(branch, opened, contents)
        self._finder.check_tag(branch.commit)
        return self._conclude(branch, self._describe(branch), contents)

    def _refuse_other_parent(self, branch: Branch) -> None:
        expected = self._options.parent_commit
        if expected is not None and not (branch.commit or "").startswith(expected.lower()):
            message = f"{self._repo_id} is at the commit {branch.commit}, not at parent_commit {expected}"
            raise ConflictError(message)

    def _find_change(self, branch: Branch, contents: Contents, card: Addition | None) -> _Change | None:
        """Return what is still to be done; None when everything is there."""
        additions = _find_missing(branch, contents)
        wanted = patterns(self._options.delete_patterns)
        deletions = [
            CommitOperationDelete(path, is_folder=False)
            for path in branch.files
            if path not in contents and path not in _KEPT and any(fnmatch(path, p) for p in wanted)
        ]
        if not additions and not deletions:
            return None
        if card is not None and CARD_FILENAME not in branch.files:
            additions = [*additions, card]
        change = _Change(additions, deletions)
        _refuse_obstacles(branch, change)
        return change

    def _send(self, branch: Branch, additions: Sequence[Addition]) -> None:
        """Send what goes to the storage for large files; nobody can see it yet."""
        self._sent |= {addition.path_in_repo for addition in additions}

        def send(job: Job) -> None:
            for addition in additions:
                addition.report = job.advance
            with reported(job.advance):
                self._hub.api.preupload_lfs_files(
                    self._repo_id.hf_id,
                    additions,
                    repo_type=self._hub.connection.repo_type,
                    revision=branch.place,
                    create_pr=self._options.create_pr,
                    num_threads=self._hub.connection.max_workers,
                    free_memory=False,
                    gitignore_content=_NOTHING_IGNORED,
                )

        try:
            with translated(f"uploading to {self._repo_id}"), self._hub.without_bars():
                run_jobs([send], max_workers=1, meter=self._meter)
        finally:
            self._refuse_changed()  # which is also why a storage may have refused the bytes
        ignored = [a.path_in_repo for a in additions if getattr(a, "_should_ignore", False)]
        if ignored:
            message = (
                f"{self._repo_id} ignores {ignored[0]!r} ({len(ignored)} of {len(additions)} files) because "
                f"of a .gitignore; an artifact is published whole, so change that file or rename these"
            )
            raise BackendError(message)
        # The library leaves out of the commit what the server says is there already. It asked about `place`,
        # which may have moved since the look that decided what is missing.
        for addition in additions:
            if hasattr(addition, "_remote_oid"):
                addition._remote_oid = None  # noqa: SLF001 - there is no option for it

    def _commit(self, branch: Branch, change: _Change) -> CommitInfo:
        info = self._hub.api.create_commit(
            self._repo_id.hf_id,
            [*change.additions, *change.deletions],
            commit_message=self._message,
            commit_description=self._options.commit_description,
            repo_type=self._hub.connection.repo_type,
            revision=branch.place,
            create_pr=self._options.create_pr,
            num_threads=self._hub.connection.max_workers,
            parent_commit=branch.commit,
        )
        self._hub.check_commit(info.oid)
        return info

    @property
    def _message(self) -> str:
        return self._options.commit_message or f"Publish {self._repo_id.name} with ritual-artifacts"

    def _judge(self, error: Exception) -> tuple[str, float | None]:
        """Say what became of the commit call, and how long the server asks to wait.

        Raises:
            ArtifactError: the server, or this machine, refused for good: there is no commit.
        """
        ours = translate(error, f"publishing {self._repo_id}")
        answer = error.response if isinstance(error, HfHubHTTPError) else None
        is_stale = isinstance(ours, ConflictError) and answer is not None
        is_gone = isinstance(error, RevisionNotFoundError)  # whoever looks will see what is there instead
        # Of these nobody knows whether there is a commit: a gateway's error, or words that make no sense.
        has_failed = answer is not None and answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        is_unreadable = answer is None and type(ours) is BackendError
        is_temporary = isinstance(ours, TransferError) and ours.retryable
        if is_stale or is_gone or has_failed or is_unreadable or is_temporary:
            return str(ours), None if answer is None else retry_after(answer)
        raise ours from None

    def _find_pull_request(self, contents: Contents) -> CommitInfo | None:
        """Look whether the pull request was opened although nobody said so."""
        if not self._options.create_pr:
            return None
        refs = self._hub.read_refs(self._repo_id, pull_requests=True)
        for name in refs.pull_requests.keys() - self._pull_requests:
            commit = refs.pull_requests[name]
            files = self._hub.list_files(self._repo_id, commit)
            opened = Branch(name, exists=True, commit=commit, files=files)
            if not _find_missing(opened, contents):
                number = name.rpartition("/")[2]
                return self._describe(opened, f"{self._hub.web_url(self._repo_id)}/discussions/{number}")
        return None

    def _list_pull_requests(self) -> frozenset[str]:
        return frozenset(self._hub.read_refs(self._repo_id, pull_requests=True).pull_requests)

    def _describe(self, branch: Branch, pr_url: str | None = None) -> CommitInfo:
        """Describe the commit at which a branch is."""
        return CommitInfo(
            commit_url=f"{self._hub.web_url(self._repo_id)}/commit/{branch.commit}",
            commit_message=self._message,
            commit_description=self._options.commit_description or "",
            oid=str(branch.commit),
            pr_url=pr_url,
            _endpoint=self._hub.connection.endpoint,
        )

    def _conclude(self, branch: Branch, info: CommitInfo, contents: Contents) -> Published:
        if not (branch.exists or self._options.create_pr):
            info = self._make_visible(branch, info, contents)
        self._finder.remove_leftovers()
        self._finder.create_tag(info.oid)
        self._meter.finish()
        return Published(info, frozenset(self._sent))

    def _make_visible(self, branch: Branch, info: CommitInfo, contents: Contents) -> CommitInfo:
        """Let a new branch show up with everything in it.

        Raises:
            ConflictError: somebody else made it meanwhile, with something else in it.
        """
        try:
            self._finder.make_visible(branch, info.oid)
        except ConflictError:
            made = self._finder.find()
            if not made.exists or _find_missing(made, contents):
                raise
            return self._describe(made)
        return info


def _find_missing(branch: Branch, contents: Contents) -> list[Addition]:
    return [a for path, a in contents.items() if not a.is_stored_as(branch.files.get(path))]


def _refuse_obstacles(branch: Branch, change: _Change) -> None:
    """Check that no file has the place of a folder.

    Raises:
        ConflictError: the repository has a file where the artifact has a folder, or the other way round.
    """
    there = branch.files.keys() - {deletion.path_in_repo for deletion in change.deletions}
    folders = {folder for path in there for folder in _folders_of(path)}
    for addition in change.additions:
        path = addition.path_in_repo
        if path in folders or not there.isdisjoint(_folders_of(path)):
            message = (
                f"at {path!r} the repository has a file where the artifact has a folder, or the other way "
                f"round; remove it there, or pass delete_patterns"
            )
            raise ConflictError(message)


def _folders_of(path: str) -> list[str]:
    return [path[:end] for end, character in enumerate(path) if character == "/"]


def _refuse_collisions(before: Branch, now: Branch, contents: Contents, change: _Change) -> None:
    """Check that nobody else removed the branch, or changed a file of the artifact or one to be removed.

    The card is no part of the contents when it is ours: one that somebody else wrote is as good.

    Raises:
        ConflictError: somebody did.
    """
    if before.exists and not now.exists:
        message = f"the branch {before.name!r} was removed during the upload; to make it again, upload again"
        raise ConflictError(message)
    for path, addition in contents.items():
        was, is_now = before.files.get(path), now.files.get(path)
        if was != is_now and not addition.is_stored_as(is_now):
            message = f"{path!r} was changed by somebody else meanwhile; look at it, then upload again"
            raise ConflictError(message)
    for deletion in change.deletions:
        path = deletion.path_in_repo
        if path in now.files and before.files.get(path) != now.files[path]:
            message = f"{path!r} was changed by somebody else, and this upload would remove it"
            raise ConflictError(message)

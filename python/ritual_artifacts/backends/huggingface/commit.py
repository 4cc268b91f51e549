"""One commit with everything in it, made once, even if connections fail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from http import HTTPStatus
from typing import Final, TypeAlias

from huggingface_hub import CommitInfo, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from ritual_artifacts import workers
from ritual_artifacts.backends.http import Retries, retry_after
from ritual_artifacts.backends.huggingface.branch import Branch, BranchFinder
from ritual_artifacts.backends.huggingface.card import CARD_FILENAME
from ritual_artifacts.backends.huggingface.hub import Hub
from ritual_artifacts.backends.huggingface.library import without_bars
from ritual_artifacts.backends.huggingface.options import HubUploadOptions, as_patterns
from ritual_artifacts.backends.huggingface.sources import Addition
from ritual_artifacts.backends.huggingface.xet import reported
from ritual_artifacts.errors import BackendError, ConflictError, TransferError
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId

Contents: TypeAlias = Mapping[str, Addition]

_NOTHING_IGNORED: Final = "# An artifact is published as a whole.\n"
_KEPT: Final = frozenset({".gitattributes", CARD_FILENAME})
"""Files of the Hub's own, which no pattern deletes."""


@dataclass(frozen=True)
class Published:
    """The result of a publication.

    Attributes:
        commit_info: The commit that has all files.
        sent: Names of the files that had to be sent.
    """

    commit_info: CommitInfo
    sent: frozenset[str]


@dataclass(frozen=True)
class _Change:
    additions: Sequence[Addition]
    deletions: Sequence[CommitOperationDelete]


class _Report:
    """Counts what is sent, from any thread, and ends the upload when its task is to stop."""

    def __init__(self, meter: ProgressMeter) -> None:
        self._meter = meter
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True

    def __call__(self, size: int, files: int) -> None:
        # The library reads on threads of its own, where `workers.check` knows no task.
        if self._is_stopped:
            raise workers.Stopped
        self._meter.advance(size, files)


class Publisher:
    """Publishes contents in a repository by one commit."""

    def __init__(
        self,
        hub: Hub,
        repo_id: RitualRepoId,
        options: HubUploadOptions,
        *,
        refuse_changed: Callable[[], None],
        meter: ProgressMeter,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            hub: Where to publish.
            repo_id: Under which id.
            options: What the user said about this upload.
            refuse_changed: Raises if a file has changed since it was hashed.
            meter: Counts what is sent.
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
        """Publish `contents`, and `card` if the repository has none.

        Nothing is committed if everything is there already. If it is not known whether a commit was made, the
        repository is read before another attempt; the parent commit of that attempt excludes a second commit.

        Raises:
            ConflictError: the same files were changed meanwhile, or the id cannot get a new commit.
            SourceChangedError: a file changed while it was uploaded; nothing was published.
            BackendError: the Hub refused or failed.
        """
        with self._hub.writing():
            try:
                return self._publish(contents, card)
            finally:
                self._finder.unstage()

    def _publish(self, contents: Contents, card: Addition | None) -> Published:
        branch = self._finder.find()
        self._refuse_other_parent(branch)
        if self._options.create_pr:
            self._pull_requests = self._list_pull_requests()
        retries = Retries(f"publishing {self._repo_id}", self._hub.context, self._hub.redactor.clean)
        while change := self._find_change(branch, contents, card):
            self._refuse_other_parent(branch)  # there may be a new commit since the last look
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
            retries.wait(problem, 0.0 if has_moved else pause)
            # A call that timed out may have opened one since.
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
        """Return what the branch still lacks; None if it has everything."""
        additions = _find_missing(branch, contents)
        wanted = as_patterns(self._options.delete_patterns)
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
        """Send what goes to the storage for large files; it is not visible yet."""
        self._sent |= {addition.path_in_repo for addition in additions}
        report = _Report(self._meter)
        for addition in additions:
            addition.report = report

        def send(additions: Sequence[Addition]) -> None:
            with workers.stopped_by(report.stop), reported(report):
                self._hub.api.preupload_lfs_files(
                    self._repo_id.hf_id,
                    additions,
                    repo_type=self._hub.connection.repo_type,
                    revision=branch.place,
                    create_pr=self._options.create_pr,
                    num_threads=self._hub.max_workers,
                    free_memory=False,
                    gitignore_content=_NOTHING_IGNORED,
                )

        try:
            with self._hub.redactor.translated(f"uploading to {self._repo_id}"), without_bars():
                workers.each(send, [additions], max_workers=1, meter=self._meter)
        finally:
            self._refuse_changed()  # a change is also why a storage may have refused the bytes
        ignored = [a.path_in_repo for a in additions if getattr(a, "_should_ignore", False)]
        if ignored:
            message = (
                f"{self._repo_id} ignores {ignored[0]!r} ({len(ignored)} of {len(additions)} files) because "
                f"of a .gitignore; an artifact is published as a whole, so change that file or rename these"
            )
            raise BackendError(message)
        # The library leaves out of the commit what the server says it has already. The server was asked about
        # `place`, which may have moved since the look that decided what is missing.
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
            num_threads=self._hub.max_workers,
            parent_commit=branch.commit,
        )
        self._hub.check_commit(info.oid)
        return info

    @property
    def _message(self) -> str:
        return self._options.commit_message or f"Publish {self._repo_id.name} with ritual-artifacts"

    def _judge(self, error: Exception) -> tuple[str, float | None]:
        """Return the problem of a failed commit call, and the pause that the server asks for.

        Raises:
            ArtifactError: the server, or this machine, has refused: there is no commit.
        """
        ours = self._hub.redactor.translate(error, f"publishing {self._repo_id}")
        answer = error.response if isinstance(error, HfHubHTTPError) else None
        is_stale = isinstance(ours, ConflictError) and answer is not None
        is_gone = isinstance(error, RevisionNotFoundError)  # the next look finds what exists instead
        # After these it is not known whether there is a commit: a gateway's error, or an unreadable answer.
        has_failed = answer is not None and answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        is_unreadable = answer is None and type(ours) is BackendError
        is_temporary = isinstance(ours, TransferError) and ours.retryable
        if is_stale or is_gone or has_failed or is_unreadable or is_temporary:
            now = self._hub.context.clock.time()
            return str(ours), None if answer is None else retry_after(answer, now)
        raise ours from None

    def _find_pull_request(self, contents: Contents) -> CommitInfo | None:
        """Return the pull request that was opened although the answer was lost; None if there is none."""
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
        """Describe the newest commit of a branch as the library does."""
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
        """Let a new branch appear with everything in it.

        Raises:
            ConflictError: another process has created it meanwhile, with other contents.
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
    """Check that no file is where a folder has to be.

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
    """Check that other commits have not removed the branch, or changed the files of this upload.

    A card of ours is not part of the contents: a card that another commit has added is kept instead.

    Raises:
        ConflictError: they have.
    """
    if before.exists and not now.exists:
        message = (
            f"the branch {before.name!r} was removed during the upload; to create it again, upload again"
        )
        raise ConflictError(message)
    for path, addition in contents.items():
        was, is_now = before.files.get(path), now.files.get(path)
        if was != is_now and not addition.is_stored_as(is_now):
            message = f"another commit changed {path!r} during the upload; check it, then upload again"
            raise ConflictError(message)
    for deletion in change.deletions:
        path = deletion.path_in_repo
        if path in now.files and before.files.get(path) != now.files[path]:
            message = f"another commit changed {path!r}, which this upload would delete"
            raise ConflictError(message)

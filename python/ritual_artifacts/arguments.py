"""Arguments of public calls: the options that several calls share, and the checks of what a caller passed.

Not every caller has a type checker, so a wrong argument ends in an error of this package that names it.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypedDict

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.errors import ArtifactError, BackendError, RepoIdError
from ritual_artifacts.events import ProgressCallback
from ritual_artifacts.repo_id import RitualRepoId, find_storage_name


class UploadCall(TypedDict, total=False):
    """The keyword options of `to_repo`, which the short forms take too."""

    repo_type: str | None
    repomanager_kwargs: Mapping[str, Any] | None
    progress: ProgressCallback | None
    executor: Executor | None


class DownloadCall(TypedDict, total=False):
    """The keyword options of `from_repo`, which the short forms take too."""

    repo_manager_kwargs: Mapping[str, Any] | None
    expected_digest: str | None
    fields: Sequence[str] | None
    overwrite: bool
    progress: ProgressCallback | None
    executor: Executor | None


def parse_repo_id(repo_id: str | RitualRepoId) -> RitualRepoId:
    """Return a repository id that was passed as an object or as text.

    Raises:
        RepoIdError: it is malformed.
    """
    return repo_id if isinstance(repo_id, RitualRepoId) else RitualRepoId.from_unique_id(repo_id)


def parse_digest(expected_digest: str | None) -> Digest | None:
    """Return the digest that a caller expects; None if any artifact is accepted.

    Raises:
        ArtifactModelError: it is not a digest.
    """
    return None if expected_digest is None else Digest.parse(expected_digest)


def parse_folder(directory: str | Path) -> Path:
    """Return a folder that a caller named.

    Raises:
        ArtifactError: it is empty, which would mean the current folder, or cannot be a path.
    """
    if directory == "" or "\0" in str(directory):
        problem = "contains a NUL character" if directory else "is empty; '.' is the current folder"
        message = f"the directory {str(directory)!r} {problem}"
        raise ArtifactError(message)
    return Path(directory)


def merge_options(
    first: Mapping[str, Any] | None,
    second: Mapping[str, Any] | None = None,
    what: str = "repo_manager_kwargs",
) -> dict[str, Any]:
    """Return the options that were passed under one of two names, as infernet-ml has them.

    Args:
        first: The options under the first name.
        second: The options under the second name, which win.
        what: The name of the argument in error messages.

    Raises:
        BackendError: they are not options by name.
    """
    merged: dict[str, Any] = {}
    passed: list[object] = [given for given in (first, second) if given is not None]
    for given in passed:
        if not isinstance(given, Mapping):
            message = f"{what} must be a dictionary of options, got {type(given).__name__}"
            raise BackendError(message)
        merged |= given
    return merged


def split_repo_type(repo_type: str | None, repo_id: RitualRepoId) -> dict[str, str]:
    """Return the upload options that `repo_type` stands for: none, if it names the storage.

    Raises:
        RepoIdError: it names another storage than the id.
    """
    if repo_type is None or repo_type == repo_id.storage:
        return {}
    if find_storage_name(repo_type) is None:
        return {"repo_type": repo_type}
    message = f"repo_type {repo_type!r} does not agree with the repository id {repo_id}"
    raise RepoIdError(message)

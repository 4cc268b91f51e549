"""What a `PATH|REPO` argument means: a folder with a manifest, or a repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, STAGING_DIRNAME
from ritual_artifacts.backends import Backend, identify, load_backend
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, RepoIdError
from ritual_artifacts.repo_id import RitualRepoId, StorageId
from ritual_artifacts.transfer import cache
from ritual_artifacts.transfer import downloading as transfer
from ritual_artifacts.transfer.staging import finish_interrupted


@dataclass(frozen=True)
class Location:
    """An artifact, wherever it is.

    Attributes:
        name: What the user called it.
        manifest: Its manifest, checked.
        places: Where each file is, or would be, on this machine.
    """

    name: str
    manifest: Manifest
    places: dict[str, Path]


def is_repo_id(text: str) -> bool:
    """Say whether `text` is a repository id rather than a path; `./local/x/y` is a path."""
    return text.partition("/")[0] in set(StorageId)


def parse_path(text: str) -> Path:
    """Parse a path, which an empty text is not: that would be the current folder."""
    if not text:
        message = "the path is empty; '.' is the current folder"
        raise typer.BadParameter(message)
    return Path(text)


def open_repo(text: str, options: Mapping[str, Any] | None = None) -> tuple[RitualRepoId, Backend]:
    """Parse a repository id and load its backend, with the options that the user gave.

    Raises:
        RepoIdError: it is malformed.
        BackendError: its storage is not available.
    """
    storage, _, rest = text.partition("/")
    if storage == StorageId.Arweave and rest and "/" not in rest:  # a transaction by its id alone
        backend = load_backend(StorageId.Arweave, options)
        return identify(backend, rest), backend
    try:
        repo_id = RitualRepoId.from_unique_id(text)
    except RepoIdError as error:
        if not Path(text).exists():
            raise
        message = f"{error}; for the path of that name write ./{text}"
        raise RepoIdError(message) from None
    return repo_id, load_backend(repo_id.storage, options)


def read_location_manifest(text: str, options: Mapping[str, Any] | None = None) -> Manifest:
    """Read the manifest of a folder or a repository.

    Raises:
        ArtifactNotFoundError: there is none.
        ManifestError: it is malformed or hostile.
    """
    if is_repo_id(text):
        repo_id, backend = open_repo(text, options)
        return transfer.read_manifest(backend, repo_id)[1]
    return locate_folder(parse_path(text)).manifest


def locate_folder(folder: Path) -> Location:
    """Find the artifact in a folder.

    Raises:
        ArtifactNotFoundError: there is none.
        ManifestError: its manifest is malformed or hostile.
    """
    finish_interrupted(folder)
    try:
        manifest = Manifest.read(folder / MANIFEST_FILENAME)
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            what = f"has no {MANIFEST_FILENAME}, so it is not an artifact's folder"
        elif folder.exists():
            what = "is no folder; an artifact is named by the folder that its manifest is in"
        else:
            what = "is not there; a repository id starts with " + ", ".join(f"'{s}/'" for s in StorageId)
        message = f"{folder} {what}"
        raise ArtifactNotFoundError(message) from None
    return Location(str(folder), manifest, {e.path: folder / e.path for e in manifest.files})


def locate(text: str) -> Location:
    """Find the artifact and the files of a folder or a repository; a copy in the cache will do.

    Raises:
        ArtifactNotFoundError: there is no such artifact.
        BackendError: the repository's files are not on this machine.
    """
    if not is_repo_id(text):
        return locate_folder(parse_path(text))
    repo_id, backend = open_repo(text)
    revision, manifest = transfer.read_manifest(backend, repo_id)
    places = {}
    for entry in manifest.files:
        place = backend.find_local_file(repo_id, revision, entry)
        if place is None:
            return _locate_cached(repo_id, manifest)
        places[entry.path] = place
    return Location(text, manifest, places)


def _locate_cached(repo_id: RitualRepoId, manifest: Manifest) -> Location:
    folder = cache.find_folder(repo_id)
    if folder.manifest is None or _hashes(folder.manifest) != _hashes(manifest):
        message = (
            f"the files of {repo_id} are not on this machine; first 'ritual-artifacts download {repo_id}'"
        )
        raise BackendError(message)
    return Location(str(repo_id), manifest, folder.places())


def _hashes(manifest: Manifest) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in manifest.files}


def count_unnamed(folder: Path, manifest: Manifest) -> str | None:
    """Say how many files a folder has beside those of its manifest; None when there are none."""
    named = {folder / entry.path for entry in manifest.files} | {folder / MANIFEST_FILENAME}
    staging = folder / STAGING_DIRNAME
    others = [
        path
        for path in folder.rglob("*")
        if path not in named and staging not in path.parents and not path.is_dir()
    ]
    if not others:
        return None
    noun = "file that its manifest does" if len(others) == 1 else "files that its manifest does"
    return f"{folder} has {len(others)} {noun} not name"

"""What a `PATH|REPO` argument means: a folder with a manifest, or a repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ritual_artifacts.artifact.manifest import AnyManifest, read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, STAGING_DIRNAME
from ritual_artifacts.backends import Backend, Revision, Storage, find_storage
from ritual_artifacts.cli.options import Given
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, RepoIdError
from ritual_artifacts.repo_id import RitualRepoId, find_storage_name
from ritual_artifacts.transfer.cache import Cache
from ritual_artifacts.transfer.downloading import read_revision_manifest
from ritual_artifacts.transfer.fetching import identify
from ritual_artifacts.transfer.publishing import expected_hashes


@dataclass(frozen=True)
class Location:
    """An artifact whose files are on this machine.

    Attributes:
        name: What the user called it.
        manifest: Its manifest, checked.
        places: Where each file is, or would be, on this machine.
    """

    name: str
    manifest: AnyManifest
    places: dict[str, Path]


@dataclass(frozen=True)
class Repository:
    """A repository that the user named, and the options for its storage.

    Attributes:
        repo_id: Its id.
        storage: Its storage.
        options: Connection options that the user gave.
        context: The command that it belongs to.
    """

    repo_id: RitualRepoId
    storage: Storage
    options: Mapping[str, Any]
    context: Context

    def connect(self) -> Backend[Any]:
        """Connect to the storage.

        Raises:
            BackendError: the storage is not available, or does not take these options.
        """
        return self.storage.connect(self.options, self.context)

    def open(self) -> tuple[Revision, AnyManifest]:
        """Open the version that the id names, and read its manifest.

        Raises:
            ArtifactNotFoundError: there is no such version.
            ManifestError: its manifest is malformed or hostile.
        """
        revision = self.connect().open(self.repo_id)
        return revision, read_revision_manifest(revision)


def is_repo_id(text: str) -> bool:
    """Return whether `text` is a repository id rather than a path; `./local/x/y` is a path."""
    return find_storage_name(text.partition("/")[0]) is not None


def find_location_storage(text: str) -> Storage | None:
    """Return the storage of a repository; None for a path.

    Raises:
        BackendError: the storage is not available.
    """
    return find_storage(text.partition("/")[0]) if is_repo_id(text) else None


def parse_path(text: str) -> Path:
    """Parse a path; an empty text is refused, because it would mean the current folder."""
    if not text:
        message = "the path is empty; '.' is the current folder"
        raise typer.BadParameter(message)
    return Path(text)


def parse_repo(text: str, given: Given, context: Context) -> Repository:
    """Parse a repository id, with the options that the user gave.

    Raises:
        RepoIdError: it is malformed.
        BackendError: its storage is not available.
    """
    name, _, rest = text.partition("/")
    if rest and "/" not in rest and find_storage_name(name) is not None:  # a version by its name alone
        storage = find_storage(name)
        options = given.connection(storage)
        return Repository(identify(name, rest, options, context), storage, options, context)
    try:
        repo_id = RitualRepoId.from_unique_id(text)
    except RepoIdError as error:
        if not Path(text).exists():
            raise
        message = f"{error}; for the path of that name, write ./{text}"
        raise RepoIdError(message) from None
    storage = find_storage(repo_id.storage)
    return Repository(repo_id, storage, given.connection(storage), context)


def read_location_manifest(text: str, given: Given, context: Context) -> AnyManifest:
    """Read the manifest of a folder or a repository.

    Raises:
        ArtifactNotFoundError: there is none.
        ManifestError: it is malformed or hostile.
    """
    if is_repo_id(text):
        return parse_repo(text, given, context).open()[1]
    return locate_folder(parse_path(text)).manifest


def locate_folder(folder: Path) -> Location:
    """Find the artifact in a folder.

    Raises:
        ArtifactNotFoundError: there is none.
        ManifestError: its manifest is malformed or hostile.
    """
    try:
        manifest = read_manifest(folder / MANIFEST_FILENAME)
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            what = f"has no {MANIFEST_FILENAME}: it is not an artifact, or its download was interrupted"
        elif folder.exists():
            what = "is not a folder; name the folder that holds the artifact's manifest"
        else:
            what = "does not exist; a repository id starts with a storage, such as 'local/'"
        message = f"{folder} {what}"
        raise ArtifactNotFoundError(message) from None
    return Location(str(folder), manifest, {e.path: folder / e.path for e in manifest.files})


def locate(text: str, given: Given, context: Context) -> Location:
    """Find the artifact and the files of a folder or a repository; a copy in the cache will do.

    Raises:
        ArtifactNotFoundError: there is no such artifact.
        BackendError: the repository's files are not on this machine.
    """
    if not is_repo_id(text):
        return locate_folder(parse_path(text))
    repository = parse_repo(text, given, context)
    revision, manifest = repository.open()
    return locate_stored(revision, manifest) or _locate_cached(repository, manifest)


def locate_stored(revision: Revision, manifest: AnyManifest) -> Location | None:
    """Return where a storage on this machine has an artifact's files; None for any other storage."""
    places = {}
    for entry in manifest.files:
        place = revision.local_path(entry)
        if place is None:
            return None
        places[entry.path] = place
    return Location(str(revision.repo_id), manifest, places)


def _locate_cached(repository: Repository, manifest: AnyManifest) -> Location:
    repo_id = repository.repo_id
    version = repository.storage.cache_version(repo_id, repository.options)
    folder = Cache.of(repository.context.settings).folder(repo_id.with_version(version))
    if folder.manifest is None or expected_hashes(folder.manifest) != expected_hashes(manifest):
        message = (
            f"the files of {repo_id} are not on this machine; first 'ritual-artifacts download {repo_id}'"
        )
        raise BackendError(message)
    return Location(str(repo_id), manifest, folder.places())


def count_unnamed(folder: Path, manifest: AnyManifest) -> str | None:
    """Describe how many files a folder has that its manifest does not name; None when there are none."""
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

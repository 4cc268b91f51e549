"""What a `PATH|REPO` argument means: a folder with a manifest, or a repository."""

from dataclasses import dataclass
from pathlib import Path

from ritual_artifacts import transfer
from ritual_artifacts.backends import Backend, load_backend
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError
from ritual_artifacts.manifest import Manifest
from ritual_artifacts.planning import MANIFEST_FILENAME
from ritual_artifacts.repo_id import RitualRepoId, StorageId


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


def open_repo(text: str) -> tuple[RitualRepoId, Backend]:
    """Parse a repository id and load its backend."""
    repo_id = RitualRepoId.from_unique_id(text)
    return repo_id, load_backend(repo_id.storage)


def read_location_manifest(text: str) -> Manifest:
    """Read the manifest of a folder or a repository.

    Raises:
        ArtifactNotFoundError: there is none.
        ManifestError: it is malformed or hostile.
    """
    if is_repo_id(text):
        repo_id, backend = open_repo(text)
        return transfer.read_manifest(backend, repo_id)[1]
    try:
        return Manifest.read(Path(text) / MANIFEST_FILENAME)
    except (FileNotFoundError, NotADirectoryError):
        message = f"{text} has no {MANIFEST_FILENAME}, so it is not an artifact's folder"
        raise ArtifactNotFoundError(message) from None


def locate(text: str) -> Location:
    """Find the artifact and the files of a folder or a repository.

    Raises:
        ArtifactNotFoundError: there is no such artifact.
        BackendError: the repository's files are not on this machine.
    """
    if not is_repo_id(text):
        manifest = read_location_manifest(text)
        return Location(text, manifest, {e.path: Path(text) / e.path for e in manifest.files})
    repo_id, backend = open_repo(text)
    revision, manifest = transfer.read_manifest(backend, repo_id)
    places = {}
    for entry in manifest.files:
        place = backend.find_local_file(repo_id, revision, entry)
        if place is None:
            message = f"{repo_id} is not on this machine; download it first"
            raise BackendError(message)
        places[entry.path] = place
    return Location(text, manifest, places)

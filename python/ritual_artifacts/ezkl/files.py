"""The files of a circuit: download from a repository, and verification before use."""

import logging
import os
from pathlib import Path
from typing import TypeAlias, TypeVar

from ritual_artifacts.artifact.manifest import read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.errors import ArtifactError, CircuitError, ManifestError
from ritual_artifacts.ezkl.artifact import VERIFIER_FIELDS, EZKLArtifact, EZKLVerifierArtifact
from ritual_artifacts.ezkl.process import require_ezkl
from ritual_artifacts.manager import RitualArtifactManager
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

AnyArtifact: TypeAlias = EZKLArtifact | EZKLVerifierArtifact
AnyFiles = TypeVar("AnyFiles", bound=AnyArtifact)


def check_files(circuit: AnyArtifact | RitualArtifactManager[AnyFiles]) -> AnyArtifact:
    """Verify the circuit's files against its manifest, and return the artifact with absolute paths.

    Without a manifest for the files, this logs a warning and checks only that they exist.

    Raises:
        IntegrityError: a file differs from the manifest.
        CircuitError: there is no manifest, and a file is missing.
        ManifestError: the manifest is invalid.
    """
    if isinstance(circuit, RitualArtifactManager):
        circuit.verify()
        return _absolute(circuit.artifact)
    artifact = _absolute(circuit)
    folder = Path(os.path.commonpath([path.parent for path in _files_of(artifact).values()]))
    if _has_manifest_for(circuit, folder):
        RitualArtifactManager.from_dir(_plain_class(circuit), folder)
        return artifact
    log.warning("the files of the circuit are not verified: %s has no manifest for them", folder)
    for path in _files_of(artifact).values():
        if not path.is_file():
            message = f"the circuit's file {path} does not exist"
            raise CircuitError(message)
    return artifact


def require_all(artifact: AnyArtifact) -> EZKLArtifact:
    """Return the artifact with all files, which a proof needs.

    Raises:
        CircuitError: some files were not downloaded.
    """
    files = _files_of(artifact)
    if missing := [name for name in EZKLArtifact.model_fields if name not in files]:
        message = (
            f"a proof needs the whole circuit, but it was downloaded without {', '.join(missing)}; "
            f"download all fields"
        )
        raise CircuitError(message)
    return EZKLArtifact(**files)


def _absolute(artifact: AnyArtifact) -> AnyArtifact:
    paths = {name: path.absolute() for name, path in _files_of(artifact).items()}
    return _plain_class(artifact)(**paths)


def _plain_class(artifact: AnyArtifact) -> type[AnyArtifact]:
    """Return this package's class of the artifact, which may be an instance of a user's subclass."""
    return EZKLArtifact if isinstance(artifact, EZKLArtifact) else EZKLVerifierArtifact


def _files_of(artifact: AnyArtifact) -> dict[str, Path]:
    """Return the files that were downloaded, by field."""
    paths = {name: getattr(artifact, name) for name in EZKLArtifact.model_fields}
    return {name: path for name, path in paths.items() if path is not None}


def _has_manifest_for(artifact: AnyArtifact, folder: Path) -> bool:
    """Return whether the folder's manifest describes this artifact. An invalid manifest is an error."""
    path = folder / MANIFEST_FILENAME
    if not path.exists():
        return False
    kind = read_manifest(path).artifact_type
    try:  # the class it was published as does not matter, only the files that it describes
        described = RitualArtifactManager.get_instance_from_manifest(_plain_class(artifact), path)
    except ArtifactError:
        if kind in {EZKLArtifact.__name__, type(artifact).__name__}:
            raise
        return False
    return _files_of(_absolute(artifact)).items() <= _files_of(_absolute(described)).items()


def fetch(repo_id: str | RitualRepoId, hf_token: str | None, expected_digest: str | None) -> EZKLArtifact:
    """Check that ezkl is installed, then download and verify a circuit."""
    require_ezkl()
    manager = RitualArtifactManager.from_repo(
        EZKLArtifact, repo_id, hf_token=hf_token, expected_digest=expected_digest
    )
    return manager.artifact


def fetch_for_verifying(
    repo_id: str | RitualRepoId, hf_token: str | None, expected_digest: str | None
) -> EZKLVerifierArtifact:
    """Download the files to verify proofs with, or all files if the digest cannot be checked otherwise."""

    def download(fields: tuple[str, ...] | None) -> EZKLVerifierArtifact:
        return RitualArtifactManager.from_repo(
            EZKLVerifierArtifact, repo_id, hf_token=hf_token, expected_digest=expected_digest, fields=fields
        ).artifact

    try:
        return download(VERIFIER_FIELDS)
    except ManifestError as error:
        if expected_digest is None:
            raise
        log.info("downloading all of %s: %s", repo_id, error)
        return download(None)

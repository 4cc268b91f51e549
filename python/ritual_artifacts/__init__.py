"""Typed artifacts: Pydantic models whose files are hashed, published, and verified on download.

::

    class Circuit(BaseModel):
        proving_key: Path
        version: str

    manager = RitualArtifactManager(artifact=Circuit(proving_key=Path("pk.bin"), version="v1"))
    manager.to_repo("local/me/circuit")
    circuit = RitualArtifactManager.from_repo(Circuit, "local/me/circuit").artifact
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
    from ritual_artifacts.backends import UploadResult
    from ritual_artifacts.core.hashing import FileDigest
    from ritual_artifacts.errors import (
        ArtifactError,
        ArtifactModelError,
        ArtifactNotFoundError,
        AuthenticationError,
        BackendError,
        CircuitError,
        ConflictError,
        InsufficientFundsError,
        IntegrityError,
        ManifestError,
        Mismatch,
        NotFinalizedError,
        RepoIdError,
        SourceChangedError,
        TransferError,
        WalletError,
    )
    from ritual_artifacts.events import Progress
    from ritual_artifacts.ezkl import EZKLArtifact
    from ritual_artifacts.hashing import hash_files
    from ritual_artifacts.manager import RitualArtifactManager
    from ritual_artifacts.repo_id import RitualRepoId, StorageId, StorageIdInt
    from ritual_artifacts.transfer.cache import BroadcastedArtifact, CachedArtifact

__all__ = [
    "ArtifactError",
    "ArtifactModelError",
    "ArtifactNotFoundError",
    "AuthenticationError",
    "BackendError",
    "BroadcastedArtifact",
    "CachedArtifact",
    "CircuitError",
    "ConflictError",
    "EZKLArtifact",
    "FileDigest",
    "InsufficientFundsError",
    "IntegrityError",
    "Manifest",
    "ManifestEntry",
    "ManifestError",
    "Mismatch",
    "NotFinalizedError",
    "Progress",
    "RepoIdError",
    "RitualArtifactManager",
    "RitualRepoId",
    "SourceChangedError",
    "StorageId",
    "StorageIdInt",
    "TransferError",
    "UploadResult",
    "WalletError",
    "__version__",
    "hash_files",
]

_MODULES = {
    "ArtifactError": "errors",
    "ArtifactModelError": "errors",
    "ArtifactNotFoundError": "errors",
    "AuthenticationError": "errors",
    "BackendError": "errors",
    "BroadcastedArtifact": "transfer.cache",
    "CachedArtifact": "transfer.cache",
    "CircuitError": "errors",
    "ConflictError": "errors",
    "EZKLArtifact": "ezkl",
    "FileDigest": "core.hashing",
    "InsufficientFundsError": "errors",
    "IntegrityError": "errors",
    "Manifest": "artifact.manifest",
    "ManifestEntry": "artifact.manifest",
    "ManifestError": "errors",
    "Mismatch": "errors",
    "NotFinalizedError": "errors",
    "Progress": "events",
    "RepoIdError": "errors",
    "RitualArtifactManager": "manager",
    "RitualRepoId": "repo_id",
    "SourceChangedError": "errors",
    "StorageId": "repo_id",
    "StorageIdInt": "repo_id",
    "TransferError": "errors",
    "UploadResult": "backends",
    "WalletError": "errors",
    "hash_files": "hashing",
}
"""Where each name is defined. It is imported when it is first used: the command line takes Ctrl-C over before
anything that takes a while is imported."""


def __getattr__(name: str) -> object:
    """Import a public name, or find the version, when it is first used."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - takes a while

        value: object = version("ritual-artifacts")
    elif name in _MODULES:
        value = getattr(import_module(f"ritual_artifacts.{_MODULES[name]}"), name)
    else:
        value = _find_submodule(name)
    globals()[name] = value
    return value


def _find_submodule(name: str) -> object:
    try:
        if not name.startswith("_"):
            return import_module(f"ritual_artifacts.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"ritual_artifacts.{name}":
            raise
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__, "__version__"})

"""Typed artifacts: Pydantic models whose files are hashed, published, and verified on download.

::

    class Circuit(BaseModel):
        proving_key: Path
        version: str

    manager = RitualArtifactManager(artifact=Circuit(proving_key=Path("pk.bin"), version="v1"))
    manager.to_repo("local/me/circuit")
    circuit = RitualArtifactManager.from_repo(Circuit, "local/me/circuit").artifact
"""

from importlib.metadata import version

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

__version__ = version("ritual-artifacts")

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

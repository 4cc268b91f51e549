"""The table of infernet-ml 2.0.0's names with their places here, and the advice for all other names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OLD_PACKAGE: Final = "infernet_ml"

_TOP: Final = "ritual_artifacts"
_MODELS: Final = "ritual_artifacts.models"
_EZKL: Final = "ritual_artifacts.ezkl"

_IDS: Final = {"RitualRepoId": _TOP, "StorageId": _TOP}
_MODEL_IDS: Final = {"MlModelId": _MODELS, "MLType": _MODELS}
_ARTIFACTS: Final = {"RitualArtifactManager": _TOP, "BroadcastedArtifact": _TOP}

TABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "infernet_ml.resource.artifact_manager": {**_ARTIFACTS, "CachedArtifact": _TOP, **_IDS},
    "infernet_ml.resource.repo_id": {**_IDS, "StorageIdInt": _TOP},
    "infernet_ml.resource.types": {"StorageId": _TOP, "StorageIdInt": _TOP},
    "infernet_ml.utils.model_manager": {
        "ModelManager": _MODELS,
        "ModelArtifact": _MODELS,
        "DownloadedModel": _MODELS,
        "MlModelInfo": _MODELS,
        **_MODEL_IDS,
        **_ARTIFACTS,
        "RitualRepoId": _TOP,
    },
    "infernet_ml.utils.specs.ml_model_id": {**_MODEL_IDS, "RitualRepoId": _TOP},
    "infernet_ml.utils.specs.ml_model_info": {"MlModelInfo": _MODELS, "MLType": _MODELS},
    "infernet_ml.utils.specs.ml_type": {"MLType": _MODELS},
    "infernet_ml.zk.ezkl.ezkl_artifact": {
        "EZKLArtifact": _EZKL,
        "ArtifactGenerationArgs": _EZKL,
        "generate_ezkl_artifacts": _EZKL,
    },
    "infernet_ml.zk.ezkl.ezkl_utils": {
        "EZKLArtifact": _EZKL,
        "EZKLProof": _EZKL,
        "generate_proof": _EZKL,
        "generate_proof_from_repo_id": _EZKL,
        "verify_proof": _EZKL,
        "verify_proof_from_repo": _EZKL,
        "RitualArtifactManager": _TOP,
        "RitualRepoId": _TOP,
    },
}
"""Module of infernet-ml → public name in it, defined there or imported → module here."""

HOMES: Final[Mapping[str, str]] = {
    "infernet_ml.resource.artifact_manager": _TOP,
    "infernet_ml.resource.repo_id": _TOP,
    "infernet_ml.resource.types": _TOP,
    "infernet_ml.utils.model_manager": _MODELS,
    "infernet_ml.utils.specs.ml_model_id": _MODELS,
    "infernet_ml.utils.specs.ml_model_info": _MODELS,
    "infernet_ml.utils.specs.ml_type": _MODELS,
    "infernet_ml.zk.ezkl.ezkl_artifact": _EZKL,
    "infernet_ml.zk.ezkl.ezkl_utils": _EZKL,
}
"""Module of infernet-ml → the module here that replaces it as a whole."""

_CACHE_ADVICE: Final = (
    "set RITUAL_CACHE_DIR to move the cache; RitualRepoId.to_local_dir returns a folder in it"
)
_RESULT_ADVICE: Final = "to_repo returns a ritual_artifacts.UploadResult"
_ADVICE: Final[Mapping[str, str]] = {
    "infernet_ml.resource.artifact_manager.calculate_sha256": (
        "write hash_files([path])[0].sha256, with hash_files from ritual_artifacts"
    ),
    "infernet_ml.resource.artifact_manager.MANIFEST_FILENAME": "write 'ritual_manifest.json'",
    "infernet_ml.resource.artifact_manager.DEFAULT_ARTIFACT_DIRECTORY": _CACHE_ADVICE,
    "infernet_ml.resource.artifact_manager.ArtifactUploadType": _RESULT_ADVICE,
    "infernet_ml.resource.artifact_manager.HFUploadType": _RESULT_ADVICE,
    "infernet_ml.resource.artifact_manager.UploadArweaveRepoResult": _RESULT_ADVICE,
    "infernet_ml.resource.repo_id.DEFAULT_CACHE_DIR": _CACHE_ADVICE,
    "infernet_ml.resource.repo_id.UNVERSIONED_MARKER": "write 'default'",
    "infernet_ml.utils.model_manager.DEFAULT_CACHE_DIR": _CACHE_ADVICE,
}
_OTHER_ADVICE: Final = "this package has no equivalent; keep infernet-ml installed for it"


@dataclass(frozen=True)
class Moved:
    """A name of infernet-ml with its place here.

    Attributes:
        module: The module here.
        name: The name in that module.
        rest: The attributes that follow, each with a leading `.`.
    """

    module: str
    name: str
    rest: str

    @property
    def new(self) -> str:
        """The name here, with its module."""
        return f"{self.module}.{self.name}"


def find(dotted: str) -> Moved | None:
    """Return the place here of `infernet_ml.….module.name[.attribute…]`; None if it is not in the table."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 1, -1):
        module, name = ".".join(parts[:length]), parts[length]
        if new := TABLE.get(module, {}).get(name):
            rest = "".join(f".{part}" for part in parts[length + 1 :])
            return Moved(new, name, rest)
    return None


def advise(dotted: str) -> str:
    """Return what to do about a name of infernet-ml that must be changed manually."""
    if moved := find(dotted):
        return f"write {moved.new}{moved.rest}"
    if home := HOMES.get(dotted):
        return f"write {home}"
    return next(
        (text for name, text in _ADVICE.items() if f"{dotted}.".startswith(f"{name}.")), _OTHER_ADVICE
    )


def is_old(dotted: str) -> bool:
    """Return whether a dotted name belongs to infernet-ml."""
    return dotted == OLD_PACKAGE or dotted.startswith(f"{OLD_PACKAGE}.")

"""What users may import."""

import inspect
from importlib.metadata import version

import pytest

import ritual_artifacts
from ritual_artifacts import RitualArtifactManager, StorageId, StorageIdInt, errors

PUBLIC = [
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


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(ritual_artifacts.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(ritual_artifacts, name)

    assert isinstance(value, str) or inspect.getdoc(value)


def test_every_error_of_the_tree_is_public() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.ArtifactError)
    }

    assert tree <= set(ritual_artifacts.__all__)


def test_the_version_is_the_installed_one() -> None:
    assert ritual_artifacts.__version__ == version("ritual-artifacts")


@pytest.mark.parametrize(
    ("method", "leading"),
    [
        ("to_repo", ["repo_id", "hf_token", "wallet_path", "repo_manager_kwargs", "upload_kwargs"]),
        ("to_huggingface_hub", ["repo_name", "token", "repo_manager_kwargs", "upload_kwargs"]),
        ("to_arweave", ["repo_name", "wallet_path", "repo_manager_kwargs", "upload_kwargs"]),
        ("to_dir", ["directory", "repo_id"]),
        ("from_dir", ["artifact_class", "directory", "manifest_data"]),
        ("from_repo", ["artifact_class", "repo_id", "directory", "hf_token", "repomanager_kwargs"]),
        (
            "from_huggingface_hub",
            ["artifact_class", "repo_id", "directory", "token", "repomanager_kwargs"],
        ),
        ("from_arweave", ["artifact_class", "repo_id", "directory", "repomanager_kwargs"]),
        ("get_instance_from_manifest", ["artifact_class", "manifest_file"]),
        ("has_artifact", ["repo_id"]),
        ("get_cached_artifacts", ["cache_dir"]),
        ("get_broadcasted_artifacts_typed", ["artifact_class", "cache_dir"]),
    ],
)
def test_a_method_takes_what_infernet_ml_takes_in_the_same_order(method: str, leading: list[str]) -> None:
    parameters = inspect.signature(getattr(RitualArtifactManager, method)).parameters

    assert [name for name in parameters if name != "self"][: len(leading)] == leading


def test_storages_have_the_numbers_and_words_of_infernet_ml() -> None:
    numbers = {str(storage): storage.to_storage_id_int().value for storage in StorageId}

    assert numbers == {"local": 0, "arweave": 1, "huggingface": 2}
    assert [number.to_storage_id() for number in StorageIdInt] == [
        StorageId.Local,
        StorageId.Arweave,
        StorageId.Huggingface,
    ]

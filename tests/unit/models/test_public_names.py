"""What users may import from `ritual_artifacts.models`, and how they call it."""

import inspect

import pytest

from ritual_artifacts import models
from ritual_artifacts.models import MlModelId, MlModelInfo, MLType, ModelManager

PUBLIC = ["DownloadedModel", "MLType", "MlModelId", "MlModelInfo", "ModelArtifact", "ModelManager"]


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(models.__all__) == PUBLIC
    assert all(inspect.getdoc(getattr(models, name)) for name in PUBLIC)


@pytest.mark.parametrize(
    ("function", "leading"),
    [
        (ModelManager, ["cache_dir", "default_ml_type"]),
        (
            ModelManager.upload_model,
            [
                "directory",
                "repo_id",
                "metadata",
                "hf_token",
                "wallet_path",
                "repo_manager_kwargs",
                "upload_kwargs",
            ],
        ),
        (ModelManager.download_model, ["model", "ml_type"]),
        (ModelManager.has_model, ["model_id"]),
        (ModelManager.get_cached_models, ["default_ml_type"]),
        (ModelManager.clear_cache, []),
        (MlModelId.from_unique_id, ["unique_id", "ml_type"]),
        (MlModelId.from_any, ["model", "ml_type"]),
        (MlModelId.from_web3, ["encoding"]),
        (MlModelId.to_local_dir, ["cache"]),
        (models.DownloadedModel.from_model, ["model_id", "file_paths"]),
        (models.ModelArtifact.get_file, ["model_id"]),
        (MlModelInfo.from_dict, ["data"]),
        (MlModelInfo.calculate_hashes, ["ritual_manifest"]),
    ],
)
def test_a_call_takes_what_infernet_ml_takes_in_the_same_order(function: object, leading: list[str]) -> None:
    assert callable(function)

    parameters = [name for name in inspect.signature(function).parameters if name != "self"]

    assert parameters[: len(leading)] == leading


def test_the_fields_are_those_of_infernet_ml() -> None:
    assert list(MlModelId.model_fields) == ["repo_id", "files", "ml_type"]
    assert list(models.DownloadedModel.model_fields) == ["repo_id", "files", "ml_type", "file_paths"]
    assert list(models.ModelArtifact.model_fields) == ["files", "metadata"]
    assert sorted(MlModelInfo.model_fields) == [
        "cpu_cores",
        "cuda_capability",
        "cuda_version",
        "id",
        "inference_engine",
        "inference_engine_hash",
        "max_position_embeddings",
        "memory_requirements",
        "quantization_type",
    ]


def test_the_kinds_have_the_words_of_infernet_ml() -> None:
    assert list(map(str, MLType)) == ["css", "onnx", "torch", "llama_cpp", "tgi_client", "hf_client"]

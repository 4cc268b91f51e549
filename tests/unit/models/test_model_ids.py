"""Model ids."""

from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import ArtifactNotFoundError, RepoIdError, RitualRepoId
from ritual_artifacts.models import DownloadedModel, MlModelId, MLType

IRIS = "huggingface/me/iris/main:iris.onnx,iris.torch"


@pytest.mark.parametrize(
    ("unique_id", "files"),
    [
        ("local/me/iris", []),
        ("local/me/iris:iris.onnx", ["iris.onnx"]),
        (IRIS, ["iris.onnx", "iris.torch"]),
        ("arweave/me/iris:shards/a.bin", ["shards/a.bin"]),
        ("local/me/iris:größe 模型.onnx", ["größe 模型.onnx"]),
    ],
)
def test_a_model_id_is_a_repository_and_files(unique_id: str, files: list[str]) -> None:
    model_id = MlModelId.from_unique_id(unique_id)

    assert model_id.files == files
    assert model_id.unique_id == unique_id
    assert str(model_id) == unique_id
    assert model_id.repo_id == RitualRepoId.from_unique_id(unique_id.partition(":")[0])


def test_a_model_id_knows_its_repository() -> None:
    model_id = MlModelId.from_unique_id(IRIS, MLType.ONNX)

    assert (model_id.hf_repo_id, model_id.version, model_id.ml_type) == ("me/iris", "main", MLType.ONNX)
    assert model_id.to_local_dir(Path("/cache")) == Path("/cache/huggingface/me/iris/main")
    assert MlModelId.from_unique_id("arweave/me/iris").arweave_repo_id == "me/iris"
    with pytest.raises(RepoIdError, match="not on arweave"):
        _ = model_id.arweave_repo_id


@pytest.mark.parametrize(
    ("unique_id", "problem"),
    [
        ("local/me/iris:", "names no file after ':'"),
        ("local/me/iris:a,", "is empty"),
        ("local/me/iris:a,a", "named twice"),
        ("local/me/iris:../secret", r"'\.\.' that is empty, '\.' or '\.\.'"),
        ("local/me/iris:/etc/passwd", "is absolute"),
        ("local/me/iris:a\\b", "path separator"),
        ("local/me/iris:a\0b", "control character"),
        ("local/me/iris:nul", "reserved device name"),
        ("iris:iris.onnx", "must start with a storage"),
        ("local/me:iris.onnx", "must have an owner, a name"),
        ("", "must start with a storage"),
        (None, "a model id must be a string"),
        (b"local/me/iris", "a model id must be a string"),
    ],
)
def test_a_malformed_model_id_is_refused(unique_id: Any, problem: str) -> None:
    with pytest.raises(RepoIdError, match=problem):
        MlModelId.from_unique_id(unique_id)


@pytest.mark.parametrize(
    ("repo_id", "files", "problem"),
    [
        (RitualRepoId.from_unique_id("local/me/iris"), ["a,b"], "contains ','"),
        (RitualRepoId.from_unique_id("local/me/ab:c"), [], "contains ':'"),
        (RitualRepoId.from_unique_id("local/me/iris"), "iris.onnx", "files"),
        ("local/me/iris", [], "repo_id"),
    ],
)
def test_an_id_whose_text_could_not_be_read_back_is_refused(repo_id: Any, files: Any, problem: str) -> None:
    with pytest.raises(RepoIdError, match=problem):
        MlModelId(repo_id=repo_id, files=files)


def test_ids_are_equal_when_repository_and_files_are() -> None:
    first, same, other = (
        MlModelId.from_unique_id(IRIS, MLType.ONNX),
        MlModelId.from_unique_id(IRIS, MLType.TORCH),
        MlModelId.from_unique_id("huggingface/me/iris/main:iris.onnx"),
    )

    assert first == same
    assert first != other
    assert first != IRIS
    assert len({first, same, other}) == 2


def test_any_form_of_an_id_is_taken_and_none_is_changed() -> None:
    model_id = MlModelId.from_unique_id(IRIS)

    as_onnx = MlModelId.from_any(model_id, MLType.ONNX)

    assert (as_onnx.ml_type, model_id.ml_type) == (MLType.ONNX, None)
    assert MlModelId.from_any(model_id) is model_id
    assert MlModelId.from_any(IRIS, MLType.ONNX) == model_id
    with pytest.raises(RepoIdError, match="a model id must be a string"):
        MlModelId.from_any(3)  # type: ignore[arg-type] # what a caller without a type checker could do


@pytest.mark.parametrize("unique_id", ["local/me/iris", IRIS, "arweave/o/n/v1:größe.onnx"])
def test_what_goes_on_chain_comes_back(unique_id: str) -> None:
    model_id = MlModelId.from_unique_id(unique_id)

    encoding = model_id.to_web3

    assert MlModelId.from_web3(encoding) == model_id
    assert MlModelId.from_web3(f"0x{encoding.hex()}") == model_id


@pytest.mark.parametrize("cut", [0, 31, 64, 150])
def test_a_cut_encoding_is_refused(cut: int) -> None:
    encoding = MlModelId.from_unique_id(IRIS).to_web3

    with pytest.raises(RepoIdError, match="not an ABI-encoded model id"):
        MlModelId.from_web3(encoding[:cut])


def test_an_encoding_of_something_else_is_refused() -> None:
    with pytest.raises(RepoIdError, match="not an ABI-encoded"):
        MlModelId.from_web3(RitualRepoId.from_unique_id("local/me/iris").to_web3())


def test_a_downloaded_model_has_its_files_in_the_order_of_its_id() -> None:
    paths = [Path("/m/iris.torch"), Path("/m/notes.txt"), Path("/m/iris.onnx")]

    downloaded = DownloadedModel.from_model(MlModelId.from_unique_id(IRIS, MLType.ONNX), paths)

    assert downloaded.file_paths == [Path("/m/iris.onnx"), Path("/m/iris.torch")]
    assert downloaded.ml_type is MLType.ONNX
    assert downloaded.model_dump()["file_paths"] == ["/m/iris.onnx", "/m/iris.torch"]
    assert downloaded == MlModelId.from_unique_id(IRIS)


def test_a_downloaded_model_lacks_no_file() -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"no file 'iris\.torch'; it has '/m/iris\.onnx'"):
        DownloadedModel.from_model(MlModelId.from_unique_id(IRIS), [Path("/m/iris.onnx")])

"""Models are published from folders, with metadata about their files."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from ritual_artifacts import ArtifactModelError, RepoIdError, RitualArtifactManager, RitualRepoId, StorageId
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.models import MlModelId, MlModelInfo, MLType, ModelArtifact, ModelManager

REPO = "local/me/iris/v1"


def test_a_model_comes_back_with_what_is_known_about_it(model: Path) -> None:
    info = MlModelInfo(cpu_cores=1, memory_requirements=500 * 2**20, inference_engine=MLType.ONNX)

    ModelManager.upload_model(
        model, REPO, {"iris.onnx": info, "description": "irises", "tags": ["a", 1, None]}
    )

    artifact = ModelManager().download_model(REPO)
    assert artifact.metadata == {"iris.onnx": info, "description": "irises", "tags": ["a", 1, None]}
    assert [path.read_bytes() for path in artifact.files] == [
        (model / name).read_bytes() for name in ("iris.onnx", "iris.torch", "shards/a.bin")
    ]


def test_the_information_gets_the_files_model_id(model: Path) -> None:
    info = MlModelInfo(memory_requirements=1)

    ModelManager.upload_model(model, REPO, {"iris.onnx": info})
    ModelManager.upload_model(model, "local/you/iris", {"iris.onnx": info})

    assert info.id == "local/you/iris:iris.onnx"
    first = ModelManager().download_model(REPO).metadata["iris.onnx"]
    assert isinstance(first, MlModelInfo)
    assert MlModelId.from_unique_id(first.id) == MlModelId.from_unique_id(f"{REPO}:iris.onnx")


def test_information_can_be_a_plain_dictionary(model: Path) -> None:
    given = {"shards/a.bin": {"memory_requirements": 7, "cuda_version": 12.4}}

    ModelManager.upload_model(model, REPO, given)

    found = ModelManager().download_model(REPO).metadata["shards/a.bin"]
    assert found == MlModelInfo(id=f"{REPO}:shards/a.bin", memory_requirements=7, cuda_version=12.4)
    assert given == {"shards/a.bin": {"memory_requirements": 7, "cuda_version": 12.4}}


def test_information_can_be_another_packages_model(model: Path) -> None:
    class OtherInfo(BaseModel):
        memory_requirements: int
        cpu_cores: int | None = None

    ModelManager.upload_model(model, REPO, {"iris.onnx": OtherInfo(memory_requirements=3)})

    found = ModelManager().download_model(REPO).metadata["iris.onnx"]
    assert found == MlModelInfo(id=f"{REPO}:iris.onnx", memory_requirements=3)


def test_a_model_is_the_artifact_that_its_fields_say(model: Path, tmp_path: Path) -> None:
    (model / "shards" / "a.bin").rename(tmp_path / "a.bin")
    (model / "shards").rmdir()

    result = ModelManager.upload_model(model, REPO, {"description": "irises"})

    same = ModelArtifact(files=sorted(model.iterdir()), metadata={"description": "irises"})
    assert RitualArtifactManager(artifact=same).digest == result.digest


def test_a_single_file_is_a_model_too(model: Path) -> None:
    result = ModelManager.upload_model(model / "iris.onnx", REPO, {"iris.onnx": {"memory_requirements": 1}})

    assert [entry.path for entry in result.files] == ["iris.onnx"]


def test_a_manifest_in_the_folder_is_not_published(model: Path) -> None:
    (model / "ritual_manifest.json").write_text("{}")

    result = ModelManager.upload_model(model, REPO)

    assert [entry.path for entry in result.files] == ["iris.onnx", "iris.torch", "shards/a.bin"]


def test_information_that_is_not_known_is_left_out_for_those_who_cannot_read_it(model: Path) -> None:
    ModelManager.upload_model(model, REPO, {"iris.onnx": MlModelInfo(memory_requirements=1)})

    artifact = ModelManager().download_model(REPO, directory=model.parent / "out")

    document = json.loads((model.parent / "out" / "ritual_manifest.json").read_text())
    assert "cpu_cores" not in document["metadata"]["iris.onnx"]
    assert artifact.metadata["iris.onnx"].cpu_cores is None  # type: ignore[union-attr] # it is information


# --- owners that the storage chooses -----------------------------------------------------------------------


def choose_owner(_: LocalBackend, repo_id: RitualRepoId) -> RitualRepoId:
    if repo_id.owner == "another":
        message = "owned by another wallet"
        raise RepoIdError(message)
    return RitualRepoId(storage=StorageId.Local, owner="address", name=repo_id.name)


@pytest.fixture
def wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalBackend, "choose_owner", choose_owner)


@pytest.mark.usefixtures("wallet")
def test_ids_have_the_owner_that_the_storage_chooses(model: Path) -> None:
    info = MlModelInfo(memory_requirements=1)

    result = ModelManager.upload_model(model, "local/my-username/iris", {"iris.onnx": info})

    assert str(result.repo_id) == "local/address/iris"
    found = ModelManager().download_model(f"{result.repo_id}:iris.onnx").metadata["iris.onnx"]
    assert found == info
    assert info.id == "local/address/iris:iris.onnx"


@pytest.mark.usefixtures("wallet")
def test_an_owner_that_cannot_publish_is_refused(model: Path) -> None:
    with pytest.raises(RepoIdError, match="another wallet"):
        ModelManager.upload_model(model, "local/another/iris")


# --- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        (
            {"iris.onx": {"memory_requirements": 1}},
            r"'iris\.onx' that does not exist; the files are 'iris\.onnx', 'iris\.torch', 'shards/a\.bin'",
        ),
        ({"a.bin": MlModelInfo(memory_requirements=1)}, r"file 'a\.bin' that does not exist"),
        ({"../iris.onnx": {"memory_requirements": 1}}, "does not exist"),
        ({"iris.onnx": {"cpu_cores": 1}}, "memory_requirements: Field required"),
        ({"iris.onnx": {"memory_requirements": 1, "cpu_core": 1}}, "cpu_core: Extra inputs"),
        ({"iris.onnx": {"memory_requirements": 1, "cuda_version": 11}}, r"at least 12\.1"),
        ({"iris.onnx": {1: 2}}, "not a valid MlModelInfo"),
        ({"iris.onnx": object()}, "must be MlModelInfo or JSON, got object"),
        ({"accuracy": float("nan")}, "cannot be published: nan is not a JSON number"),
        ({"parameters": 2**53}, "cannot be published: 9007199254740992"),
        ({"text": "\ud800"}, "cannot be published"),
        ({1: "one"}, "names of metadata must be strings, got 1"),
    ],
)
def test_wrong_metadata_is_refused_before_anything_is_stored(
    metadata: dict[str, Any], problem: str, model: Path, own_folders: Path
) -> None:
    with pytest.raises(ArtifactModelError, match=problem):
        ModelManager.upload_model(model, REPO, metadata)

    assert not own_folders.exists()


def test_a_secret_in_metadata_is_refused_and_not_shown(model: Path) -> None:
    with pytest.raises(ArtifactModelError) as caught:
        ModelManager.upload_model(model, REPO, {"token": SecretStr("hunter2")})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("subfolder", ["", "sub"])
def test_an_empty_directory_is_refused(subfolder: str, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    (folder / subfolder).mkdir(parents=True)

    with pytest.raises(ArtifactModelError, match="has no files"):
        ModelManager.upload_model(folder, REPO)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ModelManager.upload_model(tmp_path / "nowhere", REPO)


def test_a_link_in_the_directory_is_refused(model: Path) -> None:
    (model / "link.onnx").symlink_to(model / "iris.onnx")

    with pytest.raises(ArtifactModelError, match="symbolic link"):
        ModelManager.upload_model(model, REPO)


def test_two_files_that_are_one_on_some_disks_are_refused(model: Path) -> None:
    if (model / "IRIS.ONNX").exists():
        pytest.skip("they are one on this disk")
    (model / "IRIS.ONNX").write_bytes(b"another")

    with pytest.raises(ArtifactModelError, match="collide on some file systems"):
        ModelManager.upload_model(model, REPO)


@pytest.mark.parametrize("repo_id", ["", "me/iris", "local/me/..", "local/me/iris/v1/x"])
def test_a_malformed_repository_id_is_refused(repo_id: str, model: Path) -> None:
    with pytest.raises(RepoIdError):
        ModelManager.upload_model(model, repo_id)


# --- information -------------------------------------------------------------------------------------------


def test_information_becomes_a_dictionary_and_comes_back() -> None:
    info = MlModelInfo(memory_requirements=1, quantization_type="q4")

    assert MlModelInfo.from_dict(info.to_dict()) == info
    with pytest.raises(ValidationError, match="memory_requirements"):
        MlModelInfo.from_dict({})


def test_the_hashes_of_files_are_those_of_their_bytes(model: Path) -> None:
    path = str(model / "shards" / "a.bin")

    hashes = MlModelInfo.calculate_hashes({"files": [path], "metadata": {}})

    assert hashes == {path: "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}


def test_hashing_a_missing_file_fails(model: Path) -> None:
    with pytest.raises(FileNotFoundError):
        MlModelInfo.calculate_hashes({"files": [str(model / "nothing")]})
    with pytest.raises(ValueError, match="must be a list of paths"):
        MlModelInfo.calculate_hashes({"files": "iris.onnx"})

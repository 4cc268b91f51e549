"""Models are downloaded by their ids: those files only, and every byte verified."""

from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import (
    ArtifactError,
    ArtifactNotFoundError,
    ConflictError,
    IntegrityError,
    ManifestError,
    RepoIdError,
    RitualArtifactManager,
    RitualRepoId,
)
from ritual_artifacts.backends.local.storage import LocalStorage
from ritual_artifacts.models import MlModelId, MLType, ModelArtifact, ModelManager

REPO = "local/me/iris/v1"


@pytest.fixture
def published(model: Path) -> Path:
    ModelManager.upload_model(model, REPO, {"description": "irises"})
    return model


def names_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".ritual-partial" not in path.parts
    }


@pytest.mark.usefixtures("published")
def test_only_the_named_files_are_fetched(own_folders: Path) -> None:
    artifact = ModelManager().download_model(f"{REPO}:iris.torch,shards/a.bin")

    assert [path.name for path in artifact.files] == ["iris.torch", "a.bin"]
    assert artifact.metadata == {"description": "irises"}
    assert names_below(own_folders / "cache" / REPO) == {"iris.torch", "shards/a.bin"}


@pytest.mark.usefixtures("published")
def test_files_that_are_named_later_join_those_that_are_here(own_folders: Path) -> None:
    manager = ModelManager()
    manager.download_model(f"{REPO}:iris.torch")

    manager.download_model(f"{REPO}:iris.onnx")
    part = names_below(own_folders / "cache" / REPO)
    manager.download_model(f"{REPO}:a.bin")

    assert part == {"iris.torch", "iris.onnx"}
    assert RitualArtifactManager.has_artifact(REPO)


@pytest.mark.usefixtures("published")
def test_the_documented_keywords_work_on_the_class_and_on_a_manager(tmp_path: Path) -> None:
    on_the_class = ModelManager.download_model(
        repo_id=REPO, file_name="iris.onnx", output_dir=str(tmp_path / "a")
    )
    on_a_manager = ModelManager().download_model(
        repo_id=RitualRepoId.from_unique_id(REPO),
        file_name=["iris.onnx"],
        output_dir=tmp_path / "b",
        hf_token="not needed here",
    )
    everything = ModelManager.download_model(repo_id=REPO, output_dir=tmp_path / "c")

    assert names_below(tmp_path / "a") == names_below(tmp_path / "b") == {"iris.onnx"}
    assert on_the_class.files == [tmp_path / "a" / "iris.onnx"]
    assert on_a_manager.files == [tmp_path / "b" / "iris.onnx"]
    assert len(everything.files) == 3


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("wanted", [f"{REPO}:iris.onnx", MlModelId.from_unique_id(f"{REPO}:iris.onnx")])
def test_the_calls_of_infernet_ml_work(wanted: str | MlModelId, tmp_path: Path) -> None:
    artifact = ModelManager(tmp_path / "cache", MLType.TORCH).download_model(
        wanted, MLType.ONNX, directory=tmp_path / "out", hf_token=None, repomanager_kwargs={}
    )

    assert artifact.get_file(wanted) == tmp_path / "out" / "iris.onnx"


@pytest.mark.usefixtures("published")
def test_a_manager_can_have_a_cache_of_its_own(tmp_path: Path, own_folders: Path) -> None:
    manager = ModelManager(tmp_path / "models")

    manager.download_model(f"{REPO}:iris.onnx")
    manager.download_model("local/me/iris")

    assert names_below(tmp_path / "models" / REPO) == {"iris.onnx"}
    assert manager.has_model("local/me/iris")
    assert not ModelManager().has_model("local/me/iris")
    assert [model.repo_id for model in manager.get_cached_models()] == ["local/me/iris"]
    assert not (own_folders / "cache" / "local").exists()


@pytest.mark.usefixtures("published")
def test_a_pinned_part_of_a_model_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = RitualArtifactManager.from_repo(ModelArtifact, REPO).digest
    ModelManager().clear_cache()
    ModelManager().download_model(f"{REPO}:iris.onnx")
    monkeypatch.setattr(LocalStorage, "connect", lambda *_: pytest.fail("the storage was asked"))

    artifact = ModelManager().download_model(f"{REPO}:iris.onnx", expected_digest=digest)

    assert artifact.get_file(f"{REPO}:iris.onnx").is_file()
    with pytest.raises(pytest.fail.Exception, match="was asked"):
        ModelManager().download_model(f"{REPO}:iris.torch", expected_digest=digest)


@pytest.mark.usefixtures("published")
def test_a_damaged_file_in_the_cache_is_fetched_again() -> None:
    digest = RitualArtifactManager.from_repo(ModelArtifact, REPO).digest
    (path,) = ModelManager().download_model(f"{REPO}:iris.onnx").files
    good = path.read_bytes()
    path.write_bytes(b"?" * len(good))

    for options in ({}, {"expected_digest": digest}):
        path.write_bytes(b"?" * len(good))
        ModelManager().download_model(f"{REPO}:iris.onnx", **options)  # type: ignore[arg-type] # it is a digest

        assert path.read_bytes() == good


@pytest.mark.parametrize("own_cache", [False, True])
@pytest.mark.parametrize("names", [":iris.onnx,iris.torch", ""])
def test_a_newer_version_replaces_what_is_in_the_cache(
    names: str, model: Path, tmp_path: Path, *, own_cache: bool
) -> None:
    manager = ModelManager(tmp_path / "cache" if own_cache else None)
    ModelManager.upload_model(model, "local/me/iris")
    manager.download_model(f"local/me/iris{names}")
    (model / "iris.onnx").write_bytes(b"newer")
    ModelManager.upload_model(model, "local/me/iris")

    (path,) = manager.download_model("local/me/iris:iris.onnx").files

    assert path.read_bytes() == b"newer"


# --- which file an id means --------------------------------------------------------------------------------


def test_a_name_without_its_folders_means_the_outermost_file(tmp_path: Path) -> None:
    for name in ("model.onnx", "int8/model.onnx", "int8/tokenizer.json"):
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    ModelManager.upload_model(tmp_path / "model", REPO)

    wanted = {
        name: ModelManager().download_model(f"{REPO}:{name}").files[0].read_text()
        for name in ("model.onnx", "int8/model.onnx", "tokenizer.json")
    }

    assert wanted == {
        "model.onnx": "model.onnx",
        "int8/model.onnx": "int8/model.onnx",
        "tokenizer.json": "int8/tokenizer.json",
    }


def test_two_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("int4/model.onnx", "int8/model.onnx"):
        (tmp_path / "model" / name).parent.mkdir(parents=True)
        (tmp_path / "model" / name).write_text(name)
    ModelManager.upload_model(tmp_path / "model", REPO)

    with pytest.raises(ArtifactNotFoundError, match=r"ambiguous.*'int4/model\.onnx', 'int8/model\.onnx'"):
        ModelManager().download_model(f"{REPO}:model.onnx")

    artifact = ModelManager().download_model(f"{REPO}:int8/model.onnx,int4/model.onnx")
    assert [path.read_text() for path in artifact.files] == ["int8/model.onnx", "int4/model.onnx"]
    assert artifact.get_file(f"{REPO}:int4/model.onnx").read_text() == "int4/model.onnx"


def test_get_file_finds_a_file_by_its_name_in_the_artifact(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "v1").mkdir(parents=True)
    (model / "iris.onnx").write_bytes(b"outer")
    (model / "v1" / "iris.onnx").write_bytes(b"inner")
    ModelManager.upload_model(model, REPO)

    artifact = ModelManager().download_model(REPO)  # into a folder that is called v1, too

    assert artifact.get_file(f"{REPO}:v1/iris.onnx").read_bytes() == b"inner"
    assert artifact.get_file(f"{REPO}:iris.onnx").read_bytes() == b"outer"


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", ["shards/a.bin", "a.bin"])
def test_get_file_finds_the_only_file_of_a_folder_by_its_name(name: str) -> None:
    artifact = ModelManager().download_model(f"{REPO}:shards/a.bin")

    assert artifact.get_file(f"{REPO}:{name}").name == "a.bin"


def test_get_file_finds_files_at_relative_paths_and_nowhere_near_each_other(tmp_path: Path) -> None:
    files = [Path("iris.onnx"), Path("shards/a.bin"), tmp_path / "b.bin"]
    artifact = ModelArtifact(files=files, metadata={})

    found = [artifact.get_file(f"{REPO}:{name}") for name in ("iris.onnx", "a.bin", "shards/a.bin", "b.bin")]

    assert found == [files[0], files[1], files[1], files[2]]


def test_get_file_takes_the_first_of_several(tmp_path: Path) -> None:
    artifact = ModelArtifact(files=[tmp_path / "b", tmp_path / "a"], metadata={})

    assert artifact.get_file(f"{REPO}:a,b") == tmp_path / "a"
    assert artifact.get_file(REPO) == tmp_path / "b"
    with pytest.raises(ArtifactNotFoundError, match="no file 'c'"):
        artifact.get_file(f"{REPO}:c")
    with pytest.raises(ArtifactNotFoundError, match="has no files"):
        ModelArtifact(files=[], metadata={}).get_file(REPO)


# --- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", ["nothing.onnx", "IRIS.ONNX", "shards", "onnx", "ritual_manifest.json"])
def test_a_file_that_the_repository_lacks_is_named_with_all_it_has(name: str, own_folders: Path) -> None:
    with pytest.raises(ArtifactNotFoundError) as caught:
        ModelManager().download_model(f"{REPO}:{name}")

    assert f"{REPO} has no file '{name}'; it has 'iris.onnx', 'iris.torch', 'shards/a.bin'" in str(
        caught.value
    )
    assert not (own_folders / "cache" / REPO).exists()


@pytest.mark.usefixtures("published")
def test_one_file_under_two_names_is_refused() -> None:
    with pytest.raises(ArtifactNotFoundError, match="are the same file"):
        ModelManager().download_model(f"{REPO}:a.bin,shards/a.bin")


def test_a_repository_that_is_not_there_is_not_found() -> None:
    with pytest.raises(ArtifactNotFoundError):
        ModelManager().download_model("local/me/nothing:model.onnx")


def test_an_artifact_of_another_type_is_refused(tmp_path: Path) -> None:
    class Other(BaseModel):
        circuit: Path

    (tmp_path / "c.bin").write_bytes(b"c")
    RitualArtifactManager(artifact=Other(circuit=tmp_path / "c.bin")).to_repo(REPO)

    with pytest.raises(ManifestError, match="is a Other, not a model"):
        ModelManager().download_model(f"{REPO}:c.bin")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"file_name": "iris.onnx"},
        {"model": REPO, "repo_id": REPO},
        {"model": REPO, "file_name": "iris.onnx"},
    ],
)
def test_a_model_is_named_exactly_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(RepoIdError, match="either a model id, or repo_id"):
        ModelManager.download_model(**arguments)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    "file_name",
    [Path("shards/a.bin"), [Path("shards", "a.bin")], PureWindowsPath(r"shards\a.bin"), ("a.bin",)],
)
def test_a_file_may_be_named_by_a_path(file_name: Any) -> None:
    artifact = ModelManager.download_model(repo_id=REPO, file_name=file_name)

    assert [path.name for path in artifact.files] == ["a.bin"]


@pytest.mark.parametrize("file_name", [7, b"iris.onnx", [7], {"iris.onnx": 1}.items()])
def test_a_file_name_of_another_type_is_refused(file_name: Any) -> None:
    with pytest.raises(RepoIdError, match="file_name must be"):
        ModelManager.download_model(repo_id=REPO, file_name=file_name)


@pytest.mark.parametrize(
    "file_name",
    [
        "../iris.onnx",
        "",
        Path("../iris.onnx"),
        Path("/iris.onnx"),
        ["iris.onnx", "iris.onnx"],
        ["a,b"],
        "/iris.onnx",
    ],
)
def test_a_file_name_that_could_leave_the_folder_is_refused(file_name: Any) -> None:
    with pytest.raises(RepoIdError, match="not a model id"):
        ModelManager.download_model(repo_id=REPO, file_name=file_name)


def test_two_folders_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="pass only one of them"):
        ModelManager.download_model(REPO, directory=tmp_path / "a", output_dir=tmp_path / "b")


@pytest.mark.usefixtures("published")
def test_a_file_of_the_users_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "iris.onnx").write_text("mine")

    with pytest.raises(ConflictError, match=r"iris\.onnx differs"):
        ModelManager.download_model(f"{REPO}:iris.onnx", output_dir=tmp_path / "out")

    assert (tmp_path / "out" / "iris.onnx").read_text() == "mine"
    ModelManager.download_model(f"{REPO}:iris.onnx", output_dir=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "iris.onnx").read_text() != "mine"


@pytest.mark.usefixtures("published")
def test_another_digest_than_the_expected_one_is_refused(own_folders: Path) -> None:
    with pytest.raises(IntegrityError, match="the artifact"):
        ModelManager().download_model(f"{REPO}:iris.onnx", expected_digest="0" * 64)

    assert not (own_folders / "cache" / REPO / "iris.onnx").exists()

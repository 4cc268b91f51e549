"""The models in the cache, and what clearing removes."""

import json
import threading
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import RepoIdError, RitualArtifactManager, RitualRepoId
from ritual_artifacts.locks import lock_folder
from ritual_artifacts.models import MLType, ModelManager
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.cache import Cache

REPO = "local/me/iris/v1"


class Other(BaseModel):
    circuit: Path


@pytest.fixture
def folder(model: Path, own_folders: Path) -> Path:
    """Return the folder of the cache for a model that is published and not downloaded."""
    ModelManager.upload_model(model, REPO)
    return own_folders / "cache" / REPO


@pytest.fixture
def other(tmp_path: Path, own_folders: Path) -> Path:
    """Return the folder of the cache with a whole artifact of another type."""
    (tmp_path / "c.bin").write_bytes(b"c")
    RitualArtifactManager(artifact=Other(circuit=tmp_path / "c.bin")).to_repo("local/me/circuit")
    RitualArtifactManager.from_repo(Other, "local/me/circuit")
    return own_folders / "cache" / "local/me/circuit/default"


@pytest.mark.usefixtures("folder")
def test_the_cache_has_what_was_downloaded() -> None:
    manager = ModelManager()

    def has(names: str) -> bool:
        return manager.has_model(f"{REPO}{names}")

    before = has(""), has(":iris.onnx")
    manager.download_model(f"{REPO}:iris.onnx,a.bin")
    part = has(":iris.onnx"), has(":a.bin,iris.onnx"), has(":iris.onnx,iris.torch"), has(":nothing"), has("")
    manager.download_model(REPO)
    whole = has(""), has(":iris.torch"), has(":nothing")

    assert before == (False, False)
    assert part == (True, True, False, False, False)
    assert whole == (True, True, False)


def test_the_cache_does_not_have_a_file_that_is_missing_or_truncated(folder: Path) -> None:
    manager = ModelManager()
    manager.download_model(f"{REPO}:iris.onnx,iris.torch")

    (folder / "iris.onnx").write_bytes(b"cut")
    (folder / "iris.torch").unlink()

    assert not manager.has_model(f"{REPO}:iris.onnx")
    assert not manager.has_model(f"{REPO}:iris.torch")


@pytest.mark.usefixtures("folder")
def test_a_part_is_not_listed_as_a_model() -> None:
    manager = ModelManager()
    manager.download_model(f"{REPO}:iris.onnx")

    part = manager.get_cached_models()
    manager.download_model(REPO)
    (whole,) = manager.get_cached_models(default_ml_type=MLType.ONNX)

    assert part == []
    assert (whole.type, whole.repo_id) == ("ModelArtifact", REPO)
    assert whole.manifest["files"] == ["iris.onnx", "iris.torch", "shards/a.bin"]


@pytest.mark.parametrize("note", ["", "{", "[]", json.dumps({"artifact_type": "ModelArtifact"})])
def test_a_damaged_note_of_a_part_is_ignored(note: str, folder: Path) -> None:
    manager = ModelManager()
    manager.download_model(f"{REPO}:iris.onnx")

    [path] = folder.glob(".ritual-partial/part.json")
    path.write_text(note)

    assert not manager.has_model(f"{REPO}:iris.onnx")
    assert manager.download_model(f"{REPO}:iris.onnx").files[0].is_file()
    assert manager.has_model(f"{REPO}:iris.onnx")


def test_a_malformed_id_is_refused() -> None:
    with pytest.raises(RepoIdError):
        ModelManager().has_model("iris.onnx")


@pytest.mark.parametrize("names", ["", ":iris.onnx"])
def test_clearing_removes_models_and_leaves_the_rest(
    names: str, folder: Path, other: Path, own_folders: Path
) -> None:
    manager = ModelManager()
    manager.download_model(f"{REPO}{names}")
    mine = own_folders / "cache" / "local" / "me" / "notes" / "v1" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    (own_folders / "cache" / "notes.txt").write_text("mine")
    size = Cache.of(load_settings()).folder(RitualRepoId.from_unique_id(REPO)).size

    freed = manager.clear_cache()

    assert freed == size
    assert not folder.exists()
    assert (other / "c.bin").is_file()
    assert mine.read_text() == (own_folders / "cache" / "notes.txt").read_text() == "mine"
    assert manager.clear_cache() == 0


def test_clearing_keeps_an_interrupted_download_unless_asked(folder: Path) -> None:
    partial = folder / ".ritual-partial" / "key" / "bytes"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"a part")

    by_default = ModelManager().clear_cache()
    kept = partial.exists()
    freed = ModelManager().clear_cache(incomplete=True)

    assert (by_default, kept, freed) == (0, True, len(b"a part"))
    assert not folder.exists()


def test_pruning_keeps_a_part_of_a_model_unless_asked(folder: Path) -> None:
    ModelManager().download_model(f"{REPO}:iris.onnx")

    Cache.of(load_settings()).prune()
    kept = ModelManager().has_model(f"{REPO}:iris.onnx")
    Cache.of(load_settings()).prune(incomplete=True)

    assert kept
    assert not folder.exists()


def test_clearing_skips_a_folder_that_is_being_downloaded(folder: Path) -> None:
    ModelManager().download_model(REPO)

    with lock_folder(folder, load_settings()):
        freed: list[int] = []
        thread = threading.Thread(target=lambda: freed.append(ModelManager().clear_cache()))
        thread.start()
        thread.join()

    assert freed == [0]
    assert folder.is_dir()


def test_clearing_follows_no_link(folder: Path, model: Path) -> None:
    ModelManager().download_model(REPO, directory=model.parent / "elsewhere")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(model.parent / "elsewhere")

    ModelManager().clear_cache()

    assert (model.parent / "elsewhere" / "iris.onnx").is_file()


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    manager = ModelManager(tmp_path / "nowhere")

    assert manager.get_cached_models() == []
    assert manager.clear_cache() == 0
    assert not (tmp_path / "nowhere").exists()

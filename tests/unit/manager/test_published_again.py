"""A downloaded artifact that is published again is the same artifact."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydantic import BaseModel, DirectoryPath

from ritual_artifacts import IntegrityError, RitualArtifactManager
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.settings import load_settings
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import REPO, Loose, Write, fill_folder, flip_one_bit

Publish: TypeAlias = Callable[[RitualArtifactManager[Any]], str | None]


class Files(BaseModel):
    files: list[Path]


class Folders(BaseModel):
    first: DirectoryPath
    others: list[DirectoryPath] = []


class Mixed(BaseModel):
    file: Path
    folder: DirectoryPath


def many_files_of_one_name(write: Write) -> BaseModel:
    return Files(files=[write(f"{i}/model.bin") for i in range(3)])


def names_that_differ_in_case(write: Write) -> BaseModel:
    return Files(files=[write("x/Model.bin"), write("y/model.BIN"), write("z/other.bin")])


def a_folder(write: Write) -> BaseModel:
    return Folders(first=fill_folder(write, "model"))


def folders_of_one_name(write: Write) -> BaseModel:
    return Folders(
        first=fill_folder(write, "x/model"),
        others=[fill_folder(write, "y/model"), fill_folder(write, "z/model")],
    )


def a_file_and_a_folder_of_one_name(write: Write) -> BaseModel:
    return Mixed(file=write("x/model"), folder=fill_folder(write, "y/model"))


def a_file_that_is_also_in_the_folder(write: Write) -> BaseModel:
    folder = fill_folder(write, "model")
    return Mixed(file=folder / "config.json", folder=folder)


CASES = [
    many_files_of_one_name,
    names_that_differ_in_case,
    a_folder,
    folders_of_one_name,
    a_file_and_a_folder_of_one_name,
    a_file_that_is_also_in_the_folder,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.replace("_", " "))
def test_a_downloaded_artifact_published_again_is_the_same(
    case: Callable[[Write], BaseModel], write: Write, tmp_path: Path, own_folders: Path
) -> None:
    artifact = case(write)
    original = RitualArtifactManager(artifact=artifact)
    result = original.to_repo("local/me/first")

    for target in (None, tmp_path / "out"):
        again = RitualArtifactManager.from_repo(type(artifact), "local/me/first", target)
        republished = again.to_repo("local/me/second")
        exported = again.to_dir(tmp_path / f"export of {target is None}")

        assert republished.digest == exported.digest == result.digest
        assert republished.bytes_sent == 0
        assert again.manifest().files == original.manifest().files

    third = RitualArtifactManager.from_dir(type(artifact), tmp_path / "export of True")
    assert third.digest == result.digest
    assert own_folders.exists()


def test_a_downloaded_artifact_that_was_edited_is_published_as_it_is_now(
    manager: RitualArtifactManager[Circuit], write: Write
) -> None:
    manager.to_repo(REPO)
    again = RitualArtifactManager.from_repo(Circuit, REPO)
    again.artifact.circuit_file = write("newer.bin")
    again.artifact.version = "v2.0"

    result = again.to_repo("local/me/circuit/v2")

    assert [entry.path for entry in result.files] == ["a.safetensors", "b.safetensors", "newer.bin"]
    assert again.verify().fields["version"] == "v2.0"


@pytest.fixture(params=["to_repo", "to_dir"])
def publish(request: pytest.FixtureRequest, tmp_path: Path) -> Publish:
    def to_repo(manager: RitualArtifactManager[Any]) -> str | None:
        return manager.to_repo("local/me/mixed").digest

    def to_dir(manager: RitualArtifactManager[Any]) -> str | None:
        return manager.to_dir(tmp_path / "mixed").digest

    return {"to_repo": to_repo, "to_dir": to_dir}[request.param]


def assert_nothing_is_published(tmp_path: Path) -> None:
    assert not (tmp_path / "mixed").exists()
    assert "local/me/mixed" not in {
        str(version.repo_id) for version in LocalBackend(load_settings().store_dir).list_versions()
    }


def test_files_that_another_download_replaced_in_the_cache_are_not_published(
    publish: Publish, write: Write, tmp_path: Path
) -> None:
    model = write("model.bin")
    RitualArtifactManager(artifact=Loose(model=model, version="v1")).to_repo(REPO)
    old = RitualArtifactManager.from_repo(Loose, REPO)
    model.write_bytes(b"newer")
    RitualArtifactManager(artifact=Loose(model=model, version="v2")).to_repo(REPO)
    RitualArtifactManager.from_repo(Loose, REPO)

    old.artifact.version = "v1, renamed"

    with pytest.raises(IntegrityError, match=r"'model\.bin' \(field 'model'\).*download them again"):
        publish(old)
    assert_nothing_is_published(tmp_path)


def test_files_that_another_download_removed_from_the_cache_are_missing(
    publish: Publish, write: Write, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=Loose(model=write("model.bin"))).to_repo(REPO)
    old = RitualArtifactManager.from_repo(Loose, REPO)
    RitualArtifactManager(artifact=Loose(model=write("renamed.bin"))).to_repo(REPO)
    RitualArtifactManager.from_repo(Loose, REPO)

    with pytest.raises(IntegrityError, match=r"'model\.bin'.*got missing.*download them again"):
        publish(old)
    assert_nothing_is_published(tmp_path)


@pytest.mark.parametrize(("change", "found"), [("added", "no such file, got a file"), ("removed", "missing")])
def test_a_directory_whose_files_were_added_or_removed_is_not_published(
    change: str,
    found: str,
    publish: Publish,
    write: Write,
    tmp_path: Path,
) -> None:
    RitualArtifactManager(artifact=Folders(first=fill_folder(write, "model"))).to_repo(REPO)
    downloaded = RitualArtifactManager.from_repo(Folders, REPO, tmp_path / "out")
    if change == "added":
        (downloaded.artifact.first / "planted").write_bytes(b"x")
    else:
        (downloaded.artifact.first / "config.json").unlink()

    with pytest.raises(IntegrityError, match=found):
        publish(downloaded)
    assert_nothing_is_published(tmp_path)


def test_downloaded_files_that_were_edited_are_published_by_a_new_manager(
    publish: Publish,
    manager: RitualArtifactManager[Circuit],
    tmp_path: Path,
) -> None:
    manager.to_repo(REPO)
    downloaded = RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out")
    flip_one_bit(downloaded.artifact.circuit_file)

    with pytest.raises(IntegrityError, match=r"circuit\.bin"):
        publish(downloaded)
    edited = RitualArtifactManager(artifact=downloaded.artifact)

    assert publish(edited) == edited.digest == downloaded.digest != manager.digest


def test_the_users_own_files_may_change_between_two_versions(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    first = manager.to_repo(REPO)
    flip_one_bit(circuit.circuit_file)

    second = manager.to_repo(REPO)

    assert second.digest != first.digest

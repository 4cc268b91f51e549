"""A downloaded artifact that is published again is the same artifact."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import BaseModel, DirectoryPath

from ritual_artifacts import (
    RitualArtifactManager,
)
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import REPO, Write, fill_folder

Model = TypeVar("Model", bound=BaseModel)


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

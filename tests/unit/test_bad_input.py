"""Invalid input ends in an error of the package."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.errors import (
    ArtifactModelError,
    ConflictError,
    ManifestError,
    RepoIdError,
)
from ritual_artifacts.events import Progress
from tests.artifacts import Circuit

REPO = "local/me/model/v1"
Manager: Any = RitualArtifactManager  # arguments of wrong types are the point here


class Pair(BaseModel):
    a: Path | None = None
    b: Path | None = None
    version: str = "1"


@pytest.fixture
def published(write: Callable[..., Path]) -> Path:
    """Publish a pair as `REPO`, and return a folder that has its files but no manifest."""
    pair = Pair(a=write("a.bin"), b=write("b.bin"))
    RitualArtifactManager(artifact=pair).to_repo(REPO)
    return write("a.bin").parent


def circular() -> dict[str, object]:
    values: dict[str, object] = {"file_hashes": {}}
    values["version"] = values
    return values


def test_a_path_with_a_nul_cannot_be_published() -> None:
    with pytest.raises(ArtifactModelError, match=r"field 'a': the path 'a\\x00b' contains a NUL"):
        RitualArtifactManager(artifact=Pair(a=Path("a\0b"))).to_repo(REPO)


MANIFEST_DATA: dict[str, Mapping[str, Any]] = {
    "a NUL": {"a": "a\0"},
    "a path": {"a": Path("a.bin")},
    "a set": {"version": {1}},
    "circular": circular(),
    "circular, without hashes": {"version": circular()},
}


@pytest.mark.parametrize("case", MANIFEST_DATA)
def test_manifest_data_that_json_cannot_hold_is_refused(case: str, published: Path) -> None:
    with pytest.raises(ManifestError):
        RitualArtifactManager.from_dir(Pair, published, MANIFEST_DATA[case])


def test_a_repository_id_that_is_not_a_string_is_refused(published: Path) -> None:
    with pytest.raises(RepoIdError, match="must be a string, got 5"):
        Manager.from_dir(Pair, published, {"a": "a.bin", "repo_id": 5})
    with pytest.raises(RepoIdError, match="must be a string, got 5"):
        Manager.from_repo(Pair, 5)
    with pytest.raises(RepoIdError, match="must be a string"):
        Manager.from_repo(Pair, b"local/me/model")


@pytest.mark.usefixtures("published")
def test_a_digest_that_is_not_a_string_is_refused() -> None:
    with pytest.raises(ArtifactModelError, match="not 5"):
        Manager.from_repo(Pair, REPO, expected_digest=5)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("fields", ["a", "ab", ""])
def test_a_string_is_not_a_list_of_fields(fields: str, own_folders: Path) -> None:
    with pytest.raises(ArtifactModelError, match="pass a list of names"):
        RitualArtifactManager.from_repo(Pair, REPO, fields=fields)

    assert not (own_folders / "cache" / REPO).exists()


@pytest.mark.parametrize("artifact", [5, None, "text", {"a": 3}])
def test_a_value_that_is_not_a_model_is_refused(artifact: object) -> None:
    with pytest.raises(ArtifactModelError):
        Manager(artifact=artifact)


def test_a_manager_needs_an_artifact_that_fits_its_class() -> None:
    with pytest.raises(ArtifactModelError, match="artifact: Field required"):
        Manager()
    with pytest.raises(ArtifactModelError, match=r"artifact\.version: Input should be a valid string"):
        Manager[Pair](artifact={"version": 3})


@pytest.mark.usefixtures("published")
def test_paths_may_be_strings(own_folders: Path, tmp_path: Path) -> None:
    RitualArtifactManager.from_repo(Pair, REPO, str(tmp_path / "out"))

    pair = RitualArtifactManager.get_instance_from_manifest(
        Pair, str(tmp_path / "out" / "ritual_manifest.json")
    )

    assert pair.a == tmp_path / "out" / "a.bin"
    assert not RitualArtifactManager.has_artifact(REPO, str(own_folders / "cache"))


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("place", ["store", "store/objects/mine", "cache"])
def test_the_folders_of_the_package_are_refused_as_targets(place: str, own_folders: Path) -> None:
    with pytest.raises(ConflictError, match="choose another folder"):
        RitualArtifactManager.from_repo(Pair, REPO, own_folders / place)

    assert not list(own_folders.rglob("a.bin"))


@pytest.mark.usefixtures("published")
def test_a_callback_that_downloads_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    def download_again(_: Progress) -> None:
        RitualArtifactManager.from_repo(Pair, REPO, tmp_path / "out")

    with pytest.raises(ConflictError, match="progress callback"):
        RitualArtifactManager.from_repo(Pair, REPO, tmp_path / "out", progress=download_again)

    RitualArtifactManager.from_repo(Pair, REPO, tmp_path / "out").verify()


# --- what can be pickled ---


@pytest.mark.parametrize("given", [RitualArtifactManager, RitualArtifactManager[Circuit]])
def test_a_manager_survives_pickling(
    given: type[RitualArtifactManager[Circuit]], circuit: Circuit, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=circuit).to_repo(REPO)
    manager = given.from_repo(Circuit, REPO, tmp_path / "out")

    again = pickle.loads(pickle.dumps(manager))  # noqa: S301 - our own bytes

    assert (again, type(again)) == (manager, type(manager))
    assert again.verify() == manager.verify()
    assert again.digest == manager.digest

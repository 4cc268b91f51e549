"""Downloads of the files of some fields only."""

from pathlib import Path

import pytest

from ritual_artifacts import (
    ArtifactModelError,
    RitualArtifactManager,
)
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import REPO, Loose, Write, fill_folder


@pytest.fixture
def loose(write: Write) -> Loose:
    artifact = Loose(
        model=write("model.bin"),
        shards=[write("one.bin"), write("two.bin")],
        folder=fill_folder(write, "tokenizer"),
        version="v9",
    )
    RitualArtifactManager(artifact=artifact).to_repo(REPO)
    return artifact


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        (["model"], ["model.bin"]),
        (["shards"], ["one.bin", "two.bin"]),
        (["folder"], ["tokenizer/config.json", "tokenizer/last.bin", "tokenizer/sub/tokens.txt"]),
        (["model", "shards"], ["model.bin", "one.bin", "two.bin"]),
        ([], []),
    ],
)
@pytest.mark.usefixtures("loose")
def test_only_the_files_of_the_wanted_fields_are_fetched(
    fields: list[str], files: list[str], tmp_path: Path
) -> None:
    again = RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", fields=fields)

    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert found == files
    assert (again.artifact.model is None) is ("model" not in fields)
    assert bool(again.artifact.shards) is ("shards" in fields)
    assert again.artifact.version == "v9"


@pytest.mark.usefixtures("loose")
def test_a_part_never_counts_as_the_cached_artifact() -> None:
    RitualArtifactManager.from_repo(Loose, REPO, fields=["model"])

    assert not RitualArtifactManager.has_artifact(REPO)
    assert RitualArtifactManager.from_repo(Loose, REPO).artifact.shards
    assert RitualArtifactManager.has_artifact(REPO)


@pytest.mark.usefixtures("loose")
def test_fetching_a_part_keeps_the_whole_that_is_there() -> None:
    RitualArtifactManager.from_repo(Loose, REPO)

    RitualArtifactManager.from_repo(Loose, REPO, fields=["model"])

    assert RitualArtifactManager.has_artifact(REPO)


@pytest.mark.usefixtures("loose")
def test_a_wanted_field_must_have_files() -> None:
    with pytest.raises(ArtifactModelError, match=r"Loose\.version has no files; .*'model', 'shards'"):
        RitualArtifactManager.from_repo(Loose, REPO, fields=["version"])


def test_a_field_without_a_default_cannot_be_left_out(manager: RitualArtifactManager[Circuit]) -> None:
    manager.to_repo(REPO)

    with pytest.raises(ArtifactModelError, match=r"Circuit\.weights cannot be left out"):
        RitualArtifactManager.from_repo(Circuit, REPO, fields=["circuit_file"])

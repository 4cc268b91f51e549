"""Downloads of the files of some fields only."""

from pathlib import Path

import pytest

from ritual_artifacts import ArtifactModelError, ConflictError, IntegrityError, RitualArtifactManager
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


@pytest.mark.usefixtures("loose")
def test_what_was_fetched_is_verified(tmp_path: Path) -> None:
    part = RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", fields=["model", "folder"])
    assert part.artifact.model is not None

    assert [entry.path for entry in part.verify().files] == [
        "model.bin",
        "tokenizer/config.json",
        "tokenizer/last.bin",
        "tokenizer/sub/tokens.txt",
    ]
    part.artifact.model.write_bytes(b"tampered")
    with pytest.raises(IntegrityError, match=r"'model\.bin' \(field 'model'\)"):
        part.verify()


def test_the_digest_of_a_part_is_its_own(loose: Loose, tmp_path: Path) -> None:
    part = RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", fields=["model"])

    digest = RitualArtifactManager(artifact=Loose(model=loose.model, version="v9")).digest

    assert part.digest == part.to_repo("local/me/part").digest == digest


def publish_newer(loose: Loose) -> None:
    assert loose.model is not None
    loose.model.write_bytes(b"newer")
    loose.shards[0].write_bytes(b"newer, too")
    RitualArtifactManager(artifact=loose).to_repo(REPO)


def test_a_part_does_not_go_where_another_version_is_whole(loose: Loose, tmp_path: Path) -> None:
    old = RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out")
    publish_newer(loose)

    with pytest.raises(ConflictError, match=r"holds another artifact.*mixture.*overwrite=True"):
        RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", fields=["model"])

    old.verify()
    RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out").verify()


def test_a_part_that_overwrites_another_version_leaves_nothing_of_it(loose: Loose, tmp_path: Path) -> None:
    RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out")
    publish_newer(loose)

    RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", fields=["model"], overwrite=True)

    assert (tmp_path / "out" / "model.bin").read_bytes() == b"newer"
    assert not (tmp_path / "out" / "one.bin").exists()
    assert (tmp_path / "out" / "two.bin").exists()
    RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out").verify()


def test_a_part_is_replaced_by_another_version_only_when_asked(loose: Loose, tmp_path: Path) -> None:
    RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", fields=["model"])
    publish_newer(loose)

    with pytest.raises(ConflictError, match="no manifest here says that it is unchanged"):
        RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out")

    RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", overwrite=True).verify()

"""Artifacts in repositories: `to_repo`, `from_repo`, what the cache answers."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import (
    ArtifactNotFoundError,
    IntegrityError,
    ManifestError,
    RitualArtifactManager,
    RitualRepoId,
)
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.backends.local.storage import LocalStorage
from ritual_artifacts.settings import load_settings
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import (
    MANIFEST,
    PINNED,
    REPO,
    Other,
    Write,
    contents,
    flip_one_bit,
)


@pytest.mark.parametrize("where", ["cache", "folder"])
def test_a_downloaded_artifact_is_equal(
    where: str,
    manager: RitualArtifactManager[Circuit],
    circuit: Circuit,
    tmp_path: Path,
    own_folders: Path,
) -> None:
    result = manager.to_repo(PINNED)
    target = tmp_path / "out" if where == "folder" else None

    again = RitualArtifactManager.from_repo(Circuit, PINNED, target)

    folder = target or own_folders / "cache" / PINNED
    assert contents(again.artifact) == contents(circuit)
    assert again.artifact.circuit_file == folder / "circuit.bin"
    assert str(again.repo_id) == PINNED
    assert again.digest == result.digest == manager.digest


def test_the_result_says_where_and_what(manager: RitualArtifactManager[Circuit]) -> None:
    first, second = manager.to_repo(PINNED), manager.to_repo("local/me/again")

    assert str(first.repo_id) == PINNED
    assert first.url.startswith("file://")
    assert [entry.path for entry in first.files] == ["a.safetensors", "b.safetensors", "circuit.bin"]
    assert (first.bytes_sent, first.bytes_reused) == (370_001, 0)
    assert (second.bytes_sent, second.bytes_reused) == (0, 370_001)
    assert second.digest == first.digest


def test_an_id_without_a_version_names_the_newest(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    manager.to_repo(PINNED)
    circuit.version = "v2.0"
    manager.to_repo("local/me/circuit/v2")

    newest = RitualArtifactManager.from_repo(Circuit, REPO)
    oldest = RitualArtifactManager.from_repo(Circuit, PINNED)

    assert (newest.artifact.version, oldest.artifact.version) == ("v2.0", "v1.0")


def test_a_cached_newest_version_follows_the_repository(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    manager.to_repo(REPO)
    RitualArtifactManager.from_repo(Circuit, REPO)
    circuit.weights.pop()
    manager.to_repo(REPO)

    again = RitualArtifactManager.from_repo(Circuit, REPO)

    assert again.digest == manager.digest
    assert sorted(path.name for path in again.artifact.circuit_file.parent.iterdir()) == [
        "a.safetensors",
        "circuit.bin",
        MANIFEST,
    ]


def test_a_repository_that_is_not_there_is_not_found() -> None:
    with pytest.raises(ArtifactNotFoundError, match="local/me/circuit"):
        RitualArtifactManager.from_repo(Circuit, REPO)


def test_a_class_that_does_not_fit_is_refused(manager: RitualArtifactManager[Circuit]) -> None:
    manager.to_repo(REPO)

    with pytest.raises(ManifestError, match="no field 'file', which Other requires"):
        RitualArtifactManager.from_repo(Other, REPO)


@pytest.mark.parametrize("repo", [PINNED, REPO])
def test_a_cached_artifact_with_the_expected_digest_needs_no_storage(
    repo: str, manager: RitualArtifactManager[Circuit], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = manager.to_repo(repo).digest
    RitualArtifactManager.from_repo(Circuit, repo)
    monkeypatch.setattr(LocalStorage, "connect", lambda *_: pytest.fail("the storage was asked"))

    again = RitualArtifactManager.from_repo(Circuit, repo, expected_digest=digest)

    assert again.digest == digest
    assert str(again.repo_id) == repo


@pytest.mark.parametrize(
    "repo", [f"huggingface/me/x/{'0123456789' * 4}", "arweave/me/x/v1"], ids=["commit", "version label"]
)
def test_a_pinned_artifact_in_the_cache_needs_no_storage(
    repo: str, manager: RitualArtifactManager[Circuit]
) -> None:
    manager.to_dir(RitualRepoId.from_unique_id(repo).to_local_dir(), repo)

    assert RitualArtifactManager.from_repo(Circuit, repo).digest == manager.digest


def test_a_name_that_moves_is_not_answered_by_the_cache(manager: RitualArtifactManager[Circuit]) -> None:
    repo = "arweave/me/x"
    manager.to_dir(RitualRepoId.from_unique_id(repo).to_local_dir(), repo)

    with pytest.raises(ArtifactNotFoundError, match="not an Arweave address"):
        RitualArtifactManager.from_repo(Circuit, repo)


def damage_bytes(folder: Path) -> None:
    flip_one_bit(folder / "circuit.bin")


def damage_by_removal(folder: Path) -> None:
    (folder / "circuit.bin").unlink()


def damage_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("{}")


def damage_by_a_folder(folder: Path) -> None:
    (folder / "circuit.bin").unlink()
    (folder / "circuit.bin").mkdir()


@pytest.mark.parametrize("damage", [damage_bytes, damage_by_removal, damage_the_manifest, damage_by_a_folder])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_damaged_cache_is_repaired(
    damage: Callable[[Path], None],
    pinned: bool,  # noqa: FBT001 - pytest's parameter
    manager: RitualArtifactManager[Circuit],
    circuit: Circuit,
    own_folders: Path,
) -> None:
    digest = manager.to_repo(PINNED).digest
    RitualArtifactManager.from_repo(Circuit, PINNED)
    damage(own_folders / "cache" / PINNED)

    again = RitualArtifactManager.from_repo(Circuit, PINNED, expected_digest=digest if pinned else None)

    assert contents(again.artifact) == contents(circuit)
    assert again.verify().digest == digest


def test_after_a_download_the_digest_is_known(
    manager: RitualArtifactManager[Circuit], hashed: list[Path], tmp_path: Path
) -> None:
    result = manager.to_repo(REPO)

    for again in (
        RitualArtifactManager.from_repo(Circuit, REPO),
        RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out"),
        RitualArtifactManager.from_repo(Circuit, REPO, expected_digest=result.digest),
        RitualArtifactManager.from_dir(Circuit, tmp_path / "out"),
        manager,
    ):
        assert again.digest == result.digest

    assert hashed == []


def test_a_touched_file_is_hashed_again(manager: RitualArtifactManager[Circuit], hashed: list[Path]) -> None:
    manager.to_repo(REPO)
    again = RitualArtifactManager.from_repo(Circuit, REPO)
    os.utime(again.artifact.circuit_file, ns=(1, 1))

    assert again.digest == manager.digest
    assert len(hashed) == 3


def test_a_tampered_store_is_never_served(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    result = manager.to_repo(REPO)
    victim = next(entry for entry in result.files if entry.path == "circuit.bin")
    flip_one_bit(LocalBackend(load_settings().store_dir).layout.object_path(victim.sha256))

    with pytest.raises(IntegrityError, match=r"'circuit\.bin' \(field 'circuit_file'\) from local/me"):
        RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out")

    assert not (tmp_path / "out" / "circuit.bin").exists()


def test_the_cache_lists_what_was_downloaded(
    manager: RitualArtifactManager[Circuit], own_folders: Path
) -> None:
    manager.to_repo(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)

    (cached,) = RitualArtifactManager.get_cached_artifacts()

    folder = own_folders / "cache" / PINNED
    assert (cached.type, str(cached.repo_id), cached.path) == ("Circuit", PINNED, folder / MANIFEST)
    assert cached.files == sorted(folder.iterdir())
    assert cached.manifest == json.loads((folder / MANIFEST).read_text())
    assert cached.to_broadcasted_artifact().model_dump() == {
        "type": "Circuit",
        "manifest": cached.manifest,
        "repo_id": PINNED,
    }


def test_only_whole_artifacts_are_cached(manager: RitualArtifactManager[Circuit], own_folders: Path) -> None:
    manager.to_repo(PINNED)
    assert not RitualArtifactManager.has_artifact(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)
    assert RitualArtifactManager.has_artifact(PINNED)
    assert RitualArtifactManager.has_artifact(RitualRepoId.from_unique_id(PINNED))

    (own_folders / "cache" / PINNED / "b.safetensors").unlink()

    assert not RitualArtifactManager.has_artifact(PINNED)
    assert RitualArtifactManager.get_cached_artifacts() == []


def test_an_empty_cache_lists_nothing() -> None:
    assert RitualArtifactManager.get_cached_artifacts() == []
    assert RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit) == []


def test_another_cache_can_be_given(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    manager.to_dir(tmp_path / "cache" / PINNED, PINNED)

    assert RitualArtifactManager.has_artifact(PINNED, tmp_path / "cache")
    assert len(RitualArtifactManager.get_cached_artifacts(tmp_path / "cache")) == 1
    assert len(RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit, tmp_path / "cache")) == 1


def test_other_files_in_the_cache_are_ignored(
    manager: RitualArtifactManager[Circuit], own_folders: Path
) -> None:
    manager.to_repo(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)
    cache = own_folders / "cache"
    for name in ("ftp/me/x/v1", "local/me/empty/v1", "local/me/bad/v1", "local/me/NUL/v1"):
        (cache / name).mkdir(parents=True)
    (cache / "local/me/bad/v1" / MANIFEST).write_text("not JSON")
    (cache / "local/me/circuit/a file").write_text("x")

    assert [str(found.repo_id) for found in RitualArtifactManager.get_cached_artifacts()] == [PINNED]


def test_only_artifacts_of_the_class_are_broadcast(
    manager: RitualArtifactManager[Circuit], write: Write
) -> None:
    class Narrow(BaseModel):
        file: Path

    renamed = type("Circuit", (Narrow,), {})
    RitualArtifactManager(artifact=Other(file=write("other"))).to_repo("local/me/other")
    RitualArtifactManager(artifact=renamed(file=write("narrow"))).to_repo("local/me/narrow")
    manager.to_repo(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)
    RitualArtifactManager.from_repo(Other, "local/me/other")
    RitualArtifactManager.from_repo(renamed, "local/me/narrow")

    broadcast = RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit)

    assert [(found.type, found.repo_id) for found in broadcast] == [("Circuit", PINNED)]

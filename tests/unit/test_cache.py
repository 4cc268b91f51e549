"""The cache: infernet-ml's layout, in which only complete artifacts count."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager, RitualRepoId
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, ConflictError
from ritual_artifacts.locks import lock_folder, lock_path
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.cache import Cache, verify_cached


class Sample(BaseModel):
    weights: Path
    note: str = ""


@pytest.fixture
def root(own_folders: Path) -> Path:
    return own_folders / "cache"


@pytest.fixture
def fetch(write: Callable[..., Path]) -> Callable[..., RitualArtifactManager[Sample]]:
    def publish_and_fetch(repo: str, content: bytes = b"weights") -> RitualArtifactManager[Sample]:
        artifact = Sample(weights=write("weights.bin", content=content))
        RitualArtifactManager(artifact=artifact).to_repo(repo)
        return RitualArtifactManager.from_repo(Sample, repo)

    return publish_and_fetch


def the_cache() -> Cache:
    return Cache.of(load_settings())


def listed() -> list[str]:
    return [str(folder.repo_id) for folder in the_cache().folders()]


def test_the_layout_is_infernet_mls(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model/v1")
    fetch("local/me/model")

    folder = root / "local" / "me" / "model"
    assert {path.name for path in folder.iterdir()} == {"v1", "default"}
    for version in ("v1", "default"):
        assert {p.name for p in (folder / version).iterdir()} == {"weights.bin", "ritual_manifest.json"}
        document = json.loads((folder / version / "ritual_manifest.json").read_bytes())
        assert document["artifact_type"] == "Sample"
        assert document["weights"] == "weights.bin"
        assert list(document["file_hashes"]) == ["weights.bin"]


def test_a_download_of_infernet_ml_is_found(root: Path) -> None:
    folder = root / "huggingface" / "me" / "model" / "default"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    document = {
        "weights": "weights.bin",
        "note": "x",
        "repo_id": "huggingface/me/model",
        "artifact_type": "Sample",
        "file_hashes": {"weights.bin": sha256},
    }
    (folder / "ritual_manifest.json").write_text(json.dumps(document, indent=4))

    [found] = the_cache().artifacts()

    assert RitualArtifactManager.has_artifact("huggingface/me/model")
    assert (found.type, str(found.repo_id)) == ("Sample", "huggingface/me/model")
    assert found.files == [folder / "ritual_manifest.json", folder / "weights.bin"]
    assert found.manifest["file_hashes"] == {"weights.bin": sha256}
    assert RitualArtifactManager.from_dir(Sample, folder).artifact.note == "x"


def test_the_files_of_an_artifact_are_its_own(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model")
    folder = root / "local" / "me" / "model" / "default"
    (folder / "junk").write_bytes(b"junk")
    (folder / ".ritual-partial" / "x").mkdir(parents=True)
    (folder / ".ritual-partial" / "x" / "half").write_bytes(b"half")

    [found] = the_cache().artifacts()

    assert found.files == [folder / "ritual_manifest.json", folder / "weights.bin"]


def lose_manifest(folder: Path) -> None:
    (folder / "ritual_manifest.json").unlink()


def lose_file(folder: Path) -> None:
    (folder / "weights.bin").unlink()


def truncate_file(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"weigh")


def break_manifest(folder: Path) -> None:
    (folder / "ritual_manifest.json").write_bytes(b"{")


def put_a_folder_in_the_place(folder: Path) -> None:
    (folder / "weights.bin").unlink()
    (folder / "weights.bin").mkdir()


DAMAGES = [lose_manifest, lose_file, truncate_file, break_manifest, put_a_folder_in_the_place]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_partial_folder_does_not_count(
    damage: Callable[[Path], None], fetch: Callable[..., object], root: Path
) -> None:
    fetch("local/me/model/v1")
    assert RitualArtifactManager.has_artifact("local/me/model/v1")

    damage(root / "local" / "me" / "model" / "v1")

    assert not RitualArtifactManager.has_artifact("local/me/model/v1")
    assert the_cache().artifacts() == []
    assert listed() == ["local/me/model/v1"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_partial_folder_is_repaired_by_the_next_download(
    damage: Callable[[Path], None], fetch: Callable[..., object], root: Path
) -> None:
    fetch("local/me/model/v1")
    damage(root / "local" / "me" / "model" / "v1")

    manager = RitualArtifactManager.from_repo(Sample, "local/me/model/v1")

    assert manager.artifact.weights.read_bytes() == b"weights"
    assert RitualArtifactManager.has_artifact("local/me/model/v1")


def test_nothing_is_cached_where_there_is_no_cache(root: Path) -> None:
    assert listed() == []
    assert not RitualArtifactManager.has_artifact("local/me/model")
    assert not root.exists()


def test_other_files_in_the_cache_are_ignored(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model/v1")
    (root / "junk").write_bytes(b"junk")
    (root / "elsewhere" / "a" / "b" / "c").mkdir(parents=True)
    (root / "local" / ".DS_Store").write_bytes(b"junk")
    (root / "local" / "me" / "file").write_bytes(b"junk")
    (root / "local" / "me" / "model" / "file").write_bytes(b"junk")
    (root / "local" / "me" / "model" / "ends in a dot.").mkdir()

    assert listed() == ["local/me/model/v1"]
    assert the_cache().prune() == 0
    assert (root / "local" / "me" / "model" / "ends in a dot.").exists()


def test_an_artifact_is_removed(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model/v1")
    fetch("local/me/model")
    repo = RitualRepoId.from_unique_id("local/me/model/v1")
    size = sum(path.stat().st_size for path in (root / "local/me/model/v1").iterdir())

    assert the_cache().remove(repo) == size

    assert listed() == ["local/me/model"]
    with pytest.raises(ArtifactNotFoundError, match="cache ls"):
        the_cache().remove(repo)


def test_removing_a_link_leaves_its_target(fetch: Callable[..., object], root: Path, tmp_path: Path) -> None:
    fetch("local/me/model/v1")
    folder = root / "local" / "me" / "model" / "v1"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)

    the_cache().remove(RitualRepoId.from_unique_id("local/me/model/v1"))

    assert not folder.exists()
    assert (tmp_path / "elsewhere" / "weights.bin").exists()


def leave_partial_files(folder: Path, size: int) -> Path:
    partial = folder / ".ritual-partial"
    partial.mkdir()
    (partial / "x").write_bytes(bytes(size))
    return partial


def test_pruning_removes_leftovers_and_keeps_downloads_that_can_continue(
    fetch: Callable[..., object], root: Path
) -> None:
    fetch("local/me/model/whole")
    partial = leave_partial_files(root / "local/me/model/whole", 100)
    (root / "local/me/model/empty").mkdir()
    (root / "local/me/model/half").mkdir()
    half = leave_partial_files(root / "local/me/model/half", 10)

    by_default = the_cache().prune()
    kept = half.exists(), partial.exists(), listed()
    with_the_rest = the_cache().prune(incomplete=True)

    assert (by_default, with_the_rest) == (100, 10)
    assert kept == (True, False, ["local/me/model/half", "local/me/model/whole"])
    assert listed() == ["local/me/model/whole"]
    assert RitualArtifactManager.has_artifact("local/me/model/whole")


def keep_as_pending(folder: Path, manifest: Path) -> None:
    """Leave the folder as a process does that is killed while it renames files into place."""
    staging = folder / ".ritual-partial" / ("0" * 32)
    staging.mkdir(parents=True)
    manifest.rename(staging / "replace.json")


def test_a_download_killed_while_files_were_renamed_is_removed_as_a_whole(
    fetch: Callable[..., object], root: Path
) -> None:
    fetch("local/me/model/v1")
    folder = root / "local/me/model/v1"
    keep_as_pending(folder, folder / "ritual_manifest.json")

    assert the_cache().prune() == 0
    assert (folder / "weights.bin").exists()
    assert the_cache().clear("Other", incomplete=True) == 0
    assert the_cache().prune(incomplete=True) > len(b"weights")
    assert not folder.exists()


def test_other_files_beside_an_interrupted_download_stay(root: Path) -> None:
    mine = root / "local/me/model/v1/mine.bin"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    partial = leave_partial_files(mine.parent, 100)

    assert the_cache().prune(incomplete=True) == 100

    assert mine.exists()
    assert not partial.exists()


def make_unreadable(manifest: Path) -> None:
    manifest.unlink()
    manifest.mkdir()


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"{"), make_unreadable])
def test_a_folder_whose_manifest_cannot_be_read_is_left_alone(
    damage: Callable[[Path], object], fetch: Callable[..., object], root: Path
) -> None:
    fetch("local/me/model/v1")
    folder = root / "local/me/model/v1"
    damage(folder / "ritual_manifest.json")
    partial = leave_partial_files(folder, 100)

    assert the_cache().prune(incomplete=True) == 0
    assert the_cache().clear("Sample", incomplete=True) == 0
    assert partial.exists()
    assert (folder / "weights.bin").exists()


@pytest.mark.parametrize("place", ["huggingface/me/model/default", "arweave/a/b/c"])
def test_pruning_leaves_folders_that_no_download_wrote(place: str, root: Path) -> None:
    (root / place / "below").mkdir(parents=True)
    (root / place / "model.onnx").write_bytes(b"mine")

    assert the_cache().prune() == 0
    assert (root / place / "model.onnx").exists()
    assert (root / place / "below").exists()


def test_pruning_leaves_the_files_of_some_fields(write: Callable[..., Path], root: Path) -> None:
    class Pair(BaseModel):
        first: Path | None = None
        second: Path | None = None

    artifact = Pair(first=write("first.bin"), second=write("second.bin"))
    RitualArtifactManager(artifact=artifact).to_repo("local/me/model/v1")
    RitualArtifactManager.from_repo(Pair, "local/me/model/v1", fields=["first"])

    the_cache().prune()

    assert (root / "local/me/model/v1/first.bin").exists()


def test_pruning_leaves_an_artifact_that_lost_a_file_to_be_repaired(
    fetch: Callable[..., object], root: Path
) -> None:
    fetch("local/me/model/v1")
    folder = root / "local/me/model/v1"
    (folder / "weights.bin").write_bytes(b"cut")
    partial = leave_partial_files(folder, 100)

    assert the_cache().prune() == 0
    assert the_cache().prune(incomplete=True) == 100
    assert (folder / "weights.bin").exists()
    assert not partial.exists()


def test_pruning_does_not_follow_a_link(fetch: Callable[..., object], root: Path, tmp_path: Path) -> None:
    fetch("local/me/model/v1")
    (tmp_path / "mine").mkdir()
    partial = leave_partial_files(tmp_path / "mine", 100)
    (root / "local/me/model/v2").symlink_to(tmp_path / "mine", target_is_directory=True)
    (root / "local/me/model/v3").mkdir()
    (root / "local/me/model/v3/.ritual-partial").symlink_to(partial, target_is_directory=True)

    assert the_cache().prune() == 0
    assert (partial / "x").exists()
    assert (root / "local/me/model/v2").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
@pytest.mark.timeout(20)
def test_a_folder_whose_manifest_is_a_fifo_is_not_an_artifact(
    fetch: Callable[..., object], root: Path
) -> None:
    fetch("local/me/model/v1")
    (root / "local/me/model/v1/ritual_manifest.json").unlink()
    os.mkfifo(root / "local/me/model/v1/ritual_manifest.json")

    assert not RitualArtifactManager.has_artifact("local/me/model/v1")
    assert the_cache().artifacts() == []


def test_the_cache_may_be_given_as_text(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model/v1")
    text = str(root)

    assert RitualArtifactManager.has_artifact("local/me/model/v1", text)
    assert len(RitualArtifactManager.get_cached_artifacts(text)) == 1
    assert not RitualArtifactManager.has_artifact("local/me/model/v1", f"{text}-else")


def test_pruning_skips_a_folder_that_is_being_downloaded(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model/whole")
    folder = root / "local/me/model/whole"
    partial = leave_partial_files(folder, 100)

    with FileLock(lock_path(folder, load_settings())):
        assert the_cache().prune() == 0
    assert partial.exists()

    assert the_cache().prune() == 100


@pytest.mark.parametrize("they_moved_it", [True, False])
def test_a_folder_that_a_process_with_another_cache_setting_downloads_is_skipped(
    fetch: Callable[..., object],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    they_moved_it: bool,
) -> None:
    fetch("local/me/model/v1")
    folder = root / "local/me/model/v1"
    partial = leave_partial_files(folder, 100)
    caches = [root, tmp_path / "another"]
    mine, theirs = caches if they_moved_it else reversed(caches)
    monkeypatch.setenv("RITUAL_CACHE_DIR", str(theirs))
    their_lock = lock_path(folder, load_settings())
    monkeypatch.setenv("RITUAL_CACHE_DIR", str(mine))
    assert lock_path(folder, load_settings()) != their_lock

    with FileLock(their_lock):
        assert Cache.of(load_settings(), root).prune() == 0
        assert Cache.of(load_settings(), root).clear("Sample") == 0

    assert partial.exists()
    assert Cache.of(load_settings(), root).clear("Sample") > 100


def test_verifying_names_what_differs(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model/v1")
    repo = RitualRepoId.from_unique_id("local/me/model/v1")
    assert verify_cached(the_cache().folder(repo), Context.create()) == []
    (root / "local/me/model/v1/weights.bin").write_bytes(b"Weights")

    [mismatch] = verify_cached(the_cache().folder(repo), Context.create())

    assert (mismatch.path, mismatch.source) == ("weights.bin", "local/me/model/v1")


def test_verifying_a_folder_without_a_manifest_says_so(fetch: Callable[..., object], root: Path) -> None:
    fetch("local/me/model/v1")
    (root / "local/me/model/v1/ritual_manifest.json").unlink()

    [mismatch] = verify_cached(
        the_cache().folder(RitualRepoId.from_unique_id("local/me/model/v1")), Context.create()
    )

    assert (mismatch.path, mismatch.actual) == ("ritual_manifest.json", "missing")


def test_all_users_of_a_cache_share_its_locks(
    root: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lock_path(root / "local/me/model/v1", load_settings())
    monkeypatch.setenv("RITUAL_STATE_DIR", str(own_folders / "another user's"))

    assert lock_path(root / "local/me/model/v1", load_settings()) == first
    assert first.parent == root / ".locks"
    assert lock_path(own_folders / "elsewhere", load_settings()).is_relative_to(
        own_folders / "another user's"
    )


def test_a_thread_that_writes_a_folder_cannot_wait_for_itself(tmp_path: Path) -> None:
    with lock_folder(tmp_path, load_settings()), pytest.raises(ConflictError, match="progress callback"):
        lock_folder(tmp_path, load_settings()).__enter__()

    with lock_folder(tmp_path, load_settings()):
        pass

"""Folders that hold something already: what is not the artifact's is left alone, or refused by name."""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.errors import ConflictError
from ritual_artifacts.settings import Settings
from ritual_artifacts.transfer import staging

REPO = "local/me/model"


class Sample(BaseModel):
    top: Path
    below: Path
    note: str = ""


@pytest.fixture
def sample(write: Callable[..., Path]) -> Sample:
    return Sample(top=write("one/x.bin", content=b"top"), below=write("two/x.bin", content=b"below"))


@pytest.fixture(params=["to_dir", "from_repo"])
def write_into(request: pytest.FixtureRequest, sample: Sample) -> Callable[..., object]:
    """Return a call that writes the sample into a folder, as `top/x.bin` and `below/x.bin`."""
    manager = RitualArtifactManager(artifact=sample)
    if request.param == "to_dir":
        return manager.to_dir
    manager.to_repo(REPO)
    return lambda folder, **options: RitualArtifactManager.from_repo(Sample, REPO, folder, **options)


def snapshot(folder: Path) -> dict[str, str]:
    """Describe everything below a folder."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes().hex()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def test_foreign_files_are_left_alone(write_into: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "below").mkdir(parents=True)
    (out / "mine.txt").write_bytes(b"mine")
    (out / "below" / "mine.txt").write_bytes(b"mine, too")

    write_into(out)

    assert (out / "mine.txt").read_bytes() == b"mine"
    assert (out / "below" / "mine.txt").read_bytes() == b"mine, too"
    assert (out / "below" / "x.bin").read_bytes() == b"below"
    assert not (out / ".ritual-partial").exists()


@pytest.mark.parametrize("content", [b"mine, of another size", b"BELOW"], ids=["another size", "same size"])
def test_a_foreign_file_in_the_way_is_refused_and_kept(
    content: bytes, write_into: Callable[..., object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "below").mkdir(parents=True)
    (out / "below" / "x.bin").write_bytes(content)
    before = snapshot(out)

    with pytest.raises(ConflictError, match=r"below.x\.bin differs.*overwrite=True"):
        write_into(out)

    assert snapshot(out) == before


def test_overwrite_replaces_a_foreign_file(write_into: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "below").mkdir(parents=True)
    (out / "below" / "x.bin").write_bytes(b"mine")

    write_into(out, overwrite=True)

    assert (out / "below" / "x.bin").read_bytes() == b"below"


def test_an_equal_file_is_kept(write_into: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "below").mkdir(parents=True)
    (out / "below" / "x.bin").write_bytes(b"below")
    inode = (out / "below" / "x.bin").stat().st_ino

    write_into(out)

    assert (out / "below" / "x.bin").stat().st_ino == inode


def test_a_linked_folder_is_never_followed(write_into: Callable[..., object], tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "below").symlink_to(elsewhere, target_is_directory=True)

    for options in ({}, {"overwrite": True}):
        with pytest.raises(ConflictError, match="below is a symbolic link"):
            write_into(out, **options)

    assert list(elsewhere.iterdir()) == []
    assert (out / "below").is_symlink()


def test_a_link_in_a_files_place_is_refused(write_into: Callable[..., object], tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.txt"
    (out / "top").mkdir(parents=True)
    mine.write_bytes(b"top")
    (out / "top" / "x.bin").symlink_to(mine)

    with pytest.raises(ConflictError, match=r"top.x\.bin is a symbolic link"):
        write_into(out)

    assert mine.read_bytes() == b"top"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_fifo_in_a_files_place_is_refused_without_being_opened(
    write_into: Callable[..., object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "top").mkdir(parents=True)
    os.mkfifo(out / "top" / "x.bin")

    with pytest.raises(ConflictError, match="special file"):
        write_into(out)


def test_a_folder_in_a_files_place_and_a_file_in_a_folders_are_refused(
    write_into: Callable[..., object], tmp_path: Path
) -> None:
    (tmp_path / "one" / "top" / "x.bin").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "below").write_bytes(b"mine")

    with pytest.raises(ConflictError, match=r"x\.bin is a directory"):
        write_into(tmp_path / "one")
    with pytest.raises(ConflictError, match="below is a file"):
        write_into(tmp_path / "two")


@pytest.mark.parametrize("name", [".ritual-partial", "ritual_manifest.json"])
def test_a_link_in_the_packages_own_place_is_refused(
    name: str, write_into: Callable[..., object], tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / name).symlink_to(elsewhere, target_is_directory=True)

    with pytest.raises(ConflictError, match="symbolic link"):
        write_into(out)

    assert list(elsewhere.iterdir()) == []


def test_a_foreign_manifest_is_refused(write_into: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "ritual_manifest.json").write_text('{"mine": true}')

    with pytest.raises(ConflictError, match=r"ritual_manifest\.json is in the way and is not a manifest"):
        write_into(out)

    assert (out / "ritual_manifest.json").read_text() == '{"mine": true}'


def test_a_foreign_manifest_is_replaced_if_overwriting_was_asked_for(
    write_into: Callable[..., object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "ritual_manifest.json").write_text('{"mine": true}')

    write_into(out, overwrite=True)

    assert RitualArtifactManager.from_dir(Sample, out).artifact.top.read_bytes() == b"top"


@pytest.mark.parametrize("target", ["a file", "a file/below it"])
def test_a_target_that_is_no_folder_is_refused(
    target: str, write_into: Callable[..., object], tmp_path: Path
) -> None:
    (tmp_path / "a file").write_bytes(b"mine")

    with pytest.raises((ConflictError, NotADirectoryError), match="a file"):
        write_into(tmp_path / target)

    assert (tmp_path / "a file").read_bytes() == b"mine"


def test_a_link_to_a_folder_may_be_the_target(write_into: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)

    write_into(tmp_path / "link")

    assert (tmp_path / "real" / "below" / "x.bin").read_bytes() == b"below"


def test_an_older_version_is_replaced_where_it_is_unchanged(sample: Sample, tmp_path: Path) -> None:
    out = tmp_path / "out"
    RitualArtifactManager(artifact=sample).to_dir(out)
    sample.below.write_bytes(b"newer")

    RitualArtifactManager(artifact=sample).to_dir(out)

    assert (out / "below" / "x.bin").read_bytes() == b"newer"


def test_an_older_version_that_was_edited_is_refused_and_kept(sample: Sample, tmp_path: Path) -> None:
    out = tmp_path / "out"
    RitualArtifactManager(artifact=sample).to_dir(out)
    (out / "below" / "x.bin").write_bytes(b"EDITS")
    sample.below.write_bytes(b"newer")
    before = snapshot(out)

    with pytest.raises(ConflictError, match="differs"):
        RitualArtifactManager(artifact=sample).to_dir(out)

    assert snapshot(out) == before


def test_the_cache_replaces_whatever_is_in_the_way(sample: Sample, own_folders: Path) -> None:
    RitualArtifactManager(artifact=sample).to_repo(REPO)
    folder = own_folders / "cache" / "local" / "me" / "model" / "default"
    elsewhere = own_folders / "elsewhere"
    elsewhere.mkdir(parents=True)
    folder.mkdir(parents=True)
    (folder / "below").symlink_to(elsewhere, target_is_directory=True)
    (folder / "top").write_bytes(b"a file")
    (folder / "junk").mkdir()

    manager = RitualArtifactManager.from_repo(Sample, REPO)

    assert manager.artifact.below.read_bytes() == b"below"
    assert list(elsewhere.iterdir()) == []
    assert not (folder / "junk").exists()


class ReadOnly:
    """Makes every folder read-only, as a mount is for root too."""

    def __call__(
        self, folder: Path, settings: Settings, *, timeout: float = -1
    ) -> contextlib.AbstractContextManager[None]:
        del settings, timeout
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))


@pytest.mark.parametrize("place", ["cache", "directory"])
def test_a_complete_copy_in_a_read_only_folder_is_used(
    place: str, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = None if place == "cache" else tmp_path / "out"
    RitualArtifactManager(artifact=sample).to_repo(REPO)
    first = RitualArtifactManager.from_repo(Sample, REPO, folder)
    monkeypatch.setattr(staging, "lock_folder", ReadOnly())

    again = RitualArtifactManager.from_repo(Sample, REPO, folder)

    assert again.artifact == first.artifact


@pytest.mark.parametrize("problem", ["damaged", "another version"])
def test_another_copy_in_a_read_only_folder_is_not_used(
    problem: str, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    RitualArtifactManager(artifact=sample).to_repo(REPO)
    copy = RitualArtifactManager.from_repo(Sample, REPO, out)
    if problem == "damaged":
        copy.artifact.top.write_bytes(b"pot")
    else:
        RitualArtifactManager(artifact=sample.model_copy(update={"note": "new"})).to_repo(REPO)
    monkeypatch.setattr(staging, "lock_folder", ReadOnly())

    with pytest.raises(OSError, match="Read-only"):
        RitualArtifactManager.from_repo(Sample, REPO, out)

"""Files that change while they are read, cannot be read, or are not there are named; nothing is left."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.core.hashing import copy_files, hash_files
from ritual_artifacts.errors import SourceChangedError
from ritual_artifacts.events import Progress
from tests.backends.stores import default_store
from tests.faults.scripts import run_python

BIG = 1 << 30  # sparse; far more than can be read before the first report of progress


class Sample(BaseModel):
    file: Path


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.truncate(BIG)
    return path


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def meddle_once(change: Callable[[Path], None], path: Path) -> Callable[[Progress], None]:
    changed: list[int] = []

    def report(progress: Progress) -> None:
        if 0 < progress.bytes_done < BIG and not changed:
            changed.append(progress.bytes_done)
            change(path)

    return report


@pytest.mark.parametrize("change", [truncate, append, touch])
def test_a_file_that_changes_while_it_is_read_is_not_published(
    change: Callable[[Path], None], big: Path
) -> None:
    store = default_store()
    store.layout.root.mkdir(parents=True)
    store.layout.note_sizes([BIG])  # a file of a known size is hashed before it is copied

    with pytest.raises(SourceChangedError, match=r"big\.bin"):
        RitualArtifactManager(artifact=Sample(file=big)).to_repo(
            "local/me/model", progress=meddle_once(change, big)
        )

    assert list(store.list_versions()) == []
    assert list((store.layout.root / "incoming").iterdir()) == []


def test_a_file_that_vanishes_before_it_is_read_is_named(write: Callable[..., Path], tmp_path: Path) -> None:
    manager = RitualArtifactManager(artifact=Sample(file=write("a.bin")))
    manager.artifact.file.unlink()

    with pytest.raises(FileNotFoundError) as caught:
        manager.to_dir(tmp_path / "out")

    assert caught.value.filename == str(manager.artifact.file)
    assert not (tmp_path / "out").exists()


UNREADABLE = """
import sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager
from tests.faults import privileges

class Sample(BaseModel):
    file: Path

privileges.drop()
manager = RitualArtifactManager(artifact=Sample(file=Path("secret.bin").absolute()))
try:
    manager.to_dir("out") if sys.argv[1] == "to_dir" else manager.to_repo("local/me/model")
except PermissionError as error:
    print(error.filename)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
@pytest.mark.parametrize("call", ["to_dir", "to_repo"])
def test_an_unreadable_file_is_named_and_nothing_is_left(call: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"secret")
    secret.chmod(0)

    named = run_python("-c", UNREADABLE, call, folder=tmp_path)

    assert named == str(secret)
    assert not (tmp_path / "out").exists()
    assert list(default_store().list_versions()) == []
    assert not any(default_store().layout.root.glob("incoming/*"))


def interrupt(_: int) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_in_the_middle_of_hashing_passes_through(big: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        hash_files([big], progress=interrupt)

    assert [path.name for path in big.parent.iterdir()] == ["big.bin"]


def test_an_interrupt_in_the_middle_of_copying_leaves_no_file(big: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    with pytest.raises(KeyboardInterrupt):
        copy_files([(big, tmp_path / "out" / "copy")], progress=interrupt)

    assert list((tmp_path / "out").iterdir()) == []


def stop(progress: Progress) -> None:
    if progress.bytes_done:
        raise KeyboardInterrupt


def test_an_interrupted_upload_leaves_nothing(write: Callable[..., Path]) -> None:
    with pytest.raises(KeyboardInterrupt):
        RitualArtifactManager(artifact=Sample(file=write("a.bin"))).to_repo("local/me/model", progress=stop)

    assert list(default_store().list_versions()) == []
    assert list((default_store().layout.root / "incoming").iterdir()) == []


def test_an_interrupted_export_leaves_nothing(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        RitualArtifactManager(artifact=Sample(file=write("a.bin"))).to_dir(tmp_path / "out", progress=stop)

    assert not (tmp_path / "out").exists()


def test_an_interrupted_download_is_continued(write: Callable[..., Path], tmp_path: Path) -> None:
    manager = RitualArtifactManager(artifact=Sample(file=write("a.bin")))
    manager.to_repo("local/me/model")

    with pytest.raises(KeyboardInterrupt):
        RitualArtifactManager.from_repo(Sample, "local/me/model", tmp_path / "out", progress=stop)

    assert not list((tmp_path / "out").glob("[!.]*"))
    again = RitualArtifactManager.from_repo(Sample, "local/me/model", tmp_path / "out")
    assert again.digest == manager.digest
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.bin", "ritual_manifest.json"}

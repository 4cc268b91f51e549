"""Local downloads continue inside a file, and never end in bytes that another process wrote."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.artifact.manifest import AnyEntry
from ritual_artifacts.artifact.planning import STAGING_DIRNAME
from ritual_artifacts.backends.local.store import LocalRevision
from ritual_artifacts.errors import SourceChangedError
from ritual_artifacts.events import Progress

BIG = 256 << 20  # far more than is copied before the first report of progress
REPO = "local/me/model"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps other processes from an open file")


class Sample(BaseModel):
    file: Path


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """Publish an artifact with one large file; return its digest."""
    path = tmp_path / "big.bin"
    block = random.Random(REPO).randbytes(1 << 20)  # noqa: S311 - test data; a hole would not differ from zeros
    with path.open("wb") as file:
        for _ in range(BIG >> 20):
            file.write(block)
    return RitualArtifactManager(artifact=Sample(file=path)).to_repo(REPO).digest


def download(target: Path, progress: Callable[[Progress], None] | None = None) -> str:
    """Download the artifact, and return the digest of what is on the disk."""
    RitualArtifactManager.from_repo(Sample, REPO, target, progress=progress)
    return RitualArtifactManager.from_dir(Sample, target).digest


def only_partial(target: Path) -> Path:
    """Return the only file in the staging folder."""
    [path] = [path for path in (target / STAGING_DIRNAME).rglob("*") if path.is_file()]
    return path


def midway(target: Path) -> Iterator[Path]:
    """Yield the partial file if a part of it is there."""
    paths = (target / STAGING_DIRNAME).rglob("*")
    yield from (path for path in paths if path.is_file() and 0 < path.stat().st_size < BIG)


def interrupt(progress: Progress) -> None:
    if progress.stage == "download" and 0 < progress.bytes_done < BIG:
        raise KeyboardInterrupt


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"wrong")


def overwrite_secretly(path: Path) -> None:
    before = path.stat()
    overwrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"wrong")
    other.replace(path)


MEDDLERS = [truncate, overwrite, overwrite_secretly, replace]


def test_an_interrupted_download_is_continued_inside_the_file(digest: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        download(target, interrupt)
    before = only_partial(target).stat()
    assert 0 < before.st_size < BIG

    assert download(target) == digest

    assert (target / "big.bin").stat().st_ino == before.st_ino
    assert not (target / STAGING_DIRNAME).exists()


def test_the_next_run_counts_what_was_there(digest: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        download(target, interrupt)
    reports: list[Progress] = []

    assert download(target, reports.append) == digest

    last = [progress for progress in reports if progress.stage == "download"][-1]
    assert last.bytes_done == BIG


KILLED = """
import os, signal, sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager

class Sample(BaseModel):
    file: Path

def kill(progress):
    if progress.stage == "download" and progress.bytes_done:
        os.kill(os.getpid(), signal.SIGKILL)

RitualArtifactManager.from_repo(Sample, sys.argv[1], sys.argv[2], progress=kill)
"""


def test_a_killed_download_leaves_one_file_that_the_next_one_continues(digest: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, REPO, str(target)]
    killed = subprocess.run(command, env=environment, check=False)  # noqa: S603 - our own script
    assert killed.returncode == -signal.SIGKILL
    before = only_partial(target).stat()
    assert before.st_size > 0

    assert download(target) == digest

    assert (target / "big.bin").stat().st_ino == before.st_ino
    assert not (target / STAGING_DIRNAME).exists()


@pytest.mark.parametrize("damage", [truncate, overwrite, replace])
def test_a_partial_file_that_was_damaged_in_between_is_downloaded_again(
    damage: Callable[[Path], None], digest: str, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        download(target, interrupt)
    damage(only_partial(target))

    assert download(target) == digest


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Make the local store send bytes like a remote one; call what is in the list after the second block."""
    meddlers: list[Callable[[], object]] = []
    read = LocalRevision.read

    def read_and_meddle(self: LocalRevision, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        for number, block in enumerate(read(self, entry, offset)):
            yield block
            if number == 1:
                for meddle in meddlers:
                    meddle()

    monkeypatch.setattr(LocalRevision, "read", read_and_meddle)
    monkeypatch.setattr(LocalRevision, "local_path", lambda *_: None)
    return meddlers


@pytest.mark.parametrize("meddle", MEDDLERS)
class TestOtherProcess:
    """Another process changes the partial file while it is written."""

    def test_a_copied_file_that_is_changed_once_is_downloaded_again(
        self, meddle: Callable[[Path], None], digest: str, tmp_path: Path
    ) -> None:
        target = tmp_path / "out"
        changed: list[Path] = []

        def change_once(_: Progress) -> None:
            for path in midway(target):
                if not changed:
                    changed.append(path)
                    meddle(path)

        assert download(target, change_once) == digest
        assert changed

    def test_a_copied_file_that_is_changed_again_and_again_is_an_error(
        self, meddle: Callable[[Path], None], digest: str, tmp_path: Path
    ) -> None:
        target = tmp_path / "out"

        def change(_: Progress) -> None:
            for path in midway(target):
                meddle(path)

        with pytest.raises(SourceChangedError, match="another process changed"):
            download(target, change)

        assert not (target / "big.bin").exists()
        assert download(target) == digest

    def test_a_streamed_file_that_is_changed_once_is_downloaded_again(
        self,
        meddle: Callable[[Path], None],
        digest: str,
        streamed: list[Callable[[], object]],
        tmp_path: Path,
    ) -> None:
        target = tmp_path / "out"

        def meddle_once() -> None:
            streamed.clear()
            meddle(only_partial(target))

        streamed.append(meddle_once)

        assert download(target) == digest
        assert not streamed

    def test_a_streamed_file_that_is_changed_again_and_again_is_an_error(
        self,
        meddle: Callable[[Path], None],
        digest: str,
        streamed: list[Callable[[], object]],
        tmp_path: Path,
    ) -> None:
        target = tmp_path / "out"
        streamed.append(lambda: meddle(only_partial(target)))

        with pytest.raises(SourceChangedError, match="another process changed"):
            download(target)

        assert not (target / "big.bin").exists()
        streamed.clear()
        assert download(target) == digest

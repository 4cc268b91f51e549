"""How often an upload reads a byte: to hash it, and to send it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts.backends.huggingface.sources import Addition
from ritual_artifacts.errors import SourceChangedError
from tests.backends.huggingface.conftest import REPO
from tests.servers.hub import Hub

COUNTED = pytest.mark.skipif(
    not Path("/proc/self/io").exists(), reason="only Linux counts what a process has read"
)
SLACK = 400_000
"""Bytes that a process may read besides, of answers and of its own modules."""

UPLOADER = """
import sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager

class Folder(BaseModel):
    files: list[Path]

def count_read():
    return int(Path("/proc/self/io").read_text().split()[1])

for folder, repo in (sys.argv[1:3], sys.argv[3:5]):  # the first one warms up
    manager = RitualArtifactManager(artifact=Folder(files=sorted(Path(folder).iterdir())))
    before = count_read()
    manager.to_repo(repo)
print(count_read() - before)
"""


class Files(BaseModel):
    files: list[Path]


@pytest.fixture
def count_reads(write: Callable[..., Path]) -> Callable[..., int]:
    """Return a function that uploads files in a process of their own, and counts the bytes that it reads."""

    def run(hub: Hub, files: Files) -> int:
        warm = [write("warm/a.bin", 100_000), write("warm/a.txt", 10_000)]
        [folder] = {path.parent for path in files.files}
        command = [
            *(sys.executable, "-c", UPLOADER),
            *(str(warm[0].parent), "huggingface/alice/warm", str(folder), REPO),
        ]
        environment = {**os.environ, **hub.environment()}
        return int(subprocess.check_output(command, env=environment))  # noqa: S603 - our own command

    return run


@COUNTED
def test_a_large_file_is_read_once_to_hash_and_once_to_send(
    any_hub: Hub, write: Callable[..., Path], count_reads: Callable[..., int]
) -> None:
    size = 16_000_000
    files = Files(files=[write("large/a.bin", size), write("large/b.bin", size)])

    read = count_reads(any_hub, files)

    assert 2 * 2 * size <= read < 2 * 2 * size + SLACK


@COUNTED
def test_a_file_sent_in_parts_is_read_once_to_hash_and_once_to_send(
    hub: Hub, write: Callable[..., Path], count_reads: Callable[..., int]
) -> None:
    size = 16_000_000
    hub.rules.multipart_from = hub.rules.part_size = 5_000_000

    read = count_reads(hub, Files(files=[write("parts/a.bin", size)]))

    assert hub.ledger.count("lfs-put") == 4 + 1
    assert 2 * size <= read < 2 * size + SLACK


@COUNTED
def test_a_regular_file_is_read_once_to_hash_and_once_to_send(
    hub: Hub, write: Callable[..., Path], count_reads: Callable[..., int]
) -> None:
    size = 3_000_000
    repo = hub.create_repo("alice/model")
    hub.put(repo, {"a.txt": bytes(size)})  # of the same size, so that git ids are compared

    read = count_reads(hub, Files(files=[write("regular/a.txt", size), write("regular/b.txt", size)]))

    assert 2 * 2 * size <= read < 2 * 2 * size + SLACK


@COUNTED
def test_small_files_are_read_as_often_as_large_ones(
    any_hub: Hub, write: Callable[..., Path], count_reads: Callable[..., int]
) -> None:
    size, count = 4000, 250
    files = Files(files=[write(f"small/{n}.{'bin' if n % 2 else 'txt'}", size) for n in range(count)])

    read = count_reads(any_hub, files)

    assert 2 * count * size <= read < 2 * count * size + 2 * SLACK


@COUNTED
def test_a_large_file_that_is_there_already_is_read_to_hash_it_only(
    hub: Hub, write: Callable[..., Path], count_reads: Callable[..., int]
) -> None:
    size = 16_000_000
    path = write("there/a.bin", size)
    hub.put(hub.create_repo("alice/model"), {"a.bin": path.read_bytes()})

    read = count_reads(hub, Files(files=[path]))

    assert size <= read < size + SLACK


def test_a_file_that_became_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no FIFOs")
    path = tmp_path / "a.bin"
    os.mkfifo(path)

    with pytest.raises(SourceChangedError, match=r"a\.bin"):
        Addition("a.bin", path, "0" * 64, 5000)

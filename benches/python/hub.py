"""Uploads to and downloads from the Hub beside huggingface_hub's own functions, on one loopback server.

    python benches/python/hub.py [--parts reads requests downloads memory] [--size 512] [--large 1024]

The server is the one of the tests, on 127.0.0.1: bytes read, requests and memory are the same as with any
other server, and network latency hides no part of the time. Every client runs in a process of its own, and
those that are timed take turns. For Linux. Prints, as tables:

- reads: bytes that the client reads (`rchar` in `/proc/self/io`) for each byte uploaded, over LFS and xet;
- requests: requests and commits of an upload of 1, 16 and 1,000 files;
- downloads: wall and CPU time as multiples of ours, which is verified;
- memory: peak memory (`VmHWM` in `/proc/self/status`) for one large file, up and down.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from processes import CommandError, Usage, run_command
from ratios import ratios_to
from tables import print_table
from workloads import MIB

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.servers.hub import Hub, file_sha256

REPO = "alice/model"
COUNTS = (1, 16, 1000)
SMALL = 1000
"""Bytes of a file where the number of files is what counts."""
STORAGES = ("lfs", "xet")

_COMMON = """
import os, sys
from pathlib import Path
from pydantic import BaseModel
from huggingface_hub import HfApi, snapshot_download
from ritual_artifacts import RitualArtifactManager

class Folder(BaseModel):
    files: list[Path]

def count_read():
    return int(Path("/proc/self/io").read_text().split()[1])

def upload_ours(folder, repo):
    artifact = Folder(files=sorted(Path(folder).iterdir()))
    RitualArtifactManager(artifact=artifact).to_repo(f"huggingface/{repo}")

def upload_folder(folder, repo):
    HfApi().create_repo(repo, exist_ok=True)
    HfApi().upload_folder(repo_id=repo, folder_path=folder)

def download_ours(folder, repo):
    RitualArtifactManager.from_repo(Folder, f"huggingface/{repo}", folder)

def snapshot(folder, repo):
    snapshot_download(repo, cache_dir=folder)

def snapshot_and_verify(folder, repo):
    snapshot_download(repo, cache_dir=folder)
    found = HfApi().verify_repo_checksums(repo, cache_dir=folder)
    assert not found.mismatches and found.checked_count, found
"""
_RUN = _COMMON + "\nglobals()[sys.argv[1]](*sys.argv[2:])\n"
# Not `ru_maxrss`: a process inherits that from the one that started it, which is the server here.
_PEAK = '\nprint(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])\n'
_COUNT_READS = (
    _COMMON
    + """
upload = globals()[sys.argv[1]]
upload(*sys.argv[2:4])  # modules are read now, and not counted
before = count_read()
upload(*sys.argv[4:6])
print(count_read() - before)
"""
)
UPLOADS = {"ours": "upload_ours", "upload_folder": "upload_folder"}
DOWNLOADS = {
    "ours, verified": ("download_ours", False),
    "snapshot_download (HTTP)": ("snapshot", False),
    "snapshot_download (xet)": ("snapshot", True),
    "snapshot_download (HTTP) + hf cache verify": ("snapshot_and_verify", False),
    "snapshot_download (xet) + hf cache verify": ("snapshot_and_verify", True),
}


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"reads": _reads, "requests": _requests, "downloads": _downloads, "memory": _memory}
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--size", type=int, default=512, help="MiB of the files that are read and downloaded")
    parser.add_argument("--files", type=int, default=4, help="number of these files")
    parser.add_argument("--large", type=int, default=1024, help="MiB of the file for the memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; default the temporary folder")
    arguments = parser.parse_args()
    for part in arguments.parts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as room:
            parts[part](Path(room), arguments)
        print(flush=True)


def _reads(room: Path, arguments: argparse.Namespace) -> None:
    warm = _write_files(room / "warm", 2, 2 * MIB)
    files = _write_files(room / "files", arguments.files, arguments.size * MIB)
    size = sum(path.stat().st_size for path in files.iterdir())
    rows = []
    for name, function in UPLOADS.items():
        row = [name]
        for storage in STORAGES:
            with _serve(room, storage) as (_, environment):
                command = [sys.executable, "-c", _COUNT_READS, function]
                command += [str(warm), "alice/warm", str(files), REPO]
                row.append(f"{_ask(command, environment) / size:.3f}")
        rows.append(row)
    print_table(["bytes read for each byte uploaded", "LFS", "xet"], rows)


def _requests(room: Path, arguments: argparse.Namespace) -> None:
    del arguments
    rows = []
    for name, function in UPLOADS.items():
        for storage in STORAGES:
            row = [f"{name}, {storage}"]
            for count in COUNTS:
                files = _write_files(room / f"{count}-files", count, count * SMALL)
                with _serve(room, storage) as (hub, environment):
                    _run(function, files, environment)
                    row.append(f"{hub.ledger.count()} / {hub.ledger.count('commit')}")
            rows.append(row)
    print_table(["requests / commits of an upload", *(f"{count:,} files" for count in COUNTS)], rows)


def _downloads(room: Path, arguments: argparse.Namespace) -> None:
    files = _write_files(room / "files", arguments.files, arguments.size * MIB)
    with _serve(room, "xet") as (hub, environment):
        _publish(hub, files, environment)
        turns = {
            name: _downloader(room, environment, function, use_xet=use_xet)
            for name, (function, use_xet) in DOWNLOADS.items()
        }
        for turn in turns.values():
            turn()  # warms the page cache, and the interpreter's
        rounds = [{name: turn() for name, turn in turns.items()} for _ in range(arguments.rounds)]
    baseline = next(iter(DOWNLOADS))
    rows = [
        [
            name,
            f"{ratios.wall.median:.2f}",
            f"{ratios.wall.low:.2f}–{ratios.wall.high:.2f}",
            f"{ratios.cpu.median:.2f}",
        ]
        for name, ratios in ratios_to(baseline, rounds).items()
    ]
    print_table([f"download, multiples of '{baseline}'", "wall", "min–max", "CPU"], rows)


def _memory(room: Path, arguments: argparse.Namespace) -> None:
    files = _write_files(room / "large", 1, arguments.large * MIB)
    rows = []

    def measure(name: str, function: str, folder: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, "-c", _RUN + _PEAK, function, str(folder), REPO]
        rows.append([name, f"{_ask(command, environment) / 1024:.0f}"])

    for storage in STORAGES:
        for name, function in UPLOADS.items():
            with _serve(room, storage) as (_, environment):
                measure(f"up, {storage}, {name}", function, files, environment)
    with _serve(room, "xet") as (hub, environment):
        _publish(hub, files, environment)
        for name, (function, use_xet) in DOWNLOADS.items():
            target = room / "target"
            measure(f"down, {name}", function, target, environment | _choose(use_xet=use_xet))
            shutil.rmtree(target)
    rows.append(["the modules alone", f"{_ask([sys.executable, '-c', _COMMON + _PEAK]) / 1024:.0f}"])
    print_table([f"one file of {arguments.large:,} MiB", "peak MiB"], rows)


@contextmanager
def _serve(room: Path, storage: str) -> Iterator[tuple[Hub, dict[str, str]]]:
    """Start a server without content; yield it, and the environment of its clients."""
    folder = Path(tempfile.mkdtemp(dir=room))
    with Hub(folder / "hub", xet=storage == "xet") as hub:
        hub.rules.serves_xet = False
        own = {
            "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **{f"RITUAL_{name}_DIR": str(folder / name) for name in ("CACHE", "STORE", "STATE")},
        }
        yield hub, os.environ | hub.environment() | own
    shutil.rmtree(folder)


def _publish(hub: Hub, files: Path, environment: dict[str, str]) -> None:
    """Put files on the server, in both of its storages."""
    _run("upload_ours", files, environment)
    for path in files.iterdir():
        shutil.copyfile(path, hub.objects / file_sha256(path))


def _downloader(
    room: Path, environment: dict[str, str], function: str, *, use_xet: bool
) -> Callable[[], Usage]:
    """Return what downloads everything once, into a folder that was not there."""

    def run() -> Usage:
        target = room / "target"
        usage = _run(function, target, environment | _choose(use_xet=use_xet))
        shutil.rmtree(target)
        os.sync()
        return usage

    return run


def _choose(*, use_xet: bool) -> dict[str, str]:
    return {"HF_HUB_DISABLE_XET": "0" if use_xet else "1"}


def _ask(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run a command and return the number that it prints last."""
    return int(subprocess.check_output(command, env=environment).split()[-1])  # noqa: S603 - our own command


def _run(function: str, folder: Path, environment: dict[str, str]) -> Usage:
    return run_command([sys.executable, "-c", _RUN, function, str(folder), REPO], environment)


def _write_files(folder: Path, count: int, size: int) -> Path:
    """Write files of this size in all, of which no part can be found in another one."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        with (folder / f"{index:05}.bin").open("wb") as file:
            left = size // count
            while left > 0:
                left -= file.write(os.urandom(min(left, MIB)))
    os.sync()
    return folder


if __name__ == "__main__":
    try:
        main()
    except (CommandError, subprocess.CalledProcessError) as error:
        sys.exit(str(error)[:500])

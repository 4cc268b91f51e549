"""Upload to the local store against plain tools on the same files, in turn, each in a process of its own.

    python benches/python/local_store.py --size 1024 --files 4 --rounds 5 [--infernet-python PYTHON]

Peers: `cp --reflink=never` plus `sha256sum`, the same and `sync`, because the store's files are on the disk
when an upload returns and those of `cp` are not; and, where an interpreter with infernet-ml 2.0.0 is given,
its `to_dir` beside ours. Prints, for each, the median of the ratios to the first peer, their spread, CPU
seconds and peak memory (`ru_maxrss`) of the process and its children.
"""

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_MODEL = """
import sys
from pathlib import Path
from typing import List
from pydantic import BaseModel

class Shards(BaseModel):
    files: List[Path]

shards = Shards(files=sorted(Path(sys.argv[1]).iterdir()))
"""
_UPLOAD = (
    _MODEL
    + """
from ritual_artifacts import RitualArtifactManager
RitualArtifactManager(artifact=shards).to_repo("local/bench/shards")
"""
)
_TO_DIR = (
    _MODEL
    + """
from ritual_artifacts import RitualArtifactManager
RitualArtifactManager(artifact=shards).to_dir(sys.argv[2])
"""
)
_HASH = (
    _MODEL
    + """
from ritual_artifacts import hash_files
hash_files(shards.files)
"""
)
_INFERNET_TO_DIR = (
    _MODEL
    + """
from infernet_ml.resource.artifact_manager import RitualArtifactManager
RitualArtifactManager(artifact=shards).to_dir(Path(sys.argv[2]))
"""
)
_COPY = 'cp --reflink=never "$1"/* "$2"/ && sha256sum "$1"/* > /dev/null'


@dataclass(frozen=True)
class Run:
    """What one process took."""

    wall: float
    cpu: float
    peak_mib: float


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB of all files together")
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--infernet-python", help="interpreter that has infernet-ml 2.0.0")
    parser.add_argument("--folder", type=Path, help="where to work; default the temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as room:
        _measure(Path(room), arguments)


def _measure(room: Path, arguments: argparse.Namespace) -> None:
    source = room / "source"
    source.mkdir()
    for index in range(arguments.files):
        _write(source / f"{index:05}.bin", (arguments.size << 20) // arguments.files, seed=index)
    os.sync()

    python, shell = [sys.executable, "-c"], ["sh", "-ec"]
    commands: dict[str, list[str]] = {
        "cp + sha256sum": [*shell, _COPY, "sh"],
        "cp + sha256sum + sync": [*shell, f'{_COPY}; sync -f "$2"', "sh"],
        "upload to the local store": [*python, _UPLOAD],
        "to_dir": [*python, _TO_DIR],
        "hash_files": [*python, _HASH],
    }
    if arguments.infernet_python:
        commands["infernet-ml 2.0.0 to_dir"] = [arguments.infernet_python, "-c", _INFERNET_TO_DIR]

    def run(command: list[str]) -> Run:
        target = room / "target"
        target.mkdir()
        environment = os.environ | {f"RITUAL_{n}_DIR": str(target / n) for n in ("STORE", "CACHE", "STATE")}
        result = _time_process([*command, str(source), str(target)], environment)
        shutil.rmtree(target)
        os.sync()
        return result

    for command in commands.values():
        run(command)  # warm the page cache and the interpreters
    rounds = [{name: run(command) for name, command in commands.items()} for _ in range(arguments.rounds)]
    _print_table(list(commands), rounds, arguments)


def _time_process(command: list[str], environment: dict[str, str]) -> Run:
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, environment)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"failed: {command}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _print_table(names: list[str], rounds: list[dict[str, Run]], arguments: argparse.Namespace) -> None:
    print(f"{arguments.files} files, {arguments.size} MiB, {arguments.rounds} rounds, ratios to {names[0]!r}")
    print(f"{'':<28}{'wall':>8}{'min':>8}{'max':>8}{'cpu':>8}{'peak MiB':>10}")
    for name in names:

        def ratios(part: Callable[[Run], float], name: str = name) -> list[float]:
            return [part(measured[name]) / part(measured[names[0]]) for measured in rounds]

        wall, cpu = ratios(lambda run: run.wall), ratios(lambda run: run.cpu)
        peak = max(measured[name].peak_mib for measured in rounds)
        print(
            f"{name:<28}{statistics.median(wall):>8.2f}{min(wall):>8.2f}{max(wall):>8.2f}"
            f"{statistics.median(cpu):>8.2f}{peak:>10.0f}"
        )


def _write(path: Path, size: int, seed: int) -> None:
    block = random.Random(seed).randbytes(1 << 20)  # noqa: S311 - sample data
    with path.open("wb") as file:
        for offset in range(0, size, len(block)):
            file.write(block[: size - offset])


if __name__ == "__main__":
    main()

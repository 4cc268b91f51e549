"""Upload to the local store against plain tools on the same files, in turn, each in a process of its own.

    python benches/python/local_store.py --size 1024 --files 4 --rounds 5 [--infernet-python PYTHON]

Peers: `cp --reflink=never` plus `sha256sum`, the same and `sync`, because the store's files are on the disk
when an upload returns and those of `cp` are not; and, where an interpreter with infernet-ml 2.0.0 is given,
its `to_dir` beside ours. Prints, for each, the median of the ratios to the first peer, their spread, CPU
seconds and peak memory (`ru_maxrss`) of the process and its children.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from processes import CommandError, Usage, run_command
from ratios import ratios_to
from workloads import MIB, write_sample

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
        write_sample(source / f"{index:05}.bin", arguments.size * MIB // arguments.files, seed=index)
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

    def run(command: list[str]) -> Usage:
        target = room / "target"
        target.mkdir()
        environment = os.environ | {f"RITUAL_{n}_DIR": str(target / n) for n in ("STORE", "CACHE", "STATE")}
        usage = run_command([*command, str(source), str(target)], environment)
        shutil.rmtree(target)
        os.sync()
        return usage

    for command in commands.values():
        run(command)  # warm the page cache and the interpreters
    rounds = [{name: run(command) for name, command in commands.items()} for _ in range(arguments.rounds)]
    _print_table(next(iter(commands)), rounds)


def _print_table(baseline: str, rounds: list[dict[str, Usage]]) -> None:
    print(f"| multiples of {baseline} | wall | min–max | CPU | peak MiB |")
    print("|---|---|---|---|---|")
    for name, ratios in ratios_to(baseline, rounds).items():
        wall = ratios.wall
        print(
            f"| {name} | {wall.median:.2f} | {wall.low:.2f}–{wall.high:.2f} "
            f"| {ratios.cpu.median:.2f} | {ratios.peak_mib.high:.0f} |"
        )


if __name__ == "__main__":
    try:
        main()
    except CommandError as error:
        sys.exit(str(error))

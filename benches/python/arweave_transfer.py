"""Uploads to and downloads from Arweave: one connection beside the default, memory, and what a kill costs.

    python benches/python/arweave_transfer.py [--parts speed memory kill] [--size 1024] [--rounds 3]

The node is the strict one of the tests, on 127.0.0.1: it checks every proof, in Python and on the same cores,
so times say how much requests wait for each other, and nothing about a network. Every client is a process of
its own, and those that are timed take turns. For Linux. Prints, as tables:

- speed: wall and CPU time with one request at once as multiples of those with the default;
- memory: peak memory (`VmHWM` in `/proc/self/status`) up and down, for a small file and a large one;
- kill: requests and bytes of an upload that is killed half-way and run again, beside one that is not.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from processes import Usage, run_command
from ratios import ratios_to
from tables import print_table
from workloads import MIB

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.servers import faults
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import address_of, load_key
from tests.servers.replies import Call

VECTORS = Path(__file__).parents[2] / "tests" / "vectors" / "arweave"
PLENTY = 10**18
CHUNK = 256 * 1024
WORKERS = {"default": None, "one request at once": 1}

_COMMON = """
import sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager

class Folder(BaseModel):
    files: list[Path]

def upload(folder, url, wallet, workers):
    options = {"gateways": url, "wallet_path": wallet}
    if workers != "None":
        options["max_workers"] = int(workers)
    artifact = Folder(files=sorted(Path(folder).iterdir()))
    RitualArtifactManager(artifact=artifact).to_repo("arweave/me/bench", repo_manager_kwargs=options)

def download(target, url, repo, workers):
    options = {"gateways": url}
    RitualArtifactManager.from_repo(Folder, repo, target, repomanager_kwargs=options)

globals()[sys.argv[1]](*sys.argv[2:])
"""
# Not `ru_maxrss`: a process inherits that from the one that started it, which is the node here.
_PEAK = '\nprint(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])\n'


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"speed": _speed, "memory": _memory, "kill": _kill}
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; default the temporary folder")
    arguments = parser.parse_args()
    for part in arguments.parts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as room:
            parts[part](Path(room), arguments)
        print(flush=True)


class _Bench:
    """A node, a wallet with plenty, and commands that talk to it."""

    def __init__(self, room: Path, node: ArweaveNode) -> None:
        self.room = room
        self.node = node
        self.wallet = room / "wallet.json"
        shutil.copyfile(VECTORS / "test_key_rsa4096.json", self.wallet)
        self.wallet.chmod(0o600)
        self.repo = f"arweave/{address_of(load_key(self.wallet).owner)}/bench"
        node.mint(self.repo.split("/")[1], PLENTY)
        self.environment = {**os.environ, "RITUAL_STATE_DIR": str(room / "state")}

    def upload(self, files: Path, workers: int | None = None, *, peak: bool = False) -> list[str]:
        script = _COMMON + (_PEAK if peak else "")
        return [
            sys.executable,
            "-c",
            script,
            "upload",
            str(files),
            self.node.url,
            str(self.wallet),
            str(workers),
        ]

    def download(self, target: Path, workers: int | None = None, *, peak: bool = False) -> list[str]:
        script = _COMMON + (_PEAK if peak else "")
        return [sys.executable, "-c", script, "download", str(target), self.node.url, self.repo, str(workers)]


@contextmanager
def _serve(room: Path) -> Iterator[_Bench]:
    room.mkdir()
    with ArweaveNode(room / "node") as node:
        yield _Bench(room, node)
    shutil.rmtree(room)


def _speed(room: Path, arguments: argparse.Namespace) -> None:
    rounds: dict[str, list[dict[str, Usage]]] = {"upload": [], "download": []}
    for number in range(arguments.rounds):
        files = _write_file(room / f"files-{number}", arguments.size * MIB)
        for usages in rounds.values():
            usages.append({})
        for name, workers in WORKERS.items():
            with _serve(room / "served") as bench:
                environment = bench.environment | (
                    {} if workers is None else {"RITUAL_MAX_WORKERS": str(workers)}
                )
                rounds["upload"][-1][name] = run_command(
                    bench.upload(files, workers), environment=environment
                )
                bench.node.mine()
                command = bench.download(room / "out", workers)
                rounds["download"][-1][name] = run_command(command, environment=environment)
                shutil.rmtree(room / "out")
        shutil.rmtree(files)
    rows = []
    for kind, usages in rounds.items():
        ratios = ratios_to("default", usages)
        rows += [
            [kind, name, f"{r.wall.median:.2f} ({r.wall.low:.2f}-{r.wall.high:.2f})", f"{r.cpu.median:.2f}"]
            for name, r in ratios.items()
        ]
    print(f"{arguments.size} MiB, {arguments.rounds} rounds; times as multiples of the default's")
    print_table(["", "workers", "wall", "CPU"], rows)


def _memory(room: Path, arguments: argparse.Namespace) -> None:
    rows = []
    for size in (1, arguments.size):
        files = _write_file(room / f"memory-{size}", size * MIB)
        with _serve(room / "served") as bench:
            up = _ask(bench.upload(files, peak=True), bench.environment)
            bench.node.mine()
            down = _ask(bench.download(room / "out", peak=True), bench.environment)
            shutil.rmtree(room / "out")
        rows.append([f"{size} MiB", f"{up / 1024:.0f} MiB", f"{down / 1024:.0f} MiB"])
    print("peak memory")
    print_table(["file", "up", "down"], rows)


def _kill(room: Path, arguments: argparse.Namespace) -> None:
    files = _write_file(room / "files", arguments.size * MIB)
    rows = []
    for name, is_killed in (("in one go", False), ("killed half-way, run again", True)):
        with _serve(room / "served") as bench:
            if is_killed:
                _upload_and_kill(bench, files, arguments.size * MIB // CHUNK // 2)
                before = bench.node.ledger.received("post-chunk")
                print(f"killed after {before / MIB:.0f} MiB of JSON")
            subprocess.run(bench.upload(files), env=bench.environment, check=True)  # noqa: S603 - our own script
            ledger, posts = bench.node.ledger, bench.node.chunk_posts
            again = len(posts) - len({(post.data_root, post.offset) for post in posts})
            rows.append(
                [
                    name,
                    str(ledger.count("post-tx")),
                    str(ledger.count("post-chunk")),
                    f"{ledger.received('post-chunk') / MIB:.0f} MiB",
                    str(again),
                    str(len(bench.node.transactions())),
                ]
            )
    print(f"{arguments.size} MiB")
    print_table(["", "POST /tx", "POST /chunk", "sent", "chunks sent again", "transactions paid"], rows)


def _upload_and_kill(bench: _Bench, files: Path, chunks: int) -> None:
    process = subprocess.Popen(bench.upload(files), env=bench.environment)  # noqa: S603 - our own script

    def kill(_: Call) -> None:
        process.kill()
        process.wait()

    bench.node.faults.add("/chunk", faults.Fault(act=kill), kind="post-chunk", skip=chunks, times=1)
    process.wait()


def _ask(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command and return the number that it prints."""
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own script
    return int(done.stdout)


def _write_file(folder: Path, size: int) -> Path:
    """Write a folder with a file of random bytes."""
    folder.mkdir()
    with (folder / "large.bin").open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    return folder


if __name__ == "__main__":
    main()

"""Our engine and its peers, in turn on the same files: `make bench`, with options in `BENCH="…"`.

    python benches/python/hashing.py --full --workloads one shards-16 --peers hashlib openssl

Writes tables (`results.md`), all numbers (`results.json`) and plots (`*.png`) into `build/bench`, and ends
with an error if two peers disagree on a digest. The peers' libraries are installed below the same folder.
Only for Linux.
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from environments import INFERNET_ML, LIBRARIES, ROOM, install
from measurement import DigestError, Measurement, SampleError
from peers import CORES, OURS, Peer
from report import Report, Result
from workloads import Workload, make_workloads, write_sample

_CACHES = ("warm", "cold")


def main() -> None:
    """Measure, and write down what there is after each workload."""
    arguments = _parse_arguments()
    ROOM.mkdir(parents=True, exist_ok=True)
    for plot in ROOM.glob("*.png"):
        plot.unlink()  # from an earlier run
    report = Report(_describe_machine())
    workloads = [
        workload
        for workload in make_workloads(arguments.size)
        if not arguments.workloads or workload.name in arguments.workloads
    ]
    peers = list(dict.fromkeys(peer for workload in workloads for peer in workload.peers))
    for environment in {peer.environment for peer in peers} | {LIBRARIES}:
        report.missing += install(environment)
    for package in {peer.package for peer in peers if peer.package}:
        report.missing += package.install()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as room:
        ready = _find_ready(_select(peers, arguments.peers), Path(room), report)
        for workload in workloads:
            print(f"measuring {workload.title}", file=sys.stderr)
            _measure(workload, ready, Path(room), arguments, report)
            report.write(ROOM)
    print((ROOM / "results.md").read_text(encoding="utf-8"))
    _run_plots()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Hash the same files with our engine and its peers, in turn."
    )
    parser.add_argument("--full", action="store_true", help="--size 4096 --rounds 7, unless given otherwise")
    parser.add_argument("--size", type=int, help="MiB of the large files together; default 512")
    parser.add_argument("--rounds", type=int, help="samples of each peer; default 3")
    names = [workload.name for workload in make_workloads(0)]
    parser.add_argument("--workloads", nargs="+", choices=names, help="default all")
    parser.add_argument(
        "--peers", nargs="+", help="parts of their names; default all, and ours is always there"
    )
    parser.add_argument("--cache", nargs="+", choices=_CACHES, default=_CACHES, help="default both")
    parser.add_argument("--folder", type=Path, default=ROOM, help="where the files are; default build/bench")
    arguments = parser.parse_args()
    arguments.size = arguments.size or (4096 if arguments.full else 512)
    arguments.rounds = arguments.rounds or (7 if arguments.full else 3)
    return arguments


def _select(peers: Sequence[Peer], parts: Sequence[str] | None) -> list[Peer]:
    return [
        peer for peer in peers if peer == OURS or parts is None or any(part in peer.name for part in parts)
    ]


def _find_ready(peers: Sequence[Peer], room: Path, report: Report) -> list[Peer]:
    """Return the peers that can hash a file; the report names the others."""
    probe = Measurement([write_sample(room / "probe.bin", 1000, seed=0)], is_cold=False)
    ready = []
    for peer in peers:
        try:
            probe.sample(peer)
        except SampleError as error:
            report.missing.append(str(error))
        else:
            ready.append(peer)
    return ready


def _measure(
    workload: Workload, ready: Sequence[Peer], room: Path, arguments: argparse.Namespace, report: Report
) -> None:
    peers = [peer for peer in workload.peers if peer in ready]
    with tempfile.TemporaryDirectory(dir=room) as folder:
        paths = workload.write(Path(folder))
        os.sync()  # what is not on the disk yet would stay in the cache
        for cache in arguments.cache:
            measurement = Measurement(paths, is_cold=cache == "cold")
            measurement.sample(OURS)  # reads the files into the page cache
            rounds = list(measurement.rounds(peers, arguments.rounds))
            report.results.append(Result(workload, cache, peers, rounds))


def _run_plots() -> None:
    script = Path(__file__).with_name("plots.py")
    done = subprocess.run([LIBRARIES.python, script, ROOM], check=False)  # noqa: S603 - our own script
    if done.returncode:
        print("no plots: see the error above", file=sys.stderr)


def _describe_machine() -> dict[str, str]:
    return {
        "processor": _processor(),
        "cores": str(CORES),
        "system": platform.platform(),
        "Python": platform.python_version(),
        "libraries": ", ".join(LIBRARIES.pins + INFERNET_ML.pins),
        "tools": ", ".join(
            filter(None, (_version("sha256sum", "--version"), _version("openssl", "version")))
        ),
        "options": shlex.join(sys.argv[1:]) or "none",
    }


def _version(*command: str) -> str | None:
    """The first line of what a tool says of itself; None if it is missing."""
    if shutil.which(command[0]) is None:
        return None
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n")[0]  # noqa: S603 - our own words


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.machine())


if __name__ == "__main__":
    try:
        main()
    except (DigestError, SampleError) as error:
        sys.exit(str(error))

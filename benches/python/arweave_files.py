"""What has to be known before a file can be signed for Arweave: `make bench-arweave`.

    python benches/python/arweave_files.py --size 4096 --rounds 5

That is the root of the tree over its chunks and, to post them, all their proofs. Every tool is a process of
its own, measured from its start to its exit, and all take turns on the same file; their results have to
agree. Prints a table of ratios to ours. Only for Linux.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from environments import ARWEAVE_JS, BENCHES, ROOM, NodePackage
from measurement import DigestError, Measurement, Round, SampleError
from peers import Command, Peer
from ratios import ratios_to
from workloads import KIB, MIB, write_sample

_ONE_WORKER = (("RITUAL_MAX_WORKERS", "1"),)
_PROOFS = "root and proofs"


def _python(adapter: str) -> Command:
    script = str(Path(__file__).with_name("call.py"))
    return lambda paths, _list: [sys.executable, script, adapter, *map(str, paths)]


def _node(script: str) -> Command:
    return lambda paths, _list: ["node", str(BENCHES / "javascript" / script), *map(str, paths)]


def _modules(package: NodePackage) -> tuple[tuple[str, str], ...]:
    return (("NODE_PATH", str(package.folder / "node_modules")),)


_OURS = Peer("ours", _PROOFS, command=_python("ours_proofs"))
_PEERS = (
    _OURS,
    Peer("ours, one worker", _PROOFS, command=_python("ours_proofs"), variables=_ONE_WORKER),
    Peer("ours, SHA-256 and root", "root, as text", command=_python("ours_data_root")),
    Peer(
        "arweave-js",
        _PROOFS,
        package=ARWEAVE_JS,
        command=_node("data_root.js"),
        variables=_modules(ARWEAVE_JS),
    ),
    Peer("arweave-python-client, file", _PROOFS, command=_python("arweave_client_proofs")),
    Peer("arweave-python-client, data=", "root", command=_python("arweave_client_data")),
    Peer("sha256sum", command=lambda paths, _list: ["sha256sum", *map(str, paths)]),
)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="MiB of the file; 100 KiB come on top")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=ROOM, help="where the file is; default build/bench")
    arguments = parser.parse_args()
    ROOM.mkdir(parents=True, exist_ok=True)
    missing = [
        problem for package in {p.package for p in _PEERS if p.package} for problem in package.install()
    ]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as room:
        # No multiple of a chunk, where the tools would split differently.
        path = write_sample(Path(room) / "file.bin", arguments.size * MIB + 100 * KIB, seed=0)
        os.sync()
        measurement = Measurement([path], is_cold=False)
        ready = []
        for peer in _PEERS:  # this brings the file into the cache, too
            try:
                measurement.sample(peer)
            except SampleError as error:
                missing.append(str(error))
            else:
                ready.append(peer)
        rounds = list(measurement.rounds(ready, arguments.rounds))
    _print_table(ready, rounds, missing)


def _print_table(peers: Sequence[Peer], rounds: list[Round], missing: list[str]) -> None:
    print(f"| multiples of {_OURS.name} | finds | wall | min–max | CPU | peak MiB |")
    print("|---|---|---|---|---|---|")
    ratios = ratios_to(_OURS.name, rounds)
    for peer in peers:
        wall, cpu, peak = ratios[peer.name].wall, ratios[peer.name].cpu, ratios[peer.name].peak_mib
        print(
            f"| {peer.name} | {peer.digest} | {wall.median:.2f} | {wall.low:.2f}–{wall.high:.2f} "
            f"| {cpu.median:.2f} | {peak.high:.0f} |"
        )
    for reason in missing:
        print(f"\nmissing: {reason}")


if __name__ == "__main__":
    try:
        main()
    except (DigestError, SampleError) as error:
        sys.exit(str(error))

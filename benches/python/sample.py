"""One sample, in a process of its own: `python sample.py JOB`, where JOB is a JSON file.

    {"paths": ["…"], "adapter": "file_digest"}       import `adapters.file_digest`, time its `hash_files`
    {"paths": ["…"], "command": ["sha256sum", "…"]}  time the command from its start to its exit

Prints JSON: `wall` and `cpu` in seconds, `peak_mib`, and `digests`, one for each path in order. The memory
of a call is what it adds to that of the interpreter with all its imports. That of a command is its own, and
no less than that of a bare interpreter, which it inherits from this one.
"""

import importlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from processes import Usage, run_command

Adapter: TypeAlias = Callable[[Sequence[Path]], list[str]]


def main() -> None:
    """Take the sample and print it."""
    job = json.loads(Path(sys.argv[1]).read_bytes())
    paths = [Path(path) for path in job["paths"]]
    if command := job.get("command"):
        usage, digests = _time_command(command, paths)
    else:
        usage, digests = _time_call(importlib.import_module(f"adapters.{job['adapter']}").hash_files, paths)
    json.dump(asdict(usage) | {"digests": digests}, sys.stdout)


def _time_call(hash_files: Adapter, paths: Sequence[Path]) -> tuple[Usage, list[str]]:
    before = _start_peak()
    cpu = _cpu_seconds()
    start = time.perf_counter()
    digests = hash_files(paths)
    wall = time.perf_counter() - start
    return Usage(wall, _cpu_seconds() - cpu, _peak_mib() - before), digests


def _time_command(command: Sequence[str], paths: Sequence[Path]) -> tuple[Usage, list[str]]:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        usage = run_command(command, stdout=output.fileno())
        output.seek(0)
        lines = output.read().splitlines()
    # "<digest>  <path>" or "<digest> *<path>", in any order where several processes print
    digests = {path[1:]: digest for digest, path in (line.split(" ", 1) for line in lines)}
    return usage, [digests[str(path)] for path in paths]


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _start_peak() -> float:
    """Let the peak of the process's memory begin anew, and return it in MiB."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak_mib()


def _peak_mib() -> float:
    # not `ru_maxrss`: it never goes down, and begins with the parent's
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main()

"""What a process takes: wall time, CPU time and memory."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What a process, or a call, took."""

    wall: float
    """Seconds from its beginning to its end."""
    cpu: float
    """Seconds of all its threads and child processes."""
    peak_mib: float
    """Largest resident memory of one process, in MiB."""


class CommandError(Exception):
    """A command ended with an error."""


def run_command(
    command: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    *,
    stdout: int | None = None,
) -> Usage:
    """Run a command and measure it, from its start to its exit.

    The kernel counts what the calling process held at that moment into the memory of its child, so call this
    from a process that holds little.

    Args:
        command: Program, looked up on the `PATH`, and arguments.
        environment: Its environment variables.
        stdout: File descriptor that its output goes to; default the caller's.

    Raises:
        CommandError: it did not exit with 0.
        OSError: it could not be started.
    """
    actions = [] if stdout is None else [(os.POSIX_SPAWN_DUP2, stdout, 1)]
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], list(command), environment, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status:
        message = f"exit status {os.waitstatus_to_exitcode(status)}: {' '.join(command)[:200]}"
        raise CommandError(message)
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)

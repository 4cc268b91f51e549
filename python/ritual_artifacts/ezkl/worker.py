"""What runs in a process of its own: the calls into ezkl.

A script, which knows nothing of the package: it reads the job from the file that it is given, and writes what
came of it to the file that the job names. ezkl prints to the standard output, so that is no channel. The
standard input is a pipe that only ends; it does so when the process that waits for the job is gone.
"""

import contextlib
import ctypes
import importlib
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

_MAX_LOG_LINES = 5
_PR_SET_PDEATHSIG = 1
_ORPHANED = 1


def _end_with_parent() -> None:
    """Let this process end when the one that waits for it does.

    The thread cannot run while ezkl computes, because ezkl keeps the interpreter's lock; on Linux the kernel
    needs none.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(_ORPHANED)


class _Notes(logging.Handler):
    """Keep what ezkl logs as an error: often only that says what is wrong."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _prepare(ezkl: Any, arguments: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a module
    """Turn what JSON has no types for into what ezkl wants."""
    if "variables" in arguments:
        return {**arguments, "variables": _to_tuples(arguments["variables"])}
    if "py_run_args" not in arguments:
        return arguments
    run_args = ezkl.PyRunArgs()
    for name, value in arguments["py_run_args"].items():
        try:
            is_pairs = name in {"variables", "lookup_range"}
            setattr(run_args, name, _to_tuples(value) if is_pairs else value)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            message = f"{name} cannot be {value!r}: {error}"
            raise ValueError(message) from None
    return {**arguments, "py_run_args": run_args}


def _to_tuples(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Make tuples of the innermost lists, for which Rust's bindings take nothing else."""
    if not isinstance(value, list):
        return value
    if any(isinstance(item, list) for item in value):
        return [_to_tuples(item) for item in value]
    return tuple(value)


def _run(steps: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    notes = _Notes()
    logging.basicConfig(handlers=[notes], level=logging.ERROR)
    values, name = [], "import"
    try:
        ezkl = importlib.import_module("ezkl")
        for name, arguments in steps:
            values.append(getattr(ezkl, name)(**_prepare(ezkl, arguments)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
        reasons = [str(error) or type(error).__name__, *notes.lines[-_MAX_LOG_LINES:]]
        return {"failed": name, "reason": "; ".join(" ".join(reason.split()) for reason in reasons)}
    return {"values": [value if isinstance(value, bool) else None for value in values]}


if __name__ == "__main__":
    _end_with_parent()
    job = json.loads(Path(sys.argv[1]).read_bytes())
    Path(job["result"]).write_text(json.dumps(_run(job["steps"])), encoding="utf-8")

"""The script of the worker process, which calls ezkl. It does not import this package.

It reads the job from the file in its argument, and writes the result to the file that the job names. Standard
output is not used for the result, because ezkl prints to it. Standard input is a pipe without data, which is
closed when the process that waits for the job ends.
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
    """End this process when the process that waits for it ends.

    The thread cannot run while ezkl computes, because ezkl holds the interpreter's lock. On Linux the kernel
    ends the process even then.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(_ORPHANED)


class _ErrorLog(logging.Handler):
    """Collect the errors that ezkl logs; often only these name the reason."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _prepare(ezkl: Any, arguments: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a module
    """Convert arguments that JSON has no types for to ezkl's types."""
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
            message = f"invalid setting {name}={value!r}: {error}"
            raise ValueError(message) from None
    return {**arguments, "py_run_args": run_args}


def _to_tuples(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Convert the innermost lists to tuples, which ezkl's Rust bindings require."""
    if not isinstance(value, list):
        return value
    if any(isinstance(item, list) for item in value):
        return [_to_tuples(item) for item in value]
    return tuple(value)


def _run(steps: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    log = _ErrorLog()
    logging.basicConfig(handlers=[log], level=logging.ERROR)
    values, name = [], "import"
    try:
        ezkl = importlib.import_module("ezkl")
        for name, arguments in steps:
            values.append(getattr(ezkl, name)(**_prepare(ezkl, arguments)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic in Rust code is not an Exception
        reasons = [str(error) or type(error).__name__, *log.lines[-_MAX_LOG_LINES:]]
        return {"failed": name, "reason": "; ".join(" ".join(reason.split()) for reason in reasons)}
    return {"values": [value if isinstance(value, bool) else None for value in values]}


if __name__ == "__main__":
    _end_with_parent()
    job = json.loads(Path(sys.argv[1]).read_bytes())
    Path(job["result"]).write_text(json.dumps(_run(job["steps"])), encoding="utf-8")

"""Calls into ezkl, each job in a process of its own.

ezkl keeps the interpreter's lock for as long as it computes, which may be minutes; it prints, it panics, and
it leaves a cache in the user's home. In a process of its own it holds up no event loop and no Ctrl-C, can be
ended at any time, and what it prints and caches goes away with it. It ends with the process that waits for
it.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from ritual_artifacts.errors import ArtifactError, CircuitError

Step: TypeAlias = tuple[str, dict[str, Any]]
"""Name of a function of ezkl, and its arguments; paths among them are absolute."""

Result = TypeVar("Result")

_SUPPORTED: Final = "23"
_INSTALL: Final = "pip install 'ritual-artifacts[ezkl]'"
_WORKER: Final = Path(__file__).with_name("worker.py")
_POLL: Final = 0.1  # seconds between two looks at `cancel`
_MAX_OUTPUT: Final = 2000
_KILLED: Final = -9  # what the kernel does when memory runs out


class Cancelled(Exception):  # noqa: N818 - no error: nobody waits for the job any more
    """Raised in a job whose `cancel` was set."""


class StepFailed(Exception):  # noqa: N818 - its callers know what it means, and raise an error that says so
    """ezkl refused a step.

    Attributes:
        call: The function of ezkl.
        reason: What it said.
    """

    def __init__(self, call: str, reason: str) -> None:
        """Remember what ezkl said."""
        super().__init__(f"ezkl.{call}: {reason}")
        self.call = call
        self.reason = reason


def require_ezkl() -> str:
    """Return the version of the ezkl that is installed.

    Raises:
        ArtifactError: it is not installed, or is of a version with other calls.
    """
    try:
        found = version("ezkl") if importlib.util.find_spec("ezkl") else None
    except PackageNotFoundError:
        found = None
    if found is None:
        message = f"circuits need the extra 'ezkl', which is not installed: {_INSTALL}"
        raise ArtifactError(message)
    if found.partition(".")[0] != _SUPPORTED:
        message = f"circuits need ezkl {_SUPPORTED}, but {found} is installed: {_INSTALL}"
        raise ArtifactError(message)
    return found


def run_steps(steps: Sequence[Step], cancel: threading.Event | None = None) -> list[bool | None]:
    """Call functions of ezkl, one after the other, in a new process.

    Args:
        steps: The calls.
        cancel: Ends the process where it is set.

    Returns:
        What each call returned, None where that was no truth value.

    Raises:
        StepFailed: a call failed; those after it were not made.
        Cancelled: `cancel` was set.
        ArtifactError: ezkl is not installed.
        CircuitError: the process ended before its job.
    """
    require_ezkl()
    # ezkl's own cache is only as good as whoever may write to it: it gets an empty one each time.
    with tempfile.TemporaryDirectory(prefix="ritual-ezkl-", ignore_cleanup_errors=True) as room:
        job, result, output = Path(room, "job.json"), Path(room, "result.json"), Path(room, "output")
        job.write_text(json.dumps({"steps": steps, "result": str(result)}), encoding="utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
            "EZKL_REPO_PATH": room,
            "RUST_BACKTRACE": "0",
        }
        with output.open("wb") as stream:
            code = _run_worker(job, stream.fileno(), environment, cancel)
        if not result.exists():
            _refuse_end(code, steps, output)
        answer = json.loads(result.read_text(encoding="utf-8"))
    if "failed" in answer:
        raise StepFailed(answer["failed"], answer["reason"])
    values: list[bool | None] = answer["values"]
    return values


def _run_worker(job: Path, output: int, environment: dict[str, str], cancel: threading.Event | None) -> int:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-P", str(_WORKER), str(job)],
        stdin=subprocess.PIPE,  # it ends with this process, and the worker with it
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    with process:
        try:
            while process.poll() is None:
                if cancel is not None and cancel.is_set():
                    raise Cancelled
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        finally:
            process.kill()
    return process.returncode


def _refuse_end(code: int, steps: Sequence[Step], output: Path) -> NoReturn:
    said = output.read_bytes()[-_MAX_OUTPUT:].decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
    calls = ", ".join(name for name, _ in steps)
    hint = "; memory may have run out" if code == _KILLED else ""
    message = f"the process that ran ezkl ({calls}) ended with code {code} before its job{hint}: {last}"
    raise CircuitError(message)


async def run_in_thread(job: Callable[[threading.Event], Result]) -> Result:
    """Run a job beside the event loop; where the caller is cancelled, the job is ended first.

    Args:
        job: Takes the event that ends it.
    """
    import asyncio  # noqa: PLC0415 - importing the package stays light

    cancel = threading.Event()
    task = asyncio.ensure_future(asyncio.to_thread(job, cancel))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancel.set()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: nobody else asks for it
        raise

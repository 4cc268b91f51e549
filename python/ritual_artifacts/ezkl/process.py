"""Calls to ezkl, each job in its own process.

ezkl holds the interpreter's lock while it computes, which may take minutes. It also prints, panics, and
leaves a cache in the user's home folder. In its own process it blocks neither the event loop nor Ctrl-C, can
be ended at any time, and leaves no output or cache. That process ends with the one that waits for it.
"""

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from ritual_artifacts import workers
from ritual_artifacts.errors import ArtifactError, CircuitError

Step: TypeAlias = tuple[str, dict[str, Any]]
"""Name of an ezkl function, and its arguments. Paths must be absolute."""

Result = TypeVar("Result")

_SUPPORTED: Final = "23"
_INSTALL: Final = "pip install 'ritual-artifacts[ezkl]'"
_WORKER: Final = Path(__file__).with_name("worker.py")
_POLL: Final = 0.1  # seconds between checks of `cancel`
_MAX_OUTPUT: Final = 2000
_KILLED: Final = -9  # the exit code after SIGKILL, which the kernel sends when memory runs out

_PASSED_ON: Final = re.compile(
    r"APPDATA|COMSPEC|ENABLE_ICICLE_GPU|HOME|ICICLE_SMALL_K|LANG|LANGUAGE|LOCALAPPDATA|LOGNAME"
    r"|NUMBER_OF_PROCESSORS|PATH|PATHEXT|PROCESSOR_ARCHITECTURE|PROGRAMDATA|SHELL|SSL_CERT_DIR|SSL_CERT_FILE"
    r"|SYSTEMDRIVE|SYSTEMROOT|TEMP|TERM|TMP|TMPDIR|TZ|USER|USERPROFILE|VIRTUAL_ENV|WINDIR"
    r"|(CUDA|DYLD|EZKL|LC|LD|MALLOC|OMP|RAYON|XDG)_.*|PYTHON.*",
    re.IGNORECASE,
)
"""Variables that Python, its libraries and ezkl need."""


class Cancelled(Exception):  # noqa: N818 - not an error: the caller no longer waits for the job
    """The job was cancelled by its `cancel` event."""


class StepFailed(Exception):  # noqa: N818 - internal: callers turn it into a `CircuitError`
    """A call to ezkl failed.

    Attributes:
        call: The name of the ezkl function.
        reason: The error message.
    """

    def __init__(self, call: str, reason: str) -> None:
        """Create the error, and store the call and the reason."""
        super().__init__(f"ezkl.{call}: {reason}")
        self.call = call
        self.reason = reason


def require_ezkl() -> str:
    """Return the version of the ezkl that is installed.

    Raises:
        ArtifactError: ezkl is not installed, or its version is not supported.
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


class Cancel:
    """Ends a job when it is set.

    It is one assignment, which Ctrl-C cannot leave half done. `threading.Event` is Python code that takes a
    lock, and an exception raised inside it can leave that lock taken for ever.
    """

    def __init__(self) -> None:
        """Start without being set."""
        self._is_set = False

    def set(self) -> None:
        """End the job."""
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether the job is to end."""
        return self._is_set


def run_steps(steps: Sequence[Step], cancel: Cancel | None = None) -> list[bool | None]:
    """Call ezkl functions in order, in a new process.

    Args:
        steps: The calls.
        cancel: Ends the process when it is set.

    Returns:
        The return value of each call if it is a bool, else None.

    Raises:
        StepFailed: a call failed; the calls after it were not made.
        Cancelled: `cancel` was set.
        ArtifactError: ezkl is not installed.
        CircuitError: the process ended before it finished.
    """
    require_ezkl()
    # ezkl trusts its cache, which others may be able to write: it gets an empty one each time.
    with tempfile.TemporaryDirectory(prefix="ritual-ezkl-", ignore_cleanup_errors=True) as folder:
        job, result, output = Path(folder, "job.json"), Path(folder, "result.json"), Path(folder, "output")
        job.write_text(json.dumps({"steps": steps, "result": str(result)}), encoding="utf-8")
        environment = {
            **_find_environment(),
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
            "EZKL_REPO_PATH": folder,
            "RUST_BACKTRACE": "0",
        }
        with output.open("wb") as stream:
            number = stream.fileno()
            # On a thread of its own: Ctrl-C in the middle of `Popen.wait` can leave its lock taken for ever.
            [code] = workers.each(
                lambda path: _run_worker(path, number, environment, cancel), [job], max_workers=1
            )
        if not result.exists():
            _raise_ended(code, steps, output)
        answer = json.loads(result.read_text(encoding="utf-8"))
    if "failed" in answer:
        raise StepFailed(answer["failed"], answer["reason"])
    values: list[bool | None] = answer["values"]
    return values


def _find_environment() -> dict[str, str]:
    """Return the variables that a worker needs: no token, key or password of the user's."""
    return {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}


def _run_worker(job: Path, output: int, environment: dict[str, str], cancel: Cancel | None) -> int:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-P", str(_WORKER), str(job)],
        stdin=subprocess.PIPE,  # closed when this process ends, which ends the worker
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    with process:
        try:
            while process.poll() is None:
                workers.check()
                if cancel is not None and cancel.is_set():
                    raise Cancelled
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        finally:
            process.kill()
    return process.returncode


def _raise_ended(code: int, steps: Sequence[Step], output: Path) -> NoReturn:
    lines = output.read_bytes()[-_MAX_OUTPUT:].decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
    calls = ", ".join(name for name, _ in steps)
    hint = "; memory may have run out" if code == _KILLED else ""
    message = f"the ezkl process ({calls}) ended with code {code} before it finished{hint}: {last}"
    raise CircuitError(message)


async def run_in_thread(job: Callable[[Cancel], Result]) -> Result:
    """Run a job in a thread of the event loop; if the caller is cancelled, the job is ended first.

    Args:
        job: The function to run; its argument ends it.
    """
    import asyncio  # noqa: PLC0415 - importing the package stays light

    cancel = Cancel()
    task = asyncio.ensure_future(asyncio.to_thread(job, cancel))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancel.set()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it
        raise

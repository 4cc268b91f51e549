"""Tools that tests fetch for themselves, once, below `build/`.

Where one cannot be had, its tests are skipped with the reason, or fail where the environment variable `CI` is
set. A registry that will not serve it to this machine is no fault of the set-up: its tests are skipped in
CI too.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

BUILD = Path(__file__).resolve().parents[2] / "build"
STEP_TIMEOUT = 900  # seconds
_REFUSAL = "403 Forbidden"
"""How a registry's policy shows in what its client prints; a wrong version or address is a 404 or 410."""


def provide(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `build/<name>`, filled by `make` where no run before has done it."""
    room = BUILD / name
    room.mkdir(parents=True, exist_ok=True)
    with FileLock(room.with_name(f"{room.name}.lock")):
        ready = room / "ready"
        if not ready.exists():
            make(room)
            ready.touch()
    return room


def run_step(
    command: list[str | Path], *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run a step of a set-up; where it fails, the tool cannot be had."""
    try:
        done = subprocess.run(  # noqa: S603 - our own steps
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=STEP_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        give_up(f"{command[0]}: {error}")
    if done.returncode:
        reason = f"{' '.join(map(str, command))}: {done.stderr.strip()[-2000:]}"
        if _REFUSAL in done.stderr:
            pytest.skip(f"the registry refuses to serve it: {reason}")
        give_up(reason)


def find_program(name: str) -> str:
    """Return a program of the machine."""
    found = shutil.which(name)
    if found is None:
        give_up(f"{name} is not installed")
    return found


def give_up(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def make_venv(room: Path, *packages: str) -> Path:
    """Make an environment with packages and return its folder of programs."""
    programs = room / ("Scripts" if os.name == "nt" else "bin")
    run_step([sys.executable, "-m", "venv", "--clear", room])
    run_step(
        [programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *packages]
    )
    return programs

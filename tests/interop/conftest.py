"""An environment with infernet-ml 2.0.0, made once, and a way to run scripts in it."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from filelock import FileLock

PACKAGE = "infernet-ml==2.0.0"
INTERPRETER_VARIABLE = "RITUAL_TEST_INFERNET_PYTHON"
ROOM = Path(__file__).resolve().parents[2] / "build" / "interop" / "infernet-ml-2.0.0"

Infernet = Callable[..., str]


@pytest.fixture(scope="session")
def infernet_python() -> Path:
    """Return an interpreter that has infernet-ml 2.0.0; make its environment where it is missing."""
    if given := os.environ.get(INTERPRETER_VARIABLE):
        return Path(given)
    python = ROOM / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ROOM.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(ROOM.with_suffix(".lock")):
        ready = ROOM / "ready"
        if not ready.exists():
            shutil.rmtree(ROOM, ignore_errors=True)
            run([sys.executable, "-m", "venv", ROOM])
            run([python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", PACKAGE])
            ready.touch()
    return python


@pytest.fixture
def infernet(infernet_python: Path, tmp_path: Path) -> Infernet:
    """Return a function that runs a script with infernet-ml and returns what it prints.

    The script's home folder, and with it infernet-ml's cache, is below the test's own folder.
    """

    def run_script(script: str, *arguments: object, environment: Mapping[str, str] | None = None) -> str:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        done = subprocess.run(  # noqa: S603 - the test's own script
            [infernet_python, "-W", "ignore", "-c", textwrap.dedent(script), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "HOME": str(home),
                "USERPROFILE": str(home),
                "HF_HUB_OFFLINE": "1",
                **(environment or {}),
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_script


def run(command: list[str | Path]) -> None:
    """Run a step of the set-up; where it fails, the test fails in CI and is skipped elsewhere."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own steps
    if done.returncode == 0:
        return
    reason = f"no environment with {PACKAGE}: {' '.join(map(str, command))}: {done.stderr.strip()[-2000:]}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)

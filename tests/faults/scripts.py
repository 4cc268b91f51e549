"""Runs Python in a process of its own, where a test may break what it cannot mend again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import privileges

CHECKOUT = Path(__file__).parents[2]


def run_python(*arguments: str, folder: Path) -> str:
    """Run the interpreter in `folder` and return what it printed; `tests` can be imported there."""
    done = subprocess.run(  # noqa: S603 - our own scripts
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])},
    )
    if done.returncode == privileges.CANNOT:
        pytest.skip("root cannot give up its privileges here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

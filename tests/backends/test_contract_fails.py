"""The contract suite fails for a backend that breaks the contract."""

import os
import subprocess
import sys
from pathlib import Path

from tests.backends.faulty_backends import FAULTS

SCRIPT = Path(__file__).with_name("faulty_backends.py")


def test_each_fault_is_caught_by_its_claim() -> None:
    # Nothing of the run that this test belongs to. With CI set, pytest shows whole differences of long bytes,
    # which takes minutes to find.
    unwanted = ("PYTEST_", "CI", "BUILD_NUMBER")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    done = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", str(SCRIPT)],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPT.parents[2],
        env=environment | {"COLUMNS": "400"},
        stdin=subprocess.DEVNULL,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]

    missed = [name for name in FAULTS if not any(f"::{name}" in line for line in lines)]

    assert missed == [], done.stdout
    assert [line for line in lines if line.startswith("ERROR")] == []

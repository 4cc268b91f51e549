"""A process that is killed leaves the old state or the new one, and the next process finishes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_points.py")
CHECKOUT = SCRIPT.parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks, which Windows cannot")


@pytest.mark.parametrize(
    ("scenario", "at_least"),
    [("Upload", 40), ("Remove", 6), ("Download", 30), ("Stream", 30), ("Export", 30), ("Cache", 25)],
)
def test_every_kill_leaves_the_old_or_the_new_and_the_next_run_finishes(
    scenario: str, at_least: int, tmp_path: Path
) -> None:
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT), scenario, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= at_least

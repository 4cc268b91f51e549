"""A process that is killed leaves the old state or the new one, and the next process finishes."""

import os
from pathlib import Path

import pytest

from tests.faults.scripts import run_python

SCRIPT = Path(__file__).with_name("kill_points.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks, which Windows cannot")


@pytest.mark.parametrize(
    ("scenario", "at_least"),
    [("Upload", 40), ("Remove", 6), ("Download", 30), ("Stream", 30), ("Export", 30), ("Cache", 25)],
)
def test_every_kill_leaves_the_old_or_the_new_and_the_next_run_finishes(
    scenario: str, at_least: int, tmp_path: Path
) -> None:
    steps = run_python(str(SCRIPT), scenario, str(tmp_path), folder=tmp_path)

    assert int(steps) >= at_least

"""Fixtures of the unit tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def check_golden() -> Callable[[Path, bytes], None]:
    """Return a function that compares bytes with a checked-in file; `UPDATE_GOLDENS=1` rewrites the file."""

    def check(golden: Path, actual: bytes) -> None:
        if os.environ.get("UPDATE_GOLDENS") == "1":
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_bytes(actual)
        expected = golden.read_bytes()
        assert actual == expected, f"{golden} differs; if that is meant, run pytest with UPDATE_GOLDENS=1"

    return check

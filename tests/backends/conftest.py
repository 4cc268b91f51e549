"""Fixtures of all backends' tests."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("ritual_artifacts.testing")  # failures of its tests say more

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"


@pytest.fixture
def test_storages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the storages `memory` and `streaming`, as an installed package would."""
    monkeypatch.syspath_prepend(PLUGINS)

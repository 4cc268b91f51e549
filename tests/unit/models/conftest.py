"""A folder with a model in it."""

from pathlib import Path

import pytest

from tests.models import write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")

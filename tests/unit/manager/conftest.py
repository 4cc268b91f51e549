"""Fixtures of the manager's tests."""

from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import FileDigest, hash_files


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of files that managers hash for a manifest, filled while the test runs."""
    found: list[Path] = []

    def counting(paths: list[Path], **options: Any) -> list[FileDigest]:
        found.extend(paths)
        return hash_files(paths, **options)

    monkeypatch.setattr("ritual_artifacts.transfer.publishing.hash_files", counting)
    return found

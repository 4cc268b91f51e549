"""The package's own tests: the contract suite."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import RitualRepoId
from ritual_artifacts.testing import ImmutableVersionsContract


class TestShelf(ImmutableVersionsContract):
    storage_name = "shelf"

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"folder": tmp_path / "shelf"}

    def _path(self, repo_id: RitualRepoId, name: str) -> Path:
        folder: Path = self.connection_options["folder"] / repo_id.owner / repo_id.name
        newest: str = json.loads((folder / "versions.json").read_text())["newest"]
        return folder / newest / name

    def raw_read(self, repo_id: RitualRepoId, name: str) -> bytes:
        return self._path(repo_id, name).read_bytes()

    def damage(self, repo_id: RitualRepoId, names: Collection[str]) -> None:
        for path in [self._path(repo_id, name) for name in names]:
            path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])

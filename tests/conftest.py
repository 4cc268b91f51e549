"""What every test may use: folders of its own for cache, store and state, and small sample artifacts."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from ritual_artifacts import RitualArtifactManager
from tests.artifacts import Circuit

collect_ignore = ["shelf"]  # a package of its own, which a test installs

pytest_plugins = ["tests.servers.fixtures", "tests.servers.arweave.fixtures"]

PLUGINS = Path(__file__).resolve().parent / "plugins"

# A slow machine is not a failure: no example has a time limit.
settings.register_profile("ritual-artifacts", deadline=None)
settings.load_profile("ritual-artifacts")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point every setting at a temporary folder, and clear what the environment would add."""
    root = tmp_path / "ritual"
    for name in ("cache", "store", "state"):
        monkeypatch.setenv(f"RITUAL_{name.upper()}_DIR", str(root / name))
    for name in ("RITUAL_MAX_WORKERS", "HF_TOKEN", "HF_HOME", "HF_ENDPOINT", "ARWEAVE_WALLET_FILE_PATH"):
        monkeypatch.delenv(name, raising=False)
    return root


@pytest.fixture
def test_storages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the storages `memory` and `streaming`, as an installed package would."""
    monkeypatch.syspath_prepend(PLUGINS)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file below a folder of sources, with content made from its name."""

    def write_file(name: str, size: int = 1000, content: bytes | None = None) -> Path:
        path = tmp_path / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(name).randbytes(size) if content is None else content)  # noqa: S311 - test data
        return path

    return write_file


@pytest.fixture
def circuit(write: Callable[..., Path]) -> Circuit:
    """Return an artifact with a file, two shards and metadata."""
    return Circuit(
        circuit_file=write("circuit.bin", 300_000),
        weights=[write("a.safetensors", 70_000), write("b.safetensors", 1)],
        version="v1.0",
        num_params=1000,
    )


@pytest.fixture
def manager(circuit: Circuit) -> RitualArtifactManager[Circuit]:
    return RitualArtifactManager(artifact=circuit)

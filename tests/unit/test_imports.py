"""Importing the package is light, each time in an interpreter of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = {"aiohttp", "arweave", "httpx", "huggingface_hub", "requests", "urllib3"}
COMMAND_LINE = {"click", "rich", "typer"}

LOCAL_ROUND_TRIP = """
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager

class Sample(BaseModel):
    file: Path

Path("a.bin").write_bytes(b"content")
RitualArtifactManager(artifact=Sample(file=Path("a.bin"))).to_repo("local/me/sample")
assert RitualArtifactManager.from_repo(Sample, "local/me/sample").artifact.file.read_bytes() == b"content"
"""


def loaded_after(code: str, folder: Path) -> set[str]:
    """Run `code` in a fresh interpreter and return the top-level modules that it loaded."""
    script = f"{code}\nimport json, sys\nprint(json.dumps([*sys.modules]))"
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=folder
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "code",
    ["import ritual_artifacts", LOCAL_ROUND_TRIP],
    ids=["import", "a round trip through the local store"],
)
def test_no_network_client_and_no_command_line_library_is_loaded(code: str, tmp_path: Path) -> None:
    loaded = loaded_after(code, tmp_path)

    assert "ritual_artifacts" in loaded
    assert not loaded & (NETWORK | COMMAND_LINE)


def test_the_command_line_loads_no_network_client(tmp_path: Path) -> None:
    loaded = loaded_after("import ritual_artifacts.cli", tmp_path)

    assert loaded >= {"rich", "typer"}
    assert not loaded & NETWORK


def test_importing_reads_no_setting_and_writes_nothing(
    tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "not a number")

    loaded_after("import ritual_artifacts.cli", tmp_path)

    assert not own_folders.exists()

"""To refuse a hostile manifest costs no more than to read a valid one of the same size."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry, parse_manifest
from ritual_artifacts.errors import ManifestError

SIZE = 6_000_000
DIGEST = "sha256:" + "0" * 64
HASH = "0" * 64


def valid_entries(size: int) -> bytes:
    """Return a manifest with many files."""
    files = tuple(ManifestEntry(path=f"f{i}", size=1, sha256=HASH) for i in range(size // 260))
    return Manifest(artifact_type="A", fields={}, files=files).to_bytes()


def valid_fields(size: int) -> bytes:
    """Return a manifest with few files and as much metadata as possible."""
    manifest = Manifest(
        artifact_type="A", fields={"values": dict.fromkeys(map(str, range(size // 11)), 0)}, files=()
    )
    return json.dumps(manifest.to_document(), separators=(",", ":")).encode()


def document(**parts: Any) -> bytes:
    whole = {"artifact_type": "A", "file_hashes": {}} | parts
    return json.dumps(whole, separators=(",", ":")).encode()


def extension(files: Any) -> dict[str, Any]:
    return {"manifest_version": 2, "files": files, "digest": DIGEST}


def many(count: int, entry: object) -> bytes:
    return document(ritual_artifacts=extension([entry] * count))


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "files are zeros": lambda size: many(size // 2, 0),
    "files are null": lambda size: many(size // 5, None),
    "files are empty objects": lambda size: many(size // 3, {}),
    "files are empty lists": lambda size: many(size // 3, []),
    "files are texts": lambda size: many(size // 3, ""),
    "entries lack a digest": lambda size: many(min(199_000, size // 24), {"path": "a", "size": 1}),
    "entries have a wrong digest": lambda size: many(size // 35, {"path": "a", "size": 1, "sha256": "x"}),
    "entries have one key too many": lambda size: many(
        size // 40, {"path": "a", "size": 1, "sha256": "", "x": 0}
    ),
    "entries have wrong sizes": lambda size: many(size // 100, {"path": "a", "size": -1, "sha256": HASH}),
    "only the last entry is wrong": lambda size: document(
        ritual_artifacts=extension([{"path": "a", "size": 1, "sha256": HASH}] * (size // 100) + [0])
    ),
    "hashes are numbers": lambda size: document(file_hashes=dict.fromkeys(map(str, range(size // 11)), 0)),
    "hashes are wrong": lambda size: document(file_hashes=dict.fromkeys(map(str, range(size // 12)), "")),
    "hashes are a list": lambda size: document(file_hashes=[0] * (size // 2)),
    "all names are hostile": lambda size: document(file_hashes={f"../{i}": HASH for i in range(size // 80)}),
    "all names collide": lambda size: document(
        file_hashes={("a" if i % 2 else "A") + str(i // 2): HASH for i in range(size // 80)}
    ),
    "the type is a list": lambda size: document(artifact_type=[0] * (size // 2)),
    "the type is a long text": lambda size: document(artifact_type="x" * size),
    "the id is a list": lambda size: document(repo_id=[0] * (size // 2)),
    "the id is a long text": lambda size: document(repo_id="/" * size),
    "the digest is a list": lambda size: document(
        ritual_artifacts={"manifest_version": 2, "files": [], "digest": [0] * (size // 2)}
    ),
    "the extension is a list": lambda size: document(ritual_artifacts=[0] * (size // 2)),
    "a key is there twice": lambda size: (
        document(x=dict.fromkeys(map(str, range(size // 11)), 0))[:-2] + b',"0":0}}'
    ),
}


SCRIPT = """
import sys, time
from pathlib import Path
from ritual_artifacts.artifact.manifest import parse_manifest
from ritual_artifacts.errors import ManifestError

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

data = sys.stdin.buffer.read()
before, started = peak(), time.process_time()
try:
    parse_manifest(data)
except ManifestError as error:
    assert len(str(error)) < 3000
print(time.process_time() - started, peak() - before)
"""


def cost(data: bytes) -> tuple[float, int]:
    """Return the seconds and the kilobytes that a process of its own needs to read a manifest."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], input=data, capture_output=True, check=True)  # noqa: S603 - our own script
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


@pytest.fixture(scope="module")
def reading() -> tuple[float, int]:
    """Return what the costlier of two valid manifests of this size costs."""
    costs = [cost(valid_entries(SIZE)), cost(valid_fields(SIZE))]
    return max(seconds for seconds, _ in costs), max(memory for _, memory in costs)


@pytest.mark.parametrize("name", HOSTILE)
def test_refusing_costs_no_more_than_reading(name: str, reading: tuple[float, int]) -> None:
    data = HOSTILE[name](SIZE)
    assert len(data) < SIZE * 1.2
    with pytest.raises(ManifestError):
        parse_manifest(data)

    seconds, memory = cost(data)

    assert memory <= reading[1] * 1.1
    assert seconds <= reading[0] * 1.5 + 0.2

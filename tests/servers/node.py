"""The JavaScript client `@huggingface/hub`, an independent reader of what we publish."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.tools import find_program, provide, run_step

SOURCES = Path(__file__).resolve().parent / "javascript"
TIMEOUT = 120  # seconds


@dataclass(frozen=True)
class NodeClient:
    """The client's own programs, in a folder with its packages."""

    node: str
    room: Path

    def download(
        self,
        endpoint: str,
        token: str,
        repo_id: str,
        folder: Path,
        *,
        kind: str = "models",
        revision: str = "main",
    ) -> list[dict[str, Any]]:
        """Download a whole repository and return its listing: path, size and, of large files, SHA-256."""
        # A copy beside the packages, for node looks for them from there; the sources may have changed.
        script = shutil.copy(SOURCES / "download.js", self.room)
        done = subprocess.run(  # noqa: S603 - our own script
            [self.node, script, endpoint, token, f"{kind}/{repo_id}", revision, folder],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stderr
        listed: list[dict[str, Any]] = json.loads(done.stdout)
        return listed


def find_node_client() -> NodeClient:
    """Return the client, installed where it is missing."""
    node, npm = find_program("node"), find_program("npm")

    def install(room: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, room)
        run_step([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder=room)

    return NodeClient(node, provide("huggingface-javascript", install))

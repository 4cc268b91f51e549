"""ritual-arweave 0.1.1 and 0.2.0 as they are published, each in an environment of its own.

0.1.1 takes its gateway as `api_url`, 0.2.0 as `gateways`; neither has a setting in the environment for it.
"""

import json
import os
import subprocess
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.servers.tools import make_venv, provide

PACKAGES = {
    # With the newer ritual-pyarweave, which fits 0.2.0, this one fails on every file larger than 256 KiB.
    "0.1.1": ("ritual-arweave==0.1.1", "ritual-pyarweave==0.1.0"),
    "0.2.0": ("ritual-arweave==0.2.0", "ritual-pyarweave==0.1.2"),
}
VERSIONS = tuple(PACKAGES)
TIMEOUT = 120  # seconds; the tools post a chunk for ever that is not taken

_OPEN = """
import json, sys
from ritual_arweave.repo_manager import RepoManager
version, url, wallet, *arguments = json.loads(sys.argv[1])
options = (
    {"api_url": url} if version == "0.1.1" else {"gateways": [url], "show_progress_bar": False}
)
"""
_UPLOAD = """
folder, name, versions, max_upload_size = arguments
if max_upload_size is not None:
    options["max_upload_size"] = max_upload_size
manager = RepoManager(wallet_path=wallet, **options)
result = manager.upload_repo(name, folder, version_mapping=versions)
print(json.dumps([f"{result.repo_id.owner}/{result.repo_id.name}", result.transaction_id]))
"""
_DOWNLOAD = """
repo_id, folder = arguments
manager = RepoManager(wallet_path=wallet, **options)
print(json.dumps([str(path) for path in manager.download_repo(repo_id, folder)]))
"""


@cache
def find_old_tool(version: str) -> Path:
    """Return the interpreter of an environment with ritual-arweave, made where it is missing."""
    room = provide(f"ritual-arweave-{version}", lambda room: _make(room, version))
    return room / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _make(room: Path, version: str) -> None:
    make_venv(room / "venv", *PACKAGES[version])


def upload_with_old_tool(
    version: str,
    folder: Path,
    repo_name: str,
    wallet: Path,
    url: str,
    *,
    file_versions: dict[str, str] | None = None,
    max_upload_size: int | None = None,
) -> tuple[str, str]:
    """Upload a folder and return the repository's id and the manifest's transaction.

    Args:
        version: of ritual-arweave.
        folder: what is uploaded, with its sub-folders.
        repo_name: the repository's name; its owner is the wallet.
        wallet: a JWK file.
        url: of the node.
        file_versions: `File-Version` of some files.
        max_upload_size: from this size (bytes) on, 0.2.0 writes sections; 0.1.1 does not know it.
    """
    arguments = [str(folder), repo_name, file_versions, max_upload_size]
    repo_id, transaction = _run(version, _UPLOAD, url, wallet, arguments)
    return repo_id, transaction


def download_with_old_tool(version: str, repo_id: str, target: Path, url: str, *, wallet: Path) -> list[Path]:
    """Download a repository and return the paths of its files.

    Neither version makes the folders inside the repository: they must be there.
    """
    return [Path(path) for path in _run(version, _DOWNLOAD, url, wallet, [repo_id, str(target)])]


def _run(version: str, script: str, url: str, wallet: Path, arguments: Sequence[object]) -> list[str]:
    done = subprocess.run(  # noqa: S603 - our own script
        [
            find_old_tool(version),
            "-W",
            "ignore",
            "-c",
            textwrap.dedent(_OPEN + script),
            json.dumps([version, url, str(wallet), *arguments]),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    if done.returncode:
        message = f"ritual-arweave {version}: {done.stderr.strip()[-2000:]}"
        raise OldToolError(message)
    result: list[str] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


class OldToolError(Exception):
    """The old tool failed."""

"""arweave-js, an independent client: it uploads, reads and checks proofs."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.tools import find_program, provide, run_step

SOURCES = Path(__file__).resolve().parent / "javascript" / "arweave"
TIMEOUT = 120  # seconds


@dataclass(frozen=True)
class JsUpload:
    """What arweave-js uploaded."""

    id: str
    data_root: str
    chunks: int
    """Chunks that were posted; one where the data went with the transaction."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A proof for the chunk at an offset; root and path are base64url."""

    root: str
    size: int
    offset: int
    path: str


@dataclass(frozen=True)
class ArweaveJs:
    """Our programs for arweave-js, in a folder with its packages."""

    node: str
    room: Path

    def upload(
        self, url: str, wallet: Path, file: Path, tags: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    ) -> JsUpload:
        """Upload a file: up to 256 KiB in the transaction, else chunk by chunk."""
        pairs = list(tags.items() if isinstance(tags, Mapping) else tags)
        told = self._run("upload.js", url, wallet, file, json.dumps(pairs))
        return JsUpload(told["id"], told["dataRoot"], told["chunks"])

    def read(self, url: str, tx_id: str, target: Path, *, by_chunks: bool = False) -> bytes:
        """Read a transaction that arweave-js finds well signed, from the gateway or chunk by chunk."""
        told = self._run("read.js", url, tx_id, target, "chunks" if by_chunks else "gateway")
        assert told["verified"], f"arweave-js says that {tx_id} is not signed by its owner"
        return target.read_bytes()

    def validate_paths(self, proofs: Sequence[Proof]) -> list[tuple[int, int] | None]:
        """Return where each chunk starts and ends, or nothing where `validatePath` refuses its proof."""
        told = self._run("validate.js", given=json.dumps([proof.__dict__ for proof in proofs]))
        return [found and (found["start"], found["end"]) for found in told]

    def _run(self, script: str, *arguments: object, given: str = "") -> Any:
        done = subprocess.run(  # noqa: S603 - our own script
            [self.node, SOURCES / script, *map(str, arguments)],
            env={**os.environ, "NODE_PATH": str(self.room / "node_modules")},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def find_arweave_js() -> ArweaveJs:
    """Return arweave-js, installed where it is missing."""
    node, npm = find_program("node"), find_program("npm")

    def install(room: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, room)
        run_step([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder=room)

    return ArweaveJs(node, provide("arweave-javascript", install))

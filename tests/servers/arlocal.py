"""arlocal, a gateway by other people: it looks at transactions, not at the proofs of chunks."""

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.hfd import free_port
from tests.servers.tools import find_program, provide, run_step

SOURCES = Path(__file__).resolve().parent / "javascript" / "arlocal"
PROGRAM = Path("node_modules", "arlocal", "bin", "index.js")
START_TIMEOUT = 60  # seconds
TIMEOUT = 30  # seconds


@dataclass(frozen=True)
class Arlocal:
    """A running arlocal."""

    url: str

    def mint(self, address: str, winston: int = 10**15) -> None:
        """Give a wallet winston from nowhere."""
        self._get(f"/mint/{address}/{winston}")

    def mine(self, blocks: int = 1) -> None:
        """Add blocks, the first with every waiting transaction."""
        self._get(f"/mine/{blocks}")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=TIMEOUT) as answer:  # noqa: S310 - loopback
            body: bytes = answer.read()
            return body


@dataclass(frozen=True)
class ArlocalProgram:
    """arlocal as it is installed."""

    node: str
    room: Path


def find_arlocal() -> ArlocalProgram:
    """Return arlocal, installed where it is missing."""
    node, npm = find_program("node"), find_program("npm")

    def install(room: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, room)
        run_step([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder=room)
        # The one package whose script is needed: it fetches or builds a part in machine code.
        run_step([npm, "rebuild", "sqlite3"], folder=room)

    return ArlocalProgram(node, provide("arlocal", install))


@contextmanager
def run_arlocal(program: ArlocalProgram, folder: Path) -> Iterator[Arlocal]:
    """Run arlocal with its data below a folder until the block ends."""
    folder.mkdir(parents=True)
    port = free_port()
    # It takes the path of its data as one below its working folder.
    command = [program.node, "-r", str(SOURCES / "loopback.js"), str(program.room / PROGRAM)]
    command += [str(port), "--dbpath=data", "--hidelogs"]
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=folder, stdout=out, stderr=out) as process:  # noqa: S603 - installed above
        try:
            arlocal = Arlocal(f"http://127.0.0.1:{port}")
            _wait(process, arlocal, log)
            yield arlocal
        finally:
            process.kill()  # on SIGTERM it may wait for idle connections


def _wait(process: subprocess.Popen[bytes], arlocal: Arlocal, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            arlocal._get("/info")
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"arlocal does not listen: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)

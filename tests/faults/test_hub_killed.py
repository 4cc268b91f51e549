"""A process that is killed while it talks to a Hub: the next one finishes, and nothing wrong is left."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ritual_artifacts import RitualArtifactManager
from tests.artifacts import Circuit
from tests.servers import faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub
from tests.servers.replies import Call, Reply

REPO = "huggingface/alice/circuit"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


class Victim:
    """A command that a fault of the hub kills."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()

    @contextmanager
    def run(self, hub: Hub, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "ritual_artifacts", *map(str, arguments)]
        with subprocess.Popen(  # noqa: S603 - our own command
            command, env={**os.environ, **hub.environment()}, stderr=subprocess.DEVNULL
        ) as process:
            self._process = process
            self._started.set()
            yield process

    def killed(self, *, handled: bool = False) -> Fault:
        """Return the fault that kills the command, before or after its request is handled, for good."""

        def kill() -> None:
            self._started.wait()
            assert self._process is not None
            self._process.kill()
            self._process.wait()

        def kill_after(_: Call, reply: Reply) -> Reply:
            kill()
            return reply

        return Fault(change=kill_after) if handled else faults.run(kill)


@pytest.fixture
def folder(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> Path:
    manager.to_dir(tmp_path / "artifact")
    return tmp_path / "artifact"


@pytest.mark.parametrize(
    "kind", ["refs", "create", "tree", "preupload", "lfs-batch", "lfs-put", "lfs-verify", "commit"]
)
def test_a_killed_upload_publishes_nothing_and_the_next_one_does(
    kind: str, hub: Hub, folder: Path, manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    victim = Victim()
    hub.faults.add("*", victim.killed(), kind=kind, times=1)
    with victim.run(hub, "upload", folder, REPO) as process:
        process.wait()
    assert process.returncode == -signal.SIGKILL

    options = {"endpoint": hub.endpoint, "token": hub.token}
    manager.to_repo(REPO, repo_manager_kwargs=options)

    repo = hub.repo("alice/circuit")
    # The killed process may have sent its commit before it died; the next one then has nothing to do.
    assert [commit.parent is None for commit in repo.history(repo.head)] == [False, True]
    again = RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out", repomanager_kwargs=options)
    assert again.digest == manager.digest


@pytest.mark.parametrize("skip", range(3), ids=["staging", "naming", "cleaning"])
@pytest.mark.parametrize("handled", [False, True], ids=["before", "after"])
def test_an_upload_that_is_killed_while_it_makes_a_version_leaves_all_or_nothing(
    *, handled: bool, skip: int, hub: Hub, folder: Path, manager: RitualArtifactManager[Circuit]
) -> None:
    victim, version = Victim(), f"{REPO}/v1"
    hub.faults.add("*", victim.killed(handled=handled), kind="branch", skip=skip, times=1)
    with victim.run(hub, "upload", folder, version) as process:
        process.wait()
    assert process.returncode == -signal.SIGKILL
    repo = hub.repo("alice/circuit")
    left = repo.find("v1")
    assert left is None or "ritual_manifest.json" in left.files

    result = manager.to_repo(version, repo_manager_kwargs={"endpoint": hub.endpoint, "token": hub.token})

    assert set(repo.branches) == {"main", "v1"}
    assert repo.branches["v1"] == result.revision
    assert len(list(repo.history(repo.commits[result.revision]))) == 2


def test_a_killed_download_is_continued_where_it_was(
    hub: Hub, manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    options = {"endpoint": hub.endpoint, "token": hub.token}
    manager.to_repo(REPO, repo_manager_kwargs=options)
    victim = Victim()
    hub.faults.add("*circuit.bin", faults.cut_after(150_000), times=1)
    hub.faults.add("*circuit.bin", victim.killed(), kind="resolve", skip=1, times=1)
    with victim.run(hub, "download", REPO, tmp_path / "out") as process:
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".ritual-partial"]
    hub.ledger.forget()

    again = RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out", repomanager_kwargs=options)

    assert again.digest == manager.digest
    [request] = [e for e in hub.ledger.of("bytes") if e.path.endswith("circuit.bin")]
    assert (request.range, request.sent) == ("bytes=150000-", 150_000)
    assert not (tmp_path / "out" / ".ritual-partial").exists()


def test_several_downloads_into_one_cache_share_it(hub: Hub, manager: RitualArtifactManager[Circuit]) -> None:
    manager.to_repo(REPO, repo_manager_kwargs={"endpoint": hub.endpoint, "token": hub.token})
    hub.ledger.forget()
    environment = {**os.environ, **hub.environment()}
    command = [sys.executable, "-m", "ritual_artifacts", "download", REPO]

    processes = [subprocess.Popen(command, env=environment) for _ in range(4)]  # noqa: S603 - our own
    codes = [process.wait() for process in processes]

    assert codes == [0] * 4
    assert len([e for e in hub.ledger.of("bytes") if e.path.endswith("circuit.bin")]) == 1

"""A process that is killed while it talks to Arweave: the next one finishes, and pays nothing twice."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ritual_artifacts import RitualArtifactManager
from tests.artifacts import Circuit
from tests.servers import faults
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key
from tests.servers.faults import Fault
from tests.servers.replies import Call, Reply

PLENTY = 10**15
CHUNK = 262_144
CHUNKS = 8

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


class Victim:
    """A command that a fault of the node kills."""

    def __init__(self, node: ArweaveNode, wallet: Key) -> None:
        self._environment = {
            **os.environ,
            "RITUAL_ARWEAVE_GATEWAYS": node.url,
            "ARWEAVE_WALLET_FILE_PATH": str(wallet.path),
            "RITUAL_MAX_WORKERS": "2",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()

    @contextmanager
    def run(self, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "ritual_artifacts", *map(str, arguments)]
        with subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
            self._process = process
            self._started.set()
            yield process

    def die(self, *arguments: object) -> None:
        """Run a command that is killed on the way."""
        with self.run(*arguments) as process:
            process.wait()
        assert process.returncode == -signal.SIGKILL

    def kill(self) -> None:
        """Kill the command and wait until it is gone."""
        self._started.wait()
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def killed(self) -> Fault:
        """Return the fault that kills the command before its request takes effect."""
        return faults.run(self.kill)

    def killed_afterwards(self) -> Fault:
        """Return the fault that kills the command when its request has taken effect, before it hears so."""

        def change(_: Call, reply: Reply) -> Reply:
            self.kill()
            return reply

        return Fault(change=change)


@pytest.fixture(name="artifact")
def make_artifact(write: Callable[..., Path], tmp_path: Path) -> RitualArtifactManager[Circuit]:
    """Return an artifact with a file of several chunks, in a folder of its own."""
    circuit = Circuit(
        circuit_file=write("circuit.bin", CHUNKS * CHUNK - 100_000),
        weights=[write("a.safetensors", 70_000)],
        version="v1.0",
        num_params=1000,
    )
    manager = RitualArtifactManager(artifact=circuit)
    manager.to_dir(tmp_path / "artifact")
    return manager


@pytest.fixture
def node(arweave_node: ArweaveNode, wallet: Key) -> ArweaveNode:
    arweave_node.mint(wallet.address, PLENTY)
    return arweave_node


def is_published(node: ArweaveNode, wallet: Key, digest: str, folder: Path) -> bool:
    node.mine()
    repo = f"arweave/{wallet.address}/circuit"
    again = RitualArtifactManager.from_repo(Circuit, repo, folder, repomanager_kwargs={"gateways": node.url})
    return again.digest == digest


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "skip"),
    [
        ("graphql", 0),
        ("price", 0),
        ("balance", 0),
        ("anchor", 0),
        ("post-tx", 0),
        ("post-tx", 1),
        ("post-chunk", 0),
        ("post-chunk", 4),
        ("post-tx", 3),
    ],
)
def test_a_killed_upload_is_finished_for_the_same_money(
    node: ArweaveNode,
    wallet: Key,
    artifact: RitualArtifactManager[Circuit],
    tmp_path: Path,
    *,
    kind: str,
    skip: int,
    when: str,
) -> None:
    victim = Victim(node, wallet)
    fault = victim.killed() if when == "before" else victim.killed_afterwards()
    node.faults.add("*", fault, kind=kind, skip=skip, times=1)
    victim.die("upload", tmp_path / "artifact", "arweave/me/circuit")

    with Victim(node, wallet).run("upload", tmp_path / "artifact", "arweave/me/circuit") as process:
        process.wait()

    assert process.returncode == 0
    assert len(node.transactions()) == 4  # two files, their manifest, the path manifest: nothing twice
    assert is_published(node, wallet, artifact.digest, tmp_path / "out")


def test_a_chunk_that_was_acknowledged_is_not_sent_again(
    node: ArweaveNode, wallet: Key, artifact: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    victim = Victim(node, wallet)
    node.faults.add("/chunk", victim.killed(), kind="post-chunk", skip=CHUNKS // 2, times=1)
    victim.die("upload", tmp_path / "artifact", "arweave/me/circuit")
    first = [post.offset for post in node.chunk_posts if post.status == 200]

    with Victim(node, wallet).run("upload", tmp_path / "artifact", "arweave/me/circuit") as process:
        process.wait()

    again = [post.offset for post in node.chunk_posts if post.status == 200][len(first) :]
    # Two requests were in flight: what was taken and not heard of is sent again, and nothing else.
    assert CHUNKS // 2 <= len(first) <= CHUNKS // 2 + 2
    assert len(set(first) & set(again)) <= 2
    assert len(set(first) | set(again)) == CHUNKS
    assert is_published(node, wallet, artifact.digest, tmp_path / "out")


@pytest.mark.usefixtures("artifact")
def test_a_killed_upload_is_not_visible(node: ArweaveNode, wallet: Key, tmp_path: Path) -> None:
    victim = Victim(node, wallet)
    node.faults.add("/chunk", victim.killed(), kind="post-chunk", skip=2, times=1)
    victim.die("upload", tmp_path / "artifact", "arweave/me/circuit")
    node.mine()

    assert not any(transaction.tag("Type") == "manifest" for transaction in node.transactions())


@pytest.mark.usefixtures("artifact")
def test_a_journal_holds_no_key(node: ArweaveNode, wallet: Key, tmp_path: Path, own_folders: Path) -> None:
    victim = Victim(node, wallet)
    node.faults.add("/chunk", victim.killed(), kind="post-chunk", skip=2, times=1)
    victim.die("upload", tmp_path / "artifact", "arweave/me/circuit")

    written = b"".join(path.read_bytes() for path in (own_folders / "state").rglob("*") if path.is_file())

    key = json.loads(wallet.path.read_text())
    assert b'"data_root"' in written
    assert not any(key[name].encode() in written for name in ("d", "p", "q", "dp", "dq", "qi"))


def test_a_killed_download_is_continued_where_it_was(
    node: ArweaveNode, wallet: Key, artifact: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    options = {"gateways": node.url, "wallet_path": wallet.path}
    result = artifact.to_repo("arweave/me/circuit", repo_manager_kwargs=options)
    node.mine()
    repo = f"arweave/{wallet.address}/circuit"
    name = result.transactions["circuit.bin"]  # type: ignore[attr-defined]  # Arweave's result
    victim = Victim(node, wallet)
    node.faults.add(f"/raw/{name}", faults.cut_after(3 * CHUNK), times=1)
    node.faults.add(f"/{name}", victim.killed(), times=1)
    victim.die("download", repo, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".ritual-partial"]
    node.ledger.forget()

    again = RitualArtifactManager.from_repo(Circuit, repo, tmp_path / "out", repomanager_kwargs=options)

    assert again.digest == artifact.digest
    [request] = [e for e in node.ledger.of("raw") if e.path == f"/raw/{name}"]
    assert request.range == f"bytes={3 * CHUNK}-"
    assert not (tmp_path / "out" / ".ritual-partial").exists()

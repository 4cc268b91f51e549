"""An artifact, and Arweave as the manager sees it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends.arweave import ArweaveBackend, ArweaveUploadResult, Timing
from ritual_artifacts.backends.arweave.options import ConnectionOptions
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.backends.registry import connect
from ritual_artifacts.context import Context
from tests.backends.sample import Sample, contents, make_sample
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key

PLENTY = 10**15
REPO = "arweave/me/model"
QUICK = Timing(poll_seconds=0.01, recheck_seconds=0.0)
"""Looks often at a chain on which blocks come at once, and again at everything that was posted."""


@pytest.fixture
def sample(write: Callable[..., Path]) -> Sample:
    """Return an artifact of a file that is sent on its own, small ones and an empty one."""
    return make_sample(write, 900_000)


class Client:
    """Uploads to and downloads from some nodes."""

    def __init__(self, *nodes: ArweaveNode, wallet: Key, **connection: Any) -> None:
        self.node = nodes[0]
        self.wallet = wallet
        gateways = [node.url for node in nodes]
        self.connection = {"gateways": gateways, "timeout": 5.0, "timing": QUICK} | connection

    def connect(self) -> ArweaveBackend:
        backend = connect("arweave", self.connection, Context.create())
        assert isinstance(backend, ArweaveBackend)
        return backend

    def weave(self) -> Weave:
        context = Context.create()
        return Weave(ConnectionOptions.parse(self.connection).fill_in(context.settings), context)

    def change_timing(self, **seconds: float) -> None:
        self.connection["timing"] = replace(QUICK, **seconds)

    def upload(self, sample: BaseModel, repo: str = REPO, **options: Any) -> ArweaveUploadResult:
        result = RitualArtifactManager(artifact=sample).to_repo(
            repo, None, self.wallet.path, self.connection, options
        )
        assert isinstance(result, ArweaveUploadResult)
        return result

    def download(
        self, folder: Path | None, repo: str | None = None, **options: Any
    ) -> RitualArtifactManager[Sample]:
        return RitualArtifactManager.from_repo(
            Sample, repo or self.repo(), folder, repomanager_kwargs=self.connection, **options
        )

    def repo(self, version: str | None = None) -> str:
        return f"arweave/{self.wallet.address}/model" + (f"/{version}" if version else "")


@pytest.fixture
def client(arweave_node: ArweaveNode, wallet: Key) -> Client:
    """Return a client whose wallet has plenty."""
    arweave_node.mint(wallet.address, PLENTY)
    return Client(arweave_node, wallet=wallet)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_RETRY_WAIT", "0.001")


@pytest.fixture
def published(client: Client, sample: Sample) -> dict[str, str]:
    """Publish the sample and return where its files are."""
    result = client.upload(sample, "arweave/me/model/v1")
    client.node.mine()
    client.node.ledger.forget()
    return {**result.transactions, "": result.transaction_id}


@pytest.fixture
def pair(client: Client, make_arweave: MakeArweave) -> Client:
    """Return a client with two gateways to the same chain; faults are the first one's."""
    second = make_arweave(weave=client.node.weave)
    return Client(client.node, second, wallet=client.wallet, timeout=1.0)


@pytest.fixture
def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that goes on as if on a machine without any journal."""

    def move() -> None:
        monkeypatch.setenv("RITUAL_STATE_DIR", str(tmp_path / "another"))

    return move


def has_path_manifest(client: Client) -> bool:
    return any(t.tag("Type") == "manifest" for t in client.node.transactions())


def is_published(client: Client, sample: Sample, folder: Path) -> bool:
    client.node.mine()
    return contents(client.download(folder).artifact) == contents(sample)

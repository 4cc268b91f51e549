"""An artifact, and Arweave as the manager sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends import http
from ritual_artifacts.backends.arweave import ArweaveUploadResult, delivery, network
from tests.backends.sample import Sample, make_sample
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key

PLENTY = 10**15
REPO = "arweave/me/model"


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
        self.connection = {"gateways": gateways, "timeout": 5.0} | connection

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
    monkeypatch.setattr(http, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(network, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(delivery, "RECHECK_SECONDS", 0.0)

"""An artifact, and the Hub under test as the manager sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends import http
from tests.backends.sample import Sample, make_sample
from tests.servers.hub import Hub

REPO = "huggingface/alice/model"


@pytest.fixture
def sample(write: Callable[..., Path]) -> Sample:
    """Return an artifact of a file that is sent on its own, small ones and an empty one."""
    return make_sample(write, 300_000)


class Client:
    """Uploads to and downloads from one hub."""

    def __init__(self, hub: Hub, **connection: Any) -> None:
        self.hub = hub
        self.connection = {"endpoint": hub.endpoint, "token": hub.token, "timeout": 5.0} | connection

    def upload(self, sample: BaseModel, repo: str = REPO, **options: Any) -> Any:
        return RitualArtifactManager(artifact=sample).to_repo(
            repo, repo_manager_kwargs=self.connection, upload_kwargs=options
        )

    def download(
        self, folder: Path | None, repo: str = REPO, **options: Any
    ) -> RitualArtifactManager[Sample]:
        return RitualArtifactManager.from_repo(
            Sample, repo, folder, repomanager_kwargs=self.connection, **options
        )


@pytest.fixture
def client(hub: Hub) -> Client:
    return Client(hub)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_WAIT", 0.001)

"""An artifact, a client of the Hub under test, and a clock that does not wait."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager, RitualRepoId
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.backends.registry import connect
from ritual_artifacts.context import Context, SystemClock
from ritual_artifacts.transfer.fetching import Request, fetch
from ritual_artifacts.transfer.publishing import publish
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

    def publish_in(self, context: Context, sample: BaseModel, repo: str = REPO) -> None:
        """Upload in a context of the test's own."""
        backend = connect(RitualRepoId.from_unique_id(repo), self.connection, context)
        publish(plan_files(sample), backend, RitualRepoId.from_unique_id(repo), context)

    def fetch_in(self, context: Context, folder: Path, repo: str = REPO) -> None:
        """Download in a context of the test's own."""
        repo_id = RitualRepoId.from_unique_id(repo)
        fetch(Request(repo_id=repo_id, options=self.connection, directory=folder), context)


def final_files(folder: Path) -> list[str]:
    """Return the names of the files in a folder, without partial files."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".ritual-partial" not in path.parts
    )


@dataclass
class NotingClock(SystemClock):
    """A clock that notes pauses instead of making them."""

    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def clock() -> NotingClock:
    return NotingClock()


@pytest.fixture
def context(clock: NotingClock) -> Context:
    """Return a context that never waits."""
    return replace(Context.create(), clock=clock)


@pytest.fixture
def client(hub: Hub) -> Client:
    return Client(hub)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_RETRY_WAIT", "0.001")

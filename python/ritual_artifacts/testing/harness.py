"""What the contract suite stands on: the hooks that a storage's tests fill in, sample artifacts, short calls.

Makes no claim about a backend.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from ritual_artifacts.backends import (
    Backend,
    Context,
    Revision,
    RitualRepoId,
    Storage,
    UploadResult,
    connect,
    find_storage,
)
from ritual_artifacts.manager import RitualArtifactManager


class Sample(BaseModel):
    """The artifact that the suite publishes: a file of 50,000 bytes, one of 9,000 and an empty one."""

    circuit: Path
    shards: list[Path]
    note: str = ""

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of each file, by its name in the artifact."""
        return {path.name: path.read_bytes() for path in [self.circuit, *self.shards]}


class Pair(BaseModel):
    """An artifact of which only a part can be downloaded."""

    circuit: Path | None = None
    proof: Path | None = None


class Number(BaseModel):
    """An artifact whose digest is the same for 1 and 1.0, which canonical JSON writes alike."""

    file: Path
    value: int | float


class BackendHarness(ABC):
    """A storage under test, empty at the start of each test.

    Attributes:
        storage_name: The name that the storage is registered under.
        owner: An owner that can publish with `options`; a fixture may set another one on `self`.
        connection_options: The `options` of the running test.
    """

    storage_name: ClassVar[str]
    owner: str = "alice"
    connection_options: Mapping[str, Any]

    # --- what a subclass provides ---

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Return the connection options of an empty storage; override it unless there are none."""
        return {}

    @abstractmethod
    def raw_read(self, repo_id: RitualRepoId, name: str) -> bytes:
        """Return a file of the repository's newest version without using the backend.

        Args:
            repo_id: The repository, without a version.
            name: Name of the file in the artifact, or `ritual_manifest.json`.
        """

    @abstractmethod
    def damage(self, repo_id: RitualRepoId, names: Collection[str]) -> None:
        """Let the storage send other bytes, as many as before, for files of the newest version.

        Args:
            repo_id: The repository, without a version.
            names: Names of the files in the artifact.
        """

    # --- what the tests use ---

    @pytest.fixture(autouse=True)
    def _set_up(self, options: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep cache, store and state of each test in a folder of its own, and do not wait for servers."""
        for name in ("cache", "store", "state"):
            monkeypatch.setenv(f"RITUAL_{name.upper()}_DIR", str(tmp_path / "ritual" / name))
        monkeypatch.setenv("RITUAL_RETRY_WAIT", "0.001")
        self.connection_options = options

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Sample:
        """Return the artifact to publish."""
        return Sample(
            circuit=write_file(tmp_path / "sources" / "circuit.bin", 50_000),
            shards=[
                write_file(tmp_path / "sources" / "a.bin", 9000),
                write_file(tmp_path / "sources" / "b.bin", 0),
            ],
            note="ø",
        )

    @pytest.fixture
    def changed(self, sample: Sample, tmp_path: Path) -> Sample:
        """Return the same artifact with another `circuit.bin`, of the same size."""
        other = write_file(tmp_path / "sources" / "changed" / "circuit.bin", 50_000, fill=b"changed ")
        return sample.model_copy(update={"circuit": other})

    @property
    def storage(self) -> Storage:
        """The storage under test."""
        return find_storage(self.storage_name)

    def repo(self, version: str | None = None) -> RitualRepoId:
        """Return the id of the repository that the tests use."""
        return RitualRepoId(storage=self.storage_name, owner=self.owner, name="model", version=version)

    def connect(self) -> Backend[Any]:
        """Return a new connection."""
        return connect(self.repo(), self.connection_options, Context.create())

    def open(self, version: str | None = None) -> Revision:
        """Open a version through a new connection."""
        return self.connect().open(self.repo(version))

    def upload(self, artifact: BaseModel, version: str | None = None, **options: Any) -> UploadResult:  # noqa: ANN401 - passed on
        """Publish an artifact as a user does."""
        manager = RitualArtifactManager(artifact=artifact)
        return manager.to_repo(self.repo(version), repo_manager_kwargs=self.connection_options, **options)

    def download(
        self,
        folder: Path,
        version: str | None = None,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> RitualArtifactManager[Sample]:
        """Download the sample as a user does."""
        repo = self.repo(version)
        return RitualArtifactManager.from_repo(
            Sample, repo, folder, repomanager_kwargs=self.connection_options, **options
        )


def write_file(path: Path, size: int, fill: bytes = b"sample ") -> Path:
    """Write a file of `size` bytes, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((fill * size)[:size])
    return path


def names_below(folder: Path) -> set[str]:
    """Return the files below a folder, by their path from there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

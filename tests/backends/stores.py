"""What the tests of the local store share: a small artifact, short calls, and the store's files seen raw."""

from pathlib import Path

from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager, RitualRepoId, StorageId
from ritual_artifacts.artifact.planning import ArtifactPlan, plan_files
from ritual_artifacts.backends.base import UploadResult
from ritual_artifacts.backends.local import LocalBackend, LocalStorage
from ritual_artifacts.backends.local.options import LocalUploadOptions
from ritual_artifacts.context import Context
from ritual_artifacts.events import ProgressCallback
from ritual_artifacts.transfer.publishing import publish
from tests.backends.streaming import flip_one_bit

NO_OPTIONS = LocalUploadOptions()


class Sample(BaseModel):
    files: list[Path]
    note: str = ""


def default_store() -> LocalBackend:
    """Return the store that the environment names."""
    return LocalStorage().connect({}, Context.create())


def repo(version: str | None = None, name: str = "model") -> RitualRepoId:
    return RitualRepoId(storage=StorageId.Local, owner="me", name=name, version=version)


def plan_of(*files: Path, note: str = "") -> ArtifactPlan:
    return plan_files(Sample(files=list(files), note=note))


def upload(
    store: LocalBackend,
    *files: Path,
    to: RitualRepoId | None = None,
    note: str = "",
    progress: ProgressCallback | None = None,
) -> UploadResult:
    context = Context.create(progress=progress)
    return publish(plan_of(*files, note=note), store, to or repo(), context)[0]


def download(store: LocalBackend, of: RitualRepoId, folder: Path) -> RitualArtifactManager[Sample]:
    options = {"root": store.layout.root}
    return RitualArtifactManager.from_repo(Sample, of, folder, repomanager_kwargs=options)


def objects(store: LocalBackend) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in object_paths(store)}


def object_paths(store: LocalBackend) -> list[Path]:
    return list((store.layout.root / "objects").glob("*/*"))


def incoming(store: LocalBackend) -> list[Path]:
    return list((store.layout.root / "incoming").iterdir())


def alter(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(flip_one_bit(path.read_bytes()))


def assert_intact(store: LocalBackend, of: RitualRepoId) -> None:
    assert store.open(of).manifest_bytes()
    assert store.find_damage(Context.create()) == []

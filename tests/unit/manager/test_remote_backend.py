"""Downloads from a storage that is not on this machine: nothing is asked for or worked out twice."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import IntegrityError, RitualArtifactManager, RitualRepoId
from ritual_artifacts.artifact import introspection, provenance, selection
from ritual_artifacts.models import ModelArtifact, ModelManager
from ritual_artifacts.settings import Settings, load_settings
from ritual_artifacts.transfer import loading
from tests.artifacts import Circuit
from tests.backends.streaming import Server, StreamingBackend
from tests.unit.manager.artifacts import Other, Write, contents, flip_one_bit

REPO = "streaming/me/circuit"


@pytest.fixture
def server(test_storages: None, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Return a server whose `requests` name every version that is opened and every manifest, too."""
    del test_storages
    server = Server()
    open_honestly = StreamingBackend.open

    def note_open(backend: StreamingBackend, repo_id: RitualRepoId) -> Any:
        server.requests.append((f"open {repo_id}", 0))
        return open_honestly(backend, repo_id)

    def note_manifest(data: bytes) -> bytes:
        server.requests.append(("manifest", 0))
        return data

    monkeypatch.setattr(StreamingBackend, "open", note_open)
    server.lie = note_manifest
    return server


@pytest.fixture
def options(server: Server, manager: RitualArtifactManager[Circuit]) -> Mapping[str, Any]:
    """Publish the artifact, and return the options of downloads."""
    options = {"space": server}
    manager.to_repo(REPO, repo_manager_kwargs=options)
    server.forget_requests()
    return options


def test_a_version_is_opened_once_and_each_file_read_once(
    server: Server, options: Mapping[str, Any], circuit: Circuit
) -> None:
    again = RitualArtifactManager.from_repo(Circuit, REPO, repo_manager_kwargs=options)

    assert contents(again.artifact) == contents(circuit)
    assert server.requests[:2] == [(f"open {REPO}", 0), ("manifest", 0)]
    assert sorted(server.requests[2:]) == [("a.safetensors", 0), ("b.safetensors", 0), ("circuit.bin", 0)]


def test_files_in_the_cache_are_not_read_again(server: Server, options: Mapping[str, Any]) -> None:
    RitualArtifactManager.from_repo(Circuit, REPO, repo_manager_kwargs=options)
    server.forget_requests()

    RitualArtifactManager.from_repo(Circuit, REPO, repo_manager_kwargs=options)

    assert server.requests == [(f"open {REPO}", 0), ("manifest", 0)]


def test_only_the_damaged_file_in_the_cache_is_read_again(
    server: Server, options: Mapping[str, Any], own_folders: Path
) -> None:
    digest = RitualArtifactManager.from_repo(Circuit, REPO, repo_manager_kwargs=options).digest
    flip_one_bit(own_folders / "cache" / REPO / "default/a.safetensors")
    server.forget_requests()

    again = RitualArtifactManager.from_repo(
        Circuit, REPO, repo_manager_kwargs=options, expected_digest=digest
    )

    assert again.verify().digest == digest
    assert server.requests == [(f"open {REPO}", 0), ("manifest", 0), ("a.safetensors", 0)]


def test_a_file_that_differs_from_the_manifest_is_refused_with_its_field(
    server: Server, options: Mapping[str, Any], tmp_path: Path
) -> None:
    server.flipped.add("b.safetensors")

    with pytest.raises(IntegrityError, match=rf"'b\.safetensors' \(field 'weights'\) from {REPO}"):
        RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out", repo_manager_kwargs=options)

    assert [path.name for path in (tmp_path / "out").iterdir()] == [".ritual-partial"]


# --- what one call works out ---


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of what looks at a whole model or manifest, wherever it is called from."""
    counted: Counter[str] = Counter()

    def count(module: object, name: str) -> None:
        function: Callable[..., Any] = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            counted[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    for module, name in ((selection, "file_names"), (provenance, "describe"), (loading, "rebuild")):
        assert getattr(module, name) is getattr(introspection, name)
    count(selection, "file_names")
    count(provenance, "describe")
    count(loading, "rebuild")
    return counted


@pytest.mark.parametrize("where", ["cache", "folder"])
@pytest.mark.parametrize("storage", ["local", "streaming"])
def test_a_download_describes_the_artifact_once_and_builds_it_twice(  # noqa: PLR0917 - pytest's
    storage: str, where: str, write: Write, server: Server, calls: Counter[str], tmp_path: Path
) -> None:
    repo = f"{storage}/me/other"
    options = {"space": server} if storage == "streaming" else None
    RitualArtifactManager(artifact=Other(file=write("a.bin"))).to_repo(repo, repo_manager_kwargs=options)
    calls.clear()

    RitualArtifactManager.from_repo(
        Other, repo, tmp_path / "out" if where == "folder" else None, repo_manager_kwargs=options
    )

    assert calls == {"file_names": 1, "describe": 1, "rebuild": 2}  # once before it is in place, once after


# --- the environment ---


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Return the list of settings that are read from the environment, filled while the test runs."""
    found: list[Settings] = []

    def read() -> Settings:
        found.append(Settings())
        return found[-1]

    monkeypatch.setattr("ritual_artifacts.settings.Settings", read)
    load_settings()
    assert len(found) == 1
    found.clear()
    return found


class Model(BaseModel):
    files: list[Path]


@pytest.mark.parametrize("storage", ["local", "streaming"])
def test_a_call_reads_the_environment_once(
    storage: str, server: Server, loaded: list[Settings], write: Write, tmp_path: Path
) -> None:
    repo = f"{storage}/me/model"
    options = {"space": server} if storage == "streaming" else {}
    source = write("model/a.bin")
    manager = RitualArtifactManager(artifact=ModelArtifact(files=[source], metadata={}))
    models = ModelManager(tmp_path / "cache")
    digest = manager.digest
    calls: dict[str, Callable[[], object]] = {
        "to_repo": lambda: manager.to_repo(repo, repo_manager_kwargs=options),
        "from_repo": lambda: RitualArtifactManager.from_repo(ModelArtifact, repo, None, None, options),
        "from_repo, from the cache": lambda: RitualArtifactManager.from_repo(
            ModelArtifact, repo, None, None, options, expected_digest=digest
        ),
        "to_dir": lambda: manager.to_dir(tmp_path / "out"),
        "from_dir": lambda: RitualArtifactManager.from_dir(ModelArtifact, tmp_path / "out"),
        "manifest": manager.manifest,
        "verify": manager.verify,
        "has_artifact": lambda: RitualArtifactManager.has_artifact(repo),
        "get_cached_artifacts": RitualArtifactManager.get_cached_artifacts,
        "upload_model": lambda: models.upload_model(source.parent, repo, repo_manager_kwargs=options),
        "download_model": lambda: models.download_model(repo, repomanager_kwargs=options),
        "has_model": lambda: models.has_model(repo),
        "clear_cache": models.clear_cache,
    }
    reads = {}
    for name, call in calls.items():
        loaded.clear()
        call()
        reads[name] = len(loaded)

    assert reads == dict.fromkeys(calls, 1)

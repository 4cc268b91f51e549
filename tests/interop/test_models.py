"""The matrix of models: who writes, where to, who reads; with the ModelManager of infernet-ml 2.0.0.

Each cell says what is expected. Where infernet-ml fails, it says with which error, and its name says why.
The cells of artifacts that are no models are in `test_infernet_ml` (folders, caches, ids) and `test_hub`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import RitualArtifactManager, RitualRepoId
from ritual_artifacts.models import MlModelId, MlModelInfo, ModelArtifact, ModelManager
from tests.interop.theirs import Infernet, fails, run
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key
from tests.servers.hub import Hub

REPO = "huggingface/alice/iris"
INFO: dict[str, Any] = {"memory_requirements": 2**20, "cpu_cores": 2}


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Return a folder that infernet-ml can publish: files only."""
    folder = tmp_path / "flat"
    folder.mkdir()
    (folder / "iris.onnx").write_bytes(b"onnx" * 3_000)
    (folder / "iris.torch").write_bytes(b"torch" * 200_000)
    return folder


@pytest.fixture
def nested(flat: Path) -> Path:
    """Return a folder with a folder in it."""
    (flat / "int8").mkdir()
    (flat / "int8" / "small.onnx").write_bytes(b"small")
    return flat


@pytest.fixture
def shared_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache that infernet-ml has in the test's home folder, and use it here too."""
    cache = tmp_path / "home" / ".cache" / "ritual"
    monkeypatch.setenv("RITUAL_CACHE_DIR", str(cache))
    return cache


def options(hub: Hub) -> dict[str, Any]:
    return {"endpoint": hub.endpoint, "token": hub.token}


def expected(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().hex() for path in folder.iterdir() if path.is_file()}


def publish(folder: Path, hub: Hub, metadata: dict[str, object] | None = None) -> Any:
    return ModelManager.upload_model(folder, REPO, metadata, repo_manager_kwargs=options(hub))


THEY_UPLOAD = """
metadata = {name: MlModelInfo(**info) for name, info in json.loads(sys.argv[3]).items()}
attempt(lambda: ModelManager.upload_model(sys.argv[1], sys.argv[2], metadata))
"""
THEY_DOWNLOAD = """
def download():
    artifact = ModelManager().download_model(sys.argv[1])
    return {"files": files(artifact), "metadata": {k: v.to_dict() for k, v in artifact.metadata.items()}}
attempt(download)
"""


# --- Hugging Face: ours, read by infernet-ml ---------------------------------------------------------------


def test_hub_ours_to_theirs(hub: Hub, flat: Path, infernet: Infernet) -> None:
    publish(flat, hub, {"iris.onnx": MlModelInfo.from_dict(INFO)})

    result = run(infernet, THEY_DOWNLOAD, f"{REPO}:iris.onnx", hub=hub)

    assert result["files"].items() >= expected(flat).items()
    assert result["metadata"]["iris.onnx"].items() >= {**INFO, "id": f"{REPO}:iris.onnx"}.items()


def test_hub_ours_to_theirs_without_the_number_of_cores(hub: Hub, flat: Path, infernet: Infernet) -> None:
    publish(flat, hub, {"iris.onnx": MlModelInfo(memory_requirements=1)})

    result = run(infernet, THEY_DOWNLOAD, REPO, hub=hub)

    assert result["metadata"]["iris.onnx"]["cpu_cores"] is None


def test_hub_ours_to_theirs_with_folders_fails_because_theirs_copies_only_files(
    hub: Hub, nested: Path, infernet: Infernet
) -> None:
    publish(nested, hub)

    result = run(infernet, THEY_DOWNLOAD, REPO, hub=hub)

    assert fails(result, "IsADirectoryError", "int8")


def test_hub_ours_to_theirs_with_free_metadata_fails_because_theirs_takes_information_only(
    hub: Hub, flat: Path, infernet: Infernet
) -> None:
    publish(flat, hub, {"description": "irises"})

    result = run(infernet, THEY_DOWNLOAD, REPO, hub=hub)

    assert fails(result, "ValidationError", "metadata.description")


# --- Hugging Face: theirs, read by us ----------------------------------------------------------------------


def test_hub_theirs_to_ours(hub: Hub, flat: Path, infernet: Infernet) -> None:
    assert run(infernet, THEY_UPLOAD, flat, REPO, json.dumps({"iris.onnx": INFO}), hub=hub) is None

    artifact = ModelManager().download_model(REPO, repomanager_kwargs=options(hub))

    assert {path.name: path.read_bytes().hex() for path in artifact.files} == expected(flat)
    assert artifact.metadata == {"iris.onnx": MlModelInfo.from_dict({"id": f"{REPO}:iris.onnx"} | INFO)}


def test_hub_theirs_to_ours_downloads_only_the_named_file(
    hub: Hub, flat: Path, infernet: Infernet, tmp_path: Path
) -> None:
    run(infernet, THEY_UPLOAD, flat, REPO, "{}", hub=hub)
    hub.ledger.forget()

    artifact = ModelManager().download_model(
        f"{REPO}:iris.onnx", directory=tmp_path / "out", repomanager_kwargs=options(hub)
    )

    assert artifact.get_file(f"{REPO}:iris.onnx").read_bytes() == (flat / "iris.onnx").read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["iris.onnx"]
    assert hub.ledger.sent() < 100_000


def test_hub_theirs_without_the_number_of_cores_is_read_by_us_and_not_by_themselves(
    hub: Hub, flat: Path, infernet: Infernet
) -> None:
    run(infernet, THEY_UPLOAD, flat, REPO, json.dumps({"iris.onnx": {"memory_requirements": 1}}), hub=hub)

    ours = ModelManager().download_model(REPO, repomanager_kwargs=options(hub))
    theirs = run(infernet, THEY_DOWNLOAD, REPO, hub=hub)

    assert ours.metadata == {"iris.onnx": MlModelInfo(id=f"{REPO}:iris.onnx", memory_requirements=1)}
    assert fails(theirs, "ValidationError", "cpu_cores")


def test_hub_theirs_with_folders_fails_because_theirs_reads_only_files(
    hub: Hub, nested: Path, infernet: Infernet
) -> None:
    result = run(infernet, THEY_UPLOAD, nested, REPO, "{}", hub=hub)

    assert fails(result, "IsADirectoryError", "int8")


def test_both_publish_the_same_artifact(hub: Hub, flat: Path, infernet: Infernet) -> None:
    metadata = json.dumps({"iris.onnx": INFO})
    run(infernet, THEY_UPLOAD, flat, "huggingface/alice/theirs", metadata, hub=hub)
    ModelManager.upload_model(
        flat, "huggingface/alice/ours", {"iris.onnx": INFO}, repo_manager_kwargs=options(hub)
    )

    theirs, ours = (
        json.loads(hub.read(hub.repo(f"alice/{who}"), "ritual_manifest.json")) for who in ("theirs", "ours")
    )

    assert sorted(theirs["files"]) == ours["files"]
    assert theirs["file_hashes"] == ours["file_hashes"]
    assert theirs["artifact_type"] == ours["artifact_type"]
    assert theirs["metadata"]["iris.onnx"] == {
        **ours["metadata"]["iris.onnx"],
        "id": "huggingface/alice/theirs:iris.onnx",
    }


# --- caches ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shared_cache")
def test_cache_ours_to_theirs(hub: Hub, flat: Path, infernet: Infernet) -> None:
    publish(flat, hub, {"iris.onnx": INFO})
    ModelManager().download_model(REPO, repomanager_kwargs=options(hub))
    script = """
manager = ModelManager()
attempt(lambda: {
    "has": manager.has_model(sys.argv[1]),
    "cached": [model.repo_id for model in manager.get_cached_models()],
    "files": files(manager.download_model(sys.argv[1])),
})
"""

    result = run(infernet, script, f"{REPO}:iris.onnx")

    assert result == {"has": True, "cached": [REPO], "files": expected(flat)}


def test_cache_ours_with_one_file_to_theirs_fails_because_theirs_accepts_any_file_as_complete(
    hub: Hub, flat: Path, infernet: Infernet, shared_cache: Path
) -> None:
    publish(flat, hub)
    ModelManager().download_model(f"{REPO}:iris.onnx", repomanager_kwargs=options(hub))

    result = run(infernet, THEY_DOWNLOAD, REPO, hub=hub)

    assert fails(result, "FileNotFoundError", "ritual_manifest.json")
    assert not shared_cache.joinpath(REPO, "default", "ritual_manifest.json").exists()


def test_cache_theirs_to_ours(
    hub: Hub, flat: Path, infernet: Infernet, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(flat, hub, {"iris.onnx": INFO})
    run(infernet, THEY_DOWNLOAD, f"{REPO}:iris.onnx", hub=hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    manager = ModelManager()

    artifact = manager.download_model(f"{REPO}:iris.torch")

    assert artifact.files == [shared_cache / REPO / "default" / "iris.torch"]
    assert manager.has_model(f"{REPO}:iris.onnx")
    assert [model.repo_id for model in manager.get_cached_models()] == [REPO]


def test_cache_theirs_is_cleared_by_us_and_nothing_else_is(
    hub: Hub, flat: Path, infernet: Infernet, shared_cache: Path
) -> None:
    publish(flat, hub)
    run(infernet, THEY_DOWNLOAD, REPO, hub=hub)
    (shared_cache / "notes.txt").write_text("mine")

    freed = ModelManager().clear_cache()

    assert freed > 1_000_000
    assert not (shared_cache / REPO / "default").exists()
    assert (shared_cache / "notes.txt").read_text() == "mine"


# --- folders -----------------------------------------------------------------------------------------------


def test_folder_ours_to_theirs(nested: Path, infernet: Infernet, tmp_path: Path) -> None:
    ModelManager.upload_model(nested, "local/me/iris", {"int8/small.onnx": INFO})
    ModelManager().download_model("local/me/iris", directory=tmp_path / "out")

    result = run(
        infernet,
        "attempt(lambda: files(RitualArtifactManager.from_dir(ModelArtifact, sys.argv[1]).artifact))",
        tmp_path / "out",
    )

    assert result == expected(nested) | {"small.onnx": b"small".hex()}


def test_folder_theirs_to_ours(flat: Path, infernet: Infernet, tmp_path: Path) -> None:
    script = """
artifact = ModelArtifact(files=list(Path(sys.argv[1]).iterdir()), metadata={"iris.onnx": MlModelInfo(
    memory_requirements=1, cpu_cores=1)})
attempt(lambda: RitualArtifactManager(artifact=artifact).to_dir(sys.argv[2], "huggingface/alice/iris"))
"""
    run(infernet, script, flat, tmp_path / "theirs")

    manager = RitualArtifactManager.from_dir(ModelArtifact, tmp_path / "theirs")

    assert manager.repo_id == RitualRepoId.from_unique_id(REPO)
    assert {path.name: path.read_bytes().hex() for path in manager.artifact.files} == expected(flat)
    assert manager.artifact.metadata == {"iris.onnx": MlModelInfo(memory_requirements=1, cpu_cores=1)}


# --- ids ---------------------------------------------------------------------------------------------------

IDS = [
    "local/me/x",
    "arweave/owner/name/v1:model.onnx",
    "huggingface/org/model-é/main:a.onnx,größe 模型.bin",
    f"local/o/{'n' * 70}:{'f' * 70}",
]


def test_on_chain_ids_are_equal_in_both_directions(infernet: Infernet) -> None:
    ours = [MlModelId.from_unique_id(unique_id).to_web3.hex() for unique_id in IDS]
    script = """
theirs = [MlModelId.from_unique_id(unique_id).to_web3.hex() for unique_id in json.loads(sys.argv[1])]
again = [MlModelId.from_web3(bytes.fromhex(e)).unique_id for e in json.loads(sys.argv[2])]
attempt(lambda: [theirs, again])
"""

    theirs, again = run(infernet, script, json.dumps(IDS), json.dumps(ours))

    assert theirs == ours
    assert again == IDS
    assert [MlModelId.from_web3(bytes.fromhex(encoding)).unique_id for encoding in theirs] == IDS


# --- Arweave -----------------------------------------------------------------------------------------------


@pytest.fixture
def node(arweave_node: ArweaveNode, wallet: Key) -> ArweaveNode:
    arweave_node.mint(wallet.address)
    return arweave_node


def test_arweave_ours_to_theirs(
    node: ArweaveNode, wallet: Key, flat: Path, infernet: Infernet, tmp_path: Path
) -> None:
    options = {"gateways": node.url, "wallet_path": wallet.path}
    information = {"iris.onnx": MlModelInfo.from_dict(INFO)}
    ModelManager.upload_model(flat, "arweave/me/iris", information, repo_manager_kwargs=options)
    node.mine()
    script = """
def download():
    artifact = ModelManager().download_model(
        sys.argv[1], directory=sys.argv[2], repomanager_kwargs={"api_url": sys.argv[3]})
    return {"files": files(artifact), "id": artifact.metadata["iris.onnx"].id}
attempt(download)
"""
    repo = f"arweave/{wallet.address}/iris"

    result = run(infernet, script, repo, tmp_path / "theirs", node.url)

    assert result == {"files": expected(flat), "id": f"{repo}:iris.onnx"}


def test_arweave_theirs_to_ours(node: ArweaveNode, wallet: Key, flat: Path, infernet: Infernet) -> None:
    (flat / "iris.torch").write_bytes(b"torch" * 30_000)
    script = """
metadata = {"iris.onnx": MlModelInfo(**json.loads(sys.argv[3]))}
options = {"api_url": sys.argv[4]}
attempt(lambda: ModelManager.upload_model(
    sys.argv[1], sys.argv[2], metadata, wallet_path=sys.argv[5], repo_manager_kwargs=options) and None)
"""
    repo = f"arweave/{wallet.address}/iris"
    assert run(infernet, script, flat, repo, json.dumps(INFO), node.url, wallet.path) is None
    node.mine()

    artifact = ModelManager().download_model(repo, repomanager_kwargs={"gateways": node.url})

    assert {path.name: path.read_bytes().hex() for path in artifact.files} == expected(flat)
    assert artifact.metadata == {"iris.onnx": MlModelInfo.from_dict({"id": f"{repo}:iris.onnx"} | INFO)}


def test_arweave_theirs_fails_above_one_chunk_because_of_the_client_that_pip_picks(
    node: ArweaveNode, wallet: Key, flat: Path, infernet: Infernet
) -> None:
    script = """
options = {"api_url": sys.argv[3]}
attempt(lambda: ModelManager.upload_model(
    sys.argv[1], sys.argv[2], {}, wallet_path=sys.argv[4], repo_manager_kwargs=options) and None)
"""

    result = run(infernet, script, flat, f"arweave/{wallet.address}/iris", node.url, wallet.path)

    assert fails(result, "AttributeError", "update")

"""A real network, on every storage: published, downloaded, and run."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from ritual_artifacts import ArtifactNotFoundError, IntegrityError
from ritual_artifacts.models import MlModelId, MlModelInfo, MLType, ModelManager
from tests.models import expected_output, write_network
from tests.servers.arweave.node import ArweaveNode
from tests.servers.hub import Hub


class Storage:
    """A storage that models are published to, and how it is reached."""

    def __init__(
        self, name: str, owner: str = "alice", *, hub: Hub | None = None, node: ArweaveNode | None = None
    ) -> None:
        self.repo = f"{name}/{owner}/linear"
        self.hub = hub
        self.node = node
        self.options: dict[str, Any] = {}
        if hub is not None:
            self.options = {"endpoint": hub.endpoint, "token": hub.token}


@pytest.fixture(params=["local", "hub", "xet_hub", "arweave"])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "local":
        return Storage("local")
    if request.param != "arweave":
        return Storage("huggingface", hub=request.getfixturevalue(request.param))
    node, wallet = request.getfixturevalue("arweave_node"), request.getfixturevalue("wallet")
    node.mint(wallet.address, 10**15)
    storage = Storage("arweave", wallet.address, node=node)
    storage.options = {"gateways": [node.url], "wallet_path": wallet.path}
    return storage


@pytest.fixture
def published(storage: Storage, tmp_path: Path) -> Storage:
    folder = tmp_path / "linear"
    write_network(folder / "linear.onnx")
    write_network(folder / "fp32" / "linear.onnx")
    (folder / "unwanted.bin").write_bytes(b"\0" * 3_000_000)
    info = MlModelInfo(memory_requirements=2**20, cpu_cores=1, inference_engine=MLType.ONNX)
    # The owner on Arweave is the wallet, whatever the id says.
    repo = storage.repo if storage.node is None else "arweave/my-username/linear"
    ModelManager.upload_model(folder, repo, {"linear.onnx": info}, repo_manager_kwargs=storage.options)
    assert info.id == f"{storage.repo}:linear.onnx"
    if storage.node is not None:
        storage.node.mine()
    return storage


def run(path: Path) -> np.ndarray:
    x = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    np.testing.assert_allclose(y, expected_output(x), rtol=1e-6)
    return np.asarray(y)


def test_a_network_runs_after_the_round_trip(published: Storage) -> None:
    model_id = MlModelId.from_unique_id(f"{published.repo}:linear.onnx", MLType.ONNX)

    artifact = ModelManager().download_model(model_id, repomanager_kwargs=published.options)

    assert run(artifact.get_file(model_id)).shape == (2, 3)
    info = artifact.metadata["linear.onnx"]
    assert isinstance(info, MlModelInfo)
    assert (info.id, info.inference_engine) == (model_id.unique_id, MLType.ONNX)
    assert ModelManager().has_model(model_id)


def test_only_the_bytes_of_the_named_files_are_sent(published: Storage, tmp_path: Path) -> None:
    if published.hub is not None:
        published.hub.ledger.forget()

    artifact = ModelManager().download_model(
        f"{published.repo}:fp32/linear.onnx", directory=tmp_path / "out", repomanager_kwargs=published.options
    )

    run(artifact.files[0])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["fp32"]
    if published.hub is not None:
        assert published.hub.ledger.sent() < 1_000_000


def test_the_error_for_a_missing_file_names_those_that_exist(published: Storage) -> None:
    with pytest.raises(
        ArtifactNotFoundError, match=r"no file 'model\.onnx'; it has 'fp32/linear\.onnx', 'linear\.onnx'"
    ):
        ModelManager().download_model(f"{published.repo}:model.onnx", repomanager_kwargs=published.options)


def test_a_network_that_was_altered_in_the_cache_never_runs(
    published: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    if published.hub is None:
        pytest.skip("offline mode is the Hub's")
    model_id = f"{published.repo}:linear.onnx"
    (path,) = ModelManager().download_model(model_id, repomanager_kwargs=published.options).files
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    kept = ModelManager().download_model(model_id)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match=r"linear\.onnx"):
        ModelManager().download_model(model_id)

    assert kept.files == [path]


def test_a_model_that_is_not_on_this_machine_cannot_be_used_offline(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.ledger.forget()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(ArtifactNotFoundError, match="offline mode is on"):
        ModelManager().download_model("huggingface/alice/linear:linear.onnx")

    assert hub.ledger.of() == []

"""Arweave: gateways and clients by other people, and what we and they write for each other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends.arweave import ArweaveUploadResult
from ritual_artifacts.backends.arweave.encoding import encode
from ritual_artifacts.core.chunks import open_tree
from tests.interop.conftest import Infernet
from tests.interop.ritual_arweave import VERSIONS, download_with_old_tool, upload_with_old_tool
from tests.servers.arlocal import Arlocal
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import g2
from tests.servers.arweave.signing import Key
from tests.servers.arweave_js import ArweaveJs, Proof

CHUNK = 262_144
IN_ORDER = 1
"""Requests at once: arlocal puts chunks together in the order in which they come."""


class Model(BaseModel):
    weights: Path
    notes: Path
    version: str


@pytest.fixture
def model(write: Callable[..., Path]) -> Model:
    return Model(
        weights=write("weights.bin", content=g2(3 * CHUNK + 100_000)),
        notes=write("notes.txt", content=b"n"),
        version="v1",
    )


@pytest.fixture
def node(arweave_node: ArweaveNode, wallet: Key) -> ArweaveNode:
    arweave_node.mint(wallet.address)
    return arweave_node


def upload(
    model: BaseModel, url: str, wallet: Key, *, max_workers: int = 4, **options: Any
) -> ArweaveUploadResult:
    connection = {"gateways": url, "max_workers": max_workers}
    result = RitualArtifactManager(artifact=model).to_arweave("model", wallet.path, connection, options)
    assert isinstance(result, ArweaveUploadResult)
    return result


def download(url: str, repo_id: str, folder: Path) -> Model:
    manager = RitualArtifactManager.from_arweave(Model, repo_id, folder, repomanager_kwargs={"gateways": url})
    return manager.artifact


def equal(first: Model, second: Model) -> bool:
    return (first.weights.read_bytes(), first.notes.read_bytes(), first.version) == (
        second.weights.read_bytes(),
        second.notes.read_bytes(),
        second.version,
    )


# --- arlocal ------------------------------------------------------------------------------------------------


def test_an_upload_to_arlocal_is_downloaded(
    arlocal: Arlocal, wallet: Key, model: Model, tmp_path: Path
) -> None:
    arlocal.mint(wallet.address)

    result = upload(model, arlocal.url, wallet, max_workers=IN_ORDER)
    arlocal.mine()

    assert result.status().state == "confirmed"
    assert equal(download(arlocal.url, f"{wallet.address}/model", tmp_path / "name"), model)
    assert equal(download(arlocal.url, result.transaction_id, tmp_path / "id"), model)


def test_nothing_is_sent_to_arlocal_twice(arlocal: Arlocal, wallet: Key, model: Model) -> None:
    arlocal.mint(wallet.address)
    first = upload(model, arlocal.url, wallet, max_workers=IN_ORDER)
    arlocal.mine()
    model.notes.write_bytes(b"other notes")

    second = upload(model, arlocal.url, wallet, max_workers=IN_ORDER)

    assert second.transactions["weights.bin"] == first.transactions["weights.bin"]
    assert second.bytes_sent == len(b"other notes")


# --- arweave-js ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 100_000])
def test_arweave_js_reads_what_we_wrote(
    node: ArweaveNode, wallet: Key, model: Model, arweave_js: ArweaveJs, tmp_path: Path, *, size: int
) -> None:
    model.weights.write_bytes(g2(size))
    result = upload(model, node.url, wallet)
    node.mine()
    name = result.transactions["weights.bin"]

    assert arweave_js.read(node.url, name, tmp_path / "gateway") == g2(size)
    assert arweave_js.read(node.url, name, tmp_path / "chunks", by_chunks=True) == g2(size)


def test_arweave_js_accepts_our_proofs(arweave_js: ArweaveJs, model: Model) -> None:
    tree = open_tree(model.weights)
    spans = [tree.span(index) for index in range(len(tree))]
    proofs = [
        Proof(root=tree.data_root, size=tree.size, offset=end - 1, path=encode(tree.proof(index)))
        for index, (_, end) in enumerate(spans)
    ]

    assert arweave_js.validate_paths(proofs) == spans


def test_we_reuse_what_arweave_js_uploaded_with_our_tags(
    node: ArweaveNode, wallet: Key, model: Model, arweave_js: ArweaveJs, tmp_path: Path
) -> None:
    digests = {entry.path: entry.sha256 for entry in RitualArtifactManager(artifact=model).manifest().files}
    tags = {"App-Name": "Ritual", "File-SHA256": digests["weights.bin"]}
    uploaded = arweave_js.upload(node.url, wallet.path, model.weights, tags)
    node.mine()

    result = upload(model, node.url, wallet)
    node.mine()

    assert result.transactions["weights.bin"] == uploaded.id
    assert equal(download(node.url, f"{wallet.address}/model", tmp_path / "out"), model)


# --- ritual-arweave and infernet-ml -------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_ritual_arweave_reads_what_we_wrote(
    version: str, node: ArweaveNode, wallet: Key, model: Model, tmp_path: Path
) -> None:
    upload(model, node.url, wallet)
    node.mine()

    download_with_old_tool(version, f"{wallet.address}/model", tmp_path / "out", node.url, wallet=wallet.path)

    assert (tmp_path / "out" / "weights.bin").read_bytes() == model.weights.read_bytes()
    assert RitualArtifactManager.from_dir(Model, tmp_path / "out").artifact.version == "v1"


@pytest.mark.parametrize("version", VERSIONS)
def test_we_read_what_ritual_arweave_wrote(
    version: str, node: ArweaveNode, wallet: Key, model: Model, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=model).to_dir(tmp_path / "sources")
    size = 300_000 if version == "0.2.0" else None
    repo_id, _ = upload_with_old_tool(
        version, tmp_path / "sources", "model", wallet.path, node.url, max_upload_size=size
    )
    node.mine()

    assert equal(download(node.url, repo_id, tmp_path / "out"), model)


THEIR_MODEL = """
import sys
from pathlib import Path
from pydantic import BaseModel
from infernet_ml.resource.artifact_manager import RitualArtifactManager

class Model(BaseModel):
    weights: Path
    notes: Path
    version: str

folder, wallet, url, repo = sys.argv[1:]
options = {"api_url": url, "wallet_path": wallet}
"""


def test_infernet_ml_reads_what_we_wrote(
    node: ArweaveNode, wallet: Key, model: Model, infernet: Infernet, tmp_path: Path
) -> None:
    upload(model, node.url, wallet)
    node.mine()

    printed = infernet(
        THEIR_MODEL
        + """
# Its `from_arweave` reaches no gateway but the public one: the options land in the place of the token.
manager = RitualArtifactManager.from_repo(Model, f"arweave/{repo}", folder, repomanager_kwargs=options)
print(manager.artifact.version, manager.artifact.weights.stat().st_size)
""",
        tmp_path / "out",
        wallet.path,
        node.url,
        f"{wallet.address}/model",
    )

    assert printed.split()[-2:] == ["v1", str(model.weights.stat().st_size)]


def test_we_read_what_infernet_ml_wrote(
    node: ArweaveNode, wallet: Key, model: Model, infernet: Infernet, tmp_path: Path
) -> None:
    model.weights.write_bytes(g2(CHUNK - 1))  # with what pip resolves for it, its upload of chunks fails
    infernet(
        THEIR_MODEL
        + """
folder = Path(folder)
model = Model(weights=folder / "weights.bin", notes=folder / "notes.txt", version="v1")
RitualArtifactManager(artifact=model).to_arweave(repo, wallet, repo_manager_kwargs=options)
""",
        model.weights.parent,
        wallet.path,
        node.url,
        f"{wallet.address}/model",
    )
    node.mine()

    assert equal(download(node.url, f"{wallet.address}/model", tmp_path / "out"), model)


def test_a_bundle_is_ours_alone(
    node: ArweaveNode, wallet: Key, model: Model, tmp_path: Path, arweave_js: ArweaveJs
) -> None:
    result = upload(model, node.url, wallet, bundle=True)
    node.mine()

    assert equal(download(node.url, f"{wallet.address}/model", tmp_path / "out"), model)
    # Any client reads the transaction that holds it, which is a bundle to those who know them.
    data = arweave_js.read(node.url, result.final_transaction, tmp_path / "bundle", by_chunks=True)
    assert int.from_bytes(data[:32], "little") == 4

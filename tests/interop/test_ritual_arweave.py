"""The old tools work with the loopback node, and write what the loopback node imitates."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.interop.conftest import Infernet
from tests.interop.ritual_arweave import (
    VERSIONS,
    OldToolError,
    download_with_old_tool,
    upload_with_old_tool,
)
from tests.servers.arlocal import Arlocal
from tests.servers.arweave.fixtures import VECTORS, MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import g2, publish_recorded_repo, publish_ritual_repo
from tests.servers.arweave.signing import Key
from tests.servers.arweave.transactions import Transaction

SECTION = 300_000
"""Small sections, so that 0.2.0 writes some."""
FILES = {"ritual_manifest.json": b"{}", "a.txt": b"hello", "weights.bin": g2(700_000)}

Tags = list[tuple[str, str]]


@pytest.fixture
def node(arweave_node: ArweaveNode, wallet: Key) -> ArweaveNode:
    arweave_node.mint(wallet.address)
    return arweave_node


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "sources", FILES)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def upload(version: str, folder: Path, wallet: Key, url: str) -> tuple[str, str]:
    size = SECTION if version == "0.2.0" else None
    versions = {"a.txt": "1.2.3"}
    return upload_with_old_tool(
        version, folder, "repo", wallet.path, url, file_versions=versions, max_upload_size=size
    )


def tags_of(transaction: Transaction) -> Tags:
    """Return the tags; the time, which differs, only by name."""
    tags = [(name.decode(), value.decode()) for name, value in transaction.tags]
    return [(name, "" if name == "Unix-Time" else value) for name, value in tags]


def written(node: ArweaveNode) -> list[tuple[Tags, str]]:
    """Return tags and data of all transactions, in an order of their own."""
    found = []
    for transaction in node.transactions():
        data = node.read(transaction.id)
        if transaction.tag("Type") == "manifest":  # ids differ, and the order is that of the folder
            fields = json.loads(data)
            data = json.dumps({**fields, "paths": sorted(fields["paths"])}).encode()
        found.append((tags_of(transaction), hashlib.sha256(data).hexdigest()))
    return sorted(found)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_old_tool_reads_what_it_wrote(
    version: str, node: ArweaveNode, folder: Path, wallet: Key, tmp_path: Path
) -> None:
    repo_id, _ = upload(version, folder, wallet, node.url)
    node.mine()

    download_with_old_tool(version, repo_id, tmp_path / "out", node.url, wallet=wallet.path)

    assert read_files(tmp_path / "out") == FILES


@pytest.mark.parametrize("version", VERSIONS)
def test_the_imitation_writes_what_the_old_tool_writes(
    version: str, make_arweave: MakeArweave, folder: Path, wallet: Key
) -> None:
    real, imitated = make_arweave(), make_arweave()
    real.mint(wallet.address)

    upload(version, folder, wallet, real.url)
    publish_ritual_repo(
        imitated,
        wallet,
        "repo",
        FILES,
        tool=version,
        versions={"a.txt": "1.2.3"},
        max_upload_size=SECTION,
    )

    assert written(imitated) == written(real)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_old_tool_reads_the_imitation(
    version: str, node: ArweaveNode, wallet: Key, tmp_path: Path
) -> None:
    publish_ritual_repo(node, wallet, "repo", {"a.txt": b"older"}, tool=version, unix_time=1.5)
    publish_ritual_repo(node, wallet, "repo", FILES, tool=version, unix_time=2.5, max_upload_size=SECTION)

    download_with_old_tool(version, f"{wallet.address}/repo", tmp_path / "out", node.url, wallet=wallet.path)

    assert read_files(tmp_path / "out") == FILES


@pytest.mark.parametrize("version", VERSIONS)
def test_the_old_tool_reads_the_recorded_repository(
    version: str, node: ArweaveNode, wallet: Key, tmp_path: Path
) -> None:
    repo = publish_recorded_repo(node, VECTORS / f"ritual_repo_{version}.json")

    download_with_old_tool(version, repo.repo_id, tmp_path / "out", node.url, wallet=wallet.path)

    hashes = json.loads((tmp_path / "out" / "ritual_manifest.json").read_text())["file_hashes"]
    files = read_files(tmp_path / "out")
    assert set(files) == set(repo.files)
    assert {name: hashlib.sha256(files[name]).hexdigest() for name in hashes} == hashes


@pytest.mark.parametrize("version", VERSIONS)
def test_the_old_tool_does_not_read_what_is_not_mined(
    version: str, node: ArweaveNode, wallet: Key, tmp_path: Path
) -> None:
    publish_ritual_repo(node, wallet, "repo", {"a.txt": b"a"}, tool=version, mine=False)

    with pytest.raises(OldToolError):
        download_with_old_tool(
            version, f"{wallet.address}/repo", tmp_path / "out", node.url, wallet=wallet.path
        )


def test_neither_makes_the_folders_inside_a_repository(
    node: ArweaveNode, wallet: Key, tmp_path: Path
) -> None:
    repo = publish_ritual_repo(node, wallet, "repo", {"deep/a.txt": b"a"}, tool="0.1.1")

    for version in VERSIONS:
        with pytest.raises(OldToolError, match="No such file or directory"):
            download_with_old_tool(version, repo.repo_id, tmp_path / version, node.url, wallet=wallet.path)
        (tmp_path / version / "deep").mkdir()
        download_with_old_tool(version, repo.repo_id, tmp_path / version, node.url, wallet=wallet.path)

    assert [read_files(tmp_path / version) for version in VERSIONS] == [{"deep/a.txt": b"a"}] * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_the_old_tool_works_with_arlocal(
    version: str, arlocal: Arlocal, folder: Path, wallet: Key, tmp_path: Path
) -> None:
    arlocal.mint(wallet.address)
    repo_id, _ = upload(version, folder, wallet, arlocal.url)
    arlocal.mine()

    download_with_old_tool(version, repo_id, tmp_path / "out", arlocal.url, wallet=wallet.path)

    assert read_files(tmp_path / "out") == FILES


# --- infernet-ml, which brings ritual-arweave 0.1.1 ---

ARTIFACT = """
import json, sys
from pathlib import Path
from pydantic import BaseModel
from infernet_ml.resource.artifact_manager import RitualArtifactManager

class Model(BaseModel):
    weights: Path
    notes: Path
    version: str
"""


def test_infernet_ml_reads_what_it_wrote(
    node: ArweaveNode, wallet: Key, infernet: Infernet, tmp_path: Path
) -> None:
    files = {"weights.bin": g2(200_000), "a.txt": b"hello"}
    folder = write_files(tmp_path / "sources", files)
    infernet(
        ARTIFACT
        + """
folder, wallet, url = sys.argv[1:]
artifact = Model(weights=Path(folder, "weights.bin"), notes=Path(folder, "a.txt"), version="v1")
RitualArtifactManager(artifact=artifact).to_arweave(
    "owner/repo", wallet_path=wallet, repo_manager_kwargs={"api_url": url})
""",
        folder,
        wallet.path,
        node.url,
    )
    node.mine()

    printed = infernet(
        ARTIFACT
        + """
repo_id, target, url = sys.argv[1:]
# `from_arweave` of 2.0.0 takes no gateway: it passes its `repomanager_kwargs` on in the place of the token.
manager = RitualArtifactManager.from_repo(Model, repo_id, target, repomanager_kwargs={"api_url": url})
artifact = manager.artifact
print(json.dumps([str(artifact.weights), str(artifact.notes), artifact.version]))
""",
        f"arweave/{wallet.address}/repo",
        tmp_path / "out",
        node.url,
    )

    weights, notes, version = json.loads(printed.splitlines()[-1])
    assert (Path(weights).read_bytes(), Path(notes).read_bytes()) == tuple(files.values())
    assert version == "v1"

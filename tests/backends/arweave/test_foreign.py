"""Repositories that other tools have written."""

import functools
import hashlib
import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.core.chunks import MAX_PROOFS
from ritual_artifacts.errors import ArtifactNotFoundError, IntegrityError
from tests.backends.arweave.conftest import Client
from tests.servers import faults
from tests.servers.arweave.fixtures import VECTORS
from tests.servers.arweave.publish import (
    g2,
    publish,
    publish_bundle,
    publish_manifest,
    publish_recorded_repo,
    publish_ritual_repo,
)

KIB = 1024


class Model(BaseModel):
    weights: Path
    notes: Path
    layers: int


def write_as_infernet_ml(files: dict[str, bytes], **values: object) -> dict[str, bytes]:
    """Return the files with the manifest that infernet-ml 2.0.0 writes beside them."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = {**values, "artifact_type": "Model", "file_hashes": hashes}
    return {**files, "ritual_manifest.json": json.dumps(manifest, indent=4).encode()}


FILES = write_as_infernet_ml(
    {"w.bin": bytes(range(256)) * 2800, "n.txt": b"notes"}, weights="w.bin", notes="n.txt", layers=3
)


@pytest.mark.parametrize("tool", ["0.1.1", "0.2.0"])
@pytest.mark.parametrize("max_size", [300_000, 256 * KIB, 5_120_000])
def test_repositories_of_ritual_arweave_are_downloaded(
    client: Client, tool: str, max_size: int, tmp_path: Path
) -> None:
    repo = publish_ritual_repo(client.node, client.wallet, "old", FILES, tool=tool, max_upload_size=max_size)

    manager = RitualArtifactManager.from_arweave(
        Model, repo.repo_id, tmp_path / "out", repomanager_kwargs=client.connection
    )

    assert manager.artifact.weights.read_bytes() == FILES["w.bin"]
    assert (manager.artifact.notes.read_bytes(), manager.artifact.layers) == (b"notes", 3)


def test_of_several_uploads_the_last_one_is_downloaded(client: Client, tmp_path: Path) -> None:
    for layers, time in ((1, 3.5), (2, 1.5), (3, 2.5)):
        files = write_as_infernet_ml(
            {"w.bin": b"w", "n.txt": b"n"}, weights="w.bin", notes="n.txt", layers=layers
        )
        publish_ritual_repo(client.node, client.wallet, "old", files, unix_time=time)

    manager = RitualArtifactManager.from_arweave(
        Model, f"{client.wallet.address}/old", tmp_path / "out", repomanager_kwargs=client.connection
    )

    assert manager.artifact.layers == 3  # by block, not by what the tags say


@pytest.mark.parametrize("name", ["ritual_repo_0.1.1.json", "ritual_repo_0.2.0.json"])
def test_the_recorded_repositories_are_downloaded(client: Client, name: str, tmp_path: Path) -> None:
    repo = publish_recorded_repo(client.node, VECTORS / name)
    recorded = json.loads((VECTORS / name).read_text())
    backend_files = {path for path in repo.files if path != "ritual_manifest.json"}

    class Recorded(BaseModel, extra="allow"):
        pass

    manager = RitualArtifactManager.from_arweave(
        Recorded, repo.repo_id, tmp_path / "out", repomanager_kwargs=client.connection
    )

    assert backend_files
    for path in backend_files:
        assert (tmp_path / "out" / path).is_file()
    assert str(manager.repo_id) == f"arweave/{recorded['repo_id']}"


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_section_is_an_error_and_not_a_shorter_file(
    client: Client, missing: int, tmp_path: Path
) -> None:
    repo = publish_ritual_repo(client.node, client.wallet, "old", FILES, max_upload_size=300_000)
    sections = {f"{n}.section": tx for n, tx in enumerate(repo.sections["w.bin"]) if n != missing}
    tags = {
        "Type": "manifest",
        "App-Name": "Ritual",
        "File-Type": "Sectioned",
        "File-Size": str(len(FILES["w.bin"])),
    }
    broken = publish_manifest(client.node, client.wallet, sections, tags)
    repo_tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "broken"}
    publish_manifest(client.node, client.wallet, {**repo.files, "w.bin": broken}, repo_tags)

    with pytest.raises(ArtifactNotFoundError, match="missing"):
        RitualArtifactManager.from_arweave(
            Model,
            f"{client.wallet.address}/broken",
            tmp_path / "out",
            repomanager_kwargs=client.connection,
        )

    assert not (tmp_path / "out" / "w.bin").exists()


def test_sections_in_the_wrong_order_are_seen(client: Client, tmp_path: Path) -> None:
    repo = publish_ritual_repo(client.node, client.wallet, "old", FILES, max_upload_size=300_000)
    first, second, third = repo.sections["w.bin"]
    sections = {"0.section": second, "1.section": first, "2.section": third}
    tags = {"Type": "manifest", "App-Name": "Ritual", "File-Type": "Sectioned"}
    swapped = publish_manifest(client.node, client.wallet, sections, tags)
    repo_tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "swapped"}
    publish_manifest(client.node, client.wallet, {**repo.files, "w.bin": swapped}, repo_tags)

    with pytest.raises(IntegrityError, match=r"w\.bin"):
        RitualArtifactManager.from_arweave(
            Model,
            f"{client.wallet.address}/swapped",
            tmp_path / "out",
            repomanager_kwargs=client.connection,
        )

    assert not (tmp_path / "out" / "w.bin").exists()


def test_a_flipped_bit_in_a_section_is_repaired(client: Client, tmp_path: Path) -> None:
    repo = publish_ritual_repo(client.node, client.wallet, "old", FILES, max_upload_size=300_000)
    client.node.faults.add(f"/raw/{repo.sections['w.bin'][1]}", faults.flip_bit(7))

    manager = RitualArtifactManager.from_arweave(
        Model, repo.repo_id, tmp_path / "out", repomanager_kwargs=client.connection
    )

    assert manager.artifact.weights.read_bytes() == FILES["w.bin"]


def publish_false(client: Client, weights: str, files: dict[str, bytes] = FILES) -> str:
    """Publish a repository whose manifest promises other weights than those that are stored in `weights`."""
    manifest = json.loads(files["ritual_manifest.json"])
    manifest["file_hashes"]["w.bin"] = "0" * 64
    publish_own = functools.partial(publish, client.node, client.wallet)
    paths = {
        "w.bin": weights,
        "n.txt": publish_own(files["n.txt"]),
        "ritual_manifest.json": publish_own(json.dumps(manifest).encode()),
    }
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "false"}
    publish_manifest(client.node, client.wallet, paths, tags)
    return f"{client.wallet.address}/false"


def split_small(size: int) -> list[tuple[int, int]]:
    """Split data as no tool does."""
    return [(start, min(start + 10_000, size)) for start in range(0, size, 10_000)]


@pytest.mark.parametrize("size", [100_000, 700_000])
def test_a_false_manifest_of_unusually_split_data_is_an_error(
    size: int, client: Client, tmp_path: Path
) -> None:
    weights = publish(client.node, client.wallet, g2(size), split=split_small)
    repo = publish_false(client, weights)

    with pytest.raises(IntegrityError, match=r"w\.bin"):
        RitualArtifactManager.from_arweave(Model, repo, tmp_path, repomanager_kwargs=client.connection)


@pytest.mark.parametrize("bundled", [True, False])
def test_a_false_manifest_of_sections_is_an_error(client: Client, tmp_path: Path, *, bundled: bool) -> None:
    contents = [b"" if not bundled else b"0", b"1", b"2"]
    if bundled:
        _, parts = publish_bundle(client.node, client.wallet, [(data, ()) for data in contents])
    else:
        parts = [publish(client.node, client.wallet, data) for data in contents]
    sections = {f"{number}.section": part for number, part in enumerate(parts)}
    sectioned = publish_manifest(client.node, client.wallet, sections, {"File-Type": "Sectioned"})
    repo = publish_false(client, sectioned)

    with pytest.raises(IntegrityError, match=r"w\.bin"):
        RitualArtifactManager.from_arweave(Model, repo, tmp_path, repomanager_kwargs=client.connection)


@pytest.mark.parametrize("kinds", [["raw"], ["raw", "data", "tx-data"]], ids=["raw", "all but chunks"])
@pytest.mark.parametrize("place", [25_000, 690_000])
def test_wrong_bytes_of_unusually_split_data_are_found_with_few_proofs(
    kinds: list[str], place: int, client: Client, tmp_path: Path
) -> None:
    data = g2(700_000)
    weights = publish(client.node, client.wallet, data, split=split_small)
    files = write_as_infernet_ml({"w.bin": data, "n.txt": b"n"}, weights="w.bin", notes="n.txt", layers=3)
    ids = {name: publish(client.node, client.wallet, files[name]) for name in files if name != "w.bin"}
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "own"}
    publish_manifest(client.node, client.wallet, {**ids, "w.bin": weights}, tags)
    for kind in kinds:
        client.node.faults.add(f"*{weights}*", faults.flip_bit(place), kind=kind)

    manager = RitualArtifactManager.from_arweave(
        Model, f"{client.wallet.address}/own", tmp_path, repomanager_kwargs=client.connection
    )

    assert manager.artifact.weights.read_bytes() == data
    if kinds == ["raw"]:
        assert client.node.ledger.count("chunk") <= MAX_PROOFS


def test_a_new_version_of_an_old_repository_names_its_files_again(client: Client, tmp_path: Path) -> None:
    repo = publish_ritual_repo(client.node, client.wallet, "old", FILES, tool="0.1.1")
    manager = RitualArtifactManager.from_arweave(
        Model, repo.repo_id, tmp_path / "one", repomanager_kwargs=client.connection
    )

    result = RitualArtifactManager(artifact=manager.artifact).to_arweave(
        "new", client.wallet.path, client.connection
    )

    assert result.transactions["w.bin"] == repo.files["w.bin"]  # type: ignore[attr-defined]  # Arweave's result

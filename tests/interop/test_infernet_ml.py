"""What this package writes infernet-ml 2.0.0 reads, and the other way round, with the real infernet-ml."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts import (
    IntegrityError,
    RitualArtifactManager,
    RitualRepoId,
)

REPO = "huggingface/me/circuit/v1"

Infernet = Callable[..., str]

# The same class on both sides. (2.0.0 finds file fields by these annotations, spelled like this.)
MODEL = """
import json, sys
from pathlib import Path
from typing import Any, Dict, List, Optional
from pydantic import BaseModel
from infernet_ml.resource.artifact_manager import RitualArtifactManager
from infernet_ml.resource.repo_id import RitualRepoId

class Circuit(BaseModel):
    circuit_file: Path
    weights: List[Path]
    key: Optional[Path]
    version: str
    num_params: int
    settings: Dict[str, Any]

def report(manager):
    artifact = manager.artifact
    print(json.dumps({
        "files": {
            path.name: path.read_bytes().hex()
            for path in [artifact.circuit_file, *artifact.weights, artifact.key]
        },
        "metadata": artifact.model_dump(include={"version", "num_params", "settings"}),
        "repo_id": manager.repo_id and manager.repo_id.to_unique_id(),
    }))
"""


class Circuit(BaseModel):
    circuit_file: Path
    weights: list[Path]
    key: Path | None
    version: str
    num_params: int
    settings: dict[str, object]


@pytest.fixture
def circuit(write: Callable[..., Path]) -> Circuit:
    return Circuit(
        circuit_file=write("circuit.bin"),
        weights=[write("a.safetensors", 70_000), write("größe 模型.safetensors", 0)],
        key=write("pk.key"),
        version="v1.0 – ünïcode",
        num_params=2**53 - 1,
        settings={"scale": 0.5, "shape": [1, 2, 3], "none": None},
    )


def expected_report(circuit: Circuit, repo_id: str | None) -> dict[str, object]:
    assert circuit.key is not None
    files = [circuit.circuit_file, *circuit.weights, circuit.key]
    return {
        "files": {path.name: path.read_bytes().hex() for path in files},
        "metadata": circuit.model_dump(include={"version", "num_params", "settings"}),
        "repo_id": repo_id,
    }


# --- ours, read by infernet-ml -----------------------------------------------------------------------------


@pytest.mark.parametrize("repo_id", [None, REPO])
def test_infernet_ml_reads_our_folder(
    repo_id: str | None, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=circuit).to_dir(tmp_path / "ours", repo_id)

    printed = infernet(
        MODEL + "report(RitualArtifactManager.from_dir(Circuit, sys.argv[1]))", tmp_path / "ours"
    )

    assert json.loads(printed) == expected_report(circuit, repo_id)


def test_infernet_ml_reads_a_download_from_the_local_store(
    circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=circuit).to_repo("local/me/circuit/v1")
    RitualArtifactManager.from_repo(Circuit, "local/me/circuit/v1", tmp_path / "out")

    printed = infernet(
        MODEL + "report(RitualArtifactManager.from_dir(Circuit, sys.argv[1]))", tmp_path / "out"
    )

    assert json.loads(printed)["files"] == expected_report(circuit, None)["files"]


def test_infernet_ml_lists_our_cache(
    circuit: Circuit, infernet: Infernet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RITUAL_CACHE_DIR", str(tmp_path / "home/.cache/ritual"))
    RitualArtifactManager(artifact=circuit).to_repo("local/me/circuit/v1")
    RitualArtifactManager.from_repo(Circuit, "local/me/circuit/v1")
    RitualArtifactManager.from_repo(Circuit, "local/me/circuit")
    ours = {str(a.repo_id): a.manifest for a in RitualArtifactManager.get_cached_artifacts()}

    printed = infernet(
        MODEL
        + """
cached = {a.repo_id.to_unique_id(): a.manifest for a in RitualArtifactManager.get_cached_artifacts()}
typed = RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit)
has = RitualArtifactManager.has_artifact(RitualRepoId.from_unique_id("local/me/circuit/v1"))
print(json.dumps({"cached": cached, "typed": sorted(a.repo_id for a in typed), "has": has}))
"""
    )

    assert json.loads(printed) == {
        "cached": ours,
        "typed": ["local/me/circuit", "local/me/circuit/v1"],
        "has": True,
    }


def test_infernet_ml_takes_a_version_from_our_cache_without_network(
    circuit: Circuit, infernet: Infernet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RITUAL_CACHE_DIR", str(tmp_path / "home/.cache/ritual"))
    RitualArtifactManager(artifact=circuit).to_dir(RitualRepoId.from_unique_id(REPO).to_local_dir(), REPO)

    printed = infernet(MODEL + "report(RitualArtifactManager.from_repo(Circuit, sys.argv[1]))", REPO)

    assert json.loads(printed) == expected_report(circuit, REPO)


# --- theirs, read by us ------------------------------------------------------------------------------------

WRITE = (
    MODEL
    + """
artifact = Circuit.model_validate_json(sys.argv[1])
RitualArtifactManager(artifact=artifact).to_dir(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
"""
)


@pytest.mark.parametrize("repo_id", [None, REPO])
def test_we_read_the_folder_of_infernet_ml(
    repo_id: str | None, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    infernet(WRITE, circuit.model_dump_json(), tmp_path / "theirs", *([repo_id] if repo_id else []))

    again = RitualArtifactManager.from_dir(Circuit, tmp_path / "theirs")

    assert again.repo_id == (RitualRepoId.from_unique_id(repo_id) if repo_id else None)
    assert again.digest == RitualArtifactManager(artifact=circuit).digest
    assert again.artifact.settings == circuit.settings
    assert again.artifact.circuit_file.read_bytes() == circuit.circuit_file.read_bytes()


def test_a_tampered_folder_of_infernet_ml_is_refused(
    circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    infernet(WRITE, circuit.model_dump_json(), tmp_path / "theirs")
    (tmp_path / "theirs" / "pk.key").write_bytes(b"another key")

    with pytest.raises(IntegrityError, match=r"'pk\.key' \(field 'key'\)"):
        RitualArtifactManager.from_dir(Circuit, tmp_path / "theirs")


def test_we_list_the_cache_of_infernet_ml(circuit: Circuit, infernet: Infernet, own_folders: Path) -> None:
    folder = own_folders / "cache" / REPO
    infernet(WRITE, circuit.model_dump_json(), folder, REPO)

    (cached,) = RitualArtifactManager.get_cached_artifacts()

    assert (cached.type, str(cached.repo_id)) == ("Circuit", REPO)
    assert RitualArtifactManager.has_artifact(REPO)
    assert len(RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit)) == 1


def test_the_expected_digest_pins_a_cached_artifact_of_infernet_ml(
    circuit: Circuit, infernet: Infernet, own_folders: Path
) -> None:
    infernet(WRITE, circuit.model_dump_json(), own_folders / "cache" / REPO, REPO)
    digest = RitualArtifactManager(artifact=circuit).digest

    again = RitualArtifactManager.from_repo(Circuit, REPO, expected_digest=digest)

    assert again.digest == digest


def test_an_artifact_of_infernet_ml_gains_sizes_when_we_publish_it(
    circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    infernet(WRITE, circuit.model_dump_json(), tmp_path / "theirs")

    result = RitualArtifactManager.from_dir(Circuit, tmp_path / "theirs").to_repo("local/me/circuit")

    assert {(entry.path, entry.size) for entry in result.files} == {
        (path.name, path.stat().st_size) for path in (tmp_path / "theirs").iterdir() if path.suffix != ".json"
    }


# --- both write, and write the same ------------------------------------------------------------------------


def test_the_common_keys_of_both_manifests_are_equal(
    circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    infernet(WRITE, circuit.model_dump_json(), tmp_path / "theirs", REPO)
    RitualArtifactManager(artifact=circuit).to_dir(tmp_path / "ours", REPO)

    theirs, ours = (
        json.loads((tmp_path / who / "ritual_manifest.json").read_text()) for who in ("theirs", "ours")
    )

    extension = ours.pop("ritual_artifacts")
    assert ours == theirs
    assert {record["path"] for record in extension["files"]} == set(theirs["file_hashes"])


def test_on_chain_ids_are_equal_in_both_directions(infernet: Infernet) -> None:
    ids = ["local/me/x", "arweave/owner/name/v1", "huggingface/org/model-é/main", f"local/o/{'n' * 70}"]
    ids += [f"arweave/{'o' * length}/n/{'v' * (65 - length)}" for length in (1, 31, 32, 33, 64)]  # words: 32
    ours = [RitualRepoId.from_unique_id(unique_id).to_web3().hex() for unique_id in ids]

    printed = infernet(
        MODEL
        + """
theirs = [RitualRepoId.from_unique_id(u).to_web3().hex() for u in json.loads(sys.argv[1])]
again = [RitualRepoId.from_web3(e).to_unique_id() for e in json.loads(sys.argv[2])]
print(json.dumps([theirs, again]))
""",
        json.dumps(ids),
        json.dumps(ours),
    )

    theirs, again = json.loads(printed)
    assert (theirs, again) == (ours, ids)
    for encoded in (*theirs, *(f"0x{text}" for text in theirs), *map(bytes.fromhex, theirs)):
        assert str(RitualRepoId.from_web3(encoded)) in ids


def test_folders_of_the_cache_have_the_same_names(infernet: Infernet) -> None:
    ids = ["local/me/x", "arweave/owner/name/v1", "huggingface/org/model/main"]
    ours = [str(RitualRepoId.from_unique_id(unique_id).to_local_dir(Path("/cache"))) for unique_id in ids]

    printed = infernet(
        MODEL
        + """
cache = Path("/cache")
theirs = [RitualRepoId.from_unique_id(u).to_local_dir(cache) for u in json.loads(sys.argv[1])]
again = [RitualRepoId.from_local_dir(f, cache).to_unique_id() for f in theirs]
print(json.dumps([list(map(str, theirs)), again]))
""",
        json.dumps(ids),
    )

    assert json.loads(printed) == [ours, ids]

"""Other clients and servers of the Hub: git, hfd, JavaScript, huggingface_hub, infernet-ml with its own."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from tests.servers.git import export, run_git
from tests.servers.hfd import Hfd
from tests.servers.hub import Hub
from tests.servers.node import NodeClient

REPO = "huggingface/alice/circuit"

Infernet = Callable[..., str]


class Circuit(BaseModel):
    circuit_file: Path
    weights: list[Path]
    key: Path | None
    version: str


@pytest.fixture
def circuit(write: Callable[..., Path]) -> Circuit:
    return Circuit(
        circuit_file=write("circuit.bin", 400_000),
        weights=[write("a.safetensors", 70_000), write("notes.txt", content=b"hello\n")],
        key=write("empty.key", 0),
        version="v1.0 – ünïcode",
    )


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {".git", ".cache"} & set(path.relative_to(folder).parts)
    }


def upload(circuit: Circuit, server: Hub | Hfd) -> tuple[dict[str, Any], Any]:
    options: dict[str, Any] = {"endpoint": server.endpoint, "token": server.token}
    return options, RitualArtifactManager(artifact=circuit).to_repo(REPO, repo_manager_kwargs=options)


# --- hfd, git and git-lfs --------------------------------------------------------------------------------


def test_hfd_returns_what_was_uploaded(hfd: Hfd, circuit: Circuit, tmp_path: Path) -> None:
    options, result = upload(circuit, hfd)

    again = RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out", repomanager_kwargs=options)

    assert again.digest == result.digest
    assert again.artifact.circuit_file.read_bytes() == circuit.circuit_file.read_bytes()


def test_git_and_git_lfs_agree_with_the_manifest(
    hfd: Hfd, circuit: Circuit, git_lfs: Path, tmp_path: Path
) -> None:
    _, result = upload(circuit, hfd)

    run_git("clone", "--quiet", hfd.git_url("alice/circuit"), tmp_path / "clone", lfs=git_lfs)
    run_git("lfs", "fsck", lfs=git_lfs, folder=tmp_path / "clone")

    found = digests(files_below(tmp_path / "clone"))
    assert found | {e.path: e.sha256 for e in result.files} == found
    assert run_git("rev-parse", "HEAD", folder=tmp_path / "clone").strip() == result.revision
    assert run_git("rev-list", "--count", "HEAD", folder=tmp_path / "clone").strip() in {"1", "2"}
    again = RitualArtifactManager.from_dir(Circuit, tmp_path / "clone")
    assert again.digest == result.digest


def test_hfd_is_sent_nothing_twice(hfd: Hfd, circuit: Circuit) -> None:
    _, first = upload(circuit, hfd)

    _, again = upload(circuit, hfd)

    assert (again.bytes_sent, again.revision) == (0, first.revision)


def test_git_and_git_lfs_agree_with_the_manifest_on_the_loopback_hub(
    any_hub: Hub, circuit: Circuit, git_lfs: Path, tmp_path: Path
) -> None:
    _, result = upload(circuit, any_hub)
    export(any_hub.repo("alice/circuit"), tmp_path / "circuit.git")

    run_git("clone", "--quiet", (tmp_path / "circuit.git").as_uri(), tmp_path / "clone", lfs=git_lfs)
    run_git("lfs", "fsck", lfs=git_lfs, folder=tmp_path / "clone")

    assert RitualArtifactManager.from_dir(Circuit, tmp_path / "clone").digest == result.digest


# --- clients of the Hub ----------------------------------------------------------------------------------


def test_the_javascript_client_reads_what_we_published(
    any_hub: Hub, circuit: Circuit, node_client: NodeClient, tmp_path: Path
) -> None:
    not_empty = circuit.model_copy(update={"key": None})  # of empty files it asks for the first byte
    _, result = upload(not_empty, any_hub)

    listed = node_client.download(any_hub.endpoint, any_hub.token, "alice/circuit", tmp_path / "out")

    found = digests(files_below(tmp_path / "out"))
    assert found | {e.path: e.sha256 for e in result.files} == found
    sizes = {item["path"]: item["size"] for item in listed}
    assert sizes | {e.path: e.size for e in result.files} == sizes


def test_hf_download_gets_what_we_published(hub: Hub, circuit: Circuit, tmp_path: Path) -> None:
    _, result = upload(circuit, hub)

    subprocess.run(  # noqa: S603 - the client library's own command
        [
            sys.executable,
            "-m",
            "huggingface_hub.cli.hf",
            "download",
            "alice/circuit",
            "--local-dir",
            tmp_path / "out",
        ],
        env={**os.environ, **hub.environment(), "HF_HUB_DISABLE_UPDATE_CHECK": "1"},
        check=True,
        capture_output=True,
    )

    assert RitualArtifactManager.from_dir(Circuit, tmp_path / "out").digest == result.digest


# --- infernet-ml 2.0.0 with huggingface_hub 0.25.1 -------------------------------------------------------

MODEL = """
import json, sys
from pathlib import Path
from typing import List, Optional
from pydantic import BaseModel
from infernet_ml.resource.artifact_manager import RitualArtifactManager

class Circuit(BaseModel):
    circuit_file: Path
    weights: List[Path]
    key: Optional[Path]
    version: str
"""


@pytest.fixture(params=["hub", "hfd"])
def server(request: pytest.FixtureRequest) -> Hub | Hfd:
    """Return the loopback hub, and hfd."""
    found: Hub | Hfd = request.getfixturevalue(request.param)
    return found


def environment(server: Hub | Hfd) -> dict[str, str]:
    return {"HF_ENDPOINT": server.endpoint, "HF_TOKEN": server.token, "HF_HUB_OFFLINE": "0"}


def test_infernet_ml_loads_what_we_published(
    server: Hub | Hfd, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    upload(circuit, server)

    printed = infernet(
        MODEL
        + """
manager = RitualArtifactManager.from_huggingface_hub(Circuit, "alice/circuit", sys.argv[1])
artifact = manager.artifact
print(json.dumps({
    "files": {p.name: p.read_bytes().hex() for p in [artifact.circuit_file, *artifact.weights, artifact.key]},
    "version": artifact.version,
}))
""",
        tmp_path / "out",
        environment=environment(server),
    )

    assert circuit.key is not None
    files = [circuit.circuit_file, *circuit.weights, circuit.key]
    assert json.loads(printed.splitlines()[-1]) == {  # infernet-ml logs before it
        "files": {path.name: path.read_bytes().hex() for path in files},
        "version": circuit.version,
    }


def test_we_load_what_infernet_ml_published(
    server: Hub | Hfd, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    infernet(
        MODEL
        + """
artifact = Circuit.model_validate_json(sys.argv[1])
RitualArtifactManager(artifact=artifact).to_huggingface_hub("alice/circuit", token=sys.argv[2])
""",
        circuit.model_dump_json(),
        server.token,
        environment=environment(server),
    )
    options = {"endpoint": server.endpoint, "token": server.token}

    again = RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out", repomanager_kwargs=options)

    assert again.digest == RitualArtifactManager(artifact=circuit).digest
    assert [path.read_bytes() for path in again.artifact.weights] == [
        path.read_bytes() for path in circuit.weights
    ]

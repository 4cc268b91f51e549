"""A stand-in for ezkl, and the real one with a network that is small enough for it."""

import asyncio
import json
import platform
import shutil
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import EZKLArtifact
from ritual_artifacts.ezkl import ArtifactGenerationArgs, generate_ezkl_artifacts
from tests.servers.tools import give_up

FAST = {"decomp_base": 128, "decomp_legs": 3}
"""Settings of a circuit with few rows, so that its keys take a moment only."""


class FakeEzkl:
    """The stand-in, and what was asked of it."""

    def __init__(self, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = log
        self._monkeypatch = monkeypatch

    def break_at(self, call: str, what: str) -> None:
        self._monkeypatch.setenv("EZKL_FAKE", f"{call}:{what}")

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    @property
    def calls(self) -> list[str]:
        return [record["call"] for record in self.records]

    def arguments(self, call: str) -> dict[str, Any]:
        found: dict[str, Any] = next(r["arguments"] for r in self.records if r["call"] == call)
        return found


@pytest.fixture
def fake_ezkl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEzkl:
    site = tmp_path / "site"
    (site / "ezkl-23.0.5.dist-info").mkdir(parents=True)
    (site / "ezkl-23.0.5.dist-info" / "METADATA").write_text("Name: ezkl\nVersion: 23.0.5\n")
    shutil.copyfile(Path(__file__).with_name("fake_ezkl.py"), site / "ezkl.py")
    monkeypatch.syspath_prepend(str(site))
    log = tmp_path / "calls.jsonl"
    monkeypatch.setenv("EZKL_FAKE_CALLS", str(log))
    monkeypatch.delenv("EZKL_FAKE", raising=False)
    monkeypatch.setenv("EZKL_REPO_PATH", str(tmp_path / "ezkl-home"))
    return FakeEzkl(log, monkeypatch)


def generate(onnx_path: Path, **more: Any) -> EZKLArtifact:
    """Make a circuit with public values, and with an SRS that is made for the test."""
    values = {
        "input_visibility": "public",
        "output_visibility": "public",
        "param_visibility": "fixed",
        "generate_insecure_srs": "srs_path" not in more,
        **more,
    }
    with warnings.catch_warnings(category=UserWarning, action="ignore"):
        return asyncio.run(generate_ezkl_artifacts(ArtifactGenerationArgs(onnx_path=onnx_path, **values)))


@pytest.fixture
def model(write: Callable[..., Path]) -> Path:
    """Return a file that the stand-in takes for a model."""
    return write("network.onnx", 100)


FILES = list(EZKLArtifact.model_fields)


class Labelled(EZKLArtifact):
    version: str


def flip_one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def valid_proof(**changes: object) -> dict[str, Any]:
    proof = {
        "instances": [["01" + "00" * 31]],
        "proof": [1, 2, 3],
        "hex_proof": "0x010203",
        "pretty_public_inputs": {"outputs": [[f"0x{1:064x}"]], "rescaled_outputs": [["1"]]},
    }
    return {**proof, **changes}


@pytest.fixture
def artifact(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> EZKLArtifact:
    """Return a circuit that the stand-in has generated; its calls are forgotten."""
    generated = generate(model)
    assert fake_ezkl.calls
    (tmp_path / "calls.jsonl").unlink()
    return generated


# --- the real ezkl -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def real_ezkl() -> str:
    """Return the version of the real ezkl; where there is none, the test is skipped, and fails in CI."""
    try:
        return version("ezkl")
    except PackageNotFoundError:
        if sys.platform == "linux" and platform.machine() != "x86_64":
            pytest.skip("ezkl has no wheel for this platform")
        give_up("ezkl is not installed")


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory, real_ezkl: str) -> Path:
    """Return a network with four inputs, three outputs and a ReLU between them."""
    assert real_ezkl
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    path.write_bytes(make_network())
    return path


def make_network(inputs: int = 1, dimension: int | str = 1) -> bytes:
    """Build `relu(sum of inputs · W)` as ONNX.

    Args:
        inputs: Number of inputs, each with four numbers.
        dimension: The first one of each input's shape; a word is one that is still open.
    """
    from onnx import TensorProto, helper  # noqa: PLC0415 - only the real tests need it

    names = [f"x{index}" for index in range(inputs)]
    weights = [0.5, -0.25, 0.75, -1.0, 0.5, 0.25, 0.125, 1.0, -0.5, 0.0, -0.75, 1.5]
    nodes = [
        helper.make_node("Sum", names, ["sum"]),
        helper.make_node("MatMul", ["sum", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [dimension, 4]) for name in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [dimension, 3])],
        [helper.make_tensor("w", TensorProto.FLOAT, [4, 3], weights)],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(built.SerializeToString())


@pytest.fixture(scope="session")
def made_circuit(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a real circuit; take `circuit_folder` to change something in it."""
    folder = tmp_path_factory.mktemp("circuit") / "made"
    generate(network, output_dir=folder, run_args=FAST)
    return folder


@pytest.fixture
def circuit_folder(made_circuit: Path, tmp_path: Path) -> Path:
    """Return a copy of a real circuit."""
    return Path(shutil.copytree(made_circuit, tmp_path / "circuit"))

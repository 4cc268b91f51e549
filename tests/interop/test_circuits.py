"""Circuits go from this package to infernet-ml 2.0.0 and back, with the real infernet-ml."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts import EZKLArtifact, IntegrityError, RitualArtifactManager

REPO = "huggingface/me/circuit/v1"

Infernet = Callable[..., str]

# Its own module of this class imports PyTorch and an old ezkl, so the class stands here, name for name.
MODEL = """
import json, sys
from pathlib import Path
from pydantic import BaseModel
from infernet_ml.resource.artifact_manager import RitualArtifactManager

class EZKLArtifact(BaseModel):
    compiled_model_path: Path
    settings_path: Path
    onnx_path: Path
    calibration_path: Path
    srs_path: Path
    verifier_key_path: Path
    prover_key_path: Path
"""


@pytest.fixture
def circuit(write: Callable[..., Path]) -> EZKLArtifact:
    names = {
        "compiled_model_path": "model.compiled",
        "settings_path": "settings.json",
        "onnx_path": "network.onnx",
        "calibration_path": "calibration.json",
        "srs_path": "srs_file.srs",
        "verifier_key_path": "test.vk",
        "prover_key_path": "test.pk",
    }
    return EZKLArtifact(**{field: write(name) for field, name in names.items()})


def test_the_fields_are_those_of_infernet_ml(infernet_python: Path) -> None:
    (module,) = infernet_python.parents[1].glob("**/site-packages/infernet_ml/zk/ezkl/ezkl_artifact.py")
    lines = [line.strip() for line in module.read_text(encoding="utf-8").splitlines()]

    assert all(f"{field}: Path" in lines for field in EZKLArtifact.model_fields)


def test_infernet_ml_reads_our_circuit(circuit: EZKLArtifact, infernet: Infernet, tmp_path: Path) -> None:
    RitualArtifactManager(artifact=circuit).to_dir(tmp_path / "ours", REPO)

    printed = infernet(
        MODEL
        + """
artifact = RitualArtifactManager.from_dir(EZKLArtifact, sys.argv[1]).artifact
print(json.dumps({name: path.read_bytes().hex() for name, path in artifact}))
""",
        tmp_path / "ours",
    )

    assert json.loads(printed) == {name: path.read_bytes().hex() for name, path in circuit}


def test_we_read_the_circuit_of_infernet_ml_and_catch_a_flipped_bit(
    circuit: EZKLArtifact, infernet: Infernet, tmp_path: Path
) -> None:
    infernet(
        MODEL
        + """
artifact = EZKLArtifact.model_validate_json(sys.argv[1])
RitualArtifactManager(artifact=artifact).to_dir(sys.argv[2], sys.argv[3])
""",
        circuit.model_dump_json(),
        tmp_path / "theirs",
        REPO,
    )

    again = RitualArtifactManager.from_dir(EZKLArtifact, tmp_path / "theirs")
    key = bytearray(again.artifact.verifier_key_path.read_bytes())
    key[0] ^= 1
    again.artifact.verifier_key_path.write_bytes(key)

    assert again.digest != RitualArtifactManager(artifact=circuit).digest
    with pytest.raises(IntegrityError, match="verifier_key_path"):
        RitualArtifactManager.from_dir(EZKLArtifact, tmp_path / "theirs")

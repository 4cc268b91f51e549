"""The real ezkl, from a network to a verified proof."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import CircuitError, EZKLArtifact, IntegrityError, RitualArtifactManager
from ritual_artifacts.ezkl import EZKLProof, prove, verify, verify_proof_from_repo
from tests.circuits.conftest import FAST, generate, make_network

STRACE = shutil.which("strace") or ""
INPUTS = [[0.5, -0.25, 1.0, 2.0]]
OUTPUTS = [0.625, 0.0, 2.5]  # what the network makes of them, and fixed-point numbers can say exactly

IN_ANOTHER_PROCESS = """
import asyncio, json, sys
from ritual_artifacts import EZKLArtifact, RitualArtifactManager
from ritual_artifacts.ezkl import prove, verify

manager = RitualArtifactManager.from_repo(EZKLArtifact, "local/me/circuit", expected_digest=sys.argv[1])
proof = prove(manager, json.loads(sys.argv[2]))
print(json.dumps({
    "holds": verify(manager, proof),
    "output": proof.output,
    "folder": str(manager.artifact.prover_key_path.parent),
    "proof": proof.ezkl_proof,
}))
"""


@pytest.fixture(autouse=True)
def own_home(real_ezkl: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give ezkl a home in which everything that it writes can be seen."""
    assert real_ezkl
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("EZKL_REPO_PATH", raising=False)
    return home


def open_circuit(folder: Path) -> RitualArtifactManager[EZKLArtifact]:
    return RitualArtifactManager.from_dir(EZKLArtifact, folder)


def computed(values: list[float]) -> list[float]:
    """Compute what the network gives for one input."""
    weights = [[0.5, -0.25, 0.75], [-1.0, 0.5, 0.25], [0.125, 1.0, -0.5], [0.0, -0.75, 1.5]]
    sums = [sum(x * row[i] for x, row in zip(values, weights, strict=True)) for i in range(3)]
    return [max(0.0, total) for total in sums]


def test_a_circuit_proves_in_another_process_what_the_network_computes(
    made_circuit: Path, tmp_path: Path
) -> None:
    uploaded = open_circuit(made_circuit).to_repo("local/me/circuit")

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", IN_ANOTHER_PROCESS, uploaded.digest, json.dumps(INPUTS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["holds"]
    assert printed["output"] == pytest.approx(computed(INPUTS[0]), abs=1e-3)
    assert Path(printed["folder"]) != made_circuit
    assert asyncio.run(verify_proof_from_repo(printed["proof"], "local/me/circuit"))


@pytest.mark.parametrize("field", ["verifier_key_path", "prover_key_path", "srs_path"])
def test_a_flipped_bit_in_a_key_or_in_the_srs_is_caught_before_proving(
    field: str, circuit_folder: Path
) -> None:
    manager = open_circuit(circuit_folder)
    proof = prove(manager, INPUTS)
    path: Path = getattr(manager.artifact, field)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)

    for circuit in (manager, manager.artifact):
        with pytest.raises(IntegrityError, match=field):
            prove(circuit, INPUTS)
        with pytest.raises(IntegrityError, match=field):
            verify(circuit, proof)


@pytest.mark.parametrize(
    ("given", "output", "param"),
    [
        ("private", "public", "private"),
        ("hashed", "public", "hashed"),
        ("public", "hashed", "private"),
        ("fixed", "public", "private"),
        ("polycommit", "public", "fixed"),
        ("private", "hashed/private/0", "hashed"),
    ],
)
def test_every_visibility_leads_to_a_proof_that_holds(
    given: str, output: str, param: str, network: Path, tmp_path: Path
) -> None:
    artifact = generate(
        network,
        input_visibility=given,
        output_visibility=output,
        param_visibility=param,
        output_dir=tmp_path / "out",
        run_args=FAST,
    )
    inputs = json.loads(artifact.calibration_path.read_text())["input_data"] if given == "fixed" else INPUTS

    proof = prove(artifact, inputs)

    assert verify(artifact, proof.ezkl_proof)
    assert (proof.input is None) == (given != "public")
    assert (proof.output is None) == (output != "public")
    if given == "polycommit":  # others compare the commitment
        assert proof.witness["processed_inputs"]["polycommit"]


def test_several_inputs_and_an_open_dimension_are_laid_out_in_order(write: Callable[..., Path]) -> None:
    model = write("sum.onnx", content=make_network(inputs=2, dimension="N"))

    artifact = generate(model, run_args={**FAST, "variables": {"N": 1}})
    proof = prove(artifact, [[[1.0, 0.0, 0.5, 0.25]], [[0.0, 1.0, 0.5, 0.0]]])

    assert proof.input == [1.0, 0.0, 0.5, 0.25, 0.0, 1.0, 0.5, 0.0]
    assert proof.output == pytest.approx(computed([1.0, 1.0, 1.0, 0.25]), abs=1e-3)
    assert verify(artifact, proof)


def test_arrays_of_numpy_are_inputs(made_circuit: Path) -> None:
    numpy = pytest.importorskip("numpy")

    proof = prove(open_circuit(made_circuit), {"x0": numpy.array(INPUTS, dtype=numpy.float32)})

    assert proof.output == pytest.approx(computed(INPUTS[0]), abs=1e-3)


def test_a_given_srs_may_be_larger_than_the_circuit(
    made_circuit: Path, network: Path, tmp_path: Path
) -> None:
    large = generate(network, output_dir=tmp_path / "large", run_args={"decomp_base": 256, "decomp_legs": 2})
    rows = int.from_bytes(large.srs_path.read_bytes()[:4], "little")
    needed = int.from_bytes((made_circuit / "insecure_srs_file.srs").read_bytes()[:4], "little")

    artifact = generate(network, output_dir=tmp_path / "out", run_args=FAST, srs_path=large.srs_path)

    assert rows > needed
    assert artifact.srs_path.read_bytes() == large.srs_path.read_bytes()
    assert verify(artifact, prove(artifact, INPUTS))


def test_a_forged_proof_is_refused(made_circuit: Path) -> None:
    circuit = open_circuit(made_circuit)
    proof = prove(circuit, INPUTS).ezkl_proof

    def forged(**changes: Any) -> dict[str, Any]:
        return {**json.loads(json.dumps(proof)), **changes}

    other_output = json.loads(json.dumps(proof["instances"]))
    other_output[0][-1] = "01" + "00" * 31
    shown = {**proof["pretty_public_inputs"], "rescaled_outputs": [["9", "9", "9"]]}
    flipped = [proof["proof"][0] ^ 1, *proof["proof"][1:]]
    assert verify(circuit, proof)
    assert not verify(circuit, forged(instances=other_output, pretty_public_inputs=None))
    assert not verify(circuit, forged(instances=[], pretty_public_inputs=None))
    assert not verify(circuit, forged(pretty_public_inputs=shown))
    assert not verify(circuit, forged(proof=flipped, hex_proof=None))
    assert not verify(circuit, EZKLProof.from_proof_and_verify_key(forged(), b"another key"))


def test_a_verifier_needs_no_proving_key(made_circuit: Path, own_folders: Path) -> None:
    circuit = open_circuit(made_circuit)
    result = circuit.to_repo("local/me/circuit")
    proof = prove(circuit, INPUTS).ezkl_proof
    flipped = [proof["proof"][0] ^ 1, *proof["proof"][1:]]

    held = asyncio.run(verify_proof_from_repo(proof, "local/me/circuit", expected_digest=result.digest))
    forged = asyncio.run(
        verify_proof_from_repo({**proof, "proof": flipped, "hex_proof": None}, "local/me/circuit")
    )

    assert (held, forged) == (True, False)
    fetched = own_folders / "cache" / "local" / "me" / "circuit" / "default"
    found = {path.name for path in fetched.iterdir()} - {".ritual-partial"}
    assert found == {"settings.json", "test.vk", "insecure_srs_file.srs"}


# --- invalid input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"no model at all", b"\x08\x08", b"\x00" * 64])
def test_a_file_that_is_not_onnx_is_refused_and_nothing_is_written(
    content: bytes, write: Callable[..., Path]
) -> None:
    model = write("network.onnx", content=content)

    with pytest.raises(CircuitError, match=r"network\.onnx is not a valid ONNX model"):
        generate(model)

    assert [path.name for path in model.parent.iterdir()] == ["network.onnx"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_visibility": "nonsense"}, "input_visibility='nonsense'"),
        ({"run_args": {"nonsense": 1}}, "nonsense=1"),
        ({"run_args": {"input_scale": "x"}}, "input_scale='x'"),
        (
            {"input_visibility": "private", "output_visibility": "private", "param_visibility": "private"},
            "at least one",
        ),
    ],
)
def test_a_setting_that_ezkl_does_not_have_is_named(
    settings: dict[str, Any], message: str, network: Path, tmp_path: Path
) -> None:
    with pytest.raises(CircuitError, match=message):
        generate(network, output_dir=tmp_path / "out", **settings)

    assert not (tmp_path / "out").exists()


def test_an_open_dimension_is_named(write: Callable[..., Path]) -> None:
    model = write("open.onnx", content=make_network(dimension="N"))

    with pytest.raises(CircuitError, match="Undetermined symbol"):
        generate(model, run_args=FAST)


def test_an_srs_that_is_too_small_is_refused(made_circuit: Path, network: Path, tmp_path: Path) -> None:
    small = generate(network, output_dir=tmp_path / "small", run_args={"decomp_base": 8, "decomp_legs": 8})
    rows = int.from_bytes(small.srs_path.read_bytes()[:4], "little")

    with pytest.raises(CircuitError, match=rf"too small for the circuit: .* got 2\^{rows}"):
        generate(
            network, output_dir=tmp_path / "out", run_args={"decomp_base": 1024}, srs_path=small.srs_path
        )

    assert made_circuit.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [([[1.0, 2.0]], "length 2 to .1, 4."), ([[1e30] * 4], "too large to be represented")],
)
def test_inputs_that_do_not_fit_the_network_are_refused(
    inputs: list[list[float]], message: str, made_circuit: Path
) -> None:
    with pytest.raises(CircuitError, match=message):
        prove(open_circuit(made_circuit), inputs)


def test_no_file_is_left_in_the_home_folder(network: Path, own_home: Path, tmp_path: Path) -> None:
    artifact = generate(network, output_dir=tmp_path / "out", run_args=FAST)
    prove(artifact, INPUTS)

    assert list(own_home.iterdir()) == []


@pytest.mark.skipif(not STRACE, reason="there is no strace to see what a process asks of the kernel")
def test_no_request_is_sent(made_circuit: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; from pathlib import Path; from ritual_artifacts import *\n"
        "from ritual_artifacts.ezkl import prove, verify\n"
        "manager = RitualArtifactManager.from_dir(EZKLArtifact, Path(sys.argv[1]))\n"
        "assert verify(manager, prove(manager, [[0.5, -0.25, 1.0, 2.0]]))\n"
    )
    trace = tmp_path / "trace"

    done = subprocess.run(  # noqa: S603 - our own script
        [
            STRACE,
            "-f",
            "-s",
            "4096",
            "-e",
            "trace=socket,execve",
            "-o",
            trace,
            sys.executable,
            script,
            made_circuit,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )

    if "ptrace" in done.stderr:
        pytest.skip("processes cannot be traced here")
    assert done.returncode == 0, done.stderr
    calls = trace.read_text()
    assert "worker.py" in calls
    assert "AF_INET" not in calls

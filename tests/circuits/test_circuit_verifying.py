"""Verifying: an invalid proof is false, and a malformed one is an error."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import (
    ArtifactError,
    CircuitError,
    EZKLArtifact,
    RitualArtifactManager,
)
from ritual_artifacts.ezkl import (
    EZKLProof,
    verify,
    verify_proof,
)
from tests.circuits.conftest import FakeEzkl, valid_proof


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (valid_proof(proof=[9, 9], hex_proof="0x0909"), "not satisfied"),
        (valid_proof(hex_proof="0x090909"), "hex digits"),
        (valid_proof(instances=[["02" + "00" * 31]]), "differ from the proven ones"),
        (
            valid_proof(pretty_public_inputs={"outputs": [[f"0x{1:064x}"]], "rescaled_outputs": [["9"]]}),
            "rescaled outputs",
        ),
    ],
)
def test_an_invalid_proof_is_false_and_logged(
    proof: Mapping[str, Any], reason: str, artifact: EZKLArtifact, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        holds = verify(artifact, proof)

    assert holds is False
    assert reason in caplog.text


@pytest.mark.parametrize(
    "proof", [{}, {"instances": [], "proof": []}, {"instances": [1], "proof": [1]}, valid_proof(proof=[256])]
)
def test_a_malformed_proof_is_an_error(
    proof: dict[str, Any], fake_ezkl: FakeEzkl, artifact: EZKLArtifact, write: Callable[..., Path]
) -> None:
    file = write("proof.json", content=json.dumps(proof).encode())

    for given in (proof, file, str(file), EZKLProof(ezkl_proof=proof, witness={})):
        with pytest.raises(CircuitError, match="not an ezkl proof"):
            verify(artifact, given)

    assert not fake_ezkl.calls


@pytest.mark.parametrize(
    "value", [{1, 2}, b"bytes", Path("path"), {("a", "tuple"): 1}, ["nested", object()], float]
)
def test_a_proof_with_values_that_json_does_not_have_is_an_error(
    value: object, fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    proof = valid_proof(timestamp=value)

    for given in (proof, EZKLProof(ezkl_proof=proof, witness={})):
        with pytest.raises(CircuitError, match="a value that JSON cannot represent"):
            verify(artifact, given)
    with pytest.raises(CircuitError, match="a value that JSON cannot represent"):
        EZKLProof.from_proof_and_verify_key(proof, b"key")

    assert not fake_ezkl.calls


def test_a_proof_that_contains_itself_is_an_error(artifact: EZKLArtifact) -> None:
    proof = valid_proof()
    proof["itself"] = proof

    with pytest.raises(CircuitError, match="a value that JSON cannot represent"):
        verify(artifact, proof)


def test_a_proof_may_be_json_text(artifact: EZKLArtifact) -> None:
    text = json.dumps(valid_proof(), indent=4)

    assert verify(artifact, text)
    assert verify(artifact, f"\n {text}")
    assert not verify(artifact, json.dumps(valid_proof(hex_proof="0x09")))


@pytest.mark.parametrize("text", ["{", "{]}", '{"instances": []}', '{"proof": ' + "[" * 100_000])
def test_malformed_json_text_is_an_error(text: str, fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    with pytest.raises(CircuitError, match="proof"):
        verify(artifact, text)

    assert not fake_ezkl.calls


def test_a_path_with_a_nul_is_an_artifact_error(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    broken = artifact.model_copy(update={"onnx_path": Path("network\0.onnx")})

    for circuit in (broken, RitualArtifactManager(artifact=broken)):
        with pytest.raises(ArtifactError):
            verify(circuit, valid_proof())
    with pytest.raises(CircuitError, match="proof"):
        verify(artifact, "proof\0.json")

    assert not fake_ezkl.calls


def test_a_proof_with_a_key_of_its_own_is_refused(artifact: EZKLArtifact) -> None:
    own_key = EZKLProof.from_proof_and_verify_key(valid_proof(), b"a key that accepts everything")
    right_key = EZKLProof.from_proof_and_verify_key(valid_proof(), "0x" + b"verifying key".hex())

    assert not asyncio.run(verify_proof(own_key, artifact))
    assert asyncio.run(verify_proof(right_key, artifact))


def test_files_that_ezkl_cannot_read_are_an_error(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    fake_ezkl.break_at("verify", "Failed to run verify: [pfsys] failed to load vk from file")

    with pytest.raises(CircuitError, match="failed to load vk"):
        verify(artifact, valid_proof())


def test_a_proof_over_an_insecure_srs_is_logged_as_a_warning(
    artifact: EZKLArtifact, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        verify(artifact, valid_proof())

    assert "can forge proofs" in caplog.text

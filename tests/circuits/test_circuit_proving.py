"""Proving: every file is verified before ezkl sees it."""

import asyncio
import json
import logging
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts import (
    ArtifactError,
    CircuitError,
    EZKLArtifact,
    IntegrityError,
    RitualArtifactManager,
)
from ritual_artifacts.ezkl import (
    EZKLProof,
    generate_proof,
    generate_proof_from_repo_id,
    prove,
    verify,
    verify_proof,
)
from tests.circuits.conftest import FILES, FakeEzkl, Labelled, flip_one_bit


def test_a_proof_is_generated_and_verified(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    proof = prove(artifact, [0.5])

    assert verify(artifact, proof)
    assert fake_ezkl.calls == ["gen_witness", "prove", "verify", "verify"]
    assert proof.output == [1.0]
    assert proof.verify_key == b"verifying key"
    assert proof.witness == {"input_data": [[0.5]]}


@pytest.mark.parametrize("field", FILES)
@pytest.mark.parametrize("form", ["manager", "artifact", "artifact in a manager that published it"])
def test_a_flipped_bit_is_caught_before_ezkl_sees_it(
    form: str, field: str, fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    proof = EZKLProof(ezkl_proof={"instances": [["00"]], "proof": [1, 2, 3]}, witness={})
    circuit: EZKLArtifact | RitualArtifactManager[EZKLArtifact] = artifact
    if form == "manager":
        circuit = RitualArtifactManager.from_dir(EZKLArtifact, artifact.settings_path.parent)
    elif form != "artifact":
        circuit = RitualArtifactManager(artifact=artifact)
        circuit.to_repo("local/me/circuit")
    flip_one_bit(getattr(artifact, field))

    with pytest.raises(IntegrityError, match=field):
        prove(circuit, [0.5])
    with pytest.raises(IntegrityError, match=field):
        verify(circuit, proof)
    with pytest.raises(IntegrityError, match=field):
        asyncio.run(generate_proof(circuit, {"x": [0.5]}))
    with pytest.raises(IntegrityError, match=field):
        asyncio.run(verify_proof(proof, circuit))

    assert not fake_ezkl.calls


def test_a_missing_file_is_caught_before_ezkl_starts(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    artifact.prover_key_path.unlink()

    with pytest.raises(IntegrityError, match=r"test\.pk.*missing"):
        prove(artifact, [0.5])

    assert not fake_ezkl.calls


def test_files_without_a_manifest_are_used_with_a_warning(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, caplog: pytest.LogCaptureFixture
) -> None:
    (artifact.settings_path.parent / "ritual_manifest.json").unlink()

    with caplog.at_level(logging.WARNING):
        proof = prove(artifact, [0.5])

    assert proof.ezkl_proof
    assert "not verified" in caplog.text
    assert fake_ezkl.calls == ["gen_witness", "prove", "verify"]


def test_files_of_two_circuits_are_used_with_a_warning(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    mixed = artifact.model_copy(update={"verifier_key_path": write("other.vk", content=b"other key")})

    with caplog.at_level(logging.WARNING):
        prove(mixed, [0.5])

    assert fake_ezkl.calls
    assert "not verified" in caplog.text


def test_a_file_of_a_circuit_without_a_manifest_must_exist(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, tmp_path: Path
) -> None:
    broken = artifact.model_copy(update={"srs_path": tmp_path / "missing.srs"})

    with pytest.raises(CircuitError, match=r"file .*missing\.srs does not exist"):
        prove(broken, [0.5])

    assert not fake_ezkl.calls


def test_without_ezkl_the_error_names_the_extra(
    artifact: EZKLArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ezkl", None)

    with pytest.raises(ArtifactError, match=r"ritual-artifacts\[ezkl\]"):
        prove(artifact, [0.5])
    with pytest.raises(ArtifactError, match=r"ritual-artifacts\[ezkl\]"):
        verify(artifact, {})
    with pytest.raises(ArtifactError, match=r"ritual-artifacts\[ezkl\]"):
        asyncio.run(generate_proof_from_repo_id("local/me/circuit", [0.5]))


def test_a_circuit_with_other_metadata_is_verified_too(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, tmp_path: Path
) -> None:
    labelled = Labelled(**dict(artifact), version="v1")
    RitualArtifactManager(artifact=labelled).to_dir(tmp_path / "labelled")
    manager = RitualArtifactManager.from_dir(Labelled, tmp_path / "labelled")
    proof = prove(manager.artifact, [0.5])
    flip_one_bit(manager.artifact.srs_path)

    assert proof.ezkl_proof
    for circuit in (manager, manager.artifact):
        with pytest.raises(IntegrityError, match="srs_path"):
            prove(circuit, [0.5])
    assert fake_ezkl.calls.count("prove") == 1


@pytest.mark.parametrize("field", FILES)
def test_a_circuit_that_is_opened_as_the_plain_class_is_verified_too(
    field: str, fake_ezkl: FakeEzkl, artifact: EZKLArtifact, tmp_path: Path
) -> None:
    labelled = Labelled(**dict(artifact), version="v1")
    RitualArtifactManager(artifact=labelled).to_dir(tmp_path / "labelled")
    opened = RitualArtifactManager.from_dir(EZKLArtifact, tmp_path / "labelled").artifact
    flip_one_bit(getattr(opened, field))

    with pytest.raises(IntegrityError, match=field):
        prove(opened, [0.5])

    assert not fake_ezkl.calls


# --- proving -----------------------------------------------------------------------------------------------


def test_no_file_of_a_proof_is_kept_by_default(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, tmp_path: Path
) -> None:
    proof = prove(artifact, [0.5])

    assert (proof.ezkl_proof_path, proof.witness_path) == (None, None)
    assert not Path(fake_ezkl.arguments("prove")["witness"]).exists()
    assert not (tmp_path / "proofs").exists()


def test_only_the_user_can_read_a_kept_proof(artifact: EZKLArtifact, tmp_path: Path) -> None:
    proof = prove(artifact, [0.5], proof_directory=tmp_path / "proofs")

    assert proof.ezkl_proof_path is not None
    assert proof.witness_path is not None
    assert verify(artifact, proof.ezkl_proof_path)
    assert json.loads(proof.witness_path.read_text()) == proof.witness
    (folder,) = (tmp_path / "proofs").iterdir()
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = EZKLProof.from_files(
        proof.ezkl_proof_path, proof.witness_path, artifact.settings_path, vk_path=artifact.verifier_key_path
    )
    assert again == proof


@pytest.mark.parametrize("call", ["gen_witness", "prove"])
@pytest.mark.parametrize("what", ["no luck", "panic", "crash"])
def test_a_failure_of_ezkl_while_proving_is_a_circuit_error(
    call: str, what: str, fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    fake_ezkl.break_at(call, what)

    with pytest.raises(CircuitError, match=call):
        prove(artifact, [0.5])


def test_an_invalid_proof_is_not_returned(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    fake_ezkl.break_at("verify", "Failed to run verify: [halo2] The constraint system is not satisfied")

    with pytest.raises(CircuitError, match="do not belong together"):
        prove(artifact, [0.5])


def test_an_error_names_another_version_of_ezkl(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    (artifact.settings_path.parent / "ritual_manifest.json").unlink()
    settings = json.loads(artifact.settings_path.read_text())
    artifact.settings_path.write_text(json.dumps({**settings, "version": "11.6.2"}))
    fake_ezkl.break_at("prove", "failed to load pk")

    with pytest.raises(CircuitError, match=r"generated with ezkl 11\.6\.2, but ezkl 23\.0\.5 is installed"):
        prove(artifact, [0.5])


def test_another_proving_key_can_be_given(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    proof = asyncio.run(generate_proof(artifact, {"x": [0.5]}, prover_key=b"key", output_data=[[1.0]]))

    assert verify(artifact, proof)
    assert fake_ezkl.arguments("prove")["pk_path"] != str(artifact.prover_key_path)
    assert proof.witness["output_data"] == [[1.0]]


def test_invalid_inputs_are_refused_before_ezkl_starts(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    with pytest.raises(CircuitError, match="finite numbers"):
        prove(artifact, [float("nan")])

    assert not fake_ezkl.calls


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_an_integer_beyond_the_range_of_floats_is_refused(
    number: int, fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    with pytest.raises(CircuitError, match="finite numbers"):
        prove(artifact, [number])

    assert not fake_ezkl.calls

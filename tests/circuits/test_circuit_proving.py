"""Nothing is proven or verified with files that were not verified first."""

import asyncio
import hashlib
import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import (
    ArtifactError,
    ArtifactNotFoundError,
    CircuitError,
    EZKLArtifact,
    IntegrityError,
    RitualArtifactManager,
)
from ritual_artifacts.ezkl import (
    VERIFIER_FIELDS,
    EZKLProof,
    EZKLVerifierArtifact,
    generate_proof,
    generate_proof_from_repo_id,
    prove,
    verify,
    verify_proof,
    verify_proof_from_repo,
)
from tests.circuits.conftest import FakeEzkl, generate
from tests.servers.hub import Hub

FILES = list(EZKLArtifact.model_fields)


class Labelled(EZKLArtifact):
    version: str


@pytest.fixture
def artifact(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> EZKLArtifact:
    made = generate(model)
    assert fake_ezkl.calls
    (tmp_path / "calls.jsonl").unlink()
    return made


def flip_one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_proof_is_made_and_holds(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
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


def test_a_missing_file_is_caught_before_ezkl_misses_it(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    artifact.prover_key_path.unlink()

    with pytest.raises(IntegrityError, match=r"test\.pk.*missing"):
        prove(artifact, [0.5])

    assert not fake_ezkl.calls


def test_files_that_nothing_vouches_for_are_used_with_a_warning(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, caplog: pytest.LogCaptureFixture
) -> None:
    (artifact.settings_path.parent / "ritual_manifest.json").unlink()

    with caplog.at_level(logging.WARNING):
        proof = prove(artifact, [0.5])

    assert proof.ezkl_proof
    assert "not verified" in caplog.text
    assert fake_ezkl.calls == ["gen_witness", "prove", "verify"]


def test_files_of_two_circuits_are_not_taken_for_one_that_is_vouched_for(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    mixed = artifact.model_copy(update={"verifier_key_path": write("other.vk", content=b"other key")})

    with caplog.at_level(logging.WARNING):
        prove(mixed, [0.5])

    assert fake_ezkl.calls
    assert "not verified" in caplog.text


def test_a_file_of_a_circuit_that_nothing_vouches_for_must_exist(
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


def test_a_circuit_with_metadata_of_ones_own_is_verified_too(
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


# --- proving -----------------------------------------------------------------------------------------------


def test_no_file_of_a_proof_is_kept_unless_asked_for(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact, tmp_path: Path
) -> None:
    proof = prove(artifact, [0.5])

    assert (proof.ezkl_proof_path, proof.witness_path) == (None, None)
    assert not Path(fake_ezkl.arguments("prove")["witness"]).exists()
    assert not (tmp_path / "proofs").exists()


def test_a_kept_proof_is_for_this_user_only(artifact: EZKLArtifact, tmp_path: Path) -> None:
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
def test_whatever_goes_wrong_while_proving_is_an_error_of_ours(
    call: str, what: str, fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    fake_ezkl.break_at(call, what)

    with pytest.raises(CircuitError, match=call):
        prove(artifact, [0.5])


def test_a_proof_that_does_not_hold_is_not_handed_out(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    fake_ezkl.break_at("verify", "Failed to run verify: [halo2] The constraint system is not satisfied")

    with pytest.raises(CircuitError, match="do not belong together"):
        prove(artifact, [0.5])


def test_another_version_of_ezkl_is_named_where_something_goes_wrong(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
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


def test_bad_inputs_are_refused_before_ezkl_starts(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    with pytest.raises(CircuitError, match="finite numbers"):
        prove(artifact, [float("nan")])

    assert not fake_ezkl.calls


# --- verifying ---------------------------------------------------------------------------------------------


def good_proof(**changes: object) -> dict[str, Any]:
    proof = {
        "instances": [["01" + "00" * 31]],
        "proof": [1, 2, 3],
        "hex_proof": "0x010203",
        "pretty_public_inputs": {"outputs": [[f"0x{1:064x}"]], "rescaled_outputs": [["1"]]},
    }
    return {**proof, **changes}


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (good_proof(proof=[9, 9], hex_proof="0x0909"), "not satisfied"),
        (good_proof(hex_proof="0x090909"), "hex digits"),
        (good_proof(instances=[["02" + "00" * 31]]), "differ from the proven ones"),
        (
            good_proof(pretty_public_inputs={"outputs": [[f"0x{1:064x}"]], "rescaled_outputs": [["9"]]}),
            "rescaled outputs",
        ),
    ],
)
def test_what_does_not_hold_is_false_and_logged(
    proof: Mapping[str, Any], reason: str, artifact: EZKLArtifact, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        holds = verify(artifact, proof)

    assert holds is False
    assert reason in caplog.text


@pytest.mark.parametrize(
    "proof", [{}, {"instances": [], "proof": []}, {"instances": [1], "proof": [1]}, good_proof(proof=[256])]
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
    proof = good_proof(timestamp=value)

    for given in (proof, EZKLProof(ezkl_proof=proof, witness={})):
        with pytest.raises(CircuitError, match="a value that JSON cannot represent"):
            verify(artifact, given)
    with pytest.raises(CircuitError, match="a value that JSON cannot represent"):
        EZKLProof.from_proof_and_verify_key(proof, b"key")

    assert not fake_ezkl.calls


def test_a_proof_that_contains_itself_is_an_error(artifact: EZKLArtifact) -> None:
    proof = good_proof()
    proof["itself"] = proof

    with pytest.raises(CircuitError, match="a value that JSON cannot represent"):
        verify(artifact, proof)


def test_a_proof_may_be_json_text(artifact: EZKLArtifact) -> None:
    text = json.dumps(good_proof(), indent=4)

    assert verify(artifact, text)
    assert verify(artifact, f"\n {text}")
    assert not verify(artifact, json.dumps(good_proof(hex_proof="0x09")))


@pytest.mark.parametrize("text", ["{", "{]}", '{"instances": []}', '{"proof": ' + "[" * 100_000])
def test_json_text_that_is_no_proof_is_an_error(
    text: str, fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    with pytest.raises(CircuitError, match="proof"):
        verify(artifact, text)

    assert not fake_ezkl.calls


def test_a_path_with_a_nul_is_an_error_of_ours(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    broken = artifact.model_copy(update={"onnx_path": Path("network\0.onnx")})

    for circuit in (broken, RitualArtifactManager(artifact=broken)):
        with pytest.raises(ArtifactError):
            verify(circuit, good_proof())
    with pytest.raises(CircuitError, match="proof"):
        verify(artifact, "proof\0.json")

    assert not fake_ezkl.calls


def test_a_proof_with_a_key_of_its_own_is_refused(artifact: EZKLArtifact) -> None:
    own_key = EZKLProof.from_proof_and_verify_key(good_proof(), b"a key that accepts everything")
    right_key = EZKLProof.from_proof_and_verify_key(good_proof(), "0x" + b"verifying key".hex())

    assert not asyncio.run(verify_proof(own_key, artifact))
    assert asyncio.run(verify_proof(right_key, artifact))


def test_files_that_ezkl_cannot_read_are_no_verdict(fake_ezkl: FakeEzkl, artifact: EZKLArtifact) -> None:
    fake_ezkl.break_at("verify", "Failed to run verify: [pfsys] failed to load vk from file")

    with pytest.raises(CircuitError, match="failed to load vk"):
        verify(artifact, good_proof())


def test_a_proof_over_an_srs_of_ones_own_is_warned_of(
    artifact: EZKLArtifact, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        verify(artifact, good_proof())

    assert "can forge proofs" in caplog.text


# --- from a repository -------------------------------------------------------------------------------------


def test_a_circuit_of_a_repository_proves_and_verifies(artifact: EZKLArtifact) -> None:
    RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")

    proof = asyncio.run(generate_proof_from_repo_id("local/me/circuit", [0.5]))
    holds = asyncio.run(verify_proof_from_repo(proof.ezkl_proof, "local/me/circuit"))

    assert holds
    assert proof.vk_path != artifact.verifier_key_path
    assert not asyncio.run(
        verify_proof_from_repo(good_proof(proof=[9], hex_proof="0x09"), "local/me/circuit")
    )


def test_a_repository_that_does_not_exist_is_said_to_be(fake_ezkl: FakeEzkl) -> None:
    with pytest.raises(ArtifactNotFoundError):
        asyncio.run(generate_proof_from_repo_id("local/me/circuit", [0.5]))

    assert not fake_ezkl.calls


def test_another_circuit_than_the_expected_one_is_not_used(
    fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    result = RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")
    other = "sha256:" + "0" * 64

    with pytest.raises(IntegrityError):
        asyncio.run(generate_proof_from_repo_id("local/me/circuit", [0.5], expected_digest=other))
    with pytest.raises(IntegrityError):
        asyncio.run(verify_proof_from_repo(good_proof(), "local/me/circuit", expected_digest=other))

    assert not fake_ezkl.calls
    assert asyncio.run(
        verify_proof_from_repo(good_proof(), "local/me/circuit", expected_digest=result.digest)
    )


def test_a_damaged_copy_in_the_cache_is_mended_before_it_is_used(artifact: EZKLArtifact) -> None:
    RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")
    cached = RitualArtifactManager.from_repo(EZKLArtifact, "local/me/circuit").artifact
    flip_one_bit(cached.prover_key_path)

    proof = asyncio.run(generate_proof_from_repo_id("local/me/circuit", [0.5]))

    assert proof.ezkl_proof
    assert cached.prover_key_path.read_bytes() == artifact.prover_key_path.read_bytes()


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


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_whole_number_that_no_float_can_be_is_refused(
    number: int, fake_ezkl: FakeEzkl, artifact: EZKLArtifact
) -> None:
    with pytest.raises(CircuitError, match="finite numbers"):
        prove(artifact, [number])

    assert not fake_ezkl.calls


# --- without the proving key -------------------------------------------------------------------------------


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".ritual-partial"}


def test_a_verifier_fetches_only_what_verifying_needs(artifact: EZKLArtifact, own_folders: Path) -> None:
    result = RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")

    held = asyncio.run(
        verify_proof_from_repo(good_proof(), "local/me/circuit", expected_digest=result.digest)
    )

    assert held
    cached = own_folders / "cache" / "local" / "me" / "circuit" / "default"
    assert files_in(cached) == {"settings.json", "test.vk", "insecure_srs_file.srs"}


def test_of_a_circuit_on_the_hub_that_infernet_ml_published_no_proving_key_is_fetched(
    artifact: EZKLArtifact, hub: Hub, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    files = {path.name: path.read_bytes() for _, path in artifact}
    manifest = {
        **{field: path.name for field, path in artifact},
        "repo_id": "huggingface/me/circuit",
        "artifact_type": "EZKLArtifact",
        "file_hashes": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    repo = hub.create_repo("me/circuit")
    hub.put(repo, {**files, "ritual_manifest.json": json.dumps(manifest).encode()})
    cached = own_folders / "cache" / "huggingface" / "me" / "circuit" / "default"
    digest = RitualArtifactManager(artifact=artifact).digest

    held = asyncio.run(verify_proof_from_repo(good_proof(), "huggingface/me/circuit"))
    part = files_in(cached)
    pinned = asyncio.run(
        verify_proof_from_repo(good_proof(), "huggingface/me/circuit", expected_digest=digest)
    )

    assert held
    assert part == {"settings.json", "test.vk", "insecure_srs_file.srs"}
    assert pinned  # the digest of a manifest without sizes shows in the whole artifact only
    assert "test.pk" in files_in(cached)


def test_a_whole_copy_that_is_pinned_verifies_without_the_storage(
    artifact: EZKLArtifact, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    repo = "huggingface/alice/circuit"
    result = RitualArtifactManager(artifact=artifact).to_repo(repo)
    RitualArtifactManager.from_repo(EZKLArtifact, repo)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    pinned = asyncio.run(verify_proof_from_repo(good_proof(), repo, expected_digest=result.digest))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = asyncio.run(verify_proof_from_repo(good_proof(), repo))

    assert pinned
    assert offline


def test_what_a_verifier_has_cannot_prove(
    artifact: EZKLArtifact, fake_ezkl: FakeEzkl, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")
    manager = RitualArtifactManager.from_repo(
        EZKLVerifierArtifact, "local/me/circuit", tmp_path / "out", fields=VERIFIER_FIELDS
    )

    circuits: list[Any] = [manager, manager.artifact]  # which a type checker does not let prove
    for circuit in circuits:
        assert verify(circuit, good_proof())
        with pytest.raises(CircuitError, match=r"downloaded without .*prover_key_path"):
            prove(circuit, [0.5])

    assert files_in(tmp_path / "out") == {"settings.json", "test.vk", "insecure_srs_file.srs"}
    assert "prove" not in fake_ezkl.calls


@pytest.mark.parametrize("field", VERIFIER_FIELDS)
def test_a_flipped_bit_in_what_a_verifier_has_is_caught(
    field: str, artifact: EZKLArtifact, fake_ezkl: FakeEzkl, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")
    part = RitualArtifactManager.from_repo(
        EZKLVerifierArtifact, "local/me/circuit", tmp_path / "out", fields=VERIFIER_FIELDS
    )
    beside_the_whole = EZKLVerifierArtifact(**{name: getattr(artifact, name) for name in VERIFIER_FIELDS})
    flip_one_bit(getattr(part.artifact, field))
    flip_one_bit(getattr(artifact, field))

    for circuit in (part, beside_the_whole):
        with pytest.raises(IntegrityError, match=field):
            verify(circuit, good_proof())

    assert not fake_ezkl.calls


def test_a_circuit_of_a_class_of_ones_own_verifies_without_its_proving_key(
    artifact: EZKLArtifact, own_folders: Path
) -> None:
    RitualArtifactManager(artifact=Labelled(**dict(artifact), version="v1")).to_repo("local/me/circuit")

    held = asyncio.run(verify_proof_from_repo(good_proof(), "local/me/circuit"))

    assert held
    assert "test.pk" not in files_in(own_folders / "cache" / "local" / "me" / "circuit" / "default")

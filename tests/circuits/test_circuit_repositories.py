"""Proving and verifying with circuits of a repository, also without their proving keys."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import (
    ArtifactNotFoundError,
    CircuitError,
    EZKLArtifact,
    IntegrityError,
    RitualArtifactManager,
)
from ritual_artifacts.ezkl import (
    VERIFIER_FIELDS,
    EZKLVerifierArtifact,
    generate_proof_from_repo_id,
    prove,
    verify,
    verify_proof_from_repo,
)
from tests.circuits.conftest import FakeEzkl, Labelled, flip_one_bit, valid_proof
from tests.servers.hub import Hub


def test_a_circuit_of_a_repository_proves_and_verifies(artifact: EZKLArtifact) -> None:
    RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")

    proof = asyncio.run(generate_proof_from_repo_id("local/me/circuit", [0.5]))
    holds = asyncio.run(verify_proof_from_repo(proof.ezkl_proof, "local/me/circuit"))

    assert holds
    assert proof.vk_path != artifact.verifier_key_path
    assert not asyncio.run(
        verify_proof_from_repo(valid_proof(proof=[9], hex_proof="0x09"), "local/me/circuit")
    )


def test_a_repository_that_does_not_exist_is_not_found(fake_ezkl: FakeEzkl) -> None:
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
        asyncio.run(verify_proof_from_repo(valid_proof(), "local/me/circuit", expected_digest=other))

    assert not fake_ezkl.calls
    assert asyncio.run(
        verify_proof_from_repo(valid_proof(), "local/me/circuit", expected_digest=result.digest)
    )


def test_a_damaged_copy_in_the_cache_is_repaired_before_it_is_used(artifact: EZKLArtifact) -> None:
    RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")
    cached = RitualArtifactManager.from_repo(EZKLArtifact, "local/me/circuit").artifact
    flip_one_bit(cached.prover_key_path)

    proof = asyncio.run(generate_proof_from_repo_id("local/me/circuit", [0.5]))

    assert proof.ezkl_proof
    assert cached.prover_key_path.read_bytes() == artifact.prover_key_path.read_bytes()


# --- without the proving key -------------------------------------------------------------------------------


VERIFIER_FILES = {"settings.json", "test.vk", "insecure_srs_file.srs"}
NOTE = "part.json"
"""What the cache keeps beside a part of an artifact, so that the part can be used without the storage."""


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_verifier_fetches_only_what_verifying_needs(artifact: EZKLArtifact, own_folders: Path) -> None:
    result = RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")

    held = asyncio.run(
        verify_proof_from_repo(valid_proof(), "local/me/circuit", expected_digest=result.digest)
    )

    assert held
    cached = own_folders / "cache" / "local" / "me" / "circuit" / "default"
    assert files_in(cached) == VERIFIER_FILES | {NOTE}


def test_a_verifier_fetches_no_proving_key_of_a_circuit_by_infernet_ml(
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

    held = asyncio.run(verify_proof_from_repo(valid_proof(), "huggingface/me/circuit"))
    part = files_in(cached)
    pinned = asyncio.run(
        verify_proof_from_repo(valid_proof(), "huggingface/me/circuit", expected_digest=digest)
    )

    assert held
    assert part == VERIFIER_FILES | {NOTE}
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

    pinned = asyncio.run(verify_proof_from_repo(valid_proof(), repo, expected_digest=result.digest))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = asyncio.run(verify_proof_from_repo(valid_proof(), repo))

    assert pinned
    assert offline


def test_the_files_of_a_verifier_cannot_prove(
    artifact: EZKLArtifact, fake_ezkl: FakeEzkl, tmp_path: Path
) -> None:
    RitualArtifactManager(artifact=artifact).to_repo("local/me/circuit")
    manager = RitualArtifactManager.from_repo(
        EZKLVerifierArtifact, "local/me/circuit", tmp_path / "out", fields=VERIFIER_FIELDS
    )

    circuits: list[Any] = [manager, manager.artifact]  # which a type checker does not let prove
    for circuit in circuits:
        assert verify(circuit, valid_proof())
        with pytest.raises(CircuitError, match=r"downloaded without .*prover_key_path"):
            prove(circuit, [0.5])

    assert files_in(tmp_path / "out") == VERIFIER_FILES
    assert "prove" not in fake_ezkl.calls


@pytest.mark.parametrize("field", VERIFIER_FIELDS)
def test_a_flipped_bit_in_the_files_of_a_verifier_is_caught(
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
            verify(circuit, valid_proof())

    assert not fake_ezkl.calls


def test_a_circuit_of_a_derived_class_is_verified_without_its_proving_key(
    artifact: EZKLArtifact, own_folders: Path
) -> None:
    RitualArtifactManager(artifact=Labelled(**dict(artifact), version="v1")).to_repo("local/me/circuit")

    held = asyncio.run(verify_proof_from_repo(valid_proof(), "local/me/circuit"))

    assert held
    assert "test.pk" not in files_in(own_folders / "cache" / "local" / "me" / "circuit" / "default")

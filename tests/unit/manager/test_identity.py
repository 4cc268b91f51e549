"""What an artifact is: its manifest, its digest, and whether its files are still what they were."""

import copy
import logging
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from ritual_artifacts import (
    ArtifactModelError,
    IntegrityError,
    RitualArtifactManager,
)
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import REPO, Loose, Strict, Write, flip_one_bit


@pytest.mark.parametrize("field", ["repo_id", "artifact_type", "file_hashes", "ritual_artifacts"])
def test_a_reserved_field_is_refused_when_the_manager_is_built(field: str, write: Write) -> None:
    namespace = {"__annotations__": {"file": Path, field: str}}
    cls = type("Reserved", (BaseModel,), namespace)

    with pytest.raises(ArtifactModelError, match=field):
        RitualArtifactManager(artifact=cls(file=write("a"), **{field: "x"}))


def test_a_secret_field_is_refused_when_the_manager_is_built(write: Write) -> None:
    class Secretive(BaseModel):
        file: Path
        key: SecretStr

    with pytest.raises(ArtifactModelError, match="key") as error:
        RitualArtifactManager(artifact=Secretive(file=write("a"), key=SecretStr("hunter2")))

    assert "hunter2" not in str(error.value)


def test_the_digest_is_the_same_wherever_the_files_are(circuit: Circuit, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another" / "machine"
    shutil.copytree(tmp_path / "sources", elsewhere)
    moved = Circuit(
        circuit_file=elsewhere / "circuit.bin",
        weights=[elsewhere / "a.safetensors", elsewhere / "b.safetensors"],
        version="v1.0",
        num_params=1000,
    )

    assert RitualArtifactManager(artifact=moved).digest == RitualArtifactManager(artifact=circuit).digest


def test_the_digest_is_pinned(write: Write) -> None:
    artifact = Strict(file=write("a.bin", content=b"content"), version="v1.0")

    digest = RitualArtifactManager(artifact=artifact).digest

    assert digest == "sha256:cb185f6a6502d6c248d567cf89fe2f1db97a6a9d670c4e8d19181c59aa228a0f"


def test_every_part_of_the_artifact_is_in_the_digest(circuit: Circuit, write: Write) -> None:
    variants = [
        circuit,
        circuit.model_copy(update={"version": "v1.1"}),
        circuit.model_copy(update={"num_params": 1001}),
        circuit.model_copy(update={"weights": circuit.weights[::-1]}),
        circuit.model_copy(update={"weights": circuit.weights[:1]}),
        circuit.model_copy(update={"circuit_file": write("renamed.bin", content=b"x")}),
        circuit.model_copy(update={"circuit_file": write("elsewhere/renamed.bin", content=b"y")}),
    ]

    digests = {RitualArtifactManager(artifact=variant).digest for variant in variants}

    assert len(digests) == len(variants)


def test_files_are_hashed_once_while_they_stay_the_same(
    manager: RitualArtifactManager[Circuit], hashed: list[Path]
) -> None:
    first = manager.digest

    assert (manager.digest, manager.manifest().digest) == (first, first)
    assert len(hashed) == 3


def test_a_changed_file_changes_the_digest(manager: RitualArtifactManager[Circuit], circuit: Circuit) -> None:
    before = manager.digest
    flip_one_bit(circuit.circuit_file)

    assert manager.digest != before


def test_a_change_behind_a_restored_time_is_seen(
    manager: RitualArtifactManager[Circuit], circuit: Circuit, hashed: list[Path]
) -> None:
    before, status = manager.digest, circuit.circuit_file.stat()
    flip_one_bit(circuit.circuit_file)
    os.utime(circuit.circuit_file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert manager.digest != before
    assert len(hashed) == 6


@pytest.mark.parametrize(("before", "after"), [(1, 2), (1, True), ("1", 1), (None, False)])
def test_changed_metadata_changes_the_digest(before: Any, after: Any, write: Write) -> None:
    class Note(BaseModel):
        file: Path
        note: Any

    manager = RitualArtifactManager(artifact=Note(file=write("a"), note=before))
    first = manager.digest
    manager.artifact.note = after

    assert manager.digest != first


def test_names_do_not_depend_on_what_the_artifact_was_before(write: Write) -> None:
    first, second = write("x/model.bin"), write("y/model.bin")
    manager = RitualArtifactManager(artifact=Loose(shards=[first, second]))
    assert len(manager.manifest().files) == 2

    manager.artifact.shards.pop()

    assert manager.digest == RitualArtifactManager(artifact=Loose(shards=[first])).digest


def test_a_missing_file_is_an_error_of_the_system(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    circuit.circuit_file.unlink()

    with pytest.raises(FileNotFoundError, match=r"circuit\.bin"):
        _ = manager.digest


def test_a_manager_survives_pickle_and_copy(manager: RitualArtifactManager[Circuit]) -> None:
    digest = manager.digest

    for again in (pickle.loads(pickle.dumps(manager)), copy.deepcopy(manager)):  # noqa: S301 - our own bytes
        assert again.digest == digest
        again.verify()


def test_verify_returns_the_manifest_of_an_intact_artifact(manager: RitualArtifactManager[Circuit]) -> None:
    manager.to_repo(REPO)

    assert manager.verify().digest == manager.digest


def test_verify_describes_an_artifact_that_has_no_manifest_yet(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    described = manager.verify()
    flip_one_bit(circuit.circuit_file)

    with pytest.raises(IntegrityError, match=r"circuit\.bin"):
        manager.verify()
    assert described.digest is not None


def test_verify_names_every_mismatch_with_its_field(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    expected = {entry.path: entry for entry in manager.manifest().files}
    flip_one_bit(circuit.circuit_file)
    circuit.weights[0].unlink()
    circuit.weights[1].write_bytes(b"longer")

    with pytest.raises(IntegrityError) as error:
        manager.verify()

    found = {m.path: (m.field, m.expected, m.actual) for m in error.value.mismatches}
    assert found["a.safetensors"] == ("weights", expected["a.safetensors"].sha256, "missing")
    assert found["b.safetensors"] == ("weights", "1 bytes", "6 bytes")
    assert found["circuit.bin"][:2] == ("circuit_file", expected["circuit.bin"].sha256)
    assert all(name in str(error.value) for name in expected)


@pytest.mark.parametrize("source", ["upload", "repository", "folder"])
def test_reading_the_digest_does_not_hide_tampering_from_verify(
    source: str, manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_repo(REPO)
    manager.to_dir(tmp_path / "folder")
    loaded = {
        "upload": lambda: manager,
        "repository": lambda: RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out"),
        "folder": lambda: RitualArtifactManager.from_dir(Circuit, tmp_path / "folder"),
    }[source]()
    before = loaded.digest
    flip_one_bit(loaded.artifact.circuit_file)

    assert loaded.digest != before

    with pytest.raises(IntegrityError, match=r"circuit\.bin"):
        loaded.verify()


def test_verify_sees_that_a_field_names_another_file(
    manager: RitualArtifactManager[Circuit], write: Write
) -> None:
    manager.to_repo(REPO)
    loaded = RitualArtifactManager.from_repo(Circuit, REPO)
    loaded.artifact.circuit_file = write("evil/circuit.bin")
    loaded.artifact.version = "evil"

    with pytest.raises(IntegrityError) as error:
        loaded.verify()

    found = {m.field: (m.expected, m.actual) for m in error.value.mismatches}
    assert found.keys() == {"circuit_file", "version"}
    assert found["version"] == ('"v1.0"', '"evil"')


def test_an_artifact_in_a_relative_folder_stays_where_it_is(
    manager: RitualArtifactManager[Circuit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.to_repo(REPO)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    for loaded in (
        RitualArtifactManager.from_repo(Circuit, REPO, "out"),
        RitualArtifactManager.from_dir(Circuit, "out"),
    ):
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert loaded.artifact.circuit_file.exists()
        loaded.verify()
        monkeypatch.chdir(tmp_path)


def test_a_warning_says_that_files_belong_to_no_field_of_the_class(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    class Wide(BaseModel):
        file: Path
        version: str
        extra: Path

    class Narrow(BaseModel):
        file: Path
        version: str

    published = RitualArtifactManager(
        artifact=Wide(file=write("a.bin"), version="v1", extra=write("extra.bin"))
    ).to_repo(REPO)
    with caplog.at_level(logging.WARNING):
        loaded = RitualArtifactManager.from_repo(Narrow, REPO)

    assert loaded.digest == loaded.to_repo("local/me/narrow").digest != published.digest
    assert "1 files in" in caplog.text
    assert "belong to no field of Narrow" in caplog.text


def test_a_class_with_a_new_field_has_the_digest_that_it_is_published_with(write: Write) -> None:
    class Old(BaseModel):
        file: Path

    class New(Old):
        added: int = 5

    renamed = type("New", (Old,), {})
    published = RitualArtifactManager(artifact=renamed(file=write("a.bin"))).to_repo(REPO)

    loaded = RitualArtifactManager.from_repo(New, REPO)

    assert loaded.verify().digest == published.digest
    assert loaded.digest == loaded.to_repo("local/me/new").digest != published.digest

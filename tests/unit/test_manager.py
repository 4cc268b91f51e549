"""`RitualArtifactManager` on the embedded local store, in folders and in the cache."""

import copy
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, DirectoryPath, SecretStr

from ritual_artifacts import (
    ArtifactModelError,
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    FileDigest,
    IntegrityError,
    Manifest,
    ManifestEntry,
    ManifestError,
    Progress,
    RepoIdError,
    RitualArtifactManager,
    RitualRepoId,
    StorageId,
    backends,
    hash_files,
)
from ritual_artifacts import (
    manager as manager_module,
)
from ritual_artifacts.backends.local import LocalBackend

REPO = "local/me/circuit"
PINNED = "local/me/circuit/v1"
MANIFEST = "ritual_manifest.json"

Write = Callable[..., Path]
Model = TypeVar("Model", bound=BaseModel)


class Circuit(BaseModel):
    circuit_file: Path
    weights: list[Path]
    version: str
    num_params: int


class Loose(BaseModel):
    """An artifact all of whose files may be left out."""

    model: Path | None = None
    shards: list[Path] = []
    folder: DirectoryPath | None = None
    version: str = "v1"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    version: str


class Other(BaseModel):
    file: Path


@pytest.fixture
def circuit(write: Write) -> Circuit:
    return Circuit(
        circuit_file=write("circuit.bin", 300_000),
        weights=[write("a.safetensors", 70_000), write("b.safetensors", 1)],
        version="v1.0",
        num_params=1000,
    )


@pytest.fixture
def manager(circuit: Circuit) -> RitualArtifactManager[Circuit]:
    return RitualArtifactManager(artifact=circuit)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of files that managers hash for a manifest, filled while the test runs."""
    found: list[Path] = []

    def counting(paths: list[Path], **options: Any) -> list[FileDigest]:
        found.extend(paths)
        return hash_files(paths, **options)

    monkeypatch.setattr("ritual_artifacts.manager.hash_files", counting)
    return found


def flip_one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def contents(artifact: Circuit) -> list[bytes]:
    return [path.read_bytes() for path in (artifact.circuit_file, *artifact.weights)]


# --- the documented calls ----------------------------------------------------------------------------------


class MyZkMlArtifact(BaseModel):
    circuit_file: Path
    model_file: Path
    version: str
    num_params: str


@pytest.fixture
def my_artifact() -> RitualArtifactManager[MyZkMlArtifact]:
    """Return an artifact whose files cannot be read: they are not there."""
    return RitualArtifactManager(
        artifact=MyZkMlArtifact(
            circuit_file=Path("missing/circuit"),
            model_file=Path("missing/model"),
            version="v1.0",
            num_params="1000",
        )
    )


def no_backend(storage: str) -> AbstractContextManager[object]:
    return pytest.raises(BackendError, match=f"no backend for '{storage}' is installed; .* can use local")


def test_hugging_face_is_refused_before_a_file_is_read(
    my_artifact: RitualArtifactManager[MyZkMlArtifact],
) -> None:
    with no_backend("huggingface"):
        my_artifact.to_huggingface_hub(repo_name="my-hf-username/my-repo-name", token=os.getenv("HF_TOKEN"))
    with no_backend("huggingface"):
        RitualArtifactManager.from_huggingface_hub(
            artifact_class=MyZkMlArtifact,
            repo_id="my-hf-username/my-repo-name",
            token=os.getenv("HF_TOKEN"),
        )


def test_arweave_is_refused_before_a_file_is_read(
    my_artifact: RitualArtifactManager[MyZkMlArtifact],
) -> None:
    with no_backend("arweave"):
        my_artifact.to_arweave(repo_name="my-repo-name", wallet_path="path/to/wallet.json")
    with no_backend("arweave"):
        my_artifact.to_repo(
            repo_id="arweave/my-username/my-model", repo_type="arweave", wallet_path="path/to/wallet.json"
        )
    with no_backend("arweave"):
        RitualArtifactManager.from_arweave(
            artifact_class=MyZkMlArtifact, repo_id="my-arweave-address/arweave-id"
        )
    with no_backend("arweave"):
        RitualArtifactManager[Other].from_repo(
            artifact_class=MyZkMlArtifact,  # type: ignore[arg-type]  # documented so: the argument wins
            repo_id="arweave/my-username/my-model",
        )


def test_the_documented_calls_run_on_the_local_store(write: Write) -> None:
    my_artifact = RitualArtifactManager(
        artifact=MyZkMlArtifact(
            circuit_file=write("circuit"), model_file=write("model"), version="v1.0", num_params="1000"
        )
    )

    result = my_artifact.to_repo(repo_id="local/my-username/my-model", repo_type="local")
    artifact = RitualArtifactManager[Other].from_repo(
        artifact_class=MyZkMlArtifact,  # type: ignore[arg-type]  # documented so: the argument wins
        repo_id="local/my-username/my-model",
    )
    brought: object = artifact.artifact

    assert str(result.repo_id) == "local/my-username/my-model"
    assert isinstance(brought, MyZkMlArtifact)
    assert brought.num_params == "1000"


def test_a_subscripted_manager_is_a_manager(circuit: Circuit) -> None:
    typed = RitualArtifactManager[Circuit](artifact=circuit)
    typed.to_repo(REPO)

    again = RitualArtifactManager[Circuit].from_repo(Circuit, REPO)

    assert isinstance(typed, RitualArtifactManager)
    assert type(again) is RitualArtifactManager[Circuit]
    assert contents(again.artifact) == contents(circuit)


def test_a_class_of_ones_own_stays(circuit: Circuit) -> None:
    class CircuitManager(RitualArtifactManager[Circuit]):
        def parameters(self) -> int:
            return self.artifact.num_params

    CircuitManager(artifact=circuit).to_repo(REPO)

    assert CircuitManager.from_repo(Circuit, REPO).parameters() == 1000


@pytest.mark.parametrize("repo_type", ["arweave", "huggingface"])
def test_a_repo_type_must_agree_with_the_id(repo_type: str, manager: RitualArtifactManager[Circuit]) -> None:
    with pytest.raises(RepoIdError, match=f"repo_type '{repo_type}' does not agree with .* local/me/circuit"):
        manager.to_repo(REPO, repo_type=repo_type)


def test_an_unknown_option_is_refused(manager: RitualArtifactManager[Circuit]) -> None:
    with pytest.raises(BackendError, match="takes no options, but got commit_message"):
        manager.to_repo(REPO, upload_kwargs={"commit_message": "x"})
    with pytest.raises(BackendError, match=r"does not take these options.*gateways"):
        manager.to_repo(REPO, repo_manager_kwargs={"gateways": []})
    with pytest.raises(BackendError, match=r"does not take these options.*gateways"):
        RitualArtifactManager.from_repo(Circuit, REPO, repomanager_kwargs={"gateways": []})


def test_a_credential_goes_only_to_its_own_storage(
    manager: RitualArtifactManager[Circuit], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Mapping[str, Any]] = {}

    def note(storage: StorageId, options: Mapping[str, Any]) -> None:
        given[str(storage)] = options
        message = "noted"
        raise BackendError(message)

    monkeypatch.setattr(manager_module, "load_backend", note)
    for storage in StorageId:
        with pytest.raises(BackendError, match="noted"):
            manager.to_repo(f"{storage}/me/x", "hf_secret", "wallet.json")

    assert given == {
        "local": {},
        "arweave": {"wallet_path": "wallet.json"},
        "huggingface": {"token": "hf_secret"},
    }


def test_a_token_is_in_no_error_and_no_log(
    manager: RitualArtifactManager[Circuit],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(backends._OWN, StorageId.Huggingface, "ritual_artifacts.backends.local:LocalBackend")
    caplog.set_level("DEBUG")

    with pytest.raises(BackendError) as error:
        manager.to_repo("huggingface/me/x", hf_token="hf_secret")

    assert "hf_secret" not in f"{error.value!r} {error.value.__cause__!r} {caplog.text}"


# --- what it is --------------------------------------------------------------------------------------------


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


# --- verify ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("came_from", ["upload", "repository", "folder"])
def test_asking_for_the_digest_does_not_make_a_tampered_artifact_good(
    came_from: str, manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_repo(REPO)
    manager.to_dir(tmp_path / "folder")
    came = {
        "upload": lambda: manager,
        "repository": lambda: RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out"),
        "folder": lambda: RitualArtifactManager.from_dir(Circuit, tmp_path / "folder"),
    }[came_from]()
    promised = came.digest
    flip_one_bit(came.artifact.circuit_file)

    assert came.digest != promised

    with pytest.raises(IntegrityError, match=r"circuit\.bin"):
        came.verify()


# --- folders -----------------------------------------------------------------------------------------------


def test_a_folder_brings_back_an_equal_artifact(
    manager: RitualArtifactManager[Circuit], circuit: Circuit, tmp_path: Path
) -> None:
    written = manager.to_dir(tmp_path / "out", PINNED)

    again = RitualArtifactManager.from_dir(Circuit, tmp_path / "out")

    assert written.digest == manager.digest == again.digest
    assert str(again.repo_id) == PINNED
    assert contents(again.artifact) == contents(circuit)
    assert again.artifact.model_dump(include={"version", "num_params"}) == {
        "version": "v1.0",
        "num_params": 1000,
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.safetensors",
        "b.safetensors",
        "circuit.bin",
        MANIFEST,
    ]


def test_a_repository_name_survives_from_folder_to_folder(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path / "one", PINNED)
    RitualArtifactManager.from_dir(Circuit, tmp_path / "one").to_dir(tmp_path / "two")

    assert str(RitualArtifactManager.from_dir(Circuit, tmp_path / "two").repo_id) == PINNED


def test_an_artifact_is_written_onto_its_own_folder(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path / "out")
    again = RitualArtifactManager.from_dir(Circuit, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    again.to_dir(tmp_path / "out")

    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_sources_get_a_manifest_in_their_own_folder(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    folder = circuit.circuit_file.parent

    manager.to_dir(folder)

    assert RitualArtifactManager.from_dir(Circuit, folder).digest == manager.digest


def test_a_file_of_the_users_is_replaced_only_when_asked(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "circuit.bin").write_bytes(b"mine")

    with pytest.raises(ConflictError, match=r"circuit\.bin"):
        manager.to_dir(tmp_path / "out")
    assert (tmp_path / "out" / "circuit.bin").read_bytes() == b"mine"

    manager.to_dir(tmp_path / "out", overwrite=True)

    assert RitualArtifactManager.from_dir(Circuit, tmp_path / "out").digest == manager.digest


def test_a_tampered_folder_is_refused(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    manager.to_dir(tmp_path)
    flip_one_bit(tmp_path / "circuit.bin")

    with pytest.raises(IntegrityError, match=r"'circuit\.bin' \(field 'circuit_file'\)"):
        RitualArtifactManager.from_dir(Circuit, tmp_path)


def test_without_verification_a_folder_is_taken_as_it_is(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path)
    flip_one_bit(tmp_path / "circuit.bin")

    again = RitualArtifactManager.from_dir(Circuit, tmp_path, verify=False)

    assert again.digest != manager.digest
    with pytest.raises(IntegrityError, match=r"circuit\.bin"):
        again.verify()


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match=f"has no {MANIFEST}.*cut short"):
        RitualArtifactManager.from_dir(Circuit, tmp_path)


@pytest.mark.parametrize("form", ["sha256:{}", "{}"])
def test_the_expected_digest_is_accepted(
    form: str, manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path)
    expected = form.format(manager.digest.removeprefix("sha256:"))

    again = RitualArtifactManager.from_dir(Circuit, tmp_path, expected_digest=expected)

    assert again.digest == manager.digest


def test_another_digest_than_the_expected_one_is_refused(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path / "folder")
    manager.to_repo(PINNED)
    wrong = "sha256:" + "0" * 64

    with pytest.raises(IntegrityError, match=f"expected {wrong}, got {manager.digest}"):
        RitualArtifactManager.from_dir(Circuit, tmp_path / "folder", expected_digest=wrong)
    with pytest.raises(IntegrityError, match=f"expected {wrong}, got {manager.digest}"):
        RitualArtifactManager.from_repo(Circuit, PINNED, tmp_path / "out", expected_digest=wrong)
    with pytest.raises(IntegrityError, match=f"expected {wrong}, got {manager.digest}"):
        RitualArtifactManager.from_repo(Circuit, PINNED, expected_digest=wrong)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("malformed", ["", "sha256:", "sha256:0", "md5:" + "0" * 32, "A" * 64, "0" * 65])
def test_a_malformed_expected_digest_is_refused(
    malformed: str, manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path / "folder")
    manager.to_repo(PINNED)

    with pytest.raises(ArtifactModelError, match="expected_digest must be 'sha256:' and 64"):
        RitualArtifactManager.from_dir(Circuit, tmp_path / "folder", expected_digest=malformed)
    with pytest.raises(ArtifactModelError, match="expected_digest must be 'sha256:' and 64"):
        RitualArtifactManager.from_repo(Circuit, PINNED, expected_digest=malformed)


# --- folders without a manifest ----------------------------------------------------------------------------


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"content")
    return folder


def test_fields_given_by_hand_stand_in_for_a_manifest(plain: Path) -> None:
    values = {"file": "a.bin", "version": "v1", "repo_id": PINNED}

    again = RitualArtifactManager.from_dir(Strict, plain, values)

    assert again.artifact == Strict(file=plain / "a.bin", version="v1")
    assert str(again.repo_id) == PINNED


@pytest.mark.parametrize("name", ["../plain/../secret", "/etc/passwd", "missing.bin"])
def test_fields_given_by_hand_name_only_files_of_the_folder(name: str, plain: Path) -> None:
    (plain.parent / "secret").write_bytes(b"secret")

    with pytest.raises(ManifestError, match="has no"):
        RitualArtifactManager.from_dir(Strict, plain, {"file": name, "version": "v1"})


def test_fields_given_by_hand_must_fit_the_class(plain: Path) -> None:
    with pytest.raises(ManifestError, match="does not fit Strict: version"):
        RitualArtifactManager.from_dir(Strict, plain, {"file": "a.bin"})


def test_the_digest_of_fields_given_by_hand_is_checked(plain: Path) -> None:
    values = {"file": "a.bin", "version": "v1"}
    digest = RitualArtifactManager.from_dir(Strict, plain, values).digest

    RitualArtifactManager.from_dir(Strict, plain, values, expected_digest=digest)

    flip_one_bit(plain / "a.bin")
    with pytest.raises(IntegrityError, match=digest):
        RitualArtifactManager.from_dir(Strict, plain, values, expected_digest=digest)


def test_a_whole_manifest_given_by_hand_is_verified(plain: Path) -> None:
    original = RitualArtifactManager(artifact=Strict(file=plain / "a.bin", version="v1"))
    values = original.manifest().to_document()

    again = RitualArtifactManager.from_dir(Strict, plain, values)

    assert again.digest == original.digest
    flip_one_bit(plain / "a.bin")
    with pytest.raises(IntegrityError, match=r"a\.bin"):
        RitualArtifactManager.from_dir(Strict, plain, values)


def test_a_manifest_given_by_hand_that_is_no_json_is_refused(plain: Path) -> None:
    values = {"file": plain / "a.bin", "version": "v1", "file_hashes": {}}

    with pytest.raises(ManifestError, match="manifest_data is not a valid manifest"):
        RitualArtifactManager.from_dir(Strict, plain, values)


def test_a_manifest_in_the_folder_wins_over_fields_given_by_hand(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path)

    again = RitualArtifactManager.from_dir(Circuit, tmp_path, {"version": "another"})

    assert again.artifact.version == "v1.0"


def test_an_instance_is_built_from_a_manifest_alone(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path)

    artifact = RitualArtifactManager.get_instance_from_manifest(Circuit, tmp_path / MANIFEST)

    assert artifact.circuit_file == tmp_path / "circuit.bin"
    assert artifact.weights == [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]


# --- repositories ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["cache", "folder"])
def test_an_artifact_comes_back_from_a_repository(
    where: str,
    manager: RitualArtifactManager[Circuit],
    circuit: Circuit,
    tmp_path: Path,
    own_folders: Path,
) -> None:
    result = manager.to_repo(PINNED)
    target = tmp_path / "out" if where == "folder" else None

    again = RitualArtifactManager.from_repo(Circuit, PINNED, target)

    folder = target or own_folders / "cache" / PINNED
    assert contents(again.artifact) == contents(circuit)
    assert again.artifact.circuit_file == folder / "circuit.bin"
    assert str(again.repo_id) == PINNED
    assert again.digest == result.digest == manager.digest


def test_the_result_says_where_and_what(manager: RitualArtifactManager[Circuit]) -> None:
    first, second = manager.to_repo(PINNED), manager.to_repo("local/me/again")

    assert str(first.repo_id) == PINNED
    assert first.url.startswith("file://")
    assert [entry.path for entry in first.files] == ["a.safetensors", "b.safetensors", "circuit.bin"]
    assert (first.bytes_sent, first.bytes_reused) == (370_001, 0)
    assert (second.bytes_sent, second.bytes_reused) == (0, 370_001)
    assert second.digest == first.digest


def test_the_newest_version_is_the_one_without_a_name(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    manager.to_repo(PINNED)
    circuit.version = "v2.0"
    manager.to_repo("local/me/circuit/v2")

    newest = RitualArtifactManager.from_repo(Circuit, REPO)
    oldest = RitualArtifactManager.from_repo(Circuit, PINNED)

    assert (newest.artifact.version, oldest.artifact.version) == ("v2.0", "v1.0")


def test_a_cached_newest_version_follows_the_repository(
    manager: RitualArtifactManager[Circuit], circuit: Circuit
) -> None:
    manager.to_repo(REPO)
    RitualArtifactManager.from_repo(Circuit, REPO)
    circuit.weights.pop()
    manager.to_repo(REPO)

    again = RitualArtifactManager.from_repo(Circuit, REPO)

    assert again.digest == manager.digest
    assert sorted(path.name for path in again.artifact.circuit_file.parent.iterdir()) == [
        "a.safetensors",
        "circuit.bin",
        MANIFEST,
    ]


def test_a_repository_that_is_not_there_is_not_found() -> None:
    with pytest.raises(ArtifactNotFoundError, match="local/me/circuit"):
        RitualArtifactManager.from_repo(Circuit, REPO)


def test_a_class_that_does_not_fit_is_refused(manager: RitualArtifactManager[Circuit]) -> None:
    manager.to_repo(REPO)

    with pytest.raises(ManifestError, match="no field 'file', which Other requires"):
        RitualArtifactManager.from_repo(Other, REPO)


@pytest.mark.parametrize("repo", [PINNED, REPO])
def test_a_cached_artifact_with_the_expected_digest_costs_no_call_of_the_backend(
    repo: str, manager: RitualArtifactManager[Circuit], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = manager.to_repo(repo).digest
    RitualArtifactManager.from_repo(Circuit, repo)
    monkeypatch.setattr(manager_module, "load_backend", lambda *_: pytest.fail("the backend was loaded"))

    again = RitualArtifactManager.from_repo(Circuit, repo, expected_digest=digest)

    assert again.digest == digest
    assert str(again.repo_id) == repo


@pytest.mark.parametrize(
    "repo", [f"huggingface/me/x/{'0123456789' * 4}", "arweave/me/x/v1"], ids=["commit", "version label"]
)
def test_a_pinned_artifact_in_the_cache_needs_no_backend_at_all(
    repo: str, manager: RitualArtifactManager[Circuit]
) -> None:
    manager.to_dir(RitualRepoId.from_unique_id(repo).to_local_dir(), repo)

    assert RitualArtifactManager.from_repo(Circuit, repo).digest == manager.digest


@pytest.mark.parametrize("repo", ["huggingface/me/x/main", "huggingface/me/x", "arweave/me/x"])
def test_a_name_that_moves_is_not_answered_by_the_cache(
    repo: str, manager: RitualArtifactManager[Circuit]
) -> None:
    manager.to_dir(RitualRepoId.from_unique_id(repo).to_local_dir(), repo)

    with no_backend(repo.partition("/")[0]):
        RitualArtifactManager.from_repo(Circuit, repo)


def damage_bytes(folder: Path) -> None:
    flip_one_bit(folder / "circuit.bin")


def damage_by_removal(folder: Path) -> None:
    (folder / "circuit.bin").unlink()


def damage_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("{}")


def damage_by_a_folder(folder: Path) -> None:
    (folder / "circuit.bin").unlink()
    (folder / "circuit.bin").mkdir()


@pytest.mark.parametrize("damage", [damage_bytes, damage_by_removal, damage_the_manifest, damage_by_a_folder])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_damaged_cache_is_repaired(
    damage: Callable[[Path], None],
    pinned: bool,  # noqa: FBT001 - pytest's parameter
    manager: RitualArtifactManager[Circuit],
    circuit: Circuit,
    own_folders: Path,
) -> None:
    digest = manager.to_repo(PINNED).digest
    RitualArtifactManager.from_repo(Circuit, PINNED)
    damage(own_folders / "cache" / PINNED)

    again = RitualArtifactManager.from_repo(Circuit, PINNED, expected_digest=digest if pinned else None)

    assert contents(again.artifact) == contents(circuit)
    assert again.verify().digest == digest


def test_after_a_download_the_digest_is_known(
    manager: RitualArtifactManager[Circuit], hashed: list[Path], tmp_path: Path
) -> None:
    result = manager.to_repo(REPO)

    for again in (
        RitualArtifactManager.from_repo(Circuit, REPO),
        RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out"),
        RitualArtifactManager.from_repo(Circuit, REPO, expected_digest=result.digest),
        RitualArtifactManager.from_dir(Circuit, tmp_path / "out"),
        manager,
    ):
        assert again.digest == result.digest

    assert hashed == []


def test_a_touched_file_is_hashed_again(manager: RitualArtifactManager[Circuit], hashed: list[Path]) -> None:
    manager.to_repo(REPO)
    again = RitualArtifactManager.from_repo(Circuit, REPO)
    os.utime(again.artifact.circuit_file, ns=(1, 1))

    assert again.digest == manager.digest
    assert len(hashed) == 3


def test_a_tampered_store_is_never_served(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    result = manager.to_repo(REPO)
    victim = next(entry for entry in result.files if entry.path == "circuit.bin")
    flip_one_bit(LocalBackend().object_path(victim.sha256))

    with pytest.raises(IntegrityError, match=r"'circuit\.bin' \(field 'circuit_file'\) from local/me"):
        RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "out")

    assert not (tmp_path / "out" / "circuit.bin").exists()


# --- published again, it is the same -----------------------------------------------------------------------


def fill_folder(write: Write, name: str) -> Path:
    for part in ("config.json", "sub/tokens.txt"):
        write(f"{name}/{part}")
    return write(f"{name}/last.bin").parent


class Files(BaseModel):
    files: list[Path]


class Folders(BaseModel):
    first: DirectoryPath
    others: list[DirectoryPath] = []


class Mixed(BaseModel):
    file: Path
    folder: DirectoryPath


def many_files_of_one_name(write: Write) -> BaseModel:
    return Files(files=[write(f"{i}/model.bin") for i in range(3)])


def names_that_differ_in_case(write: Write) -> BaseModel:
    return Files(files=[write("x/Model.bin"), write("y/model.BIN"), write("z/other.bin")])


def a_folder(write: Write) -> BaseModel:
    return Folders(first=fill_folder(write, "model"))


def folders_of_one_name(write: Write) -> BaseModel:
    return Folders(
        first=fill_folder(write, "x/model"),
        others=[fill_folder(write, "y/model"), fill_folder(write, "z/model")],
    )


def a_file_and_a_folder_of_one_name(write: Write) -> BaseModel:
    return Mixed(file=write("x/model"), folder=fill_folder(write, "y/model"))


def a_file_that_is_also_in_the_folder(write: Write) -> BaseModel:
    folder = fill_folder(write, "model")
    return Mixed(file=folder / "config.json", folder=folder)


CASES = [
    many_files_of_one_name,
    names_that_differ_in_case,
    a_folder,
    folders_of_one_name,
    a_file_and_a_folder_of_one_name,
    a_file_that_is_also_in_the_folder,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.replace("_", " "))
def test_a_downloaded_artifact_published_again_is_the_same(
    case: Callable[[Write], BaseModel], write: Write, tmp_path: Path, own_folders: Path
) -> None:
    artifact = case(write)
    original = RitualArtifactManager(artifact=artifact)
    result = original.to_repo("local/me/first")

    for target in (None, tmp_path / "out"):
        again = RitualArtifactManager.from_repo(type(artifact), "local/me/first", target)
        republished = again.to_repo("local/me/second")
        exported = again.to_dir(tmp_path / f"export of {target is None}")

        assert republished.digest == exported.digest == result.digest
        assert republished.bytes_sent == 0
        assert again.manifest().files == original.manifest().files

    third = RitualArtifactManager.from_dir(type(artifact), tmp_path / "export of True")
    assert third.digest == result.digest
    assert own_folders.exists()


def test_a_downloaded_artifact_that_was_edited_is_published_as_it_is_now(
    manager: RitualArtifactManager[Circuit], write: Write
) -> None:
    manager.to_repo(REPO)
    again = RitualArtifactManager.from_repo(Circuit, REPO)
    again.artifact.circuit_file = write("newer.bin")
    again.artifact.version = "v2.0"

    result = again.to_repo("local/me/circuit/v2")

    assert [entry.path for entry in result.files] == ["a.safetensors", "b.safetensors", "newer.bin"]
    assert again.verify().fields["version"] == "v2.0"


# --- only some fields --------------------------------------------------------------------------------------


@pytest.fixture
def loose(write: Write) -> Loose:
    artifact = Loose(
        model=write("model.bin"),
        shards=[write("one.bin"), write("two.bin")],
        folder=fill_folder(write, "tokenizer"),
        version="v9",
    )
    RitualArtifactManager(artifact=artifact).to_repo(REPO)
    return artifact


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        (["model"], ["model.bin"]),
        (["shards"], ["one.bin", "two.bin"]),
        (["folder"], ["tokenizer/config.json", "tokenizer/last.bin", "tokenizer/sub/tokens.txt"]),
        (["model", "shards"], ["model.bin", "one.bin", "two.bin"]),
        ([], []),
    ],
)
@pytest.mark.usefixtures("loose")
def test_only_the_files_of_the_wanted_fields_are_fetched(
    fields: list[str], files: list[str], tmp_path: Path
) -> None:
    again = RitualArtifactManager.from_repo(Loose, REPO, tmp_path / "out", fields=fields)

    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert found == files
    assert (again.artifact.model is None) is ("model" not in fields)
    assert bool(again.artifact.shards) is ("shards" in fields)
    assert again.artifact.version == "v9"


@pytest.mark.usefixtures("loose")
def test_a_part_never_counts_as_the_cached_artifact() -> None:
    RitualArtifactManager.from_repo(Loose, REPO, fields=["model"])

    assert not RitualArtifactManager.has_artifact(REPO)
    assert RitualArtifactManager.from_repo(Loose, REPO).artifact.shards
    assert RitualArtifactManager.has_artifact(REPO)


@pytest.mark.usefixtures("loose")
def test_fetching_a_part_keeps_the_whole_that_is_there() -> None:
    RitualArtifactManager.from_repo(Loose, REPO)

    RitualArtifactManager.from_repo(Loose, REPO, fields=["model"])

    assert RitualArtifactManager.has_artifact(REPO)


@pytest.mark.usefixtures("loose")
def test_a_wanted_field_must_have_files() -> None:
    with pytest.raises(ArtifactModelError, match=r"Loose\.version has no files; .*'model', 'shards'"):
        RitualArtifactManager.from_repo(Loose, REPO, fields=["version"])


def test_a_field_without_a_default_cannot_be_left_out(manager: RitualArtifactManager[Circuit]) -> None:
    manager.to_repo(REPO)

    with pytest.raises(ArtifactModelError, match=r"Circuit\.weights cannot be left out"):
        RitualArtifactManager.from_repo(Circuit, REPO, fields=["circuit_file"])


# --- progress ----------------------------------------------------------------------------------------------


def check_sum(reports: list[Progress], stage: str, total: int) -> None:
    assert [report.stage for report in reports] == [stage] * len(reports)
    done = [report.bytes_done for report in reports]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    assert {report.bytes_total for report in reports} == {total}


def test_progress_adds_up_to_every_byte(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    calls: dict[str, Callable[[Callable[[Progress], object]], object]] = {
        "hash": lambda note: manager.manifest(progress=note),
        "verify": lambda note: manager.verify(progress=note),
        "upload": lambda note: manager.to_repo(REPO, progress=note),
        "copy": lambda note: manager.to_dir(tmp_path / "folder", progress=note),
        "download": lambda note: RitualArtifactManager.from_repo(Circuit, REPO, progress=note),
    }

    for stage, call in calls.items():
        reports: list[Progress] = []
        call(reports.append)
        check_sum(reports, stage, 370_001)


def test_verifying_a_folder_reports_progress(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    manager.to_dir(tmp_path)
    reports: list[Progress] = []

    RitualArtifactManager.from_dir(Circuit, tmp_path, progress=reports.append)

    check_sum(reports, "verify", 370_001)


@pytest.mark.parametrize("stage", ["upload", "download", "copy"])
def test_what_a_callback_raises_stops_the_work(
    stage: str, manager: RitualArtifactManager[Circuit], tmp_path: Path, own_folders: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.bytes_done:
            raise RuntimeError(progress.stage)

    if stage == "download":
        manager.to_repo(REPO)
    calls: dict[str, Callable[[], object]] = {
        "upload": lambda: manager.to_repo(REPO, progress=stop),
        "download": lambda: RitualArtifactManager.from_repo(Circuit, REPO, progress=stop),
        "copy": lambda: manager.to_dir(tmp_path / "out", progress=stop),
    }

    with pytest.raises(RuntimeError, match=stage):
        calls[stage]()

    assert not (tmp_path / "out").exists()
    assert not RitualArtifactManager.has_artifact(REPO)
    assert list((own_folders / "store" / "incoming").glob("*/*")) == []


# --- the cache ---------------------------------------------------------------------------------------------


def test_the_cache_lists_what_was_downloaded(
    manager: RitualArtifactManager[Circuit], own_folders: Path
) -> None:
    manager.to_repo(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)

    (cached,) = RitualArtifactManager.get_cached_artifacts()

    folder = own_folders / "cache" / PINNED
    assert (cached.type, str(cached.repo_id), cached.path) == ("Circuit", PINNED, folder / MANIFEST)
    assert cached.files == sorted(folder.iterdir())
    assert cached.manifest == json.loads((folder / MANIFEST).read_text())
    assert cached.to_broadcasted_artifact().model_dump() == {
        "type": "Circuit",
        "manifest": cached.manifest,
        "repo_id": PINNED,
    }


def test_only_whole_artifacts_are_cached(manager: RitualArtifactManager[Circuit], own_folders: Path) -> None:
    manager.to_repo(PINNED)
    assert not RitualArtifactManager.has_artifact(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)
    assert RitualArtifactManager.has_artifact(PINNED)
    assert RitualArtifactManager.has_artifact(RitualRepoId.from_unique_id(PINNED))

    (own_folders / "cache" / PINNED / "b.safetensors").unlink()

    assert not RitualArtifactManager.has_artifact(PINNED)
    assert RitualArtifactManager.get_cached_artifacts() == []


def test_an_empty_cache_lists_nothing() -> None:
    assert RitualArtifactManager.get_cached_artifacts() == []
    assert RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit) == []


def test_a_cache_can_be_named(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    manager.to_dir(tmp_path / "cache" / PINNED, PINNED)

    assert RitualArtifactManager.has_artifact(PINNED, tmp_path / "cache")
    assert len(RitualArtifactManager.get_cached_artifacts(tmp_path / "cache")) == 1
    assert len(RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit, tmp_path / "cache")) == 1


def test_what_else_is_in_the_cache_is_passed_over(
    manager: RitualArtifactManager[Circuit], own_folders: Path
) -> None:
    manager.to_repo(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)
    cache = own_folders / "cache"
    for name in ("ftp/me/x/v1", "local/me/empty/v1", "local/me/bad/v1", "local/me/NUL/v1"):
        (cache / name).mkdir(parents=True)
    (cache / "local/me/bad/v1" / MANIFEST).write_text("not JSON")
    (cache / "local/me/circuit/a file").write_text("x")

    assert [str(found.repo_id) for found in RitualArtifactManager.get_cached_artifacts()] == [PINNED]


def test_only_artifacts_of_the_class_are_broadcast(
    manager: RitualArtifactManager[Circuit], write: Write
) -> None:
    class Narrow(BaseModel):
        file: Path

    renamed = type("Circuit", (Narrow,), {})
    RitualArtifactManager(artifact=Other(file=write("other"))).to_repo("local/me/other")
    RitualArtifactManager(artifact=renamed(file=write("narrow"))).to_repo("local/me/narrow")
    manager.to_repo(PINNED)
    RitualArtifactManager.from_repo(Circuit, PINNED)
    RitualArtifactManager.from_repo(Other, "local/me/other")
    RitualArtifactManager.from_repo(renamed, "local/me/narrow")

    broadcast = RitualArtifactManager.get_broadcasted_artifacts_typed(Circuit)

    assert [(found.type, found.repo_id) for found in broadcast] == [("Circuit", PINNED)]


# --- a backend of somebody else's --------------------------------------------------------------------------


class Remote:
    """A backend that has one artifact in memory and counts what it is asked for."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self.files = files
        self.calls: list[str] = []

    def resolve(self, repo_id: RitualRepoId) -> str:
        self.calls.append(f"resolve {repo_id}")
        return "revision"

    def read_manifest(self, *_: object) -> bytes:
        self.calls.append("manifest")
        return self.manifest.to_bytes()

    def read_file(
        self, _repo_id: object, _revision: str, entry: ManifestEntry, *, offset: int
    ) -> Iterator[bytes]:
        self.calls.append(f"file {entry.path} from {offset}")
        yield self.files[entry.path][offset:]

    def find_local_file(self, *_: object) -> None:
        return None


@pytest.fixture
def remote(
    manager: RitualArtifactManager[Circuit], circuit: Circuit, monkeypatch: pytest.MonkeyPatch
) -> Remote:
    files = {path.name: path.read_bytes() for path in (circuit.circuit_file, *circuit.weights)}
    backend = Remote(manager.manifest(), files)
    monkeypatch.setattr(manager_module, "load_backend", lambda *_: backend)
    return backend


def test_a_remote_artifact_is_resolved_once_and_each_file_read_once(remote: Remote, circuit: Circuit) -> None:
    again = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x")

    assert contents(again.artifact) == contents(circuit)
    assert remote.calls == [
        "resolve huggingface/me/x",
        "manifest",
        "file a.safetensors from 0",
        "file b.safetensors from 0",
        "file circuit.bin from 0",
    ]


def test_a_cached_remote_artifact_is_not_read_again(remote: Remote) -> None:
    digest = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x").digest
    remote.calls.clear()

    RitualArtifactManager.from_repo(Circuit, "huggingface/me/x")
    assert remote.calls == ["resolve huggingface/me/x", "manifest"]
    remote.calls.clear()

    RitualArtifactManager.from_repo(Circuit, "huggingface/me/x", expected_digest=digest)
    assert remote.calls == []


def test_only_the_damaged_file_of_a_cached_remote_artifact_is_read_again(
    remote: Remote, own_folders: Path
) -> None:
    digest = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x").digest
    flip_one_bit(own_folders / "cache/huggingface/me/x/default/a.safetensors")
    remote.calls.clear()

    again = RitualArtifactManager.from_repo(Circuit, "huggingface/me/x", expected_digest=digest)

    assert again.verify().digest == digest
    assert remote.calls == ["resolve huggingface/me/x", "manifest", "file a.safetensors from 0"]


def test_a_lying_remote_is_refused(remote: Remote, tmp_path: Path) -> None:
    remote.files = {**remote.files, "b.safetensors": b"!"}

    with pytest.raises(IntegrityError, match=r"'b\.safetensors' \(field 'weights'\) from huggingface/me/x"):
        RitualArtifactManager.from_repo(Circuit, "huggingface/me/x", tmp_path / "out")

    assert [path.name for path in (tmp_path / "out").iterdir()] == [".ritual-partial"]

"""Artifacts in folders: `to_dir`, `from_dir`, with and without a manifest."""

from pathlib import Path

import pytest
from pydantic import BaseModel, DirectoryPath, FilePath, field_validator

from ritual_artifacts import (
    ArtifactModelError,
    ArtifactNotFoundError,
    ConflictError,
    IntegrityError,
    ManifestError,
    RitualArtifactManager,
)
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import (
    MANIFEST,
    PINNED,
    REPO,
    Strict,
    Write,
    contents,
    fill_folder,
    flip_one_bit,
)


class Tokenizer(BaseModel):
    folder: DirectoryPath


def test_an_artifact_opened_from_a_folder_is_equal(
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


def test_without_verification_the_files_are_not_compared(
    manager: RitualArtifactManager[Circuit], tmp_path: Path
) -> None:
    manager.to_dir(tmp_path)
    flip_one_bit(tmp_path / "circuit.bin")

    again = RitualArtifactManager.from_dir(Circuit, tmp_path, verify=False)

    assert again.digest != manager.digest
    with pytest.raises(IntegrityError, match=r"circuit\.bin"):
        again.verify()


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match=f"has no {MANIFEST}.*was interrupted"):
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


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"content")
    return folder


def test_fields_given_by_hand_replace_a_missing_manifest(plain: Path) -> None:
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


def test_a_manifest_given_by_hand_that_json_cannot_hold_is_refused(plain: Path) -> None:
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


# --- directories, which hold nothing but the artifact ---


def publish_tokenizer(write: Write) -> Path:
    folder = fill_folder(write, "tokenizer")
    RitualArtifactManager(artifact=Tokenizer(folder=folder)).to_repo(REPO)
    return folder


@pytest.mark.parametrize("by", ["from_repo", "to_dir"])
def test_a_new_version_of_a_directory_has_none_of_its_older_files(
    by: str, write: Write, tmp_path: Path
) -> None:
    folder = publish_tokenizer(write)
    RitualArtifactManager.from_repo(Tokenizer, REPO, tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_bytes(b"beside the directory")
    (folder / "sub" / "tokens.txt").unlink()
    newer = RitualArtifactManager(artifact=Tokenizer(folder=folder))
    newer.to_repo(REPO)

    if by == "from_repo":
        RitualArtifactManager.from_repo(Tokenizer, REPO, tmp_path / "out")
    else:
        newer.to_dir(tmp_path / "out")

    found = RitualArtifactManager.from_dir(Tokenizer, tmp_path / "out")
    assert sorted(path.name for path in found.artifact.folder.rglob("*")) == ["config.json", "last.bin"]
    assert found.verify().digest == found.digest == newer.digest
    assert (tmp_path / "out" / "mine.txt").exists()


def test_a_planted_file_in_a_directory_is_refused(write: Write, tmp_path: Path) -> None:
    publish_tokenizer(write)
    found = RitualArtifactManager.from_repo(Tokenizer, REPO, tmp_path / "out")
    (found.artifact.folder / "sub" / "evil.py").write_bytes(b"x")
    named = r"'tokenizer/sub/evil\.py' \(field 'folder'\)"

    with pytest.raises(IntegrityError, match=named):
        found.verify()
    with pytest.raises(IntegrityError, match=named):
        RitualArtifactManager.from_dir(Tokenizer, tmp_path / "out")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("by", ["from_repo", "to_dir"])
def test_an_unnamed_file_in_a_directory_of_the_artifact_is_a_conflict(
    by: str,
    overwrite: bool,  # noqa: FBT001 - pytest's parameter
    write: Write,
    tmp_path: Path,
) -> None:
    source = publish_tokenizer(write)
    mine = tmp_path / "out" / "tokenizer" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")

    def transfer() -> object:
        if by == "from_repo":
            return RitualArtifactManager.from_repo(Tokenizer, REPO, tmp_path / "out", overwrite=overwrite)
        manager = RitualArtifactManager(artifact=Tokenizer(folder=source))
        return manager.to_dir(tmp_path / "out", overwrite=overwrite)

    with pytest.raises(ConflictError, match=r"mine\.txt is in a directory of the artifact"):
        transfer()

    assert list(mine.parent.iterdir()) == [mine]
    assert mine.read_bytes() == b"mine"


def test_empty_folders_in_a_directory_are_fine(write: Write, tmp_path: Path) -> None:
    publish_tokenizer(write)
    (tmp_path / "out" / "tokenizer" / "empty").mkdir(parents=True)

    RitualArtifactManager.from_repo(Tokenizer, REPO, tmp_path / "out").verify()


def test_the_sources_of_an_artifact_stay_where_it_is_written_among_them(write: Write) -> None:
    folder = fill_folder(write, "tokenizer")
    spare = write("spare.bin")
    RitualArtifactManager(artifact=Both(folder=folder, file=spare)).to_dir(folder.parent)

    RitualArtifactManager(artifact=Tokenizer(folder=folder)).to_dir(folder.parent)

    assert spare.exists()


class Both(BaseModel):
    folder: DirectoryPath
    file: FilePath


# --- a class that does not fit ---


class Picky(BaseModel):
    """Looks at its file when it is built."""

    file: FilePath
    version: str

    @field_validator("file")
    @classmethod
    def _begins_well(cls, path: Path) -> Path:
        if path.suffix != ".bin" or path.read_bytes() == b"newer":
            message = "this is not a model"
            raise ValueError(message)
        return path


def test_the_class_is_checked_with_files_that_have_their_final_names(write: Write, tmp_path: Path) -> None:
    RitualArtifactManager(artifact=Strict(file=write("a.bin"), version="v1")).to_repo(REPO)

    found = RitualArtifactManager.from_repo(Picky, REPO, tmp_path / "out")

    assert found.artifact.file == tmp_path / "out" / "a.bin"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.bin", MANIFEST]


@pytest.mark.parametrize("where", ["cache", "folder"])
def test_a_class_that_does_not_fit_leaves_the_old_version(where: str, write: Write, tmp_path: Path) -> None:
    source = write("a.bin")
    target = tmp_path / "out" if where == "folder" else None
    first = RitualArtifactManager(artifact=Strict(file=source, version="v1")).to_repo(REPO)
    old = RitualArtifactManager.from_repo(Strict, REPO, target)
    source.write_bytes(b"newer")
    RitualArtifactManager(artifact=Strict(file=source, version="v2")).to_repo(REPO)

    with pytest.raises(ManifestError, match=r"does not fit Picky: file: .*this is not a model"):
        RitualArtifactManager.from_repo(Picky, REPO, target)

    assert old.verify().digest == first.digest
    assert RitualArtifactManager.from_dir(Strict, old.artifact.file.parent).artifact.version == "v1"

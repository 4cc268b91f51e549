"""Verification: every mismatch is named, and a file that cannot match is not read."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import ArtifactModelError, IntegrityError
from ritual_artifacts.events import Progress
from ritual_artifacts.transfer import verification
from ritual_artifacts.transfer.verification import check_expected_digest, find_mismatches, verify_folder

FILES = {"a.bin": b"aaaa", "b.bin": b"bbbb", "sub/c.bin": b"cccc", "d.bin": b"dddd"}


def manifest(*, sizes: bool = True) -> Manifest:
    entries = tuple(
        ManifestEntry(
            path=name,
            size=len(content) if sizes else None,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        for name, content in sorted(FILES.items())
    )
    return Manifest(artifact_type="Files", fields={}, files=entries)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_an_unaltered_folder_passes(folder: Path) -> None:
    assert verify_folder(manifest(), folder) == manifest()


def test_every_mismatch_is_named_in_the_manifests_order(folder: Path) -> None:
    (folder / "sub/c.bin").unlink()
    (folder / "a.bin").write_bytes(b"longer than it was")
    (folder / "b.bin").write_bytes(b"bbbB")
    (folder / "d.bin").unlink()
    (folder / "d.bin").mkdir()

    with pytest.raises(IntegrityError, match="4 files do not match the manifest") as caught:
        verify_folder(manifest(), folder, fields={"a.bin": "weights"})

    found = {m.path: (m.expected, m.actual) for m in caught.value.mismatches}
    sha256 = {entry.path: entry.sha256 for entry in manifest().files}
    assert found == {
        "a.bin": ("4 bytes", "18 bytes"),
        "b.bin": (sha256["b.bin"], hashlib.sha256(b"bbbB").hexdigest()),
        "d.bin": (sha256["d.bin"], "not a regular file"),
        "sub/c.bin": (sha256["sub/c.bin"], "missing"),
    }
    assert list(found) == sorted(found)
    assert caught.value.mismatches[0].field == "weights"
    assert f"'a.bin' (field 'weights') from {folder}: expected 4 bytes, got 18 bytes" in str(caught.value)


def test_a_file_of_the_wrong_size_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.bin").write_bytes(b"longer than it was")
    read: list[Path] = []

    def spy(paths: list[Path], *, progress: Callable[[int], object]) -> list[FileDigest]:
        read.extend(paths)
        return hash_files(paths, progress=progress)

    monkeypatch.setattr(verification, "hash_files", spy)

    with pytest.raises(IntegrityError):
        verify_folder(manifest(), folder)

    assert folder / "a.bin" not in read
    assert len(read) == 3


def test_only_the_sizes_of_good_files_are_returned(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"bbbB")
    unsized = manifest(sizes=False)

    found, sizes = find_mismatches(unsized, {e.path: folder / e.path for e in unsized.files}, "here")

    assert [mismatch.path for mismatch in found] == ["b.bin"]
    assert sizes == {"a.bin": 4, "d.bin": 4, "sub/c.bin": 4}


def test_a_manifest_without_sizes_gets_them(folder: Path) -> None:
    assert verify_folder(manifest(sizes=False), folder) == manifest()


def test_a_file_that_the_artifact_does_not_have_is_a_mismatch_in_its_directory(folder: Path) -> None:
    (folder / "mine.txt").write_bytes(b"beside the artifact")
    (folder / "sub/deep").mkdir()
    (folder / "sub/empty").mkdir()
    (folder / "sub/deep/planted.py").write_bytes(b"x")
    (folder / "sub/link").symlink_to(folder, target_is_directory=True)

    verify_folder(manifest(), folder)
    with pytest.raises(IntegrityError, match="2 files do not match") as caught:
        verify_folder(manifest(), folder, directories={"sub": "tokenizer"})

    found = [(m.path, m.expected, m.field) for m in caught.value.mismatches]
    assert found == [
        ("sub/deep/planted.py", "no such file", "tokenizer"),
        ("sub/link", "no such file", "tokenizer"),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_fifo_is_a_mismatch_and_is_not_opened(folder: Path) -> None:
    (folder / "a.bin").unlink()
    os.mkfifo(folder / "a.bin")

    with pytest.raises(IntegrityError, match="not a regular file"):
        verify_folder(manifest(), folder)


def test_progress_counts_every_byte(folder: Path) -> None:
    seen: list[Progress] = []

    verify_folder(manifest(), folder, progress=seen.append)

    assert seen[-1] == Progress("verify", 16, 16)
    assert [p.bytes_done for p in seen] == sorted(p.bytes_done for p in seen)


def test_the_expected_digest_may_have_its_prefix_or_not() -> None:
    digest = manifest().digest
    assert digest is not None

    check_expected_digest(manifest(), digest, "here")
    check_expected_digest(manifest(), digest.removeprefix("sha256:"), "here")
    check_expected_digest(manifest(), None, "here")


def test_another_digest_is_a_mismatch_that_names_both() -> None:
    with pytest.raises(IntegrityError) as caught:
        check_expected_digest(manifest(), "0" * 64, "local/me/model")

    [mismatch] = caught.value.mismatches
    assert (mismatch.expected, mismatch.actual) == ("sha256:" + "0" * 64, manifest().digest)
    assert mismatch.source == "local/me/model"


@pytest.mark.parametrize("expected", ["", "v1", "0" * 63, "0" * 63 + "G", "A" * 64, "sha512:" + "0" * 64])
def test_what_is_no_digest_is_refused(expected: str) -> None:
    with pytest.raises(ArtifactModelError, match="64 lower-case hex digits"):
        check_expected_digest(manifest(), expected, "here")

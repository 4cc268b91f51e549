"""Verification: every mismatch is named, and a file that cannot match is not read."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import (
    AnyManifest,
    LegacyEntry,
    LegacyManifest,
    Manifest,
    ManifestEntry,
)
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import IntegrityError
from ritual_artifacts.events import Progress
from ritual_artifacts.transfer import verification
from ritual_artifacts.transfer.verification import check_expected_digest, find_mismatches, verify_folder

FILES = {"a.bin": b"aaaa", "b.bin": b"bbbb", "sub/c.bin": b"cccc", "d.bin": b"dddd"}


def manifest() -> Manifest:
    entries = tuple(
        ManifestEntry(path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(FILES.items())
    )
    return Manifest(artifact_type="Files", fields={}, files=entries)


def legacy_manifest() -> LegacyManifest:
    entries = tuple(LegacyEntry(path=entry.path, sha256=entry.sha256) for entry in manifest().files)
    return LegacyManifest(artifact_type="Files", fields={}, files=entries)


def verify(folder: Path, selection: Selection | None = None) -> AnyManifest:
    return verify_folder(manifest(), folder, Context.create(), selection=selection)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_an_unaltered_folder_passes(folder: Path) -> None:
    assert verify(folder) == manifest()


def test_every_mismatch_is_named_in_the_manifests_order(folder: Path) -> None:
    (folder / "sub/c.bin").unlink()
    (folder / "a.bin").write_bytes(b"longer than it was")
    (folder / "b.bin").write_bytes(b"bbbB")
    (folder / "d.bin").unlink()
    (folder / "d.bin").mkdir()

    with pytest.raises(IntegrityError, match="4 files do not match the manifest") as caught:
        verify(folder, Selection(fields={"a.bin": "weights"}))

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

    def spy(paths: list[Path], **options: Any) -> list[FileDigest]:
        read.extend(paths)
        return hash_files(paths, **options)

    monkeypatch.setattr(verification, "hash_files", spy)

    with pytest.raises(IntegrityError):
        verify(folder)

    assert folder / "a.bin" not in read
    assert len(read) == 3


def test_only_the_sizes_of_matching_files_are_returned(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"bbbB")
    entries = legacy_manifest().files

    found, sizes = find_mismatches(
        entries, {e.path: folder / e.path for e in entries}, "here", Context.create()
    )

    assert [mismatch.path for mismatch in found] == ["b.bin"]
    assert sizes == {"a.bin": 4, "d.bin": 4, "sub/c.bin": 4}


def test_a_manifest_without_sizes_gets_them(folder: Path) -> None:
    assert verify_folder(legacy_manifest(), folder, Context.create()) == manifest()


def test_a_manifest_without_sizes_stays_so_where_a_part_is_verified(folder: Path) -> None:
    (folder / "b.bin").unlink()
    part = Selection(names=frozenset({"a.bin"}))

    assert verify_folder(legacy_manifest(), folder, Context.create(), selection=part) == legacy_manifest()


def test_an_unnamed_file_in_a_directory_of_the_artifact_is_a_mismatch(folder: Path) -> None:
    (folder / "mine.txt").write_bytes(b"beside the artifact")
    (folder / "sub/deep").mkdir()
    (folder / "sub/empty").mkdir()
    (folder / "sub/deep/planted.py").write_bytes(b"x")
    (folder / "sub/link").symlink_to(folder, target_is_directory=True)

    verify(folder)
    with pytest.raises(IntegrityError, match="2 files do not match") as caught:
        verify(folder, Selection(directories={"sub": "tokenizer"}))

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
        verify(folder)


def test_progress_counts_every_byte(folder: Path) -> None:
    seen: list[Progress] = []

    verify_folder(manifest(), folder, Context.create(progress=seen.append))

    assert seen[-1] == Progress("verify", 16, 16)
    assert [p.bytes_done for p in seen] == sorted(p.bytes_done for p in seen)


def test_the_expected_digest_is_compared_where_the_manifest_has_one() -> None:
    check_expected_digest(manifest(), manifest().digest, "here")
    check_expected_digest(manifest(), None, "here")
    check_expected_digest(legacy_manifest(), Digest.of(b"unknown until all sizes are measured"), "here")


def test_another_digest_is_a_mismatch_that_names_both() -> None:
    expected = Digest.from_hex("0" * 64)

    with pytest.raises(IntegrityError) as caught:
        check_expected_digest(manifest(), expected, "local/me/model")

    [mismatch] = caught.value.mismatches
    assert (mismatch.expected, mismatch.actual) == (expected, manifest().digest)
    assert mismatch.source == "local/me/model"

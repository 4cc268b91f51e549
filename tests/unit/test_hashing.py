"""The door to the core: settings, order, errors, and folders that are on the disk."""

import copy
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import ritual_artifacts
from ritual_artifacts import _core
from ritual_artifacts.core import hashing
from ritual_artifacts.core.hashing import (
    FileDigest,
    PartialFile,
    copy_files,
    hash_files,
    is_sha256,
    make_folder,
    read_regular,
    rename_files,
)
from ritual_artifacts.errors import ArtifactError, ArtifactModelError, SourceChangedError


def test_digests_stand_in_the_order_of_the_paths(write: Callable[..., Path]) -> None:
    paths = [write(f"{size}.bin", size) for size in (5, 300_000, 0, 1 << 20, (1 << 20) + 1, 64)]

    digests = hash_files(paths, max_workers=3, read_size=4096)

    expected = [(p, p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths]
    assert [(d.path, d.size, d.sha256) for d in digests] == expected


@pytest.mark.parametrize("size", [0, 1000])
def test_a_digest_survives_pickling_and_copying(size: int, write: Callable[..., Path]) -> None:
    digests = [
        *hash_files([write("größe.bin", size)]),
        *_core.hash_files([write("a.bin", size)], data_root=True, git_sha1_max_size=1 << 20),
    ]

    for digest in digests:
        assert pickle.loads(pickle.dumps(digest)) == digest  # noqa: S301 - our own bytes
        assert copy.deepcopy(digest) == copy.copy(digest) == digest


def test_git_names_files_up_to_a_size_by_the_same_sha1(write: Callable[..., Path]) -> None:
    limit = 1 << 20
    sizes = (0, 1, 64, 300_000, limit - 1, limit, limit + 1)
    paths = [write(f"{size}.bin", size) for size in sizes]

    for number in (1, 2):
        digests = hash_files(paths, max_workers=number, git_sha1_max_size=limit)

        blobs = [b"blob %d\0" % path.stat().st_size + path.read_bytes() for path in paths[:-1]]
        expected = [hashlib.sha1(blob, usedforsecurity=False).hexdigest() for blob in blobs]
        assert [digest.git_sha1 for digest in digests] == [*expected, None]
        assert hash_files(paths[3:4], max_workers=number, git_sha1_max_size=limit) == digests[3:4]
    assert {digest.git_sha1 for digest in hash_files(paths)} == {None}


def test_a_digest_can_be_made_by_those_who_hash_themselves(write: Callable[..., Path]) -> None:
    path = write("a.bin")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    assert FileDigest(path, 1000, sha256) == hash_files([path])[0]
    for values in ((sha256.upper(),), (sha256, "!"), (sha256, "AA"), (sha256, None, "0" * 39)):
        with pytest.raises(ValueError, match="is not a"):
            FileDigest(path, 1000, *values)


def test_no_files_give_no_digests() -> None:
    assert hash_files([]) == []
    assert copy_files([]) == []


def test_the_first_error_in_the_order_of_the_paths_is_raised(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        hash_files([write("a.bin"), tmp_path / "first", tmp_path / "second"])

    assert caught.value.filename == str(tmp_path / "first")


def test_errors_can_stand_in_the_list(write: Callable[..., Path], tmp_path: Path) -> None:
    good, missing, folder = hash_files(
        [write("a.bin"), tmp_path / "missing", tmp_path], return_exceptions=True
    )

    assert isinstance(good, FileDigest)
    assert isinstance(missing, FileNotFoundError)
    assert isinstance(folder, IsADirectoryError)


def test_a_link_is_read_through_or_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(write("a.bin"))

    assert hash_files([tmp_path / "link"])[0].size == 1000
    with pytest.raises(ArtifactModelError, match="link"):
        hash_files([tmp_path / "link"], follow_symlinks=False)
    with pytest.raises(ArtifactModelError, match="link"):
        copy_files([(tmp_path / "link", tmp_path / "copy")])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_fifo_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(ArtifactModelError, match="fifo"):
        hash_files([tmp_path / "fifo"])


def test_the_number_of_workers_is_a_setting_of_the_public_call_only(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "0")

    with pytest.raises(ArtifactError, match="RITUAL_MAX_WORKERS"):
        ritual_artifacts.hash_files([write("a.bin")])
    assert ritual_artifacts.hash_files([write("a.bin")], max_workers=1)[0].size == 1000
    assert hash_files([write("a.bin")])[0].size == 1000


@pytest.mark.parametrize("number", [0, -1])
def test_fewer_workers_than_one_are_refused(number: int, write: Callable[..., Path], tmp_path: Path) -> None:
    source = write("a.bin")

    with pytest.raises(ArtifactError, match=f"max_workers must be at least 1, got {number}"):
        hash_files([source], max_workers=number)
    with pytest.raises(ArtifactError, match=f"max_workers must be at least 1, got {number}"):
        copy_files([(source, tmp_path / "copy")], max_workers=number)
    assert not (tmp_path / "copy").exists()


def test_progress_adds_up_to_every_byte(write: Callable[..., Path], tmp_path: Path) -> None:
    source = write("a.bin", 3_000_000)
    hashed: list[int] = []
    copied: list[int] = []

    hash_files([source], progress=hashed.append)
    copy_files([(source, tmp_path / "copy")], progress=copied.append)

    assert sum(hashed) == sum(copied) == 3_000_000


def test_what_progress_raises_stops_the_work(write: Callable[..., Path]) -> None:
    def fail(_: int) -> None:
        message = "enough"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="enough"):
        hash_files([write("a.bin", 1_000_000)], progress=fail)


def test_a_copy_is_equal_and_its_digest_is_that_of_the_copy(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    source = write("a.bin", 100_001)

    [digest] = copy_files([(source, tmp_path / "copy")])

    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert digest.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert digest.path == source
    assert (tmp_path / "copy").stat().st_nlink == 1


def test_a_partial_file_continues(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "part") as partial:
        partial.write(b"one ")

    with PartialFile(tmp_path / "part") as partial:
        assert partial.size == 4
        partial.write(b"two")
        digest = partial.finish()

    assert (digest.size, digest.sha256) == (7, hashlib.sha256(b"one two").hexdigest())


def put_another_there(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"one ")
    other.replace(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, 1),
    "overwritten": lambda path: path.write_bytes(b"ONE "),
    "extended": lambda path: path.write_bytes(b"one more"),
    "removed": lambda path: path.unlink(),
    "replaced": put_another_there,
}


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps other processes from an open file")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_partial_file_that_another_process_changes_has_no_digest(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    with PartialFile(tmp_path / "part") as partial:
        partial.write(b"one ")
        change(tmp_path / "part")

        with pytest.raises(SourceChangedError, match="another process changed"):
            _write_and_finish(partial, b"two")


def _write_and_finish(partial: PartialFile, data: bytes) -> None:
    partial.write(data)
    partial.finish()


def test_a_copy_continues_what_is_in_its_target(write: Callable[..., Path], tmp_path: Path) -> None:
    source = write("a.bin", 3_000_000)
    content = source.read_bytes()
    target = tmp_path / "copy"
    target.write_bytes(content[:1_000_001])
    inode = target.stat().st_ino
    counted: list[int] = []

    [digest] = copy_files([(source, target)], resume=True, progress=counted.append)

    assert target.read_bytes() == content
    assert target.stat().st_ino == inode
    assert digest == FileDigest(source, 3_000_000, hashlib.sha256(content).hexdigest())
    assert sum(counted) == 3_000_000


def test_a_damaged_beginning_shows_in_the_digest_of_the_copy(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    source = write("a.bin", 1000)
    target = tmp_path / "copy"
    target.write_bytes(b"damaged")

    [digest] = copy_files([(source, target)], resume=True)

    expected = b"damaged" + source.read_bytes()[7:]
    assert target.read_bytes() == expected
    assert digest.sha256 == hashlib.sha256(expected).hexdigest()


def test_only_the_beginning_of_a_regular_file_is_read(write: Callable[..., Path], tmp_path: Path) -> None:
    assert read_regular(write("a.bin", content=b"abcd"), 3) == b"abc"
    assert read_regular(tmp_path, 3) is None
    with pytest.raises(FileNotFoundError) as caught:
        read_regular(tmp_path / "missing", 3)
    assert caught.value.filename == str(tmp_path / "missing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
@pytest.mark.timeout(20)
def test_what_becomes_a_fifo_while_it_is_opened_is_not_waited_for(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    regular = write("a.bin").stat()
    monkeypatch.setattr(Path, "stat", lambda _: regular)

    assert read_regular(tmp_path / "fifo", 3) == b""


def test_new_folders_are_synced_by_their_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(hashing, "sync_folder", synced.append)

    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert sorted(synced) == [tmp_path, tmp_path / "a"]

    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert synced == []


def test_a_file_where_a_folder_is_due_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotADirectoryError) as caught:
        make_folder(tmp_path / "file" / "below")

    assert caught.value.filename == str(tmp_path / "file")


def test_a_rename_that_fails_names_both_paths(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        rename_files([(tmp_path / "missing", tmp_path / "target")])

    assert (caught.value.filename, caught.value.filename2) == (
        str(tmp_path / "missing"),
        str(tmp_path / "target"),
    )


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, f"{'0' * 63}\n", "\uff10" * 64])
def test_only_64_lower_case_hex_digits_are_a_sha256(text: str) -> None:
    assert is_sha256("0123456789abcdef" * 4)
    assert not is_sha256(text)

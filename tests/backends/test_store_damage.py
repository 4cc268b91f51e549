"""A local store that is damaged: bytes that are altered or lost, and paths that something else has taken."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.backends.base import UploadResult
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, IntegrityError, Mismatch
from tests.backends.stores import alter, assert_intact, download, object_paths, objects, repo, upload


@pytest.fixture
def store(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store")


def find_damage(store: LocalBackend) -> list[Mismatch]:
    return store.find_damage(Context.create())


def object_of(store: LocalBackend, result: UploadResult) -> Path:
    return store.layout.object_path(result.files[0].sha256)


# --- altered and lost bytes ---


def test_a_damaged_content_is_repaired_by_uploading_it_again(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"), to=repo("v1"))
    [damaged] = object_paths(store)
    alter(damaged)
    assert [mismatch.expected for mismatch in find_damage(store)] == [damaged.name]

    result = upload(store, write("a.bin"), to=repo("v1"))

    assert result.bytes_sent == 1000
    assert_intact(store, repo("v1"))


@pytest.mark.parametrize("lost", ["content", "manifest"])
def test_a_lost_file_is_repaired_by_uploading_it_again(
    lost: str, store: LocalBackend, write: Callable[..., Path]
) -> None:
    result = upload(store, write("a.bin"), to=repo("v1"))
    if lost == "content":
        object_of(store, result).unlink()
    else:
        store.layout.revision_path(repo(), result.revision).write_bytes(b"{")
    assert find_damage(store) != []

    upload(store, write("a.bin"), to=repo("v1"))

    assert_intact(store, repo("v1"))


def test_the_error_for_a_lost_content_says_what_to_do(
    store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    object_of(store, upload(store, write("a.bin"))).unlink()

    with pytest.raises(ArtifactNotFoundError, match=r"lost the bytes of 'a\.bin'.*upload the artifact again"):
        download(store, repo(), tmp_path / "out")


def test_a_lost_file_is_reported_for_each_version_that_names_it(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    lost, kept = write("lost.bin", content=b"lost"), write("kept.bin")
    first = upload(store, lost, kept, to=repo("v1"))
    second = upload(store, lost, to=repo(name="other"))
    upload(store, kept, to=repo("v2"))
    sha256 = hashlib.sha256(b"lost").hexdigest()
    store.layout.object_path(sha256).unlink()

    found = find_damage(store)

    assert found == [
        Mismatch("lost.bin", sha256, "missing", f"local/me/model/{first.revision}"),
        Mismatch("lost.bin", sha256, "missing", f"local/me/other/{second.revision}"),
    ]


def test_altered_and_lost_files_are_found_beside_a_manifest_that_cannot_be_read(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    unreadable = upload(store, write("a.bin"), to=repo(name="a"))
    exchanged = upload(store, write("b.bin", content=b"altered"), to=repo(name="b"))
    losing = upload(store, write("c.bin", content=b"lost"), to=repo(name="c"))
    store.layout.revision_path(repo(name="a"), unreadable.revision).write_bytes(b"{")
    other = store.layout.revision_path(repo(name="c"), losing.revision).read_bytes()
    store.layout.revision_path(repo(name="b"), exchanged.revision).write_bytes(other)
    altered = object_of(store, exchanged)
    alter(altered)
    object_of(store, losing).unlink()

    found = find_damage(store)

    assert [(m.path, m.expected) for m in found] == [
        (f"objects/{altered.parent.name}/{altered.name}", altered.name),
        ("ritual_manifest.json", f"sha256:{unreadable.revision}"),
        ("ritual_manifest.json", f"sha256:{exchanged.revision}"),
        ("c.bin", hashlib.sha256(b"lost").hexdigest()),
    ]
    assert "not a valid manifest" in found[1].actual
    assert found[2].actual == losing.digest


def test_a_version_that_is_removed_during_the_search_is_no_damage(
    store: LocalBackend, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, write("a.bin"))
    read = Manifest.read

    def read_and_remove(path: Path) -> Manifest:
        manifest = read(path)
        monkeypatch.undo()
        store.remove(repo())
        store.collect_garbage()
        return manifest

    monkeypatch.setattr(Manifest, "read", read_and_remove)

    assert find_damage(store) == []
    assert objects(store) == {}


# --- something else in the place of an object ---


def link_away(path: Path) -> None:
    elsewhere = path.parent.parent.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_bytes(b"x")


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


REPLACEMENTS = [
    link_away,
    dangle,
    make_folder,
    pytest.param(make_fifo, marks=pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_replaced_object_is_not_downloaded(
    replace: Callable[[Path], None], store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    replace(object_of(store, upload(store, write("a.bin"))))

    with pytest.raises(IntegrityError, match=r"a\.bin.*got not a regular file"):
        download(store, repo(), tmp_path / "out")

    assert not (tmp_path / "out" / "a.bin").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_replaced_object_is_reported_with_an_altered_one(
    replace: Callable[[Path], None], store: LocalBackend, write: Callable[..., Path]
) -> None:
    replaced = object_of(store, upload(store, write("a.bin"), to=repo("v1")))
    altered = object_of(store, upload(store, write("b.bin"), to=repo("v2")))
    replace(replaced)
    alter(altered)

    found = {Path(mismatch.path).name: mismatch.actual for mismatch in find_damage(store)}

    assert found.keys() == {replaced.name, altered.name}
    assert found[replaced.name] == "not a regular file"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_replaced_object_is_restored_by_the_next_upload(
    replace: Callable[[Path], None], store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    replace(object_of(store, upload(store, write("a.bin"))))

    upload(store, write("a.bin"))

    assert find_damage(store) == []
    download(store, repo(), tmp_path / "out").verify()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_replaced_object_does_not_stop_the_collection(
    replace: Callable[[Path], None], store: LocalBackend, write: Callable[..., Path]
) -> None:
    path = object_of(store, upload(store, write("a.bin"), to=repo("v1")))
    replace(path)

    store.collect_garbage()
    assert os.path.lexists(path)

    store.remove(repo("v1"))
    store.collect_garbage()
    assert not os.path.lexists(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read everything")
def test_an_object_that_cannot_be_read_does_not_hide_the_others(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    path = object_of(store, upload(store, write("a.bin")))
    path.chmod(0)

    [mismatch] = find_damage(store)

    assert "Permission denied" in mismatch.actual


# --- something else in the place of a version ---


@pytest.mark.parametrize("name", ["bad ", "a\\b", "con"])
def test_a_folder_that_cannot_be_a_repository_is_skipped(
    name: str, store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"), to=repo("v1"))
    (store.layout.root / "repos" / "me" / name).mkdir()

    assert [version.labels for version in store.list_versions()] == [("v1",)]
    assert store.collect_garbage() == 0
    assert find_damage(store) == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("replace", REPLACEMENTS[2:])
def test_a_pointer_or_manifest_that_is_not_a_file_is_damage(
    replace: Callable[[Path], None], store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    result = upload(store, write("a.bin"), to=repo("v1"))

    replace(store.layout.revision_path(repo(), result.revision))
    with pytest.raises(IntegrityError, match="not a regular file"):
        download(store, repo("v1"), tmp_path / "out")
    assert [mismatch.path for mismatch in find_damage(store)] == ["ritual_manifest.json"]

    replace(store.layout.label_path(repo(), "v1"))
    with pytest.raises(IntegrityError, match="not a regular file"):
        store.open(repo("v1"))


def test_a_store_that_is_not_a_folder_is_not_an_empty_one(write: Callable[..., Path]) -> None:
    store = LocalBackend(write("file"))

    with pytest.raises(NotADirectoryError):
        list(store.list_versions())

"""The local store: every content once, versions that stay, and a collection that takes what nobody names."""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager, RitualRepoId, StorageId
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.backends.base import UploadResult
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.backends.local.layout import Layout
from ritual_artifacts.backends.local.upload import LocalUpload
from ritual_artifacts.core.hashing import FileDigest
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    ConflictError,
    IntegrityError,
    ManifestError,
    Mismatch,
    SourceChangedError,
)
from ritual_artifacts.events import Progress
from ritual_artifacts.transfer import downloading as transfer
from tests.backends.streaming import flip_one_bit


class Sample(BaseModel):
    files: list[Path]
    note: str = ""


@pytest.fixture
def store(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store")


def repo(version: str | None = None, name: str = "model") -> RitualRepoId:
    return RitualRepoId(storage=StorageId.Local, owner="me", name=name, version=version)


def upload(store: LocalBackend, *files: Path, to: RitualRepoId | None = None, note: str = "") -> UploadResult:
    return transfer.upload(plan_files(Sample(files=list(files), note=note)), store, to or repo())[0]


def objects(store: LocalBackend) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store.layout.root / "objects").glob("*/*")}


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(flip_one_bit(path.read_bytes()))


def assert_whole(store: LocalBackend, of: RitualRepoId) -> None:
    transfer.read_manifest(store, of)
    assert store.find_damage() == []


# --- contents ---


def test_equal_files_are_stored_once(store: LocalBackend, write: Callable[..., Path]) -> None:
    same = [write(f"{name}.bin", content=b"the same") for name in "abc"]

    first = upload(store, *same[:2])
    second = upload(store, same[2], write("d.bin", content=b"another"), to=repo(name="other"))

    assert sorted(objects(store).values()) == [b"another", b"the same"]
    assert (first.bytes_sent, first.bytes_reused) == (8, 8)
    assert (second.bytes_sent, second.bytes_reused) == (7, 8)


def test_a_second_upload_copies_nothing(
    store: LocalBackend, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write("a.bin"), write("b.bin")]
    upload(store, *files)
    landed: list[tuple[Path, Path]] = []

    def spy(pairs: list[tuple[Path, Path]], **_: object) -> list[FileDigest]:
        landed.extend(pairs)
        return []

    monkeypatch.setattr("ritual_artifacts.backends.local.upload.copy_files", spy)

    upload(store, *files, note="new metadata")

    assert landed == []


def test_a_file_of_a_known_size_and_new_content_is_stored(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin", content=b"12345"))

    upload(store, write("b.bin", content=b"67890"), to=repo("v2"))

    assert sorted(objects(store).values()) == [b"12345", b"67890"]
    assert_whole(store, repo("v2"))


def test_a_damaged_content_is_healed_by_uploading_it_again(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"), to=repo("v1"))
    [damaged] = (store.layout.root / "objects").glob("*/*")
    damage(damaged)
    assert [mismatch.expected for mismatch in store.find_damage()] == [damaged.name]

    result = upload(store, write("a.bin"), to=repo("v1"))

    assert result.bytes_sent == 1000
    assert_whole(store, repo("v1"))


@pytest.mark.parametrize("lost", ["content", "manifest"])
def test_what_is_lost_comes_back_by_uploading_it_again(
    lost: str, store: LocalBackend, write: Callable[..., Path]
) -> None:
    result = upload(store, write("a.bin"), to=repo("v1"))
    [content] = (store.layout.root / "objects").glob("*/*")
    if lost == "content":
        content.unlink()
    else:
        store.layout.revision_path(repo(), result.revision).write_bytes(b"{")
    assert store.find_damage() != []

    upload(store, write("a.bin"), to=repo("v1"))

    assert_whole(store, repo("v1"))


def test_a_lost_content_is_an_error_that_says_what_to_do(
    store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    upload(store, write("a.bin"))
    [content] = (store.layout.root / "objects").glob("*/*")
    content.unlink()
    revision, manifest = transfer.read_manifest(store, repo())

    with pytest.raises(ArtifactNotFoundError, match=r"lost the bytes of 'a\.bin'.*upload the artifact again"):
        transfer.download(store, repo(), revision, manifest, tmp_path / "out")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_contents_are_read_only(store: LocalBackend, write: Callable[..., Path]) -> None:
    upload(store, write("a.bin"))

    [content] = (store.layout.root / "objects").glob("*/*")

    assert stat.S_IMODE(content.stat().st_mode) == 0o444


def test_editing_the_users_file_does_not_change_the_store(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    source = write("a.bin", content=b"published")
    upload(store, source)

    with source.open("r+b") as file:
        file.write(b"EDITED")

    assert list(objects(store).values()) == [b"published"]
    assert source.stat().st_nlink == 1
    assert_whole(store, repo())


def test_a_download_is_not_the_stores_own_file(
    store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    upload(store, write("a.bin", content=b"published"))
    revision, manifest = transfer.read_manifest(store, repo())
    transfer.download(store, repo(), revision, manifest, tmp_path / "out")

    (tmp_path / "out" / "a.bin").write_bytes(b"edited")

    assert_whole(store, repo())


# --- damage ---


def test_a_lost_file_is_named_with_every_version_that_names_it(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    lost, kept = write("lost.bin", content=b"lost"), write("kept.bin")
    first = upload(store, lost, kept, to=repo("v1"))
    second = upload(store, lost, to=repo(name="other"))
    upload(store, kept, to=repo("v2"))
    sha256 = hashlib.sha256(b"lost").hexdigest()
    store.layout.object_path(sha256).unlink()

    found = store.find_damage()

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
    other = store.read_manifest(repo(name="c"), losing.revision)
    store.layout.revision_path(repo(name="b"), exchanged.revision).write_bytes(other)
    altered = store.layout.object_path(exchanged.files[0].sha256)
    damage(altered)
    store.layout.object_path(hashlib.sha256(b"lost").hexdigest()).unlink()

    found = store.find_damage()

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

    assert store.find_damage() == []
    assert objects(store) == {}


# --- progress ---


def watch_upload(store: LocalBackend, *files: Path, to: RitualRepoId) -> list[tuple[int, int]]:
    """Upload, and return what was done, of how much, at each report."""
    reports: list[tuple[int, int]] = []

    def note(progress: Progress) -> None:
        assert progress.stage == "upload"
        reports.append((progress.bytes_done, progress.bytes_total))

    transfer.upload(plan_files(Sample(files=list(files))), store, to, progress=note)
    return reports


def test_an_upload_is_one_stage_that_ends_at_its_total(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    stored, same_size, fresh = (
        write("stored.bin", 2000),
        write("same size.bin", 2000),
        write("fresh.bin", 500),
    )
    twin = write("twin.bin", content=same_size.read_bytes())
    upload(store, stored)

    reports = watch_upload(store, stored, same_size, twin, fresh, to=repo("v2"))

    total = 2 * (2000 + 2000 + 2000) + 500  # a file of a known size is read twice
    assert reports == sorted(reports)
    assert {of for _, of in reports} == {total}
    assert (reports[0][0], reports[-1][0]) == (0, total)


@pytest.mark.parametrize("state", ["whole", "damaged"])
def test_an_upload_of_what_is_stored_already_ends_at_its_total(
    state: str, store: LocalBackend, write: Callable[..., Path]
) -> None:
    source = write("a.bin")
    upload(store, source, to=repo("v1"))
    if state == "damaged":
        [content] = (store.layout.root / "objects").glob("*/*")
        damage(content)

    reports = watch_upload(store, source, to=repo("v1"))

    assert reports == sorted(reports)
    assert reports[-1] == (2000, 2000)


# --- versions ---


def test_latest_moves_with_each_upload_but_not_with_a_no_op(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    first = upload(store, write("a.bin"), to=repo("v1"))
    second = upload(store, write("b.bin"), to=repo("v2"))
    assert store.resolve(repo()) == second.revision

    upload(store, write("a.bin"), to=repo("v1"))
    assert store.resolve(repo()) == second.revision

    upload(store, write("a.bin"))
    assert store.resolve(repo()) == first.revision


def test_a_revision_is_a_version_too(store: LocalBackend, write: Callable[..., Path]) -> None:
    first = upload(store, write("a.bin"))
    upload(store, write("b.bin"))

    assert store.resolve(repo(first.revision)) == first.revision


def test_a_label_cannot_pose_as_a_revision(store: LocalBackend, write: Callable[..., Path]) -> None:
    with pytest.raises(ConflictError, match="digest"):
        upload(store, write("a.bin"), to=repo("0" * 64))


def test_versions_are_listed_newest_first(store: LocalBackend, write: Callable[..., Path]) -> None:
    first = upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("a.bin"), to=repo("stable"))
    second = upload(store, write("b.bin"))
    os.utime(store.layout.revision_path(repo(), first.revision), ns=(1, 1))
    (store.layout.root / "repos" / ".DS_Store").write_bytes(b"junk")

    versions = list(store.list_versions())

    assert [(v.revision, v.labels, v.latest) for v in versions] == [
        (second.revision, (), True),
        (first.revision, ("stable", "v1"), False),
    ]
    assert {v.repo_id for v in versions} == {repo()}


def test_an_empty_store_has_nothing(store: LocalBackend) -> None:
    assert list(store.list_versions()) == []
    assert store.find_damage() == []
    assert store.collect_garbage() == 0
    with pytest.raises(ArtifactNotFoundError, match="no local/me/model"):
        store.resolve(repo())


def test_what_is_not_found_names_the_versions_that_are_there(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"), to=repo("v1"))

    with pytest.raises(ArtifactNotFoundError, match="it has the versions v1"):
        store.resolve(repo("v2"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe not a revision", b"0" * 63])
def test_a_pointer_that_is_no_revision_is_an_integrity_error(
    content: bytes, store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"))
    store.layout.latest_path(repo()).write_bytes(content)

    with pytest.raises(IntegrityError, match="latest"):
        store.resolve(repo())


# --- removal ---


def test_removing_a_label_removes_its_revision(store: LocalBackend, write: Callable[..., Path]) -> None:
    first = upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("b.bin"), to=repo("v2"))

    assert store.remove(repo("v2")) == 1

    with pytest.raises(ArtifactNotFoundError):
        store.resolve(repo("v2"))
    assert store.resolve(repo()) == first.revision


def test_a_revision_with_another_label_stays(store: LocalBackend, write: Callable[..., Path]) -> None:
    upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("a.bin"), to=repo("stable"))

    assert store.remove(repo("v1")) == 0

    assert_whole(store, repo("stable"))


def test_an_unlabelled_revision_is_removed_by_its_name(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    first = upload(store, write("a.bin"))
    second = upload(store, write("b.bin"))

    assert store.remove(repo(first.revision)) == 1

    assert [version.revision for version in store.list_versions()] == [second.revision]


def test_removing_the_last_version_or_the_repository_leaves_none(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"), to=repo("v1"))
    assert store.remove(repo("v1")) == 1
    upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("b.bin"), to=repo("v2"))

    assert store.remove(repo()) == 2

    assert list(store.list_versions()) == []
    assert list((store.layout.root / "incoming").iterdir()) == []
    with pytest.raises(ArtifactNotFoundError):
        store.remove(repo())


# --- garbage ---


def test_garbage_is_what_no_version_names(store: LocalBackend, write: Callable[..., Path]) -> None:
    shared = write("shared.bin", content=b"shared")
    upload(store, shared, write("a.bin", 500), to=repo("v1"))
    upload(store, shared, write("b.bin", 700), to=repo("v2"))
    assert store.collect_garbage() == 0
    store.remove(repo("v1"))

    assert store.collect_garbage() == 500

    assert len(objects(store)) == 2
    assert_whole(store, repo("v2"))
    assert {path.name for path in (store.layout.root / "sizes").iterdir()} == {"6", "700"}


def test_dead_uploads_are_swept_and_living_ones_are_not(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    source = write("a.bin")
    dead = store.layout.root / "incoming" / "dead"
    dead.mkdir(parents=True)
    (dead / "0").write_bytes(bytes(300))
    plan = plan_files(Sample(files=[source]))

    with store.start_upload(repo(), {}) as session:
        digests = session.read_files(plan, None)
        assert store.collect_garbage() == 300
        assert not dead.exists()
        session.publish(Manifest.build(plan, digests, repo()), plan, None)

    assert_whole(store, repo())
    assert list((store.layout.root / "incoming").iterdir()) == []


def test_an_upload_survives_a_collection_that_takes_what_it_meant_to_reuse(
    store: LocalBackend, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, write("a.bin"))
    lock = Layout.lock
    collected: list[int] = []

    def lock_after_a_collection(layout: Layout) -> FileLock:
        if not collected:
            collected.append(0)
            store.remove(repo())
            collected.append(store.collect_garbage())
        return lock(layout)

    plan = plan_files(Sample(files=[write("a.bin")]))
    with store.start_upload(repo("v2"), {}) as session:
        digests = session.read_files(plan, None)
        manifest = Manifest.build(plan, digests, repo())
        monkeypatch.setattr(Layout, "lock", lock_after_a_collection)
        session.publish(manifest, plan, None)

    assert collected == [0, 1000]
    assert_whole(store, repo("v2"))


def test_a_manifest_that_cannot_be_read_stops_the_collection(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    first = upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("b.bin"), to=repo("v2"))
    store.layout.revision_path(repo(), first.revision).write_text(json.dumps({"file_hashes": 1}))
    before = objects(store)

    with pytest.raises(ManifestError, match=first.revision):
        store.collect_garbage()

    assert objects(store) == before


def test_a_label_that_another_process_takes_at_the_last_moment_is_a_conflict(
    store: LocalBackend, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    land_missing = LocalUpload._land_missing

    def land_while_another_publishes(self: LocalUpload, sources: Any) -> None:
        monkeypatch.setattr(LocalUpload, "_land_missing", land_missing)
        upload(store, write("theirs.bin"), to=repo("v1"))
        land_missing(self, sources)

    monkeypatch.setattr(LocalUpload, "_land_missing", land_while_another_publishes)

    with pytest.raises(ConflictError, match="already another artifact"):
        upload(store, write("ours.bin"), to=repo("v1"))

    [version] = store.list_versions()
    assert [entry.path for entry in version.manifest.files] == ["theirs.bin"]


@pytest.mark.parametrize("by", ["revision", "label"])
def test_a_revision_that_holds_another_manifest_is_never_served(
    by: str, store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    asked = upload(store, write("a.bin"), to=repo("v1"))
    other = upload(store, write("b.bin"), to=repo("v2"))
    path = store.layout.revision_path(repo(), asked.revision)
    path.write_bytes(store.layout.revision_path(repo(), other.revision).read_bytes())
    wanted = repo("v1" if by == "label" else asked.revision)

    with pytest.raises(IntegrityError, match=f"expected {asked.digest}, got {other.digest}"):
        RitualArtifactManager.from_repo(
            Sample, wanted, tmp_path / "out", repomanager_kwargs={"root": store.layout.root}
        )

    assert not (tmp_path / "out").exists()


# --- a source that changes ---


@pytest.mark.parametrize("change", [b"shorter", b"as long as it was.", b"it grew while nobody looked"])
def test_a_file_that_changes_before_it_lands_is_not_published(
    change: bytes, store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("other.bin", content=b"18 bytes, too, but"))  # the size is known: it is hashed first
    source = write("a.bin", content=b"as long as it is..")
    plan = plan_files(Sample(files=[source]))

    with store.start_upload(repo("v1"), {}) as session:
        manifest = Manifest.build(plan, session.read_files(plan, None), repo())
        source.write_bytes(change)
        with pytest.raises(SourceChangedError, match=r"a\.bin.*nothing was published"):
            session.publish(manifest, plan, None)

    with pytest.raises(ArtifactNotFoundError):
        store.resolve(repo("v1"))
    assert list((store.layout.root / "incoming").iterdir()) == []


def test_a_file_that_has_landed_may_change_afterwards(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    source = write("a.bin", content=b"published")
    plan = plan_files(Sample(files=[source]))

    with store.start_upload(repo(), {}) as session:
        manifest = Manifest.build(plan, session.read_files(plan, None), repo())
        source.write_bytes(b"changed, too late")
        session.publish(manifest, plan, None)

    assert list(objects(store).values()) == [b"published"]

"""The local store: each content once, versions that never change, listings, and progress."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.artifact.untrusted import MAX_MANIFEST_BYTES
from ritual_artifacts.backends.base import UploadResult
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    ConflictError,
    IntegrityError,
    RepoIdError,
    SourceChangedError,
)
from ritual_artifacts.events import Progress
from ritual_artifacts.transfer.publishing import publish
from tests.backends.stores import (
    NO_OPTIONS,
    alter,
    assert_intact,
    download,
    incoming,
    object_paths,
    objects,
    plan_of,
    repo,
    upload,
)


@pytest.fixture
def store(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store")


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
    copied: list[tuple[Path, Path]] = []

    def spy(pairs: list[tuple[Path, Path]], **_: object) -> list[FileDigest]:
        copied.extend(pairs)
        return []

    monkeypatch.setattr("ritual_artifacts.backends.local.upload.copy_files", spy)

    upload(store, *files, note="new metadata")

    assert copied == []


def test_a_file_of_a_known_size_and_new_content_is_stored(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin", content=b"12345"))

    upload(store, write("b.bin", content=b"67890"), to=repo("v2"))

    assert sorted(objects(store).values()) == [b"12345", b"67890"]
    assert_intact(store, repo("v2"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_contents_are_read_only(store: LocalBackend, write: Callable[..., Path]) -> None:
    upload(store, write("a.bin"))

    [content] = object_paths(store)

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
    assert_intact(store, repo())


def test_editing_a_download_does_not_change_the_store(
    store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    upload(store, write("a.bin", content=b"published"))
    download(store, repo(), tmp_path / "out")

    (tmp_path / "out" / "a.bin").write_bytes(b"edited")

    assert list(objects(store).values()) == [b"published"]
    assert_intact(store, repo())


def test_no_more_of_a_manifest_is_read_than_tells_that_it_is_too_large(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    result = upload(store, write("a.bin"))
    with store.layout.revision_path(repo(), result.revision).open("r+b") as manifest:
        manifest.truncate(1 << 40)  # a hole, which takes no space

    assert len(store.open(repo()).manifest_bytes()) == MAX_MANIFEST_BYTES + 1


# --- versions ---


def test_the_newest_version_moves_with_each_upload_that_changes_something(
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
    for label in ("0" * 64, f"{'0' * 64}-{'1' * 16}"):
        with pytest.raises(ConflictError, match="cannot be the name of another revision"):
            upload(store, write("a.bin"), to=repo(label))


def test_two_manifests_of_one_digest_are_two_revisions(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    class Number(BaseModel):
        file: Path
        value: int | float

    def publish_number(value: float, version: str | None) -> UploadResult:
        plan = plan_files(Number(file=write("a.bin"), value=value))
        return publish(plan, store, repo(version), Context.create())[0]

    first, second = publish_number(1, "v1"), publish_number(1.0, "v2")

    assert first.digest == second.digest
    assert second.revision.startswith(f"{first.revision}-")
    assert [publish_number(n, None).revision for n in (1, 1.0)] == [first.revision, second.revision]
    assert store.open(repo(second.revision)).name == second.revision
    assert {v.revision: v.labels for v in store.list_versions()} == {
        first.revision: ("v1",),
        second.revision: ("v2",),
    }
    assert store.find_damage(Context.create()) == []
    store.remove(repo("v1"))
    assert store.resolve(repo("v2")) == second.revision


@pytest.mark.parametrize("label", ["latest", "Latest"])
def test_no_label_can_be_the_word_for_the_newest_version(
    label: str, store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"))

    with pytest.raises(RepoIdError, match="cannot be a version label"):
        upload(store, write("b.bin"), to=repo(label))
    with pytest.raises(ArtifactNotFoundError, match="the newest version is local/me/model, without"):
        store.open(repo(label))


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
    assert store.find_damage(Context.create()) == []
    assert store.collect_garbage() == 0
    with pytest.raises(ArtifactNotFoundError, match="no local/me/model"):
        store.open(repo())


def test_the_error_for_a_missing_version_names_those_that_exist(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"), to=repo("v1"))

    with pytest.raises(ArtifactNotFoundError, match="it has the versions v1"):
        store.open(repo("v2"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe not a revision", b"0" * 63])
def test_a_pointer_that_holds_no_revision_is_an_integrity_error(
    content: bytes, store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"))
    store.layout.latest_path(repo()).write_bytes(content)

    with pytest.raises(IntegrityError, match="latest"):
        store.open(repo())


@pytest.mark.parametrize("by", ["revision", "label"])
def test_a_revision_that_holds_another_manifest_is_never_downloaded(
    by: str, store: LocalBackend, write: Callable[..., Path], tmp_path: Path
) -> None:
    asked = upload(store, write("a.bin"), to=repo("v1"))
    other = upload(store, write("b.bin"), to=repo("v2"))
    path = store.layout.revision_path(repo(), asked.revision)
    path.write_bytes(store.layout.revision_path(repo(), other.revision).read_bytes())

    with pytest.raises(IntegrityError, match=f"expected {asked.digest}, got {other.digest}"):
        download(store, repo("v1" if by == "label" else asked.revision), tmp_path / "out")

    assert not (tmp_path / "out").exists()


# --- progress ---


def watch_upload(store: LocalBackend, *files: Path, version: str) -> list[tuple[int, int]]:
    """Upload, and return the bytes done and their total at each report."""
    reports: list[tuple[int, int]] = []

    def note(progress: Progress) -> None:
        assert progress.stage == "upload"
        reports.append((progress.bytes_done, progress.bytes_total))

    upload(store, *files, to=repo(version), progress=note)
    return reports


def test_an_upload_is_one_stage_that_ends_at_its_total(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    stored, same_size = write("stored.bin", 2000), write("same size.bin", 2000)
    fresh, twin = write("fresh.bin", 500), write("twin.bin", content=same_size.read_bytes())
    upload(store, stored)

    reports = watch_upload(store, stored, same_size, twin, fresh, version="v2")

    total = 2 * (2000 + 2000 + 2000) + 500  # a file of a known size is read twice
    assert reports == sorted(reports)
    assert {of for _, of in reports} == {total}
    assert (reports[0][0], reports[-1][0]) == (0, total)


@pytest.mark.parametrize("state", ["intact", "damaged"])
def test_an_upload_of_what_is_stored_already_ends_at_its_total(
    state: str, store: LocalBackend, write: Callable[..., Path]
) -> None:
    source = write("a.bin")
    upload(store, source, to=repo("v1"))
    if state == "damaged":
        [content] = object_paths(store)
        alter(content)

    reports = watch_upload(store, source, version="v1")

    assert reports == sorted(reports)
    assert reports[-1] == (2000, 2000)


# --- a source that changes ---


@pytest.mark.parametrize("change", [b"shorter", b"as long as it was.", b"it grew in the meantime"])
def test_a_file_that_changes_before_it_is_copied_is_not_published(
    change: bytes, store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("other.bin", content=b"18 bytes, too, but"))  # the size is known: it is hashed first
    source = write("a.bin", content=b"as long as it is..")

    with store.start_upload(plan_of(source), repo("v1"), NO_OPTIONS, Context.create()) as session:
        manifest = Manifest.build(plan_of(source), session.read_files(), repo())
        source.write_bytes(change)
        with pytest.raises(SourceChangedError, match=r"a\.bin.*nothing was published"):
            session.publish(manifest)

    with pytest.raises(ArtifactNotFoundError):
        store.open(repo("v1"))
    assert incoming(store) == []


def test_a_file_that_has_been_copied_may_change_afterwards(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    source = write("a.bin", content=b"published")

    with store.start_upload(plan_of(source), repo(), NO_OPTIONS, Context.create()) as session:
        manifest = Manifest.build(plan_of(source), session.read_files(), repo())
        source.write_bytes(b"changed, too late")
        session.publish(manifest)

    assert list(objects(store).values()) == [b"published"]

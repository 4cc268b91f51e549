"""A local store in which something else has taken an object's place, and uploads that meet each other."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualRepoId
from ritual_artifacts.artifact import manifest as manifest_module
from ritual_artifacts.artifact.planning import ArtifactPlan, plan_files
from ritual_artifacts.backends.base import UploadResult
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import ConflictError, IntegrityError, ManifestError
from ritual_artifacts.transfer import downloading as transfer

V1 = RitualRepoId.from_unique_id("local/me/model/v1")
V2 = RitualRepoId.from_unique_id("local/me/model/v2")


class Sample(BaseModel):
    file: Path


@pytest.fixture
def store(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store")


@pytest.fixture
def plan(write: Callable[..., Path]) -> ArtifactPlan:
    return plan_files(Sample(file=write("a.bin")))


def upload(store: LocalBackend, plan: ArtifactPlan, to: RitualRepoId = V1) -> UploadResult:
    return transfer.upload(plan, store, to)[0]


def download(store: LocalBackend, target: Path) -> None:
    revision, manifest = transfer.read_manifest(store, V1)
    transfer.download(store, V1, revision, manifest, target)


def object_of(store: LocalBackend, result: UploadResult) -> Path:
    return store.layout.object_path(result.files[0].sha256)


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


TAKEOVERS = [
    link_away,
    dangle,
    make_folder,
    pytest.param(make_fifo, marks=pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")),
]


# --- what is no object ---


@pytest.mark.timeout(60)
@pytest.mark.parametrize("take_over", TAKEOVERS)
def test_what_is_no_object_is_not_downloaded(
    take_over: Callable[[Path], None], store: LocalBackend, plan: ArtifactPlan, tmp_path: Path
) -> None:
    take_over(object_of(store, upload(store, plan)))

    with pytest.raises(IntegrityError, match=r"a\.bin.*got not a regular file"):
        download(store, tmp_path / "out")

    assert not (tmp_path / "out" / "a.bin").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("take_over", TAKEOVERS)
def test_what_is_no_object_is_named_by_the_verification(
    take_over: Callable[[Path], None], store: LocalBackend, plan: ArtifactPlan, write: Callable[..., Path]
) -> None:
    damaged = object_of(store, upload(store, plan))
    altered = object_of(store, upload(store, plan_files(Sample(file=write("b.bin"))), V2))
    take_over(damaged)
    altered.chmod(0o644)
    altered.write_bytes(b"altered")

    found = {Path(mismatch.path).name: mismatch.actual for mismatch in store.find_damage()}

    assert found.keys() == {damaged.name, altered.name}
    assert found[damaged.name] == "not a regular file"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("take_over", TAKEOVERS)
def test_what_is_no_object_is_replaced_by_the_next_upload(
    take_over: Callable[[Path], None], store: LocalBackend, plan: ArtifactPlan, tmp_path: Path
) -> None:
    take_over(object_of(store, upload(store, plan)))

    upload(store, plan)

    assert store.find_damage() == []
    download(store, tmp_path / "out")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("take_over", TAKEOVERS)
def test_what_is_no_object_does_not_stop_the_collection(
    take_over: Callable[[Path], None], store: LocalBackend, plan: ArtifactPlan
) -> None:
    path = object_of(store, upload(store, plan))
    take_over(path)

    store.collect_garbage()
    assert os.path.lexists(path)

    store.remove(V1)
    store.collect_garbage()
    assert not os.path.lexists(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is closed to this user")
def test_an_object_that_cannot_be_read_does_not_hide_the_others(
    store: LocalBackend, plan: ArtifactPlan
) -> None:
    path = object_of(store, upload(store, plan))
    path.chmod(0)

    [mismatch] = store.find_damage()

    assert "Permission denied" in mismatch.actual


# --- what is no version ---


@pytest.mark.parametrize("name", ["bad ", "a\\b", "con"])
def test_a_folder_that_is_no_repository_is_passed_over(
    name: str, store: LocalBackend, plan: ArtifactPlan
) -> None:
    upload(store, plan)
    (store.layout.root / "repos" / "me" / name).mkdir()

    assert [version.labels for version in store.list_versions()] == [("v1",)]
    assert store.collect_garbage() == 0
    assert store.find_damage() == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("take_over", TAKEOVERS[2:])
def test_a_pointer_or_manifest_that_is_no_file_is_damage(
    take_over: Callable[[Path], None], store: LocalBackend, plan: ArtifactPlan, tmp_path: Path
) -> None:
    result = upload(store, plan)

    take_over(store.layout.revision_path(V1, result.revision))
    with pytest.raises(IntegrityError, match="not a regular file"):
        download(store, tmp_path / "out")
    assert [mismatch.path for mismatch in store.find_damage()] == ["ritual_manifest.json"]

    take_over(store.layout.label_path(V1, "v1"))
    with pytest.raises(IntegrityError, match="not a regular file"):
        store.resolve(V1)


def test_a_store_that_is_no_folder_is_not_an_empty_one(write: Callable[..., Path]) -> None:
    store = LocalBackend(write("file"))

    with pytest.raises(NotADirectoryError):
        list(store.list_versions())


def test_a_revision_that_labels_name_is_not_removed_behind_their_back(
    store: LocalBackend, plan: ArtifactPlan
) -> None:
    result = upload(store, plan)
    upload(store, plan, V2)
    by_revision = RitualRepoId.from_unique_id(f"local/me/model/{result.revision}")

    with pytest.raises(ConflictError, match=r"the label v1 names; remove v1, v2 instead"):
        store.remove(by_revision)

    assert store.resolve(V1) == store.resolve(V2) == result.revision


# --- uploads that meet ---


def test_a_label_that_another_upload_took_meanwhile_is_not_moved(
    store: LocalBackend, plan: ArtifactPlan, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = plan_files(Sample(file=write("other.bin")))
    with store.start_upload(V1, {}) as session:
        digests = session.read_files(plan, None)
        manifest = manifest_module.Manifest.build(plan, digests, V1)
        lock = type(store.layout).lock
        taken: list[UploadResult] = []

        def let_the_other_go_first(layout: Any) -> Any:
            monkeypatch.setattr(type(store.layout), "lock", lock)
            taken.append(upload(store, other))
            return lock(layout)

        # The first look at the label is over when the lock is asked for.
        monkeypatch.setattr(type(store.layout), "lock", let_the_other_go_first)
        with pytest.raises(ConflictError, match="a version never changes"):
            session.publish(manifest, plan, None)

    assert store.resolve(V1) == taken[0].revision


class Recorder:
    """A storage that notes what was published."""

    def __init__(self) -> None:
        self.published: list[object] = []

    @contextmanager
    def start_upload(self, *_: object) -> Iterator["Recorder"]:
        yield self

    def read_files(self, plan: ArtifactPlan, _: object) -> Sequence[FileDigest]:
        return hash_files([file.source for file in plan.files])

    def publish(self, *arguments: object) -> None:
        self.published.append(arguments)


def test_a_manifest_that_no_reader_accepts_is_refused_before_it_is_published(
    plan: ArtifactPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_module, "MAX_ENTRIES", 0)
    backend: Any = Recorder()

    with pytest.raises(ManifestError, match="more than readers accept"):
        transfer.upload(plan, backend, V1)

    assert backend.published == []

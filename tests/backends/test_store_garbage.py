"""The local store: removal, the garbage collection, and what both do to uploads that run at the same time."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.backends.local.layout import Layout
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, ConflictError, ManifestError
from ritual_artifacts.locks import ProcessLock
from tests.backends.stores import NO_OPTIONS, assert_intact, incoming, objects, plan_of, repo, upload


@pytest.fixture
def store(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store")


@pytest.fixture
def before_the_next_lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return a function that has something else done just before the store's lock is taken the next time."""

    def do(something: Callable[[], object]) -> None:
        lock = Layout.lock

        def lock_later(layout: Layout) -> ProcessLock:
            monkeypatch.setattr(Layout, "lock", lock)
            something()
            return lock(layout)

        monkeypatch.setattr(Layout, "lock", lock_later)

    return do


# --- removal ---


def test_removing_a_label_removes_its_revision(store: LocalBackend, write: Callable[..., Path]) -> None:
    first = upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("b.bin"), to=repo("v2"))

    assert store.remove(repo("v2")) == 1

    with pytest.raises(ArtifactNotFoundError):
        store.open(repo("v2"))
    assert store.resolve(repo()) == first.revision


def test_a_revision_with_another_label_stays(store: LocalBackend, write: Callable[..., Path]) -> None:
    upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("a.bin"), to=repo("stable"))

    assert store.remove(repo("v1")) == 0

    assert_intact(store, repo("stable"))


def test_a_revision_without_a_label_is_removed_by_its_name(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    first = upload(store, write("a.bin"))
    second = upload(store, write("b.bin"))

    assert store.remove(repo(first.revision)) == 1

    assert [version.revision for version in store.list_versions()] == [second.revision]


def test_a_revision_that_has_labels_is_not_removed_by_its_name(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    result = upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("a.bin"), to=repo("v2"))

    with pytest.raises(ConflictError, match=r"still has a label; remove v1, v2 instead"):
        store.remove(repo(result.revision))

    assert store.resolve(repo("v1")) == store.resolve(repo("v2")) == result.revision


def test_removing_the_last_version_or_the_repository_leaves_nothing(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    upload(store, write("a.bin"), to=repo("v1"))
    assert store.remove(repo("v1")) == 1
    upload(store, write("a.bin"), to=repo("v1"))
    upload(store, write("b.bin"), to=repo("v2"))

    assert store.remove(repo()) == 2

    assert list(store.list_versions()) == []
    assert incoming(store) == []
    with pytest.raises(ArtifactNotFoundError):
        store.remove(repo())


# --- garbage ---


def test_the_collection_removes_what_no_version_names(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    shared = write("shared.bin", content=b"shared")
    upload(store, shared, write("a.bin", 500), to=repo("v1"))
    upload(store, shared, write("b.bin", 700), to=repo("v2"))
    assert store.collect_garbage() == 0
    store.remove(repo("v1"))

    assert store.collect_garbage() == 500

    assert len(objects(store)) == 2
    assert_intact(store, repo("v2"))
    assert {path.name for path in (store.layout.root / "sizes").iterdir()} == {"6", "700"}


def test_the_collection_removes_killed_uploads_but_not_running_ones(
    store: LocalBackend, write: Callable[..., Path]
) -> None:
    plan = plan_of(write("a.bin"))
    killed = store.layout.root / "incoming" / "killed"
    killed.mkdir(parents=True)
    (killed / "0").write_bytes(bytes(300))

    with store.start_upload(plan, repo(), NO_OPTIONS, Context.create()) as session:
        digests = session.read_files()
        assert store.collect_garbage() == 300
        assert not killed.exists()
        session.publish(Manifest.build(plan, digests, repo()))

    assert_intact(store, repo())
    assert incoming(store) == []


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


# --- while an upload runs ---


def test_an_upload_survives_a_collection_of_the_object_that_it_reuses(
    store: LocalBackend,
    write: Callable[..., Path],
    before_the_next_lock: Callable[[Callable[[], object]], None],
) -> None:
    upload(store, write("a.bin"))
    plan = plan_of(write("a.bin"))
    collected: list[int] = []

    def remove_and_collect() -> None:
        store.remove(repo())
        collected.append(store.collect_garbage())

    with store.start_upload(plan, repo("v2"), NO_OPTIONS, Context.create()) as session:
        manifest = Manifest.build(plan, session.read_files(), repo())
        before_the_next_lock(remove_and_collect)
        session.publish(manifest)

    assert collected == [1000]
    assert_intact(store, repo("v2"))


def test_a_label_that_another_upload_takes_at_the_last_moment_does_not_move(
    store: LocalBackend,
    write: Callable[..., Path],
    before_the_next_lock: Callable[[Callable[[], object]], None],
) -> None:
    plan, theirs = plan_of(write("ours.bin")), write("theirs.bin")
    taken: list[str] = []

    with store.start_upload(plan, repo("v1"), NO_OPTIONS, Context.create()) as session:
        manifest = Manifest.build(plan, session.read_files(), repo("v1"))
        before_the_next_lock(lambda: taken.append(upload(store, theirs, to=repo("v1")).revision))
        with pytest.raises(ConflictError, match=r"already names another artifact.*a version never changes"):
            session.publish(manifest)

    assert store.resolve(repo("v1")) == taken[0]
    [version] = store.list_versions()
    assert [entry.path for entry in version.manifest.files] == ["theirs.bin"]

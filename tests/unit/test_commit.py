"""Commits: the folder counts as it is then, a failed commit is undone, a killed one is done again."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry, read_manifest
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ConflictError, IntegrityError
from ritual_artifacts.transfer import places
from ritual_artifacts.transfer.commit import Commit
from ritual_artifacts.transfer.notes import CommitNote
from ritual_artifacts.transfer.staging import Staging, finish_in_cache, stage_into

OLD = {"changed": b"old", "same": b"same", "sub/gone": b"gone"}
NEW = {"changed": b"new!", "same": b"same", "sub/deep/added": b"added"}


def manifest_of(files: dict[str, bytes]) -> Manifest:
    entries = tuple(
        ManifestEntry(path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(files.items())
    )
    return Manifest(artifact_type="Files", fields={}, files=entries)


def download(
    target: Path,
    files: dict[str, bytes],
    *,
    before_commit: Callable[[Staging], object] = lambda _: None,
    exclusive: bool = False,
    overwrite: bool = False,
) -> None:
    """Stage the files that are not in place, as a download does, and commit them."""
    manifest = manifest_of(files)
    with stage_into(
        target,
        manifest.digest,
        Context.create(),
        exclusive=exclusive,
        overwrite=overwrite,
        resumable=True,
    ) as stage:
        present = stage.find_present(manifest)
        staged = [name for name in files if name not in present]
        for name in staged:
            stage.partial_path(name).write_bytes(files[name])
            stage.note_verified(name)
        before_commit(stage)
        stage.commit(manifest, staged)


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Return every file below a folder but those that wait in it."""
    return {
        name: f"-> {path.readlink()}" if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not (name := path.relative_to(folder).as_posix()).startswith(".ritual-partial")
        and (path.is_symlink() or path.is_file())
    }


def partials(target: Path) -> set[bytes]:
    return {path.read_bytes() for path in (target / ".ritual-partial").glob("*/*") if path.is_file()}


def contents(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "ritual_manifest.json": manifest_of(files).to_bytes()}


def appear(name: str, content: bytes) -> Callable[[Staging], object]:
    """Return what makes a file of the user appear while a download runs."""

    def act(stage: Staging) -> None:
        (stage.target / name).parent.mkdir(parents=True, exist_ok=True)
        (stage.target / name).write_bytes(content)

    return act


# --- what appears while a download runs ---


@pytest.mark.parametrize("name", ["changed", "sub/deep/added"])
def test_a_file_that_appears_during_a_download_is_kept(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"

    with pytest.raises(ConflictError, match=f"{name} differs from the artifact's file"):
        download(out, NEW, before_commit=appear(name, b"mine"))

    assert snapshot(out) == {name: b"mine"}
    assert partials(out) == set(NEW.values())  # the next download continues with these


def test_a_file_that_is_edited_during_a_download_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    download(out, OLD)

    with pytest.raises(ConflictError, match="changed differs"):
        download(out, NEW, before_commit=appear("changed", b"edited"))

    assert snapshot(out) == contents(OLD) | {"changed": b"edited"}


def test_a_present_file_that_is_edited_during_a_download_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    download(out, OLD)

    with pytest.raises(ConflictError, match="same differs"):
        download(out, NEW, before_commit=appear("same", b"edited"))

    assert snapshot(out) == contents(OLD) | {"same": b"edited"}


def test_a_present_file_that_is_removed_during_a_download_is_missed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    download(out, OLD)

    with pytest.raises(ConflictError, match="same was removed"):
        download(out, NEW, before_commit=lambda stage: (stage.target / "same").unlink())

    assert not (out / "sub" / "deep").exists()


def test_the_artifacts_own_file_may_appear_during_a_download(tmp_path: Path) -> None:
    out = tmp_path / "out"

    download(out, NEW, before_commit=appear("changed", NEW["changed"]))

    assert snapshot(out) == contents(NEW)


def test_with_overwrite_a_file_that_appears_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"

    download(out, NEW, overwrite=True, before_commit=appear("changed", b"mine"))

    assert snapshot(out) == contents(NEW)


def test_a_link_that_appears_is_not_followed_and_the_folder_serves_other_artifacts(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()

    with pytest.raises(ConflictError, match="sub is a symbolic link"):
        download(out, NEW, before_commit=lambda stage: (stage.target / "sub").symlink_to(elsewhere))
    download(out, {"other": b"other"})

    assert list(elsewhere.iterdir()) == []
    assert snapshot(out) == contents({"other": b"other"}) | {"sub": f"-> {elsewhere}"}


def test_a_file_that_appears_in_the_middle_of_the_commit_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    put_in_place = Commit.put_in_place

    def race(commit: Commit, staged: dict[str, Path]) -> None:
        (out / "sub" / "deep").mkdir(parents=True, exist_ok=True)
        (out / "sub" / "deep" / "added").write_bytes(b"mine")
        put_in_place(commit, staged)

    monkeypatch.setattr(Commit, "put_in_place", race)
    with pytest.raises(ConflictError, match="added appeared"):
        download(out, NEW)

    assert snapshot(out) == contents(OLD) | {"sub/deep/added": b"mine"}
    assert partials(out) >= {NEW["changed"], NEW["sub/deep/added"]}


def test_a_file_that_changes_in_the_middle_of_the_commit_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    put_aside = Commit.put_aside

    def race(commit: Commit, name: str, expected: places.Look) -> None:
        if name == "changed":
            (out / "changed").write_bytes(b"edited at the last moment")
        put_aside(commit, name, expected)

    monkeypatch.setattr(Commit, "put_aside", race)
    with pytest.raises(ConflictError, match="changed while"):
        download(out, NEW)

    assert snapshot(out) == contents(OLD) | {"changed": b"edited at the last moment"}


MOVES = 6
"""The old manifest, two old files, two new ones, the new manifest."""


@pytest.mark.parametrize("failure", [OSError(28, "no space"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("at", range(MOVES))
def test_a_commit_that_fails_at_any_move_leaves_the_old_artifact(
    at: int, failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    moves: list[Path] = []

    def move(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == at + 1:
            raise failure
        places.move_without_replacing(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("ritual_artifacts.transfer.commit.move_without_replacing", move)
        with pytest.raises(type(failure)):
            download(out, NEW)

    assert snapshot(out) == contents(OLD)
    moves.clear()
    monkeypatch.setattr("ritual_artifacts.transfer.commit.move_without_replacing", counted(moves))
    download(out, NEW)
    assert snapshot(out) == contents(NEW)
    assert len(moves) == MOVES


def counted(moves: list[Path]) -> Callable[[Path, Path], None]:
    def move(source: Path, target: Path) -> None:
        moves.append(target)
        places.move_without_replacing(source, target)

    return move


def test_a_file_system_without_hard_links_gets_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "hard links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    out = tmp_path / "out"
    download(out, OLD)
    download(out, NEW)

    assert snapshot(out) == contents(NEW)
    with pytest.raises(FileExistsError):
        places.move_without_replacing(out / "changed", out / "same")


# --- staged files ---


@pytest.mark.parametrize("damage", [b"", b"new?", b"longer"], ids=["empty", "same size", "longer"])
def test_a_staged_file_that_is_changed_after_it_was_verified_is_never_put_in_place(
    damage: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    with pytest.raises(IntegrityError, match="changed") as caught:
        download(out, NEW, before_commit=lambda stage: stage.partial_path("changed").write_bytes(damage))

    assert [mismatch.path for mismatch in caught.value.mismatches] == ["changed"]
    assert snapshot(out) == {}


# --- after a kill ---


def kill_in_commit(
    target: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, *, exclusive: bool = False
) -> None:
    """Die after the old files were put aside, without a chance to undo it."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Commit, "put_in_place", die)
        patch.setattr(Commit, "undo", lambda _: False)
        patch.setattr("ritual_artifacts.transfer.staging.rename_files", die)
        patch.setattr(Staging, "close", lambda *_, **__: None)
        with pytest.raises(Killed):
            download(target, files, exclusive=exclusive)


def test_after_a_kill_the_next_download_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    kill_in_commit(out, NEW, monkeypatch)
    assert not (out / "ritual_manifest.json").exists()

    download(out, NEW)

    assert snapshot(out) == contents(NEW)
    assert not (out / ".ritual-partial").exists()


def test_after_a_kill_another_artifact_may_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    kill_in_commit(out, NEW, monkeypatch)

    download(out, {"third": b"third", "changed": b"3"})

    assert snapshot(out) == contents({"third": b"third", "changed": b"3"})


def test_after_a_kill_a_file_that_the_user_wrote_since_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    kill_in_commit(out, NEW, monkeypatch)
    (out / "changed").write_bytes(b"mine")

    with pytest.raises(ConflictError, match="changed differs"):
        download(out, NEW)

    assert (out / "changed").read_bytes() == b"mine"


def test_a_killed_commit_in_the_cache_is_finished_from_what_is_there(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = own_folders / "cache" / "local" / "me" / "x" / "default"
    download(out, OLD, exclusive=True)
    kill_in_commit(out, NEW, monkeypatch, exclusive=True)

    finish_in_cache(out, Context.create())

    assert read_manifest(out / "ritual_manifest.json") == manifest_of(NEW)
    assert snapshot(out) == contents(NEW)


def test_a_killed_commit_in_the_cache_with_a_damaged_file_is_not_finished(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = own_folders / "cache" / "local" / "me" / "x" / "default"
    kill_in_commit(out, NEW, monkeypatch, exclusive=True)
    damaged = next(path for path in out.glob(".ritual-partial/*/*") if path.read_bytes() == NEW["changed"])
    damaged.write_bytes(b"new?")

    finish_in_cache(out, Context.create())

    assert not (out / "ritual_manifest.json").exists()
    download(out, NEW, exclusive=True)
    assert snapshot(out) == contents(NEW)


def test_outside_of_the_cache_no_commit_is_finished_without_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    kill_in_commit(out, NEW, monkeypatch)
    before = sorted(str(path) for path in out.rglob("*"))

    finish_in_cache(out, Context.create())

    assert sorted(str(path) for path in out.rglob("*")) == before


def test_a_folder_without_a_killed_commit_is_not_touched(own_folders: Path) -> None:
    finish_in_cache(own_folders / "cache" / "missing", Context.create())

    assert not own_folders.exists()  # not even a lock


# --- folders from strangers ---


def test_a_prepared_folder_cannot_make_a_download_replace_or_remove_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    download(out, {})
    (out / "mine").write_bytes(b"mine")
    (out / "changed").write_bytes(b"mine, too")
    prepared = out / ".ritual-partial" / hashlib.sha256(manifest_of(NEW).digest.encode()).hexdigest()[:32]
    (prepared.parent / "aside").mkdir(parents=True)
    prepared.mkdir()
    claim = manifest_of({"mine": b"mine", "changed": b"mine, too"}).to_bytes()
    for name in ("add.json", "merge.json", "replace.json", "old", "manifest", "part.json"):
        (prepared / name).write_bytes(claim)
        (prepared.parent / name).write_bytes(claim)
    (prepared.parent / "aside" / "changed").write_bytes(b"theirs")
    (prepared / hashlib.sha256(b"changed").hexdigest()[:32]).write_bytes(b"theirs")

    with pytest.raises(ConflictError, match="changed differs"):
        download(out, NEW)

    assert snapshot(out)["mine"] == b"mine"
    assert snapshot(out)["changed"] == b"mine, too"


def test_a_note_is_only_about_the_folder_that_it_was_written_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    kill_in_commit(out, NEW, monkeypatch)
    out.rename(tmp_path / "moved away")
    out.mkdir()
    (out / "changed").write_bytes(OLD["changed"])  # a file of the user's that happens to be equal

    with pytest.raises(ConflictError, match="changed differs"):
        download(out, NEW)

    assert snapshot(out) == {"changed": OLD["changed"]}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"folder": 1}', b"\xff", b'{"manifests": 3}'])
def test_a_damaged_note_is_ignored(content: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    download(out, OLD)
    note = CommitNote(out, Context.create().settings)
    note.write([manifest_of(OLD)])
    note._path.write_bytes(content)

    assert note.read() == []
    download(out, NEW)
    assert snapshot(out) == contents(NEW)

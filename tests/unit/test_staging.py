"""Staging: files stay hidden until all are verified, and partial files are continued."""

import contextlib
import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import ConflictError
from ritual_artifacts.transfer import survey
from ritual_artifacts.transfer.staging import Staging, stage_into


def manifest_of(**files: bytes) -> Manifest:
    entries = tuple(
        ManifestEntry(path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in sorted(files.items())
    )
    return Manifest(artifact_type="Files", fields={}, files=entries)


def put(stage: Staging, **files: bytes) -> None:
    for name, content in files.items():
        stage.partial_path(name).write_bytes(content)


def fail(*_: object) -> None:
    raise KeyboardInterrupt


def stage_and_commit(
    target: Path,
    files: dict[str, bytes],
    *,
    exclusive: bool = False,
    in_place: bool = False,
    staged: list[str] | None = None,
) -> None:
    """Stage files, and commit all of them or those named in `staged`."""
    with stage_into(
        target, "key", Context.create(), exclusive=exclusive, in_place=in_place, overwrite=True
    ) as stage:
        put(stage, **files)
        stage.commit(manifest_of(**files), list(files) if staged is None else staged)


def stage_and_fail(target: Path, *, resumable: bool) -> None:
    """Stage a part of a file, and be interrupted."""
    with stage_into(target, "key", Context.create(), resumable=resumable) as stage:
        put(stage, a=b"half")
        fail()


def test_nothing_is_in_place_before_the_commit(tmp_path: Path) -> None:
    with stage_into(tmp_path / "out", "key", Context.create()) as stage:
        put(stage, a=b"a")
        before = [path.name for path in (tmp_path / "out").iterdir()]
        stage.commit(manifest_of(a=b"a"), ["a"])

    assert before == [".ritual-partial"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "ritual_manifest.json"]


def test_partial_files_are_kept_only_for_a_resumable_transfer(tmp_path: Path) -> None:
    for resumable in (True, False):
        with pytest.raises(KeyboardInterrupt):
            stage_and_fail(tmp_path / str(resumable), resumable=resumable)

    assert (tmp_path / "True").exists()
    assert not (tmp_path / "False").exists()


def test_partial_files_of_another_artifact_are_dropped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stage_and_fail(tmp_path, resumable=True)
    [old] = (tmp_path / ".ritual-partial").glob("*/*")

    with stage_into(tmp_path, "another key", Context.create()):
        assert not old.exists()


@pytest.mark.parametrize("odd", ["a link", "a folder", "a second name"])
def test_anything_but_a_partial_file_of_its_own_is_removed(odd: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stage_and_fail(tmp_path, resumable=True)
    [partial] = (tmp_path / ".ritual-partial").glob("*/*")
    if odd == "a second name":  # a write to the one would change the other
        (tmp_path / "elsewhere").hardlink_to(partial)
    else:
        partial.unlink()
    if odd == "a link":
        partial.symlink_to(tmp_path / "elsewhere")
    if odd == "a folder":
        partial.mkdir()

    with stage_into(tmp_path, "key", Context.create()):
        assert list(partial.parent.iterdir()) == []


def test_a_file_of_another_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"another size")
    (tmp_path / "b").write_bytes(b"b")
    read: list[str] = []

    def spy(paths: list[Path], **options: Any) -> list[FileDigest]:
        read.extend(path.name for path in paths)
        return hash_files(paths, **options)

    monkeypatch.setattr(survey, "hash_files", spy)

    with stage_into(tmp_path, "key", Context.create(), overwrite=True) as stage:
        present = stage.find_present(manifest_of(a=b"a", b=b"b"))

    assert read == ["b"]
    assert present == {"b"}


def test_an_unchanged_artifact_is_not_written_again(tmp_path: Path) -> None:
    for staged in (["a"], []):
        with stage_into(tmp_path, "key", Context.create()) as stage:
            put(stage, **dict.fromkeys(staged, b"a"))
            stage.commit(manifest_of(a=b"a"), staged)
        stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.is_file()}
        if staged:
            first = stamps

    assert stamps == first


def test_a_part_of_an_artifact_has_no_manifest(tmp_path: Path) -> None:
    with stage_into(tmp_path / "out", "key", Context.create()) as stage:
        put(stage, a=b"a")
        stage.commit(manifest_of(a=b"a", b=b"b"), ["a"], complete=False)

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_new_folders_are_synced_before_the_manifest_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def sync(folder: Path) -> None:
        assert not (tmp_path / "out" / "ritual_manifest.json").exists()
        synced.append(folder)

    monkeypatch.setattr("ritual_artifacts.core.hashing.sync_folder", sync)

    with stage_into(tmp_path / "out", "key", Context.create()) as stage:
        put(stage, **{"x/y/a": b"a"})
        stage.commit(manifest_of(**{"x/y/a": b"a"}), ["x/y/a"])

    assert {tmp_path, tmp_path / "out", tmp_path / "out" / "x"} <= set(synced)


def test_a_new_version_removes_only_unchanged_files_of_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stage_and_commit(out, {"a": b"a", "sub/gone": b"gone", "edited": b"old"})
    (out / "edited").write_bytes(b"EDI")
    (out / "mine").write_bytes(b"mine")

    stage_and_commit(out, {"a": b"a"})

    left = sorted(path.name for path in out.iterdir())
    assert left == ["a", "edited", "mine", "ritual_manifest.json"]


def test_a_file_that_only_changes_its_case_is_there_once(tmp_path: Path) -> None:
    stage_and_commit(tmp_path / "out", {"Model": b"model"})

    stage_and_commit(tmp_path / "out", {"model": b"model"})

    assert (tmp_path / "out" / "model").read_bytes() == b"model"
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_file_that_both_spellings_name_is_not_removed(tmp_path: Path) -> None:
    stage_and_commit(tmp_path, {"Model": b"model"})
    with contextlib.suppress(FileExistsError):  # on a case-insensitive disk it is the same already
        (tmp_path / "model").hardlink_to(tmp_path / "Model")

    stage_and_commit(tmp_path, {"model": b"model"}, staged=[])

    assert (tmp_path / "Model").read_bytes() == b"model"


def test_nothing_is_removed_from_a_folder_that_holds_the_users_own_files(tmp_path: Path) -> None:
    stage_and_commit(tmp_path, {"a": b"a", "source": b"source"})

    stage_and_commit(tmp_path, {"a": b"new"}, in_place=True)

    assert (tmp_path / "source").read_bytes() == b"source"


@pytest.mark.parametrize("link", ["cache/local/me/x/default", "cache/local/me/x", "cache/local"])
def test_a_folder_reached_through_a_link_does_not_belong_to_the_cache(link: str, own_folders: Path) -> None:
    mine = own_folders / "mine"
    folder = own_folders / "cache/local/me/x/default"
    (mine / folder.relative_to(own_folders / link)).mkdir(parents=True)
    (mine / "precious").write_bytes(b"mine")
    (own_folders / link).parent.mkdir(parents=True, exist_ok=True)
    (own_folders / link).symlink_to(mine, target_is_directory=True)

    with pytest.raises(ConflictError, match=r"symbolic link and is really .*mine.*RITUAL_CACHE_DIR"):
        stage_and_commit(folder, {"a": b"a"}, exclusive=True)

    assert (mine / "precious").read_bytes() == b"mine"


def test_the_whole_cache_may_be_a_link(own_folders: Path) -> None:
    (own_folders / "disk").mkdir(parents=True)
    (own_folders / "cache").symlink_to(own_folders / "disk", target_is_directory=True)

    stage_and_commit(own_folders / "cache/local/me/x/default", {"a": b"a"}, exclusive=True)

    assert (own_folders / "disk/local/me/x/default/a").read_bytes() == b"a"


def test_the_result_is_checked_in_a_preview_before_anything_changes(tmp_path: Path) -> None:
    stage_and_commit(tmp_path, {"kept/b": b"b", "a": b"old"})
    seen: dict[str, bytes] = {}

    def look(folder: Path) -> None:
        seen.update({name: (folder / name).read_bytes() for name in ("kept/b", "a")})
        assert (tmp_path / "a").read_bytes() == b"old"

    with stage_into(tmp_path, "key", Context.create()) as stage:
        put(stage, a=b"new")
        stage.try_out(look, ["kept/b", "a"], ["a"])
        left = [path.name for path in stage.partial_path("a").parent.iterdir()]

    assert seen == {"kept/b": b"b", "a": b"new"}
    assert left == [stage.partial_path("a").name]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode here")
def test_a_folder_whose_name_is_not_unicode_can_be_locked(tmp_path: Path) -> None:
    target = Path(f"{tmp_path}/caf\udce9")

    with stage_into(target, "key", Context.create()) as stage:
        put(stage, a=b"a")
        stage.commit(manifest_of(a=b"a"), ["a"])

    assert (target / "a").read_bytes() == b"a"

"""Which file becomes which name, and what cannot be an artifact file."""

import os
import random
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel, DirectoryPath, NewPath

from ritual_artifacts.artifact.planning import plan_files, plan_folder
from ritual_artifacts.errors import ArtifactModelError


class OneFile(BaseModel):
    file: Path


class TwoFiles(BaseModel):
    first: Path
    second: Path


class Files(BaseModel):
    shards: list[Path]
    more: list[Path] = []


class OneFolder(BaseModel):
    model_dir: DirectoryPath


class FileAndFolder(BaseModel):
    file: Path
    model_dir: DirectoryPath


def names(artifact: BaseModel, known: Mapping[Path, str] | None = None) -> dict[str, Path]:
    return {file.path: file.source for file in plan_files(artifact, known).files}


def test_a_file_has_its_own_name(write: Callable[..., Path]) -> None:
    path = write("deep/down/circuit.bin", 7)

    plan = plan_files(OneFile(file=path))

    assert plan.artifact_type == "OneFile"
    assert plan.fields == {"file": "circuit.bin"}
    assert [(f.path, f.source, f.size, f.field) for f in plan.files] == [("circuit.bin", path, 7, "file")]
    assert plan.size == 7


def test_a_directory_keeps_its_relative_paths(write: Callable[..., Path]) -> None:
    for name in ("model/config.json", "model/onnx/a.onnx", "model/onnx/deep/b", "model/.hidden"):
        path = write(name)
    (path.parent / "empty").mkdir()

    plan = plan_files(OneFolder(model_dir=path.parent))

    assert plan.fields == {"model_dir": "model"}
    assert [file.path for file in plan.files] == [
        "model/.hidden",
        "model/config.json",
        "model/onnx/a.onnx",
        "model/onnx/deep/b",
    ]


def test_a_very_deep_directory_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "deep"
    path.mkdir()
    folder = path
    for _ in range(200):
        folder /= "a"
        folder.mkdir()
    (folder / "x").touch()

    with pytest.raises(ArtifactModelError, match=r"more than 64 parts"):
        plan_files(OneFolder(model_dir=path))


def test_the_current_and_the_parent_directory_have_names(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write("outer/inner/a").parent)

    assert plan_files(OneFolder(model_dir=Path())).fields == {"model_dir": "inner"}
    assert plan_files(OneFolder(model_dir=Path(".."))).fields == {"model_dir": "outer"}


def test_a_relative_path_is_a_file_of_the_working_directory(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write("a.bin").parent)

    assert names(OneFile(file=Path("a.bin"))) == {"a.bin": Path("a.bin")}


def test_one_file_in_two_fields_is_published_once(write: Callable[..., Path]) -> None:
    path = write("a")

    plan = plan_files(TwoFiles(first=path, second=path))

    assert plan.fields == {"first": "a", "second": "a"}
    assert len(plan.files) == 1


def test_a_link_in_the_path_does_not_make_two_files_one(write: Callable[..., Path]) -> None:
    inner, outer = write("real/folder/x").parent, write("x")
    (outer.parent / "link").symlink_to(inner, target_is_directory=True)
    other = write("real/y", content=b"other")
    plain = write("y", content=b"plain")

    found = names(TwoFiles(first=outer.parent / "link/../y", second=plain))

    assert {path.read_bytes() for path in found.values()} == {other.read_bytes(), plain.read_bytes()}


@pytest.mark.parametrize("pair", [("m.bin", "m.bin"), ("m.bin", "M.BIN"), ("caf\u00e9", "cafe\u0301")])
def test_names_that_collide_get_their_field_in_front(
    pair: tuple[str, str], write: Callable[..., Path]
) -> None:
    first, second = write(f"one/{pair[0]}"), write(f"two/{pair[1]}")

    found = names(TwoFiles(first=first, second=second))

    assert found == {f"first/{pair[0]}": first, f"second/{pair[1]}": second}


def test_names_that_collide_in_one_field_get_an_index(write: Callable[..., Path]) -> None:
    shards = [write(f"{i}/m.bin") for i in range(3)]

    plan = plan_files(Files(shards=shards, more=[write("other.bin")]))

    assert plan.fields["shards"] == ["shards/0/m.bin", "shards/1/m.bin", "shards/2/m.bin"]
    assert plan.fields["more"] == ["other.bin"]


def test_the_order_of_a_list_gives_the_index(write: Callable[..., Path]) -> None:
    shards = [write(f"{i}/m.bin") for i in (2, 0, 1)]

    assert names(Files(shards=shards)) == {f"shards/{i}/m.bin": path for i, path in enumerate(shards)}


def test_only_names_that_collide_become_longer(write: Callable[..., Path]) -> None:
    found = names(Files(shards=[write("1/m"), write("2/m"), write("n")], more=[write("3/m")]))

    assert set(found) == {"shards/0/m", "shards/1/m", "n", "more/m"}


def test_a_file_and_a_folder_of_one_name_get_their_fields_in_front(write: Callable[..., Path]) -> None:
    file, folder = write("one/data"), write("two/data/x").parent

    assert set(names(FileAndFolder(file=file, model_dir=folder))) == {"file/data", "model_dir/data/x"}


def test_a_field_in_front_that_collides_with_a_folder_is_told_apart(write: Callable[..., Path]) -> None:
    class Model(BaseModel):
        weights: list[Path]
        folder: DirectoryPath

    found = names(Model(weights=[write("1/m.bin"), write("2/m.bin")], folder=write("x/weights/m.bin").parent))

    assert set(found) == {"weights/0/m.bin", "weights/1/m.bin", "folder/weights/m.bin"}


@pytest.mark.parametrize("name", ["ritual_manifest.json", "Ritual_Manifest.JSON", ".ritual-partial"])
def test_a_reserved_name_gets_its_field_in_front(name: str, write: Callable[..., Path]) -> None:
    assert set(names(OneFile(file=write(name)))) == {f"file/{name}"}


def test_equal_models_have_equal_names_whatever_the_order_of_sets_and_mappings(
    write: Callable[..., Path],
) -> None:
    class Shuffled(BaseModel):
        by_name: dict[str, Path]
        either: set[Path]

    paths = {str(i): write(f"{i}/m.bin") for i in range(30)}
    others = [write(f"other/{i}/n.bin") for i in range(30)]
    expected = plan_files(Shuffled(by_name=paths, either=set(others)))

    for seed in range(5):
        items = list(paths.items())
        random.Random(seed).shuffle(items)  # noqa: S311 - test data
        random.Random(seed).shuffle(others)  # noqa: S311 - test data
        again = plan_files(Shuffled(by_name=dict(items), either=set(others)))
        assert again == expected


def test_five_thousand_shards_of_one_name_are_planned_in_little_time(tmp_path: Path) -> None:
    shards = []
    for i in range(5000):
        path = tmp_path / str(i) / "model.bin"
        path.parent.mkdir()
        path.touch()
        shards.append(path)

    started = time.monotonic()
    found = names(Files(shards=shards))

    assert time.monotonic() - started < 20
    assert found == {f"shards/{i}/model.bin": path for i, path in enumerate(shards)}


def test_known_names_are_kept(write: Callable[..., Path]) -> None:
    first, second = write("first/m"), write("second/m")

    found = names(TwoFiles(first=first, second=second), {first: "kept.bin", second: "folder/kept.bin"})

    assert found == {"kept.bin": first, "folder/kept.bin": second}


def test_a_known_name_of_a_directory_is_kept(write: Callable[..., Path]) -> None:
    folder = write("data/x").parent

    assert set(names(OneFolder(model_dir=folder), {folder: "model_dir/data"})) == {"model_dir/data/x"}


def test_a_known_name_that_another_file_has_too_gets_its_field_in_front(write: Callable[..., Path]) -> None:
    first, second = write("a"), write("x/b")

    assert set(names(TwoFiles(first=first, second=second), {first: "b"})) == {"first/b", "second/b"}


def test_names_are_stable_when_an_artifact_is_published_again(write: Callable[..., Path]) -> None:
    class Sets(BaseModel):
        shards: set[Path]

    plan = plan_files(Sets(shards={write(f"{i}/m.bin") for i in range(12)}))
    landed = {write(f"target/{file.path}"): file.path for file in plan.files}

    again = plan_files(Sets(shards=set(landed)), landed)

    assert again.fields == plan.fields
    assert [file.path for file in again.files] == [file.path for file in plan.files]


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "below/"])
def test_what_a_download_left_that_was_cut_short_is_no_part_of_a_directory(
    folder: str, write: Callable[..., Path]
) -> None:
    class Folder(BaseModel):
        folder: DirectoryPath

    write("model/a.bin")
    write(f"model/{folder}.ritual-partial/key/half")

    with pytest.raises(ArtifactModelError, match="finish that download, or remove"):
        plan_files(Folder(folder=write("model/b.bin").parent))


@pytest.mark.parametrize("name", ["a.", "aux.txt", "b\nc", "a\u202eb", "back\\slash"])
def test_a_name_that_is_not_portable_is_refused_by_name(name: str, write: Callable[..., Path]) -> None:
    with pytest.raises(ArtifactModelError, match=r"cannot be published: its name .* rename it") as caught:
        plan_files(OneFile(file=write(name)))

    assert repr(name) in str(caught.value)


def test_a_name_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.bin")).touch()

    with pytest.raises(ArtifactModelError, match=r"not valid Unicode"):
        plan_files(OneFolder(model_dir=folder))


def test_colliding_names_in_one_directory_are_refused(write: Callable[..., Path]) -> None:
    folder = write("model/a").parent
    write("model/A")
    if len(list(folder.iterdir())) == 1:
        pytest.skip("this file system ignores case")

    with pytest.raises(ArtifactModelError, match=r"'model/A' and 'model/a' collide on some file systems"):
        plan_files(OneFolder(model_dir=folder))


def test_a_model_without_any_file_is_refused() -> None:
    class Nothing(BaseModel):
        files: list[Path] = []
        note: str = ""

    with pytest.raises(ArtifactModelError, match=r"Nothing names no file"):
        plan_files(Nothing())


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        plan_files(OneFile(file=tmp_path / "missing.bin"))

    assert caught.value.filename == str(tmp_path / "missing.bin")


def test_a_directory_where_a_file_is_due_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactModelError, match=r"field 'file'.*got the directory.*DirectoryPath"):
        plan_files(OneFile(file=tmp_path))


def test_a_file_where_a_directory_is_due_is_refused(write: Callable[..., Path]) -> None:
    artifact = OneFolder(model_dir=write("x/y").parent).model_copy(update={"model_dir": write("z")})

    with pytest.raises(ArtifactModelError, match=r"field 'model_dir'.*expected a directory, got the file"):
        plan_files(artifact)


def test_a_directory_that_another_field_calls_a_file_is_refused(write: Callable[..., Path]) -> None:
    class Reversed(BaseModel):
        model_dir: DirectoryPath
        file: Path

    folder = write("x/y").parent

    with pytest.raises(ArtifactModelError, match=r"field 'file'.*expected a file, got the directory"):
        plan_files(Reversed(model_dir=folder, file=folder))


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    (folder / "also empty").mkdir(parents=True)

    with pytest.raises(ArtifactModelError, match=r"field 'model_dir'.*has no files"):
        plan_files(OneFolder(model_dir=folder))


def _make_link(path: Path) -> None:
    target = path.with_name("target")
    target.touch()
    path.symlink_to(target)


def _make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)  # an address is short, so the test stands in its folder


SPECIAL: dict[str, Callable[[Path], None]] = {
    "link": _make_link,
    "dangling link": _make_dangling_link,
    "fifo": os.mkfifo,
    "socket": _make_socket,
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_special_file_is_refused_by_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "special.bin"
    SPECIAL[kind](path)

    with pytest.raises(ArtifactModelError, match=r"field 'file'.*special\.bin is .* cannot be an artifact"):
        plan_files(OneFile(file=path))


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_special_file_in_a_directory_is_refused_by_name(
    kind: str, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("model/a").with_name("special.bin")
    monkeypatch.chdir(path.parent)
    SPECIAL[kind](path)

    with pytest.raises(ArtifactModelError, match=r"field 'model_dir'.*special\.bin is .* cannot be"):
        plan_files(OneFolder(model_dir=path.parent))


def test_a_device_is_refused() -> None:
    with pytest.raises(ArtifactModelError, match=r"/dev/null is a FIFO, socket or device"):
        plan_files(OneFile(file=Path("/dev/null")))


def test_a_link_to_a_directory_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(write("model/a").parent, target_is_directory=True)

    with pytest.raises(ArtifactModelError, match=r"field 'model_dir'.*link is a symbolic link"):
        plan_files(OneFolder(model_dir=link))


def test_a_new_path_that_was_written_is_published(write: Callable[..., Path]) -> None:
    class Output(BaseModel):
        out: NewPath

    path = write("x").with_name("out.bin")
    artifact = Output(out=path)
    write("out.bin")

    assert set(names(artifact)) == {"out.bin"}


# --- whole folders -----------------------------------------------------------------------------------------


def test_a_folder_is_planned_under_relative_paths(write: Callable[..., Path]) -> None:
    for name in ("m/b.bin", "m/sub/a.bin", "m/ritual_manifest.json", "m/.ritual-partial/x"):
        write(name)
    folder = write("m/a.bin").parent

    plan = plan_folder(folder, "ModelArtifact", "files", {"version": "v1"})

    assert plan.fields == {"files": ["a.bin", "b.bin", "sub/a.bin"], "version": "v1"}
    assert [file.path for file in plan.files] == ["a.bin", "b.bin", "sub/a.bin"]


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ritual_manifest.json").touch()

    with pytest.raises(ArtifactModelError, match=r"has no files"):
        plan_folder(tmp_path, "ModelArtifact", "files", {})

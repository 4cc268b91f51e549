"""Whatever manifest and bytes a server sends, nothing appears outside the target folder."""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ritual_artifacts import RitualRepoId
from ritual_artifacts.artifact.canonical import canonical_bytes
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactError
from ritual_artifacts.transfer.downloading import Target, download, read_revision_manifest
from tests.backends.streaming import Server, StreamingBackend

REPO = RitualRepoId.from_unique_id("local/me/model")
CONTENT = b"hostile"
SHA256 = hashlib.sha256(CONTENT).hexdigest()

PARTS = st.sampled_from(
    [
        *("..", ".", "", "a", "A", "b.bin", "link", "file", "folder", "outside", "~", "$HOME", "%TEMP%"),
        *("C:", "c:a", "\\\\server\\share", "..\\outside", "con", "NUL.txt", "a\x00b", "a\nb", "a.", "a "),
        *(
            "ritual_manifest.json",
            "RITUAL_manifest.json",
            ".ritual-partial",
            "\u202eexe",
            "é",
            "e\u0301",
            "\ud800",
        ),
    ]
)
PATHS = st.one_of(
    st.lists(PARTS, min_size=1, max_size=5).map("/".join),
    st.lists(PARTS, min_size=1, max_size=5).map("\\".join),
    st.builds(lambda path: f"/{path}", PARTS),
    st.builds(lambda up, path: "../" * up + path, st.integers(1, 12), PARTS),
    st.just("{absolute}/outside/planted"),
    st.text(max_size=40),
    st.builds(lambda n: "a/" * n + "a", st.integers(0, 300)),
)


FLAGS = st.fixed_dictionaries(dict.fromkeys(("sized", "exclusive", "overwrite"), st.booleans()))


def hostile_manifest(paths: list[str], *, sized: bool) -> bytes:
    document: dict[str, Any] = {
        "files": paths,
        "artifact_type": "Files",
        "file_hashes": dict.fromkeys(paths, SHA256),
    }
    if sized:
        files = [{"path": path, "size": len(CONTENT), "sha256": SHA256} for path in sorted(set(paths))]
        signed: dict[str, Any] = {"artifact_type": "Files", "fields": {"files": paths}, "files": files}
        try:
            digest = hashlib.sha256(canonical_bytes(signed)).hexdigest()
        except (ArtifactError, ValueError):
            digest = SHA256
        document["ritual_artifacts"] = {"manifest_version": 2, "files": files, "digest": f"sha256:{digest}"}
    return json.dumps(document).encode()


def surroundings(root: Path, target: Path) -> dict[str, bytes | str]:
    """Describe everything below `root` but what is in `target`."""
    found: dict[str, bytes | str] = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file():
                found[str(path)] = path.read_bytes()
            else:
                found[str(path)] = "folder"
        folders[:] = [name for name in folders if Path(folder, name) != target]
    return found


def make_traps(root: Path) -> Path:
    """Make a folder with links to places outside it, and those places."""
    shutil.rmtree(root, ignore_errors=True)
    target = root / "some" / "where" / "target"
    target.mkdir(parents=True)
    (root / "outside").mkdir()
    (root / "file").write_bytes(b"mine")
    (target / "link").symlink_to(root / "outside", target_is_directory=True)
    (target / "file").symlink_to(root / "file")
    (target / "folder").mkdir()
    (target / "folder" / "outside").symlink_to(root / "outside", target_is_directory=True)
    return target


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example makes its folder anew
)
@given(
    paths=st.lists(PATHS, min_size=1, max_size=4, unique=True),
    flags=FLAGS,
)
@example(paths=["link/planted"], flags={"sized": True, "exclusive": True, "overwrite": False})
@example(paths=["link/planted"], flags={"sized": True, "exclusive": False, "overwrite": True})
@example(paths=["file"], flags={"sized": False, "exclusive": True, "overwrite": True})
@example(paths=["folder/outside/planted"], flags={"sized": False, "exclusive": False, "overwrite": True})
@example(paths=["../planted"], flags={"sized": True, "exclusive": True, "overwrite": True})
@example(paths=["{absolute}/outside/planted"], flags={"sized": True, "exclusive": True, "overwrite": True})
def test_nothing_appears_outside_the_target(
    paths: list[str], flags: dict[str, bool], own_folders: Path
) -> None:
    root = own_folders / "cache" / "world"  # where a target may be exclusive
    target = make_traps(root)
    named = [path.replace("{absolute}", str(root)) for path in paths]
    data = hostile_manifest(named, sized=flags["sized"])
    server = Server()
    server.plant(REPO, data, dict.fromkeys(named, CONTENT))
    revision = StreamingBackend(server).open(REPO)
    before = surroundings(root, target)

    with contextlib.suppress(ArtifactError):
        manifest = read_revision_manifest(revision)
        with contextlib.suppress(OSError):  # a name that is too long for this file system
            place = Target(folder=target, exclusive=flags["exclusive"], overwrite=flags["overwrite"])
            download(revision, manifest, Selection(), place, Context.create())
            assert all((target / name).read_bytes() == CONTENT for name in named)

    assert surroundings(root, target) == before


@pytest.mark.parametrize("path", ["plain.bin", "deep/er/file.bin", "e\u0301"])
def test_a_harmless_manifest_of_the_same_make_is_downloaded(path: str, tmp_path: Path) -> None:
    """Without this the property above could hold because everything is refused."""
    data = hostile_manifest([path], sized=True)
    server = Server()
    server.plant(REPO, data, {path: CONTENT})
    revision = StreamingBackend(server).open(REPO)

    target = Target(folder=tmp_path / "out")
    download(revision, read_revision_manifest(revision), Selection(), target, Context.create())

    assert (tmp_path / "out" / path).read_bytes() == CONTENT

"""Any bytes: `parse_manifest` returns a manifest that keeps every rule, or refuses them."""

import hashlib
import json
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ritual_artifacts.artifact.manifest import parse_manifest
from ritual_artifacts.errors import ManifestError

VECTORS = sorted((Path(__file__).parent.parent / "vectors").glob("*/*.json"))
SHA = hashlib.sha256(b"").hexdigest()

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet=st.characters(codec=None, categories=["Cs", "Cc", "Lu"]), max_size=3)
    | st.sampled_from([SHA, SHA.upper(), "../a", "/a", "a", "A", "local/me/x", f"sha256:{SHA}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
HOSTILE_PARTS = st.sampled_from(
    [
        "a",
        "b",
        "..",
        ".",
        "",
        "C:",
        "nul",
        "a\\b",
        "a\0",
        "\x1b[2J",
        "\u202e",
        "A",
        "a.",
        "ritual_manifest.json",
    ]
)
PATHS = st.lists(HOSTILE_PARTS, min_size=1, max_size=3).map("/".join)


def check(data: bytes) -> None:
    """Parse, and check each rule of a manifest."""
    try:
        manifest = parse_manifest(data)
    except ManifestError as error:
        assert str(error).isprintable()  # noqa: PT017 - either outcome is fine, each on its own conditions
        return
    keys = set()
    for entry in manifest.files:
        path, windows = PurePosixPath(entry.path), PureWindowsPath(entry.path)
        assert not path.is_absolute()
        assert not windows.is_absolute()
        assert not windows.drive
        assert ".." not in path.parts
        assert str(path) == entry.path
        assert "\\" not in entry.path
        assert entry.path.isprintable()
        assert path.parts[0] not in {"ritual_manifest.json", ".ritual-partial"}
        keys.add(unicodedata.normalize("NFC", entry.path).casefold())
    assert len(keys) == len(manifest.files)
    assert parse_manifest(manifest.to_bytes()) == manifest


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    check(data)


@given(ANY_JSON)
def test_any_json_is_refused_or_read(value: object) -> None:
    check(json.dumps(value).encode())


@given(st.sampled_from(VECTORS), st.data())
def test_a_manifest_with_changed_bytes_is_refused_or_read(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 8))
        content[start : start + length] = data.draw(
            st.binary(max_size=8) | st.sampled_from([b'"', b"{", b"}", b","])
        )

    check(bytes(content))


@given(st.sampled_from(VECTORS), st.data())
def test_a_manifest_with_another_value_somewhere_is_refused_or_read(path: Path, data: st.DataObject) -> None:
    document = json.loads(path.read_bytes())
    node: Any = document
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(node[key], dict | list) or not data.draw(st.booleans()):
            break
        node = node[key]
    if key is not None:
        node[key] = data.draw(ANY_JSON)

    check(json.dumps(document).encode())


@given(st.lists(PATHS, max_size=4), st.booleans())
@example(paths=["a", "A/b"], ours=True)
@example(paths=["C:/x"], ours=False)
def test_any_paths_are_refused_or_stay_in_their_folder(paths: list[str], ours: bool) -> None:  # noqa: FBT001 - drawn
    document: dict[str, Any] = {"artifact_type": "X", "file_hashes": dict.fromkeys(paths, SHA)}
    if ours:
        files = [{"path": path, "size": 0, "sha256": SHA} for path in sorted(set(paths))]
        content = {"artifact_type": "X", "fields": {}, "files": files}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        document["ritual_artifacts"] = {"manifest_version": 2, "files": files, "digest": digest}

    check(json.dumps(document).encode())

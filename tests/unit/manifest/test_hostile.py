"""Hostile and malformed manifests: each is refused with a short, printable error, at little cost."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.artifact import manifest as manifests
from ritual_artifacts.artifact import untrusted
from ritual_artifacts.artifact.canonical import MAX_DEPTH
from ritual_artifacts.artifact.manifest import Manifest, parse_manifest, read_manifest
from ritual_artifacts.errors import ManifestError
from tests.unit.manifest.documents import SHA, document, flat, parse, parse_any

HOSTILE_TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "white space": b"  \n",
    "not json": b"manifest",
    "truncated": json.dumps(document()).encode()[:-1],
    "two values": json.dumps(document()).encode() * 2,
    "array": b"[]",
    "string": b'"manifest"',
    "number": b"1",
    "null": b"null",
    "empty object": b"{}",
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(document()).encode(),
    "utf-16": json.dumps(document()).encode("utf-16"),
    "invalid utf-8": json.dumps(document(fields={"x": "Q"})).encode().replace(b"Q", b"\xff"),
    "overlong utf-8": json.dumps(document(fields={"x": "Q"})).encode().replace(b"Q", b"\xc0\x80"),
    "surrogate in utf-8": json.dumps(document(fields={"x": "Q"})).encode().replace(b"Q", b"\xed\xa0\x80"),
    "lone surrogate": json.dumps(flat(x="\ud800")).encode(),
    "lone surrogate in a key": json.dumps(flat(**{"\udc00": 1})).encode(),
    "lone surrogate in the type": json.dumps(flat(artifact_type="\ud800")).encode(),
    "lone surrogate in a path": json.dumps(flat(file_hashes={"\ud800": SHA})).encode(),
    "lone surrogate in the digest": json.dumps(document(fields={"x": "\ud800"})).encode(),
    "comment": b"/* */" + json.dumps(flat()).encode(),
    "single quotes": str(flat()).encode(),
    "control character": json.dumps(flat(x="Q")).encode().replace(b"Q", b"\x01"),
    "twice at the top": b'{"artifact_type": "A", "artifact_type": "B", "file_hashes": {}}',
    "twice in a field": b'{"artifact_type": "A", "file_hashes": {}, "x": [{"a": 1, "a": 2}]}',
    "twice in the hashes": b'{"artifact_type": "A", "file_hashes": {"a": "Q", "a": "Q"}}'.replace(
        b"Q", SHA.encode()
    ),
    "twice by escape": b'{"artifact_type": "A", "file_hashes": {}, "x": {"a": 1, "\\u0061": 2}}',
    **{
        f"{number} as a number": json.dumps(flat(x="Q")).encode().replace(b'"Q"', number.encode())
        for number in (
            "NaN",
            "Infinity",
            "-Infinity",
            "1e999",
            "-1e999",
            "[1, {}, 1e400]",
            "01",
            "1" * 5000,
            "0x1",
        )
    },
    "too deep": json.dumps(flat()).encode()[:-1] + b', "x": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    "objects too deep": json.dumps(flat()).encode()[:-1] + b', "x": ' + b'{"a":' * 64 + b"1" + b"}" * 65,
    "far too deep": b'{"x": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "only open brackets": b"[" * 500_000,
}


@pytest.mark.parametrize("case", HOSTILE_TEXTS)
def test_text_that_is_not_strict_json_is_refused(case: str) -> None:
    with pytest.raises(ManifestError, match=r"^the manifest is not a valid manifest: .") as caught:
        parse_manifest(HOSTILE_TEXTS[case])

    assert len(str(caught.value)) < 3000


def test_nesting_up_to_the_limit_is_read() -> None:
    deepest = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)

    manifest = parse_manifest(json.dumps(flat()).encode()[:-1] + b', "x": ' + deepest + b"}")

    assert "x" in manifest.fields


def test_a_manifest_that_is_too_large_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(document()).encode()
    monkeypatch.setattr(untrusted, "MAX_MANIFEST_BYTES", len(data) - 1)
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))

    with pytest.raises(ManifestError, match=r"larger than"):
        parse_manifest(data)


def test_a_huge_file_is_read_only_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setattr(untrusted, "MAX_MANIFEST_BYTES", 1000)

    with pytest.raises(ManifestError, match=r"larger than 1000"):
        read_manifest(path)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [make_fifo, make_socket, Path.mkdir])
def test_a_file_that_is_not_regular_is_refused_at_once(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make(Path("m.json"))

    with pytest.raises(ManifestError, match=r"m\.json is not a regular file"):
        read_manifest(Path("m.json"))


NODES = {
    "empty lists": [[] for _ in range(60)],
    "empty objects": [{} for _ in range(60)],
    "numbers": list(range(60)),
    "keys": {str(key): 0 for key in range(60)},
    "marks of strings": ['"', "\\", '\\"', *range(60)],
}


@pytest.mark.parametrize("case", NODES)
def test_too_many_keys_and_items_are_refused_before_they_are_parsed(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(flat(x=NODES[case])).encode()
    monkeypatch.setattr(untrusted, "MAX_NODES", 60)
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))

    with pytest.raises(ManifestError, match=r"more than 60 keys and items"):
        parse_manifest(data)


@pytest.mark.parametrize("text", [",:[{" * 60, '"' * 60 + "," * 60, "\\" * 61 + "," * 60])
def test_marks_inside_a_string_are_not_counted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untrusted, "MAX_NODES", 60)

    assert parse_any(flat(x=text)).fields["x"] == text


def test_a_manifest_with_more_keys_and_items_than_readers_accept_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = Manifest(artifact_type="Sample", fields={"x": list(range(60))}, files=())
    for module in (untrusted, manifests):
        monkeypatch.setattr(module, "MAX_NODES", 60)

    with pytest.raises(ManifestError, match=r"too large: .* 60 keys and items"):
        manifest.to_bytes()


def test_the_limit_on_keys_leaves_room_for_a_field_that_names_every_file() -> None:
    paths = [f"{index:06}" for index in range(20_000)]
    entries = [{"path": path, "size": 1, "sha256": SHA} for path in paths]
    content = document(entries=entries, fields={"named": dict(zip(paths, paths, strict=True))})

    marks = sum(json.dumps(content).count(mark) for mark in ",:[{")

    assert marks / len(paths) < untrusted.MAX_NODES / untrusted.MAX_ENTRIES


HOSTILE_PATHS = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "../a",
    "a/../../b",
    "a/..",
    "a//b",
    "a/",
    "./a",
    "a/./b",
    "~/../x/..",
    "C:/a",
    "c:a",
    "C:\\a",
    "\\\\server\\share\\a",
    "//server/share/a",
    "a\\b",
    "..\\a",
    "a\0b",
    "a\nb",
    "a\x1b[2Jb",
    "a\x7fb",
    "a\x9bb",
    "a\u202egnp.exe",
    "a\u2066b",
    "a\u2028b",
    "con",
    "a/NUL.txt",
    "Aux",
    "com1.bin",
    "LPT\u00b3",
    "prn .txt",
    "CONIN$",
    "a.",
    "a ",
    "a /b",
    "a./b",
    "ritual_manifest.json",
    "Ritual_Manifest.JSON",
    "ritual_manifest.json/a",
    ".ritual-partial",
    ".RITUAL-PARTIAL/a",
    "x" * 256,
    "/".join("a" * 65),
    "/".join(["x" * 200] * 6),
    "x/" * 3000 + "x",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=lambda path: f"{len(path)} {ascii(path)[:30]}")
@pytest.mark.parametrize("form", ["ours", "infernet-ml"])
def test_a_hostile_path_is_refused(path: str, form: str) -> None:
    entries = [{"path": path, "size": 0, "sha256": SHA}]
    value = document(entries=entries) if form == "ours" else flat(file_hashes={path: SHA})

    with pytest.raises(ManifestError) as caught:
        parse_any(value)

    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "paths",
    [
        ("a", "A"),
        ("weights/a", "Weights/b"),
        ("caf\u00e9", "cafe\u0301"),
        ("\u00e5", "\u212b"),
        ("stra\u00dfe", "STRASSE"),
        ("a", "a/b"),
        ("A/b/c", "a/B"),
    ],
)
@pytest.mark.parametrize("form", ["ours", "infernet-ml"])
def test_names_of_one_file_on_some_system_are_refused(paths: tuple[str, str], form: str) -> None:
    entries = [{"path": path, "size": 0, "sha256": SHA} for path in paths]
    value = document(entries=entries) if form == "ours" else flat(file_hashes=dict.fromkeys(paths, SHA))

    with pytest.raises(ManifestError, match=r"collide on some file systems"):
        parse_any(value)


def test_one_path_twice_is_refused() -> None:
    entry = {"path": "a.bin", "size": 0, "sha256": SHA}

    with pytest.raises(ManifestError, match=r"collide"):
        parse_any(document(entries=[entry, entry]))


HOSTILE_DIGESTS: dict[str, object] = {
    "upper case": SHA.upper(),
    "short": SHA[:-1],
    "long": SHA + "0",
    "newline": SHA + "\n",
    "other algorithm": f"md5:{SHA}",
    "prefixed": f"sha256:{SHA}",
    "not hex": "g" * 64,
    "full width": "\uff10" * 64,
    "empty": "",
    "null": None,
    "number": 0,
    "list": [SHA],
}


@pytest.mark.parametrize("case", HOSTILE_DIGESTS)
@pytest.mark.parametrize("form", ["ours", "infernet-ml"])
def test_a_hash_that_is_not_sha256_in_lower_case_hex_is_refused(case: str, form: str) -> None:
    value = HOSTILE_DIGESTS[case]
    entries = [{"path": "a.bin", "size": 0, "sha256": value}]
    content = document(entries=entries) if form == "ours" else flat(file_hashes={"a.bin": value})

    with pytest.raises(ManifestError):
        parse_any(content)


@pytest.mark.parametrize(
    "size", [-1, 2**53, 10**400, 0.0, 1.5, True, "0", None, [], {}], ids=lambda s: str(s)[:9]
)
def test_an_invalid_size_is_refused(size: object) -> None:
    with pytest.raises(ManifestError):
        parse_any(document(entries=[{"path": "a.bin", "size": size, "sha256": SHA}]))


def test_a_size_up_to_the_limit_is_read() -> None:
    assert parse(document(entries=[{"path": "a.bin", "size": 2**53 - 1, "sha256": SHA}])).size == 2**53 - 1


HOSTILE_DOCUMENTS: dict[str, dict[str, Any]] = {
    "no type": {key: value for key, value in document().items() if key != "artifact_type"},
    "no hashes": {key: value for key, value in document().items() if key != "file_hashes"},
    "empty type": document(artifact_type=""),
    "long type": document(artifact_type="x" * 2000),
    "type with an escape sequence": flat(artifact_type="\x1b[2J"),
    "type is a number": document(artifact_type=1),
    "type is null": document(artifact_type=None),
    "hashes are a list": document(file_hashes=[["a.bin", SHA]]),
    "hashes are null": document(file_hashes=None),
    "repo id is a number": document(repo_id=1),
    "repo id is malformed": document(repo_id="local/../x"),
    "repo id of an unknown storage": document(repo_id="ftp/me/x"),
    "repo id too long": document(repo_id="local/me/" + "x" * 2000),
    "own part is a list": document(ritual_artifacts=[]),
    "own part is empty": document(ritual_artifacts={}),
    "a file less in the hashes": document(file_hashes={}),
    "a file more in the hashes": document(file_hashes={"a.bin": SHA, "b.bin": SHA}),
    "another hash in the hashes": document(file_hashes={"a.bin": "0" * 64}),
    "another type than the digest's": document(artifact_type="Other"),
    "another field than the digest's": document() | {"version": "v2"},
    "a field more than the digest's": document() | {"more": 1},
    "an integer that canonical JSON cannot represent": document(fields={"x": 2**53}),
}


@pytest.mark.parametrize("case", HOSTILE_DOCUMENTS)
def test_a_document_that_is_malformed_or_contradicts_itself_is_refused(case: str) -> None:
    with pytest.raises(ManifestError):
        parse_any(HOSTILE_DOCUMENTS[case])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("manifest_version", 1),
        ("manifest_version", 3),
        ("manifest_version", "2"),
        ("manifest_version", 2.5),
        ("manifest_version", True),
        ("manifest_version", None),
        ("digest", f"sha256:{'0' * 64}"),
        ("digest", f"sha512:{'0' * 128}"),
        ("digest", "0" * 64),
        ("digest", None),
        ("files", None),
        ("files", {}),
        ("files", [[]]),
        ("files", [{"path": "a.bin", "size": 0, "sha256": SHA, "mode": 0o777}]),
        ("files", [{"path": "a.bin", "size": 0}]),
        ("files", [{"path": "a.bin", "size": 1, "sha256": SHA}]),
        ("files", []),
    ],
    ids=str,
)
def test_our_own_part_is_checked(key: str, value: object) -> None:
    content = document()
    content["ritual_artifacts"][key] = value

    with pytest.raises(ManifestError):
        parse_any(content)


@pytest.mark.parametrize("key", ["manifest_version", "files", "digest"])
def test_a_missing_key_in_our_own_part_is_named(key: str) -> None:
    content = document()
    del content["ritual_artifacts"][key]

    with pytest.raises(ManifestError, match=key):
        parse_any(content)


def test_an_altered_manifest_is_caught_by_its_digest() -> None:
    with pytest.raises(ManifestError, match=r"was altered: its digest is sha256:.* has sha256:"):
        parse_any(document() | {"version": "v2"})


def test_a_contradiction_is_named() -> None:
    with pytest.raises(ManifestError, match=r"contradicts itself"):
        parse_any(document(file_hashes={"a.bin": "0" * 64}))


@pytest.mark.parametrize("form", ["ours", "infernet-ml"])
def test_too_many_files_are_refused(form: str) -> None:
    count = untrusted.MAX_ENTRIES + 1
    hashes = dict.fromkeys(map(str, range(count)), SHA)
    value = flat(file_hashes=hashes)
    if form == "ours":
        files = [{"path": path, "size": 0, "sha256": SHA} for path in hashes]
        value = document(entries=[]) | {
            "ritual_artifacts": {"manifest_version": 2, "files": files, "digest": ""}
        }

    with pytest.raises(ManifestError, match=r"at most"):
        parse_any(value)


def test_an_error_is_short_and_printable() -> None:
    hashes = {f"\x1b[2J\u202e{i}": "x" * 1000 for i in range(1000)}

    with pytest.raises(ManifestError) as caught:
        parse_any(flat(file_hashes=hashes))

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 3000

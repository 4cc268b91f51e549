"""The manifest: the bytes that are written, the digest, and the hostile input that is refused."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, DirectoryPath

from ritual_artifacts.artifact import manifest as manifest_module
from ritual_artifacts.artifact.canonical import MAX_DEPTH
from ritual_artifacts.artifact.introspection import rebuild
from ritual_artifacts.artifact.manifest import Manifest, ManifestDocument, ManifestEntry
from ritual_artifacts.artifact.planning import ArtifactPlan, plan_files
from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.repo_id import RitualRepoId

VECTORS = Path(__file__).parent.parent / "vectors"
SCHEMA = Path(__file__).parent.parent.parent / "docs" / "reference" / "manifest.schema.json"
SHA = hashlib.sha256(b"").hexdigest()


class MyZkMlArtifact(BaseModel):
    circuit_file: Path
    model_file: Path
    version: str
    num_params: str


class ShardedModel(BaseModel):
    config: Path
    shards: list[Path]
    tokenizer: Path | None = None
    readme: Path | None = None
    layers: int
    dropout: float
    quantized: bool
    labels: dict[str, str]


class Everything(BaseModel):
    model_dir: DirectoryPath
    shards: set[Path]
    optional: Path | None = None
    named: dict[str, Path]
    tags: set[str]
    note: str
    numbers: list[float]


def manifest_of(artifact: BaseModel, repo_id: str | None = None) -> Manifest:
    plan = plan_files(artifact)
    repo = None if repo_id is None else RitualRepoId.from_unique_id(repo_id)
    return Manifest.build(plan, hash_files([file.source for file in plan.files]), repo)


def zk(write: Callable[..., Path]) -> MyZkMlArtifact:
    return MyZkMlArtifact(
        circuit_file=write("circuit.compiled", content=b"circuit"),
        model_file=write("model.onnx", content=b"model"),
        version="v1.0",
        num_params="1000",
    )


def everything(write: Callable[..., Path]) -> Everything:
    write("model/config.json", content=b"{}")
    write("model/onnx/größe.onnx", content=b"onnx")
    return Everything(
        model_dir=write("model/vocab.txt", content=b"").parent,
        shards={write(f"{i}/m.bin", content=bytes([i])) for i in range(12)},
        named={"b": write("b.bin", content=b"b"), "a": write("a.bin", content=b"a")},
        tags={"größe", "b", "a", "日本", "\U0001f600"},
        note='"quoted"\n\u2028\u007f',
        numbers=[1.0, 0.1, 1e21, -0.0],
    )


def document(**changes: Any) -> dict[str, Any]:
    """Return a valid manifest document whose digest is right, after `changes` to its entries."""
    entries = changes.pop("entries", [{"path": "a.bin", "size": 0, "sha256": SHA}])
    fields = {"file": "a.bin", "version": "v1"} | changes.pop("fields", {})
    content = {"artifact_type": "Sample", "fields": fields, "files": entries}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    whole: dict[str, Any] = {
        **fields,
        "repo_id": "local/me/sample",
        "artifact_type": "Sample",
        "file_hashes": {entry["path"]: entry["sha256"] for entry in entries},
        "ritual_artifacts": {"manifest_version": 2, "files": entries, "digest": f"sha256:{digest}"},
    }
    return whole | changes


def flat(**changes: Any) -> dict[str, Any]:
    """Return a document as infernet-ml writes it."""
    return {"file": "a.bin", "artifact_type": "Sample", "file_hashes": {"a.bin": SHA}} | changes


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    return Manifest.model_validate(manifest.model_dump() | changes)


def parse(value: object) -> Manifest:
    return Manifest.from_bytes(json.dumps(value).encode())


# --- writing -----------------------------------------------------------------------------------------------


def test_the_documented_example_is_written_byte_for_byte(
    write: Callable[..., Path], check_golden: Callable[[Path, bytes], None]
) -> None:
    manifest = manifest_of(zk(write), "huggingface/me/zk")

    check_golden(VECTORS / "manifests" / "zk.json", manifest.to_bytes())


def test_every_kind_of_field_is_written_byte_for_byte(
    write: Callable[..., Path], check_golden: Callable[[Path, bytes], None]
) -> None:
    manifest = manifest_of(everything(write))

    check_golden(VECTORS / "manifests" / "everything.json", manifest.to_bytes())


@pytest.mark.parametrize("name", ["zk", "everything"])
def test_what_is_written_is_read_again_and_written_the_same(name: str) -> None:
    data = (VECTORS / "manifests" / f"{name}.json").read_bytes()

    assert Manifest.from_bytes(data).to_bytes() == data


def test_the_digests_are_pinned(write: Callable[..., Path]) -> None:
    assert (
        manifest_of(zk(write)).digest
        == "sha256:ef391c4f681915c1abb1e70bb72b92cddda5bac8f1d63623fb9edb2a0ea69399"
    )
    assert (
        manifest_of(everything(write)).digest
        == "sha256:2fc1e11cdce1d82a59e011e5d49660d5e95450b116d5f670bedb26a504d84706"
    )


def test_the_digest_is_that_of_canonical_json(write: Callable[..., Path]) -> None:
    def entry(path: str, content: bytes) -> dict[str, object]:
        return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    content = {
        "artifact_type": "MyZkMlArtifact",
        "fields": {
            "circuit_file": "circuit.compiled",
            "model_file": "model.onnx",
            "version": "v1.0",
            "num_params": "1000",
        },
        "files": [entry("circuit.compiled", b"circuit"), entry("model.onnx", b"model")],
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert manifest_of(zk(write)).digest == f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def test_the_digest_depends_on_content_only(write: Callable[..., Path]) -> None:
    manifest = manifest_of(zk(write), "huggingface/me/zk")
    elsewhere = manifest.with_repo_id(RitualRepoId.from_unique_id("local/you/other/v2"))
    moved = manifest_of(zk(lambda name, **kwargs: write(f"elsewhere/{name}", **kwargs)))

    assert elsewhere.repo_id == "local/you/other/v2"
    assert manifest.digest == elsewhere.digest == moved.digest == manifest.with_repo_id(None).digest


@pytest.mark.parametrize(
    "change",
    [
        {"artifact_type": "Other"},
        {"fields": {"file": "a.bin", "version": "v2"}},
        {"files": (ManifestEntry(path="b.bin", size=0, sha256=SHA),)},
        {"files": (ManifestEntry(path="a.bin", size=1, sha256=SHA),)},
        {"files": (ManifestEntry(path="a.bin", size=0, sha256="0" * 64),)},
    ],
    ids=["type", "fields", "path", "size", "sha256"],
)
def test_every_part_of_the_content_changes_the_digest(change: dict[str, Any]) -> None:
    manifest = parse(document())

    assert changed(manifest, **change).digest != manifest.digest


_SETS = """
import sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import plan_files

class Sets(BaseModel):
    files: set[Path]
    tags: set[str]
    nested: frozenset[frozenset[str]]

folder = Path(sys.argv[1])
words = frozenset(f"word {i}" for i in range(50))
artifact = Sets(files=set(folder.glob("*/m.bin")), tags=words, nested={words, frozenset("ab")})
plan = plan_files(artifact)
sys.stdout.write(Manifest.build(plan, hash_files([file.source for file in plan.files])).to_bytes().decode())
"""


def test_sets_give_the_same_bytes_whatever_the_hash_seed(write: Callable[..., Path]) -> None:
    for i in range(5):
        folder = write(f"{i}/m.bin").parent.parent

    def run(seed: str) -> str:
        command = [sys.executable, "-c", _SETS, str(folder)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.check_output(command, env=environment, text=True)  # noqa: S603 - the program above

    assert run("1") == run("2") == run("3")


def test_a_manifest_that_no_reader_accepts_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = parse(document())
    monkeypatch.setattr(manifest_module, "MAX_MANIFEST_BYTES", 100)

    with pytest.raises(ManifestError, match=r"more than readers accept"):
        manifest.to_bytes()


def test_a_manifest_with_too_many_files_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = parse(document())
    monkeypatch.setattr(manifest_module, "MAX_ENTRIES", 0)

    with pytest.raises(ManifestError, match=r"1 files"):
        manifest.to_bytes()


def test_a_manifest_that_is_too_deep_is_not_written() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]

    with pytest.raises(ManifestError, match=r"nested deeper"):
        changed(parse(document()), fields={"deep": value}).to_bytes()


@pytest.mark.parametrize("name", ["", "x" * 1025, "a\nb", "\x1b[31m"], ids=["empty", "long", "line", "esc"])
def test_a_type_name_that_no_reader_accepts_is_refused_on_building(name: str) -> None:
    with pytest.raises(ManifestError, match=r"no valid manifest"):
        Manifest.build(ArtifactPlan(name, {}, ()), [])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800"], ids=ascii)
def test_what_canonical_json_lacks_has_no_digest(value: object) -> None:
    manifest = changed(parse(document()), fields={"value": value})

    with pytest.raises(ManifestError, match=r"no digest"):
        manifest.to_bytes()


def test_nan_is_not_written_without_a_digest_either() -> None:
    manifest = changed(parse(flat()), fields={"value": float("nan")})

    with pytest.raises(ManifestError, match=r"JSON cannot hold"):
        manifest.to_bytes()


def test_the_json_schema_is_up_to_date(check_golden: Callable[[Path, bytes], None]) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema"
    } | ManifestDocument.model_json_schema()

    check_golden(SCHEMA, (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode())


@pytest.mark.parametrize(
    "path",
    sorted([*(VECTORS / "manifests").glob("*.json"), *(VECTORS / "infernet_ml_2_0_0").glob("*.json")]),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_every_manifest_fits_the_json_schema(path: Path) -> None:
    jsonschema.validate(json.loads(path.read_bytes()), json.loads(SCHEMA.read_bytes()))


def test_the_json_schema_refuses_what_is_malformed() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            document(entries=[{"path": "a", "size": -1, "sha256": SHA}]), json.loads(SCHEMA.read_bytes())
        )


# --- reading -----------------------------------------------------------------------------------------------


def test_a_manifest_is_read() -> None:
    manifest = parse(document())

    assert manifest.artifact_type == "Sample"
    assert manifest.fields == {"file": "a.bin", "version": "v1"}
    assert manifest.files == (ManifestEntry(path="a.bin", size=0, sha256=SHA),)
    assert manifest.repo_id == "local/me/sample"


def test_entries_are_sorted_when_read() -> None:
    entries = [{"path": path, "size": 0, "sha256": SHA} for path in ("a", "a-b", "a.b", "b")]
    value = document(entries=entries, fields={"file": "a"})
    value["ritual_artifacts"]["files"] = entries[::-1]

    assert [entry.path for entry in parse(value).files] == ["a", "a-b", "a.b", "b"]


def test_what_is_unknown_in_our_own_part_is_ignored() -> None:
    value = document()
    value["ritual_artifacts"]["later"] = {"x": 1}

    assert parse(value) == parse(document())


def test_a_manifest_equals_the_one_that_was_written(write: Callable[..., Path]) -> None:
    manifest = manifest_of(everything(write), "local/me/everything")

    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_a_manifest_file_is_read_and_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "ritual_manifest.json"
    path.write_text("[]")

    with pytest.raises(ManifestError, match=r"ritual_manifest\.json is not a valid manifest"):
        Manifest.read(path)


def test_the_files_and_directories_of_an_artifact_are_found(tmp_path: Path) -> None:
    paths = ["a-b", "a/b/c", "a/d", "e"]
    manifest = parse(flat(file_hashes=dict.fromkeys(paths, SHA)))

    for name in (*paths, "a", "a/b"):
        assert manifest.resolve(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "a/", "a/b/", "b", "a/b/c/d", "A", "../a", "/a", "a//b", "a/./b", "e\0"]
)
def test_a_name_that_is_not_among_the_files_is_refused(name: str, tmp_path: Path) -> None:
    manifest = parse(flat(file_hashes=dict.fromkeys(["a-b", "a/b/c", "a/d", "e"], SHA)))

    with pytest.raises(ManifestError, match=r"not among the artifact's files"):
        manifest.resolve(tmp_path, name)


def test_a_field_that_names_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    class Sample(BaseModel):
        file: Path

    manifest = parse(flat(file="../../etc/passwd"))

    with pytest.raises(ManifestError, match=r"'\.\./\.\./etc/passwd'"):
        rebuild(Sample, manifest.fields, lambda name: manifest.resolve(tmp_path, name))


# --- what infernet-ml 2.0.0 wrote --------------------------------------------------------------------------


def read_infernet(name: str) -> Manifest:
    return Manifest.read(VECTORS / "infernet_ml_2_0_0" / f"{name}.json")


def test_a_manifest_of_infernet_ml_is_read(write: Callable[..., Path]) -> None:
    artifact = zk(write)
    manifest = read_infernet("zk")

    again = rebuild(
        MyZkMlArtifact, manifest.fields, lambda n: manifest.resolve(artifact.circuit_file.parent, n)
    )

    assert again == artifact
    assert manifest.repo_id == "huggingface/me/zk/main"
    assert not manifest.has_sizes
    assert manifest.digest is None
    assert manifest.size == 0


def test_a_manifest_of_infernet_ml_has_our_digest_once_sizes_are_known(write: Callable[..., Path]) -> None:
    manifest = read_infernet("zk").with_sizes({"circuit.compiled": 7, "model.onnx": 5})

    assert manifest.digest == manifest_of(zk(write)).digest
    assert manifest.size == 12


def test_lists_nothing_and_metadata_of_infernet_ml_are_read(tmp_path: Path) -> None:
    manifest = read_infernet("sharded")

    again = rebuild(ShardedModel, manifest.fields, lambda name: manifest.resolve(tmp_path, name))

    assert again == ShardedModel(
        config=tmp_path / "config.json",
        shards=[tmp_path / f"model-{i}.safetensors" for i in range(3)],
        tokenizer=tmp_path / "tokenizer.json",
        readme=None,
        layers=12,
        dropout=0.1,
        quantized=False,
        labels={"0": "größe", "1": "日本"},
    )
    assert {entry.path: entry.sha256 for entry in manifest.files}["model-1.safetensors"] == (
        hashlib.sha256(bytes([1]) * 10).hexdigest()
    )
    assert manifest.repo_id is None


def test_a_manifest_of_infernet_ml_without_files_is_read() -> None:
    assert read_infernet("no_files").files == ()


@pytest.mark.parametrize("name", ["zk", "sharded"])
def test_a_manifest_of_infernet_ml_stays_flat_when_written_again(name: str) -> None:
    original = json.loads((VECTORS / "infernet_ml_2_0_0" / f"{name}.json").read_bytes())

    assert json.loads(read_infernet(name).to_bytes()) == original


# --- hostile input -----------------------------------------------------------------------------------------

HOSTILE_TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "white space": b"  \n",
    "no json": b"manifest",
    "cut short": json.dumps(document()).encode()[:-1],
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
        Manifest.from_bytes(HOSTILE_TEXTS[case])

    assert len(str(caught.value)) < 3000


def test_nesting_up_to_the_limit_is_read() -> None:
    deepest = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)

    manifest = Manifest.from_bytes(json.dumps(flat()).encode()[:-1] + b', "x": ' + deepest + b"}")

    assert "x" in manifest.fields


def test_a_manifest_that_is_too_large_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(document()).encode()
    monkeypatch.setattr(manifest_module, "MAX_MANIFEST_BYTES", len(data) - 1)
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))

    with pytest.raises(ManifestError, match=r"larger than"):
        Manifest.from_bytes(data)


def test_only_so_much_of_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setattr(manifest_module, "MAX_MANIFEST_BYTES", 1000)

    with pytest.raises(ManifestError, match=r"larger than 1000"):
        Manifest.read(path)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [make_fifo, make_socket, Path.mkdir])
def test_what_is_no_regular_file_is_refused_at_once(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make(Path("m.json"))

    with pytest.raises(ManifestError, match=r"m\.json is not a regular file"):
        Manifest.read(Path("m.json"))


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
    monkeypatch.setattr(manifest_module, "MAX_NODES", 60)
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))

    with pytest.raises(ManifestError, match=r"more than 60 keys and items"):
        Manifest.from_bytes(data)


@pytest.mark.parametrize("text", [",:[{" * 60, '"' * 60 + "," * 60, "\\" * 61 + "," * 60])
def test_marks_inside_of_a_string_are_no_keys_and_items(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "MAX_NODES", 60)

    assert parse(flat(x=text)).fields["x"] == text


def test_a_manifest_with_more_keys_and_items_than_readers_accept_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = Manifest(artifact_type="Sample", fields={"x": list(range(60))}, files=())
    monkeypatch.setattr(manifest_module, "MAX_NODES", 60)

    with pytest.raises(ManifestError, match=r"more than readers accept \(.*, 60 keys and items\)"):
        manifest.to_bytes()


def test_as_many_files_as_are_allowed_fit_with_a_field_that_names_each() -> None:
    paths = [f"{index:06}" for index in range(20_000)]
    entries = [{"path": path, "size": 1, "sha256": SHA} for path in paths]
    content = document(entries=entries, fields={"named": dict(zip(paths, paths, strict=True))})

    marks = sum(json.dumps(content).count(mark) for mark in ",:[{")

    assert marks / len(paths) < manifest_module.MAX_NODES / manifest_module.MAX_ENTRIES


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
        parse(value)

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
def test_files_that_are_one_on_some_system_are_refused(paths: tuple[str, str], form: str) -> None:
    entries = [{"path": path, "size": 0, "sha256": SHA} for path in paths]
    value = document(entries=entries) if form == "ours" else flat(file_hashes=dict.fromkeys(paths, SHA))

    with pytest.raises(ManifestError, match=r"cannot exist side by side"):
        parse(value)


def test_one_path_twice_is_refused() -> None:
    entry = {"path": "a.bin", "size": 0, "sha256": SHA}

    with pytest.raises(ManifestError, match=r"side by side"):
        parse(document(entries=[entry, entry]))


HOSTILE_DIGESTS: dict[str, object] = {
    "upper case": SHA.upper(),
    "short": SHA[:-1],
    "long": SHA + "0",
    "newline": SHA + "\n",
    "other algorithm": f"md5:{SHA}",
    "prefixed": f"sha256:{SHA}",
    "no hex": "g" * 64,
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
        parse(content)


@pytest.mark.parametrize(
    "size", [-1, 2**53, 10**400, 0.0, 1.5, True, "0", None, [], {}], ids=lambda s: str(s)[:9]
)
def test_a_size_that_is_no_size_is_refused(size: object) -> None:
    with pytest.raises(ManifestError):
        parse(document(entries=[{"path": "a.bin", "size": size, "sha256": SHA}]))


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
    "an integer that canonical json lacks": document(fields={"x": 2**53}),
}


@pytest.mark.parametrize("case", HOSTILE_DOCUMENTS)
def test_a_document_that_is_malformed_or_contradicts_itself_is_refused(case: str) -> None:
    with pytest.raises(ManifestError):
        parse(HOSTILE_DOCUMENTS[case])


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
        parse(content)


@pytest.mark.parametrize("key", ["manifest_version", "files", "digest"])
def test_our_own_part_has_all_its_keys(key: str) -> None:
    content = document()
    del content["ritual_artifacts"][key]

    with pytest.raises(ManifestError, match=key):
        parse(content)


def test_an_altered_copy_has_a_digest_of_its_own() -> None:
    manifest = Manifest(artifact_type="Sample", fields={}, files=())
    digest = manifest.digest

    altered = manifest.model_copy(update={"artifact_type": "Other"})

    assert altered.digest == Manifest(artifact_type="Other", fields={}, files=()).digest != digest


def test_an_altered_manifest_is_caught_by_its_digest() -> None:
    with pytest.raises(ManifestError, match=r"was altered: it states the digest sha256:.* has sha256:"):
        parse(document() | {"version": "v2"})


def test_a_contradiction_is_named() -> None:
    with pytest.raises(ManifestError, match=r"contradicts itself"):
        parse(document(file_hashes={"a.bin": "0" * 64}))


@pytest.mark.parametrize("form", ["ours", "infernet-ml"])
def test_too_many_files_are_refused(form: str) -> None:
    count = manifest_module.MAX_ENTRIES + 1
    hashes = dict.fromkeys(map(str, range(count)), SHA)
    value = flat(file_hashes=hashes)
    if form == "ours":
        files = [{"path": path, "size": 0, "sha256": SHA} for path in hashes]
        value = document(entries=[]) | {
            "ritual_artifacts": {"manifest_version": 2, "files": files, "digest": ""}
        }

    with pytest.raises(ManifestError, match=r"at most"):
        parse(value)


def test_an_error_shows_neither_control_characters_nor_pages_of_text() -> None:
    hashes = {f"\x1b[2J\u202e{i}": "x" * 1000 for i in range(1000)}

    with pytest.raises(ManifestError) as caught:
        parse(flat(file_hashes=hashes))

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 3000

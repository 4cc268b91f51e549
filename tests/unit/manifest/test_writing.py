"""The bytes of a manifest that are written, and its digest."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ritual_artifacts.artifact import manifest as manifest_module
from ritual_artifacts.artifact.canonical import MAX_DEPTH
from ritual_artifacts.artifact.manifest import Manifest, ManifestDocument, ManifestEntry
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.repo_id import RitualRepoId
from tests.unit.manifest.documents import (
    SHA,
    VECTORS,
    changed,
    document,
    everything,
    flat,
    manifest_of,
    parse,
    parse_any,
    zk,
)

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "manifest.schema.json"


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
def test_a_written_manifest_is_read_and_written_again_byte_for_byte(name: str) -> None:
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


def test_sets_give_the_same_bytes_with_every_hash_seed(write: Callable[..., Path]) -> None:
    for i in range(5):
        folder = write(f"{i}/m.bin").parent.parent

    def run(seed: str) -> str:
        command = [sys.executable, "-c", _SETS, str(folder)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.check_output(command, env=environment, text=True)  # noqa: S603 - the program above

    assert run("1") == run("2") == run("3")


def test_a_manifest_that_is_too_large_for_readers_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = parse(document())
    monkeypatch.setattr(manifest_module, "MAX_MANIFEST_BYTES", 100)

    with pytest.raises(ManifestError, match=r"the manifest is too large"):
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
def test_a_type_name_that_readers_refuse_is_refused_on_building(name: str) -> None:
    with pytest.raises(ManifestError, match=r"^the manifest of .* would be invalid"):
        Manifest.build(ArtifactPlan(name, {}, ()), [])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800"], ids=ascii)
def test_a_value_that_canonical_json_cannot_hold_has_no_digest(value: object) -> None:
    manifest = changed(parse(document()), fields={"value": value})

    with pytest.raises(ManifestError, match=r"no digest"):
        manifest.to_bytes()


def test_nan_is_not_written_in_a_manifest_without_digest() -> None:
    manifest = parse_any(flat()).model_copy(update={"fields": {"value": float("nan")}})

    with pytest.raises(ManifestError, match=r"JSON cannot represent"):
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


def test_the_json_schema_refuses_a_malformed_document() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            document(entries=[{"path": "a", "size": -1, "sha256": SHA}]), json.loads(SCHEMA.read_bytes())
        )


def test_an_altered_copy_has_a_digest_of_its_own() -> None:
    manifest = Manifest(artifact_type="Sample", fields={}, files=())
    digest = manifest.digest

    altered = manifest.model_copy(update={"artifact_type": "Other"})

    assert altered.digest == Manifest(artifact_type="Other", fields={}, files=()).digest != digest

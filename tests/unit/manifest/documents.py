"""Artifacts and manifest documents for the manifest's tests; no tests."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, DirectoryPath

from ritual_artifacts.artifact.manifest import AnyManifest, Manifest, parse_manifest
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.repo_id import RitualRepoId

VECTORS = Path(__file__).parents[2] / "vectors"
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


def parse_any(value: object) -> AnyManifest:
    return parse_manifest(json.dumps(value).encode())

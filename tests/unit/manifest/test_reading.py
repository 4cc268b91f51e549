"""Manifests that are read: those of this package, and those of infernet-ml 2.0.0."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ritual_artifacts.artifact.introspection import rebuild
from ritual_artifacts.artifact.manifest import (
    LegacyManifest,
    Manifest,
    ManifestEntry,
    complete_manifest,
    read_manifest,
)
from ritual_artifacts.errors import ManifestError
from tests.unit.manifest.documents import (
    SHA,
    VECTORS,
    MyZkMlArtifact,
    ShardedModel,
    document,
    everything,
    flat,
    manifest_of,
    parse,
    parse_any,
    zk,
)


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


def test_unknown_keys_in_our_own_part_are_ignored() -> None:
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
    manifest = parse_any(flat(file_hashes=dict.fromkeys(paths, SHA)))

    for name in (*paths, "a", "a/b"):
        assert manifest.resolve(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "a/", "a/b/", "b", "a/b/c/d", "A", "../a", "/a", "a//b", "a/./b", "e\0"]
)
def test_a_name_that_is_not_among_the_files_is_refused(name: str, tmp_path: Path) -> None:
    manifest = parse_any(flat(file_hashes=dict.fromkeys(["a-b", "a/b/c", "a/d", "e"], SHA)))

    with pytest.raises(ManifestError, match=r"not one of the artifact's files"):
        manifest.resolve(tmp_path, name)


def test_a_field_that_names_a_missing_file_is_refused(tmp_path: Path) -> None:
    class Sample(BaseModel):
        file: Path

    manifest = parse_any(flat(file="../../etc/passwd"))

    with pytest.raises(ManifestError, match=r"'\.\./\.\./etc/passwd'"):
        rebuild(Sample, manifest.fields, lambda name: manifest.resolve(tmp_path, name))


# --- infernet-ml 2.0.0 ---


def read_infernet(name: str) -> LegacyManifest:
    manifest = read_manifest(VECTORS / "infernet_ml_2_0_0" / f"{name}.json")
    assert isinstance(manifest, LegacyManifest)
    return manifest


def test_a_manifest_without_sizes_is_refused_where_they_are_needed() -> None:
    path = VECTORS / "infernet_ml_2_0_0" / "zk.json"

    with pytest.raises(ManifestError, match=r"zk\.json has no sizes.*verify its files first"):
        Manifest.read(path)
    with pytest.raises(ManifestError, match=r"the manifest has no sizes"):
        Manifest.from_bytes(path.read_bytes())


def test_a_manifest_of_infernet_ml_is_read(write: Callable[..., Path]) -> None:
    artifact = zk(write)
    manifest = read_infernet("zk")

    again = rebuild(
        MyZkMlArtifact, manifest.fields, lambda n: manifest.resolve(artifact.circuit_file.parent, n)
    )

    assert again == artifact
    assert manifest.repo_id == "huggingface/me/zk/main"
    assert [entry.size for entry in manifest.files] == [None, None]


def test_a_manifest_of_infernet_ml_has_our_digest_once_sizes_are_known(write: Callable[..., Path]) -> None:
    manifest = complete_manifest(read_infernet("zk"), {"circuit.compiled": 7, "model.onnx": 5})
    assert isinstance(manifest, Manifest)

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

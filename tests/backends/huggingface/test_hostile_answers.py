"""Hostile answers of a Hub: redirects, headers, commits, and names in manifests and listings."""

import json
from pathlib import Path

import pytest

from ritual_artifacts.errors import (
    BackendError,
    ManifestError,
)
from tests.backends.huggingface.conftest import Client, final_files
from tests.backends.sample import Sample, contents
from tests.servers import faults


def test_a_redirect_to_another_host_does_not_carry_the_token(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add(
        "*/resolve/*/weights.bin", faults.redirect(f"{client.hub.foreign_url}/steal/weights.bin")
    )

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")

    stolen = [e for e in client.hub.ledger.of() if e.origin == "foreign"]
    assert stolen
    assert not any(e.authorized for e in stolen)
    client.hub.ledger.violations.clear()  # an unknown path on the foreign host is what this test is about


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//", "javascript:1"])
def test_a_redirect_to_an_unsafe_address_is_refused(
    target: str, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*/resolve/*/weights.bin", faults.redirect(target))

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")

    assert final_files(tmp_path / "out") == []


def test_redirects_without_end_are_refused(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*/resolve/*/weights.bin", faults.redirect("weights.bin"))

    with pytest.raises(BackendError, match="redirects more than 8 times"):
        client.download(tmp_path / "out")


@pytest.mark.parametrize("etag", ['"../../../etc/passwd"', '"' + "0" * 64 + '/../x"', "", '"\\..\\x"'])
def test_a_hostile_etag_becomes_no_file_name(
    etag: str, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    hostile: dict[str, str | None] = {"ETag": etag, "X-Linked-Etag": etag}
    client.hub.faults.add("*/resolve/*", faults.set_headers(hostile))

    client.download(tmp_path / "out")

    assert final_files(tmp_path / "out") == [
        "a.safetensors",
        "config.json",
        "empty.safetensors",
        "ritual_manifest.json",
        "weights.bin",
    ]


@pytest.mark.parametrize("sha", ["main", "../../x", "0" * 39, "0" * 64, 7, None])
def test_an_invalid_commit_is_refused(sha: object, client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*", faults.set_body(json.dumps({"sha": sha}).encode()), kind="info")

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b"\xff", b"[" * 100_000])
def test_an_invalid_answer_is_refused(body: bytes, client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*", faults.set_body(body), kind="info")

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")


@pytest.mark.parametrize("name", ["../outside.bin", "/etc/outside.bin", "a/../../outside.bin"])
def test_a_hostile_name_in_the_manifest_is_refused(name: str, client: Client, tmp_path: Path) -> None:
    repo = client.hub.create_repo("alice/model")
    manifest = {"artifact_type": "Sample", "file_hashes": {name: "0" * 64}, "weights": name}
    client.hub.put(repo, {"ritual_manifest.json": json.dumps(manifest).encode(), "weights.bin": b"x"})

    with pytest.raises(ManifestError):
        client.download(tmp_path / "out")

    assert not (tmp_path / "outside.bin").exists()


def test_hostile_and_colliding_names_in_the_tree_are_never_written(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    repo = client.hub.repo("alice/model")
    client.hub.put(repo, {"../outside.bin": b"x", "WEIGHTS.BIN": b"y", "Weights.bin": b"z"})

    again = client.download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)
    assert {name for name in final_files(tmp_path / "out") if name.lower() == "weights.bin"} == {
        "weights.bin"
    }
    assert not (tmp_path / "outside.bin").exists()

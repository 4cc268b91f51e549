"""Publishers whose repositories are malformed, hostile or not mined yet."""

import json
from pathlib import Path

import pytest

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
    ManifestError,
    NotFinalizedError,
)
from tests.backends.arweave.conftest import Client
from tests.backends.sample import Sample, contents
from tests.servers.arweave.publish import publish, publish_manifest, publish_ritual_repo
from tests.servers.arweave.signing import Key


def publish_manifest_of(client: Client, files: dict[str, bytes], name: str = "bad") -> str:
    """Publish files, with a `ritual_manifest.json` among them, and return the repository's id."""
    publish_ritual_repo(client.node, client.wallet, name, files)
    return f"arweave/{client.wallet.address}/{name}"


@pytest.mark.parametrize("path", ["../escape.bin", "/etc/escape.bin", "a\\b.bin", "CON", "a/../../b"])
def test_a_hostile_name_is_refused_before_anything_is_written(
    client: Client, path: str, tmp_path: Path
) -> None:
    manifest = {"weights": path, "artifact_type": "Bad", "file_hashes": {path: "0" * 64}}
    repo = publish_manifest_of(client, {"ritual_manifest.json": json.dumps(manifest).encode(), "x": b"x"})

    with pytest.raises(ManifestError):
        client.download(tmp_path / "out", repo)

    assert not list(tmp_path.rglob("escape.bin"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"paths": []}',
        '{"paths": {"a": {"id": "short"}}}',
        '{"paths": {"a": "no"}}',
        '{"paths": {"a": {"id": "' + "A" * 43 + '"}, "a": {"id": "' + "B" * 43 + '"}}}',
        "[" * 100_000,
    ],
)
def test_a_malformed_path_manifest_is_an_error(client: Client, text: str) -> None:
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "bad"}
    publish_manifest(client.node, client.wallet, text or " ", tags)

    with pytest.raises(BackendError, match="malformed"):
        client.download(None, f"arweave/{client.wallet.address}/bad")


def test_a_repository_without_a_manifest_says_what_is_there(client: Client) -> None:
    repo = publish_manifest_of(client, {"model.bin": b"1", "notes.txt": b"2"})

    with pytest.raises(ArtifactNotFoundError, match=r"no ritual_manifest\.json.*model\.bin, notes\.txt"):
        client.download(None, repo)


def test_a_file_of_another_owner_is_refused(client: Client, other_wallet: Key) -> None:
    theirs = publish(client.node, other_wallet, b"theirs")
    manifest = publish(client.node, client.wallet, b"{}")
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "bad"}
    publish_manifest(client.node, client.wallet, {"ritual_manifest.json": theirs, "a": manifest}, tags)

    with pytest.raises(
        BackendError, match=f"of {other_wallet.address}, expected one of {client.wallet.address}"
    ):
        client.download(None, f"arweave/{client.wallet.address}/bad")


def test_a_file_that_is_not_what_its_manifest_says_is_the_publishers_fault(
    client: Client, tmp_path: Path
) -> None:
    manifest = {"weights": "w.bin", "artifact_type": "Bad", "file_hashes": {"w.bin": "0" * 64}}
    repo = publish_manifest_of(
        client, {"ritual_manifest.json": json.dumps(manifest).encode(), "w.bin": b"x" * 600_000}
    )

    class Bad(Sample):
        pass

    with pytest.raises((IntegrityError, ManifestError)):
        RitualArtifactManager.from_repo(Bad, repo, tmp_path / "out", repomanager_kwargs=client.connection)

    assert not (tmp_path / "out" / "w.bin").exists()


# --- not mined yet ------------------------------------------------------------------------------------------


def test_a_version_that_waits_to_be_mined_says_so(client: Client, sample: Sample) -> None:
    client.upload(sample, "arweave/me/model/v1")

    with pytest.raises(NotFinalizedError, match="try again"):
        client.download(None, client.repo("v1"))


def test_while_a_newer_version_waits_the_older_one_is_downloaded(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.node.mine()
    before = contents(sample)
    sample.config.write_bytes(b"new")
    client.upload(sample)

    assert contents(client.download(tmp_path / "out").artifact) == before

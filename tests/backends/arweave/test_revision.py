"""An opened version by itself: its manifest, its listing, and where a wrong copy is repaired from."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ritual_artifacts.artifact.manifest import ManifestEntry
from ritual_artifacts.artifact.untrusted import MAX_MANIFEST_BYTES
from ritual_artifacts.backends.base import RemoteFile, Revision
from ritual_artifacts.errors import ArtifactNotFoundError, IntegrityError, ManifestError
from ritual_artifacts.repo_id import RitualRepoId
from tests.backends.arweave.conftest import Client
from tests.backends.sample import Sample, contents
from tests.servers.arweave.publish import g2, publish, publish_manifest, sign_transaction

CHUNK = 262_144
SIZE = 3 * CHUNK


def open_repo(client: Client, name: str = "model") -> Revision:
    return client.connect().open(RitualRepoId.from_unique_id(f"arweave/{client.wallet.address}/{name}"))


@pytest.fixture
def opened(client: Client) -> tuple[Revision, ManifestEntry]:
    """Publish a file of three chunks and return its revision and entry."""
    weights = publish(client.node, client.wallet, g2(SIZE))
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "model"}
    publish_manifest(client.node, client.wallet, {"w.bin": weights}, tags)
    entry = ManifestEntry(path="w.bin", size=SIZE, sha256=hashlib.sha256(g2(SIZE)).hexdigest())
    return open_repo(client), entry


def write_copy(folder: Path, change: Callable[[bytearray], object]) -> Path:
    data = bytearray(g2(SIZE))
    change(data)
    path = folder / "copy.bin"
    path.write_bytes(data)
    return path


def test_a_file_is_read_from_any_offset(opened: tuple[Revision, ManifestEntry]) -> None:
    revision, entry = opened

    for offset in (0, 1, CHUNK, SIZE - 1, SIZE):
        assert b"".join(revision.read(entry, offset)) == g2(SIZE)[offset:]


def test_a_copy_is_repaired_from_its_first_wrong_chunk(
    opened: tuple[Revision, ManifestEntry], tmp_path: Path
) -> None:
    revision, entry = opened
    copy = write_copy(tmp_path, lambda data: data.__setitem__(2 * CHUNK + 7, data[2 * CHUNK + 7] ^ 1))

    assert revision.repair_point(entry, copy) == 2 * CHUNK


def test_a_copy_that_is_what_the_owner_signed_cannot_be_repaired(
    opened: tuple[Revision, ManifestEntry], tmp_path: Path
) -> None:
    revision, entry = opened
    other = entry.model_copy(update={"sha256": "0" * 64})

    with pytest.raises(IntegrityError) as caught:
        revision.repair_point(other, write_copy(tmp_path, lambda _: None))

    [mismatch] = caught.value.mismatches
    assert (mismatch.path, mismatch.expected) == ("w.bin", "0" * 64)


def test_repairs_come_to_an_end(opened: tuple[Revision, ManifestEntry], tmp_path: Path) -> None:
    revision, entry = opened
    copy = write_copy(tmp_path, lambda data: data.__setitem__(0, data[0] ^ 1))

    # First the bytes count as those of an earlier process, then they came from three addresses of a gateway.
    for _ in range(4):
        assert revision.repair_point(entry, copy) == 0
        assert b"".join(revision.read(entry, 0)) == g2(SIZE)

    with pytest.raises(IntegrityError, match=r"w\.bin"):
        revision.repair_point(entry, copy)


def test_the_listing_has_what_the_owner_signed(client: Client, sample: Sample) -> None:
    client.upload(sample)
    client.node.mine()

    listing = open_repo(client).listing()

    assert listing is not None
    for name, content in contents(sample).items():
        assert listing[name] == RemoteFile(len(content), sha256=hashlib.sha256(content).hexdigest())
    assert listing.keys() == {*contents(sample), "ritual_manifest.json"}


def test_too_large_a_manifest_is_refused_before_it_is_downloaded(client: Client) -> None:
    key = client.wallet
    client.node.mint(key.address)
    small = sign_transaction(client.node, key, b"{}")
    signed = replace(small, data_size=MAX_MANIFEST_BYTES + 1).signed(key)
    tags = {"Type": "manifest", "App-Name": "Ritual", "Repo-Name": "model"}
    client.node.put(signed)
    publish_manifest(client.node, key, {"ritual_manifest.json": signed.id}, tags)
    client.node.ledger.forget()

    with pytest.raises(ManifestError, match=f"has {MAX_MANIFEST_BYTES + 1} bytes, expected at most"):
        open_repo(client).manifest_bytes()

    assert not [e for e in client.node.ledger.of("raw", "data", "tx-data", "chunk") if signed.id in e.path]


def test_a_version_without_a_manifest_names_its_files(opened: tuple[Revision, ManifestEntry]) -> None:
    revision, _ = opened

    with pytest.raises(ArtifactNotFoundError, match=r"no ritual_manifest\.json .* it has w\.bin"):
        revision.manifest_bytes()

"""What every backend promises: the local store, a streaming storage, the Hugging Face Hub, Arweave."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager, RitualRepoId, StorageId
from ritual_artifacts.artifact import manifest as manifest_module
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.backends import load_backend
from ritual_artifacts.backends.base import Backend, UploadSession
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.errors import (
    ArtifactModelError,
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    IntegrityError,
    ManifestError,
    SourceChangedError,
    TransferError,
)
from ritual_artifacts.repo_id import RitualRepoId as RepoId
from ritual_artifacts.transfer import downloading as transfer
from tests.backends.streaming import Server, StreamingBackend, flip_one_bit
from tests.servers.arweave.faults import refuse
from tests.servers.arweave.node import ArweaveNode
from tests.servers.faults import flip_bit
from tests.servers.hub import Hub


class Sample(BaseModel):
    circuit: Path
    shards: list[Path]
    note: str = ""


class Storage:
    """One backend under test, and how to damage what it holds."""

    def __init__(
        self,
        name: StorageId,
        options: dict[str, Any],
        *,
        owner: str = "alice",
        hub: Hub | None = None,
        node: ArweaveNode | None = None,
    ) -> None:
        self.name = name
        self.options = options
        self.owner = owner
        self.hub = hub
        self.node = node

    def repo(self, version: str | None = None) -> str:
        return f"{self.name}/{self.owner}/model" + (f"/{version}" if version else "")

    def load(self) -> Backend:
        return load_backend(self.name, self.options)

    def upload(self, sample: BaseModel, version: str | None = None) -> Any:
        return RitualArtifactManager(artifact=sample).to_repo(
            self.repo(version), repo_manager_kwargs=self.options
        )

    def download(
        self, folder: Path | None, version: str | None = None, **options: Any
    ) -> RitualArtifactManager[Sample]:
        return RitualArtifactManager.from_repo(
            Sample, self.repo(version), folder, repomanager_kwargs=self.options, **options
        )

    def flip_bits(self, *names: str) -> None:
        if "server" in self.options:
            self.options["server"].flipped.update(names)
            return
        if self.hub:
            for name in names:
                self.hub.faults.add(f"*{name}", flip_bit())
            return
        if self.node:
            flip_everywhere(self.node, names)
            return
        store = LocalBackend(self.options["root"])
        version = next(store.list_versions())
        for entry in version.manifest.files:
            if entry.path in names:
                path = store.layout.object_path(entry.sha256)
                path.chmod(0o644)
                path.write_bytes(flip_one_bit(path.read_bytes()))


def flip_everywhere(node: ArweaveNode, names: Collection[str]) -> None:
    """Flip a bit wherever a gateway serves these files; their chunks are served without one of theirs."""
    newest = {transaction.tag("File-Name"): transaction.id for transaction in node.transactions()}
    for name in names:
        for address in ("/raw/{}", "/{}", "/tx/{}/data"):
            node.faults.add(address.format(newest[name]), flip_bit())
    node.faults.add("/chunk/*", refuse(404), kind="chunk")


@pytest.fixture
def streaming_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install, as far as `importlib.metadata` can tell, a distribution that brings the test's backend."""
    info = tmp_path / "plugin" / "streaming_test-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: streaming-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ritual_artifacts.backends]\narweave = tests.backends.streaming:StreamingBackend\n"
    )
    monkeypatch.syspath_prepend(str(info.parent))


def make_storage(name: str, request: pytest.FixtureRequest) -> Storage:
    if name == "local":
        return Storage(StorageId.Local, {"root": request.getfixturevalue("tmp_path") / "store"})
    if name == "streaming":
        request.getfixturevalue("streaming_entry_point")
        return Storage(StorageId.Arweave, {"server": Server()})
    if name == "hub":
        hub = request.getfixturevalue("hub")
        return Storage(StorageId.Huggingface, {"endpoint": hub.endpoint, "token": hub.token}, hub=hub)
    wallet = request.getfixturevalue("wallet")
    node = request.getfixturevalue("make_arweave")(auto_mine=True)
    node.mint(wallet.address)
    options = {"gateways": node.url, "wallet_path": wallet.path}
    return Storage(StorageId.Arweave, options, owner=wallet.address, node=node)


@pytest.fixture(params=["local", "streaming", "hub", "arweave"])
def storage(request: pytest.FixtureRequest) -> Storage:
    return make_storage(request.param, request)


@pytest.fixture(params=["local", "streaming", "arweave"])
def labelling_storage(request: pytest.FixtureRequest) -> Storage:
    """Return a storage whose versions are labels that never change; on the Hub they are branches."""
    return make_storage(request.param, request)


@pytest.fixture
def streaming(streaming_entry_point: None, monkeypatch: pytest.MonkeyPatch) -> tuple[Storage, Server]:
    """Return the streaming storage, and its server; files are fetched one after the other."""
    del streaming_entry_point
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "1")
    server = Server()
    return Storage(StorageId.Arweave, {"server": server}), server


@pytest.fixture
def sample(write: Callable[..., Path]) -> Sample:
    return Sample(
        circuit=write("circuit.bin", 50_000), shards=[write("a.bin", 9000), write("b.bin", 0)], note="ø"
    )


def contents(sample: Sample) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [sample.circuit, *sample.shards]}


def names_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- what goes in comes out ---


def test_an_artifact_comes_back_equal(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    result = storage.upload(sample)

    manager = storage.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)
    assert manager.artifact.note == "ø"
    assert manager.digest == result.digest == RitualArtifactManager(artifact=sample).digest
    assert names_below(tmp_path / "out") == {"a.bin", "b.bin", "circuit.bin", "ritual_manifest.json"}


def test_the_result_says_what_was_published(storage: Storage, sample: Sample) -> None:
    result = storage.upload(sample, "v1")

    assert str(result.repo_id) == storage.repo("v1")
    assert [entry.path for entry in result.files] == ["a.bin", "b.bin", "circuit.bin"]
    assert result.bytes_sent == 59_000
    assert storage.load().resolve(RepoId.from_unique_id(storage.repo("v1"))) == result.revision


def test_the_digest_is_the_same_on_every_backend(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    local = Storage(StorageId.Local, {"root": tmp_path / "store"})

    assert local.upload(sample).digest == streaming[0].upload(sample).digest


def test_a_second_upload_of_the_same_artifact_sends_nothing(storage: Storage, sample: Sample) -> None:
    storage.upload(sample)

    again = storage.upload(sample)

    assert (again.bytes_sent, again.bytes_reused) == (0, 59_000)


def test_only_some_fields_can_be_fetched(
    storage: Storage, sample: Sample, tmp_path: Path, write: Callable[..., Path]
) -> None:
    class Optional(BaseModel):
        circuit: Path | None = None
        proof: Path | None = None

    storage.upload(Optional(circuit=sample.circuit, proof=write("proof.bin")))

    manager = RitualArtifactManager.from_repo(
        Optional, storage.repo(), tmp_path / "out", repomanager_kwargs=storage.options, fields=["proof"]
    )

    assert names_below(tmp_path / "out") == {"proof.bin"}
    assert manager.artifact.circuit is None


# --- versions ---


def test_a_label_never_changes_its_content(
    labelling_storage: Storage, sample: Sample, write: Callable[..., Path], tmp_path: Path
) -> None:
    storage = labelling_storage
    first = storage.upload(sample, "v1")
    other = sample.model_copy(update={"circuit": write("other/circuit.bin", content=b"another")})

    with pytest.raises(ConflictError, match="v1"):
        storage.upload(other, "v1")

    assert storage.download(tmp_path / "out", "v1").digest == first.digest


def test_the_same_content_under_the_same_label_is_a_no_op(
    labelling_storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    storage = labelling_storage
    first = storage.upload(sample, "v1")
    newer = storage.upload(sample.model_copy(update={"note": "newer"}), "v2")

    again = storage.upload(sample, "v1")

    assert again.revision == first.revision
    assert storage.download(tmp_path / "out").digest == newer.digest


def test_no_version_means_the_newest(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    storage.upload(sample, "v1")
    storage.upload(sample.model_copy(update={"note": "second"}))

    assert storage.download(tmp_path / "newest").artifact.note == "second"
    assert storage.download(tmp_path / "first", "v1").artifact.note == "ø"


def test_a_missing_repository_is_not_found(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match=f"{storage.owner}/model") as caught:
        storage.download(tmp_path / "out")

    assert isinstance(caught.value, FileNotFoundError)
    assert not (tmp_path / "out").exists()


def test_a_missing_version_is_not_found(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    storage.upload(sample, "v1")

    with pytest.raises(ArtifactNotFoundError, match="v2"):
        storage.download(tmp_path / "out", "v2")


# --- publishing ---


def test_nothing_is_visible_before_it_is_published(storage: Storage, sample: Sample) -> None:
    backend = storage.load()
    repo = RitualRepoId.from_unique_id(storage.repo())
    plan = plan_files(sample)

    with backend.start_upload(repo, {}) as session:
        digests = session.read_files(plan, None)
        with pytest.raises(ArtifactNotFoundError):
            backend.resolve(repo)
        revision = session.publish(Manifest.build(plan, digests, repo), plan, None).revision

    assert backend.resolve(repo) == revision


def test_an_upload_that_is_given_up_leaves_nothing(storage: Storage, sample: Sample) -> None:
    backend = storage.load()
    repo = RitualRepoId.from_unique_id(storage.repo())

    with backend.start_upload(repo, {}) as session:
        session.read_files(plan_files(sample), None)

    with pytest.raises(ArtifactNotFoundError):
        backend.resolve(repo)


def test_a_file_that_changes_before_it_is_published_is_noticed(
    streaming: tuple[Storage, Server], sample: Sample
) -> None:
    backend = streaming[0].load()
    repo = RitualRepoId.from_unique_id(streaming[0].repo())
    plan = plan_files(sample)

    with backend.start_upload(repo, {}) as session:
        manifest = Manifest.build(plan, session.read_files(plan, None), repo)
        sample.circuit.write_bytes(b"changed")
        with pytest.raises(SourceChangedError, match=r"circuit\.bin"):
            session.publish(manifest, plan, None)

    with pytest.raises(ArtifactNotFoundError):
        backend.resolve(repo)


def test_an_unknown_upload_option_is_refused(storage: Storage, sample: Sample) -> None:
    with pytest.raises(BackendError, match="colour"):
        RitualArtifactManager(artifact=sample).to_repo(
            storage.repo(), repo_manager_kwargs=storage.options, upload_kwargs={"colour": "red"}
        )


# --- wrong bytes ---


def test_a_flipped_bit_never_reaches_its_final_path(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    result = storage.upload(sample)
    storage.flip_bits("circuit.bin")

    with pytest.raises(IntegrityError) as caught:
        storage.download(tmp_path / "out")

    [mismatch] = caught.value.mismatches
    expected = next(e.sha256 for e in result.files if e.path == "circuit.bin")
    assert (mismatch.path, mismatch.field, mismatch.source) == ("circuit.bin", "circuit", storage.repo())
    assert mismatch.expected == expected
    assert mismatch.actual != expected
    for part in ("circuit.bin", "'circuit'", expected, mismatch.actual, storage.repo()):
        assert part in str(caught.value)
    assert not (tmp_path / "out" / "circuit.bin").exists()
    assert not (tmp_path / "out" / "ritual_manifest.json").exists()


def test_every_bad_file_is_named_at_once(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    storage.upload(sample)
    storage.flip_bits("circuit.bin", "a.bin")

    with pytest.raises(IntegrityError) as caught:
        storage.download(tmp_path / "out")

    assert [mismatch.path for mismatch in caught.value.mismatches] == ["a.bin", "circuit.bin"]


def test_wrong_bytes_leave_the_old_artifact_as_it_was(
    storage: Storage, sample: Sample, write: Callable[..., Path], tmp_path: Path
) -> None:
    storage.upload(sample)
    storage.download(tmp_path / "out")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names_below(tmp_path / "out")}
    newer = sample.model_copy(update={"circuit": write("other/circuit.bin", content=b"newer content")})
    storage.upload(newer)
    storage.flip_bits("circuit.bin")

    with pytest.raises(IntegrityError):
        storage.download(tmp_path / "out")

    assert {n: (tmp_path / "out" / n).read_bytes() for n in names_below(tmp_path / "out")} == before


def test_the_expected_digest_is_demanded(storage: Storage, sample: Sample, tmp_path: Path) -> None:
    digest = storage.upload(sample).digest

    with pytest.raises(IntegrityError, match="0" * 64):
        storage.download(tmp_path / "out", expected_digest="sha256:" + "0" * 64)

    assert not (tmp_path / "out").exists()
    assert storage.download(tmp_path / "out", expected_digest=digest).digest == digest
    with pytest.raises(ArtifactModelError, match="expected_digest"):
        storage.download(tmp_path / "out", expected_digest="v1")


def test_swapped_files_are_caught(streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path) -> None:
    storage, server = streaming
    storage.upload(sample)
    server.swapped = {"a.bin": "circuit.bin"}

    with pytest.raises(IntegrityError, match=r"a\.bin"):
        storage.download(tmp_path / "out")

    assert names_below(tmp_path / "out") <= {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out/.ritual-partial").rglob("*")
    }


def test_a_manifest_that_lies_about_its_digest_is_refused(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    storage.upload(sample)
    server.lie = lambda data: data.replace(b'"note": "', b'"note": "hacked')

    with pytest.raises(ManifestError, match="altered"):
        storage.download(tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_manifest_of_another_revision_is_refused(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    other = storage.upload(sample.model_copy(update={"note": "other"}), "v2")
    asked = storage.upload(sample, "v1")
    theirs = server.repositories[storage.repo()].revisions[other.revision][0]
    server.lie = lambda _: theirs

    with pytest.raises(IntegrityError, match=f"expected {asked.digest}, got {other.digest}"):
        storage.download(tmp_path / "out", "v1")

    assert not (tmp_path / "out").exists()


def test_a_link_among_the_partial_files_is_never_a_file_of_the_artifact(
    storage: Storage, sample: Sample, tmp_path: Path
) -> None:
    digest = storage.upload(sample).digest
    key = hashlib.sha256(digest.encode()).hexdigest()[:32]
    partial = tmp_path / "out" / ".ritual-partial" / key / hashlib.sha256(b"circuit.bin").hexdigest()[:32]
    partial.parent.mkdir(parents=True)
    partial.symlink_to(sample.circuit)

    manager = storage.download(tmp_path / "out")

    assert not manager.artifact.circuit.is_symlink()
    assert contents(manager.artifact) == contents(sample)


def test_too_large_a_manifest_is_refused_before_anything_is_published(
    storage: Storage, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Manifest] = []
    backend = storage.load()

    class Recording:
        def __init__(self, session: UploadSession) -> None:
            self.read_files = session.read_files

        def publish(self, manifest: Manifest, *_: object) -> None:
            published.append(manifest)

    @contextlib.contextmanager
    def start_upload(*arguments: Any) -> Iterator[Recording]:
        with type(backend).start_upload(backend, *arguments) as session:
            yield Recording(session)

    monkeypatch.setattr(backend, "start_upload", start_upload)
    monkeypatch.setattr(manifest_module, "MAX_MANIFEST_BYTES", 100)

    with pytest.raises(ManifestError, match="more than readers accept"):
        transfer.upload(plan_files(sample), backend, RitualRepoId.from_unique_id(storage.repo()))

    assert published == []


# --- streams that end too early or too late ---


def fail_to_download(storage: Storage, sample: Sample, folder: Path) -> TransferError:
    """Publish, download in vain, and let the server behave and forget that it was asked."""
    server = storage.options["server"]
    storage.upload(sample)
    with pytest.raises(TransferError) as caught:
        storage.download(folder)
    server.behave()
    server.forget_requests()
    return caught.value


def test_a_cut_connection_is_continued_where_it_ended(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    server.cut_after, server.cut_with_error = {"circuit.bin": 20_000}, True
    error = fail_to_download(storage, sample, tmp_path / "out")

    manager = storage.download(tmp_path / "out")

    assert error.retryable
    assert "20000" in str(error)
    assert server.requests == [("circuit.bin", 20_000)]
    assert server.served == {"circuit.bin": 30_000}
    assert contents(manager.artifact) == contents(sample)


def test_a_body_that_is_too_short_is_continued(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    server.cut_after = {"circuit.bin": 12_345}
    error = fail_to_download(storage, sample, tmp_path / "out")

    manager = storage.download(tmp_path / "out")

    assert error.retryable
    assert "12345 of 50000" in str(error)
    assert server.requests == [("circuit.bin", 12_345)]
    assert contents(manager.artifact) == contents(sample)
    assert not (tmp_path / "out" / ".ritual-partial").exists()


def test_a_partial_file_with_wrong_bytes_is_fetched_anew(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    server.cut_after, server.flipped = {"circuit.bin": 30_000}, {"circuit.bin"}
    fail_to_download(storage, sample, tmp_path / "out")

    manager = storage.download(tmp_path / "out")

    assert server.requests == [("circuit.bin", 30_000), ("circuit.bin", 0)]
    assert contents(manager.artifact) == contents(sample)


def test_a_server_that_ignores_the_offset_is_asked_again_from_the_start(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    server.cut_after = {"circuit.bin": 30_000}
    fail_to_download(storage, sample, tmp_path / "out")
    server.ignores_offset = True

    manager = storage.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


def test_what_comes_after_the_promised_size_is_not_stored(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    storage.upload(sample)
    server.appended = {"circuit.bin": bytes(1_000_000), "b.bin": b"not empty"}

    manager = storage.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)
    assert server.served["circuit.bin"] < 60_000
    assert server.served["b.bin"] == 0


def test_a_file_that_is_all_there_is_not_asked_for_again(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    server.cut_after, server.cut_with_error = {"circuit.bin": 0}, True
    fail_to_download(storage, sample, tmp_path / "out")

    storage.download(tmp_path / "out")

    assert server.requests == [("circuit.bin", 0)]


def test_a_file_that_is_in_place_is_not_fetched(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    storage.upload(sample)
    storage.download(tmp_path / "out")
    server.forget_requests()

    storage.download(tmp_path / "out")

    assert server.requests == []


# --- manifests without sizes ---


def without_sizes(data: bytes) -> bytes:
    document = json.loads(data)
    del document["ritual_artifacts"]
    return json.dumps(document).encode()


def test_a_manifest_without_sizes_is_completed(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    digest = storage.upload(sample).digest
    server.lie = without_sizes

    manager = storage.download(tmp_path / "out", expected_digest=digest)

    assert manager.digest == digest
    assert Manifest.read(tmp_path / "out" / "ritual_manifest.json").has_sizes


def test_without_sizes_a_short_or_long_body_is_a_mismatch(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    storage.upload(sample)
    server.lie = without_sizes
    server.cut_after = {"circuit.bin": 20_000}
    server.appended = {"a.bin": b"more"}

    with pytest.raises(IntegrityError) as caught:
        storage.download(tmp_path / "out")

    assert [mismatch.path for mismatch in caught.value.mismatches] == ["a.bin", "circuit.bin"]


def test_without_sizes_the_digest_is_checked_before_anything_is_in_place(
    streaming: tuple[Storage, Server], sample: Sample, tmp_path: Path
) -> None:
    storage, server = streaming
    storage.upload(sample)
    server.lie = lambda data: without_sizes(data).replace(b'"note": "', b'"note": "hacked')
    honest = RitualArtifactManager(artifact=sample).digest

    with pytest.raises(IntegrityError, match=honest):
        storage.download(tmp_path / "out", expected_digest=honest)

    assert not (tmp_path / "out" / "circuit.bin").exists()


def test_without_sizes_a_digest_cannot_be_demanded_of_a_part(
    streaming: tuple[Storage, Server], tmp_path: Path, write: Callable[..., Path]
) -> None:
    class Optional(BaseModel):
        circuit: Path | None = None
        proof: Path | None = None

    storage, server = streaming
    digest = storage.upload(Optional(circuit=write("c"), proof=write("p"))).digest
    server.lie = without_sizes

    with pytest.raises(ManifestError, match="no sizes"):
        RitualArtifactManager.from_repo(
            Optional,
            storage.repo(),
            tmp_path / "out",
            repomanager_kwargs=storage.options,
            fields=["proof"],
            expected_digest=digest,
        )


# --- finding backends ---


def test_a_backend_is_found_by_its_entry_point(streaming_entry_point: None) -> None:
    del streaming_entry_point

    assert isinstance(load_backend(StorageId.Arweave), StreamingBackend)


def test_a_storage_without_a_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ritual_artifacts.backends.available_backends", dict)

    with pytest.raises(BackendError, match="no backend for 'local' is installed"):
        load_backend(StorageId.Local)


def test_options_that_a_backend_does_not_take_are_refused() -> None:
    with pytest.raises(BackendError, match="colour"):
        load_backend(StorageId.Local, {"colour": "red"})


def test_an_error_inside_a_backend_is_not_taken_for_a_wrong_option(
    streaming_entry_point: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del streaming_entry_point

    def fail(_: object, server: Server | None = None) -> None:
        del server
        message = "a bug of the backend's own"
        raise TypeError(message)

    monkeypatch.setattr(StreamingBackend, "__init__", fail)

    with pytest.raises(TypeError, match="a bug of the backend's own"):
        load_backend(StorageId.Arweave)


def test_a_backend_that_cannot_be_imported_is_a_backend_error(
    tmp_path: Path, streaming_entry_point: None
) -> None:
    del streaming_entry_point
    points = tmp_path / "plugin" / "streaming_test-1.0.dist-info" / "entry_points.txt"
    points.write_text("[ritual_artifacts.backends]\narweave = no_such_module_at_all:Backend\n")

    with pytest.raises(BackendError, match="no_such_module_at_all"):
        load_backend(StorageId.Arweave)

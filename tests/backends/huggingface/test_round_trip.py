"""Uploads and downloads without faults: equal artifacts, one commit, few requests, and progress."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from pydantic import BaseModel

from ritual_artifacts import Progress, RitualArtifactManager
from ritual_artifacts.backends.huggingface.sources import Addition
from ritual_artifacts.backends.huggingface.xet import reported
from ritual_artifacts.errors import ArtifactNotFoundError
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers.hub import Hub


def test_a_downloaded_artifact_equals_the_uploaded_one(any_hub: Hub, sample: Sample, tmp_path: Path) -> None:
    client = Client(any_hub)
    result = client.upload(sample)

    manager = client.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)
    assert manager.artifact.note == "ø"
    assert manager.digest == result.digest == RitualArtifactManager(artifact=sample).digest


@pytest.mark.parametrize(("repo_type", "kind"), [("dataset", "datasets"), ("space", "spaces")])
def test_datasets_and_spaces_are_repositories_too(
    repo_type: str, kind: str, hub: Hub, sample: Sample, tmp_path: Path
) -> None:
    client = Client(hub, repo_type=repo_type)
    client.upload(sample)

    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)
    assert hub.repo("alice/model", kind).head is not None


def test_the_repository_type_can_be_said_at_the_upload(hub: Hub, sample: Sample) -> None:
    RitualArtifactManager(artifact=sample).to_repo(
        REPO,
        hub.token,
        repo_manager_kwargs={"endpoint": hub.endpoint},
        repo_type="dataset",
    )

    assert "weights.bin" in hub.repo("alice/model", "datasets").head.files


def test_everything_is_in_one_commit(client: Client, sample: Sample) -> None:
    result = client.upload(sample)

    repo = client.hub.repo("alice/model")
    assert client.hub.ledger.count("commit") == 1
    assert set(repo.head.files) == {
        ".gitattributes",
        "README.md",
        "a.safetensors",
        "config.json",
        "empty.safetensors",
        "ritual_manifest.json",
        "weights.bin",
    }
    assert result.revision == result.oid == repo.head.oid
    assert str(result) == result.url == result.commit_url


def test_a_thousand_files_are_one_commit(client: Client, write: Callable[..., Path], tmp_path: Path) -> None:
    class Many(BaseModel):
        files: list[Path]

    many = Many(files=[write(f"many/{i}.bin", 10) for i in range(1000)])

    client.upload(many)
    again = RitualArtifactManager.from_repo(
        Many, REPO, tmp_path / "out", repomanager_kwargs=client.connection
    )

    assert client.hub.ledger.count("commit") == 1
    assert [path.read_bytes() for path in again.artifact.files] == [p.read_bytes() for p in many.files]


def test_the_same_artifact_again_makes_no_commit_and_sends_no_file(any_hub: Hub, sample: Sample) -> None:
    client = Client(any_hub)
    first = client.upload(sample)
    any_hub.ledger.forget()

    again = client.upload(sample)

    assert (again.bytes_sent, again.bytes_reused) == (0, first.bytes_sent)
    assert again.revision == first.revision
    assert {e.method for e in any_hub.ledger.of()} == {"GET"}


def test_a_large_file_that_is_part_of_the_commit_itself_is_recognized(
    client: Client, write: Callable[..., Path]
) -> None:
    class One(BaseModel):
        file: Path

    client.hub.rules.large_from = 1 << 40
    one = One(file=write("large.txt", 17 << 20))
    client.upload(one)

    assert client.upload(one).bytes_sent == 0
    assert client.hub.ledger.count("commit") == 1


def test_only_what_changed_is_sent(client: Client, sample: Sample, write: Callable[..., Path]) -> None:
    client.upload(sample)
    client.hub.ledger.forget()

    result = client.upload(sample.model_copy(update={"weights": write("new/weights.bin", 500)}))

    assert result.bytes_sent == 500
    assert client.hub.ledger.received("lfs-put") == 500


def test_a_large_file_is_sent_in_parts(client: Client, write: Callable[..., Path], tmp_path: Path) -> None:
    class One(BaseModel):
        file: Path

    client.hub.rules.multipart_from, client.hub.rules.part_size = 1_000_000, 1_000_000
    one = One(file=write("large.bin", 3_500_000))

    client.upload(one)
    again = RitualArtifactManager.from_repo(One, REPO, tmp_path / "out", repomanager_kwargs=client.connection)

    assert client.hub.ledger.count("lfs-put") == 4
    assert again.artifact.file.read_bytes() == one.file.read_bytes()


def test_a_download_is_pinned_and_asks_only_for_the_files_of_the_manifest(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    result = client.upload(sample)
    hub = client.hub
    hub.put(hub.repo("alice/model"), {"other.bin": b"not the artifact's"})
    head = hub.repo("alice/model").head.oid
    hub.ledger.forget()

    client.download(tmp_path / "out")

    asked = [e.path for e in hub.ledger.of("resolve")]
    assert all(f"/resolve/{head}/" in path for path in asked)
    assert sorted(path.rpartition("/")[2] for path in asked) == [
        "a.safetensors",
        "config.json",
        "ritual_manifest.json",
        "weights.bin",
    ]
    assert head != result.revision
    assert not (tmp_path / "out" / "other.bin").exists()


def test_the_error_for_a_missing_manifest_lists_the_files(client: Client, tmp_path: Path) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.put(repo, {"pytorch_model.bin": b"x", "config.json": b"{}"})

    with pytest.raises(
        ArtifactNotFoundError, match=r"no ritual_manifest\.json .*config\.json.*pytorch_model"
    ):
        client.download(tmp_path / "out")


def test_snapshot_download_gets_what_was_published(any_hub: Hub, sample: Sample, tmp_path: Path) -> None:
    Client(any_hub).upload(sample)

    folder = Path(
        snapshot_download(
            "alice/model", endpoint=any_hub.endpoint, token=any_hub.token, cache_dir=tmp_path / "cache"
        )
    )

    again = RitualArtifactManager.from_dir(Sample, folder)
    assert contents(again.artifact) == contents(sample)


def test_the_bytes_of_an_upload_and_a_download_are_reported(
    any_hub: Hub, sample: Sample, tmp_path: Path
) -> None:
    reports: list[tuple[str, int, int]] = []
    client = Client(any_hub)

    RitualArtifactManager(artifact=sample).to_repo(
        REPO,
        repo_manager_kwargs=client.connection,
        progress=lambda p: reports.append((p.stage, p.bytes_done, p.bytes_total)),
    )
    client.download(
        tmp_path / "out", progress=lambda p: reports.append((p.stage, p.bytes_done, p.bytes_total))
    )

    size = 370_014
    assert {("hash", size, size), ("upload", size, size), ("download", size, size)} <= set(reports)
    done = [done for stage, done, _ in reports if stage == "upload"]
    assert done == sorted(done)


@pytest.mark.parametrize("stage", ["upload", "download"])
def test_the_files_of_an_upload_and_a_download_are_counted(
    stage: str, any_hub: Hub, sample: Sample, tmp_path: Path
) -> None:
    reports: list[Progress] = []
    client = Client(any_hub)

    RitualArtifactManager(artifact=sample).to_repo(
        REPO, repo_manager_kwargs=client.connection, progress=reports.append
    )
    client.download(tmp_path / "out", progress=reports.append)

    counts = [report.files_done for report in reports if report.stage == stage]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 4)
    assert {report.files_total for report in reports if report.stage == stage} == {4}


def test_hf_xet_reports_bytes_and_files(xet_hub: Hub, write: Callable[..., Path]) -> None:
    large = {path.name: path for path in (write("a.bin", 200_000), write("b.bin", 100_000))}
    additions = [
        Addition(name, path, sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for name, path in large.items()
    ]
    api = HfApi(endpoint=xet_hub.endpoint, token=xet_hub.token)
    api.create_repo("alice/model")
    reports: list[tuple[int, int]] = []

    with reported(lambda size, files: reports.append((size, files))):
        api.preupload_lfs_files("alice/model", additions)

    assert [sum(counts) for counts in zip(*reports, strict=True)] == [300_000, 2]
    assert all(size >= 0 and files >= 0 for size, files in reports)


def test_other_uploads_by_xet_are_not_reported(xet_hub: Hub, write: Callable[..., Path]) -> None:
    api = HfApi(endpoint=xet_hub.endpoint, token=xet_hub.token)
    api.create_repo("alice/model")
    reports: list[tuple[int, int]] = []

    def upload() -> None:
        addition = CommitOperationAdd("a.bin", write("a.bin", 200_000))
        api.preupload_lfs_files("alice/model", [addition])

    with reported(lambda size, files: reports.append((size, files))), ThreadPoolExecutor() as other:
        other.submit(upload).result()

    assert reports == []

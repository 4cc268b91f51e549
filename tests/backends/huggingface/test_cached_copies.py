"""Copies in the cache: when they answer without a request, and which of them belongs to what."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    IntegrityError,
)
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers.hub import Hub


def test_offline_the_cache_is_enough(client: Client, sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    client.upload(sample)
    client.download(None)
    client.hub.ledger.forget()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    again = client.download(None)

    assert contents(again.artifact) == contents(sample)
    assert str(again.repo_id) == REPO
    assert client.hub.ledger.of() == []


def test_offline_a_damaged_copy_is_noticed(client: Client, sample: Sample) -> None:
    client.upload(sample)
    path = client.download(None).artifact.weights
    path.write_bytes(b"damaged")

    with pytest.raises(IntegrityError, match=r"weights\.bin"):
        RitualArtifactManager.from_repo(
            Sample, REPO, repomanager_kwargs=client.connection | {"local_files_only": True}
        )


def test_offline_an_artifact_without_a_copy_is_not_found(
    client: Client, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.upload(sample)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    client.hub.ledger.forget()

    with pytest.raises(ArtifactNotFoundError, match="HF_HUB_OFFLINE"):
        client.download(None)

    assert client.hub.ledger.of() == []


def test_a_commit_in_the_cache_costs_no_request(client: Client, sample: Sample) -> None:
    revision = client.upload(sample).revision
    client.download(None, f"{REPO}/{revision}")
    client.hub.ledger.forget()

    client.download(None, f"{REPO}/{revision}")

    assert client.hub.ledger.of() == []


def test_only_the_files_of_the_wanted_fields_are_requested(
    client: Client, write: Callable[..., Path], tmp_path: Path
) -> None:
    class Optional(BaseModel):
        weights: Path | None = None
        proof: Path | None = None

    client.upload(Optional(weights=write("weights.bin"), proof=write("proof.bin")))
    client.hub.ledger.forget()

    RitualArtifactManager.from_repo(
        Optional, REPO, tmp_path / "out", repomanager_kwargs=client.connection, fields=["proof"]
    )

    assert not [e for e in client.hub.ledger.of() if e.path.endswith("weights.bin")]


@pytest.mark.parametrize("how", ["environment", "option"])
def test_offline_a_model_a_dataset_and_a_space_with_one_id_are_three(
    how: str, hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("model", "dataset", "space")
    for kind in kinds[:2]:
        client = Client(hub, repo_type=kind)
        client.upload(sample.model_copy(update={"note": kind}))
        client.download(None)
    options: dict[str, Any] = {"local_files_only": True} if how == "option" else {}
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.ledger.forget()

    found = [Client(hub, repo_type=kind, **options).download(None).artifact.note for kind in kinds[:2]]
    by_default = Client(hub, **options).download(None)

    assert found == list(kinds[:2])
    assert by_default.artifact.note == "model"
    with pytest.raises(ArtifactNotFoundError, match="not on this machine"):
        Client(hub, repo_type="space", **options).download(None)
    assert hub.ledger.of() == []


@pytest.mark.parametrize("version", ["", "/v1", "/dataset"])
def test_a_dataset_has_its_own_folder_in_the_cache(
    version: str, hub: Hub, sample: Sample, own_folders: Path
) -> None:
    model, dataset = Client(hub), Client(hub, repo_type="dataset")
    for client, note in ((model, "model"), (dataset, "dataset")):
        client.upload(sample.model_copy(update={"note": note}), f"{REPO}{version}")

    places = {c.download(None, f"{REPO}{version}").artifact.weights.parent for c in (model, dataset)}

    name = version[1:] or "default"
    assert places == {own_folders / "cache" / REPO / name, own_folders / "cache" / REPO / f"dataset~{name}"}


def test_offline_an_invalid_repository_type_is_refused(client: Client, sample: Sample) -> None:
    client.upload(sample)
    client.download(None)

    with pytest.raises(BackendError, match="repo_type"):
        Client(client.hub, repo_type="datasets", local_files_only=True).download(None)

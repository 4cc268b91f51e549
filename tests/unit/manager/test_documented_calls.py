"""The manager's documented calls, and what they refuse."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import BackendError, RepoIdError, RitualArtifactManager, StorageId
from ritual_artifacts.backends import Storage, find_storage, registry
from ritual_artifacts.context import Context
from tests.artifacts import Circuit
from tests.servers.hub import Hub, Token
from tests.unit.manager.artifacts import REPO, Other, Write, contents, no_backend


class MyZkMlArtifact(BaseModel):
    circuit_file: Path
    model_file: Path
    version: str
    num_params: str


@pytest.fixture
def my_artifact() -> RitualArtifactManager[MyZkMlArtifact]:
    """Return an artifact whose files cannot be read: they are not there."""
    return RitualArtifactManager(
        artifact=MyZkMlArtifact(
            circuit_file=Path("missing/circuit"),
            model_file=Path("missing/model"),
            version="v1.0",
            num_params="1000",
        )
    )


def test_hugging_face(
    my_artifact: RitualArtifactManager[MyZkMlArtifact],
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    write: Write,
) -> None:
    hub.tokens["hf_mine"] = Token("my-hf-username")
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    monkeypatch.chdir(write("missing/circuit").parents[1])
    write("missing/model")

    my_artifact.to_huggingface_hub(repo_name="my-hf-username/my-repo-name", token=os.getenv("HF_TOKEN"))
    artifact = RitualArtifactManager.from_huggingface_hub(
        artifact_class=MyZkMlArtifact, repo_id="my-hf-username/my-repo-name", token=os.getenv("HF_TOKEN")
    )

    assert artifact.artifact.version == my_artifact.artifact.version
    assert artifact.artifact.circuit_file.read_bytes() == Path("missing/circuit").read_bytes()


def test_a_storage_without_backend_is_refused_before_a_file_is_read(
    my_artifact: RitualArtifactManager[MyZkMlArtifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry._OWN, StorageId.Arweave)
    with no_backend("arweave"):
        my_artifact.to_arweave(repo_name="my-repo-name", wallet_path="path/to/wallet.json")
    with no_backend("arweave"):
        my_artifact.to_repo(
            repo_id="arweave/my-username/my-model", repo_type="arweave", wallet_path="path/to/wallet.json"
        )
    with no_backend("arweave"):
        RitualArtifactManager.from_arweave(
            artifact_class=MyZkMlArtifact, repo_id="my-arweave-address/arweave-id"
        )
    with no_backend("arweave"):
        RitualArtifactManager[Other].from_repo(
            artifact_class=MyZkMlArtifact,  # type: ignore[arg-type]  # documented so: the argument wins
            repo_id="arweave/my-username/my-model",
        )


def test_the_documented_calls_run_on_the_local_store(write: Write) -> None:
    my_artifact = RitualArtifactManager(
        artifact=MyZkMlArtifact(
            circuit_file=write("circuit"), model_file=write("model"), version="v1.0", num_params="1000"
        )
    )

    result = my_artifact.to_repo(repo_id="local/my-username/my-model", repo_type="local")
    artifact = RitualArtifactManager[Other].from_repo(
        artifact_class=MyZkMlArtifact,  # type: ignore[arg-type]  # documented so: the argument wins
        repo_id="local/my-username/my-model",
    )
    downloaded: object = artifact.artifact

    assert str(result.repo_id) == "local/my-username/my-model"
    assert isinstance(downloaded, MyZkMlArtifact)
    assert downloaded.num_params == "1000"


def test_a_subscripted_manager_is_a_manager(circuit: Circuit) -> None:
    typed = RitualArtifactManager[Circuit](artifact=circuit)
    typed.to_repo(REPO)

    again = RitualArtifactManager[Circuit].from_repo(Circuit, REPO)

    assert isinstance(typed, RitualArtifactManager)
    assert type(again) is RitualArtifactManager[Circuit]
    assert contents(again.artifact) == contents(circuit)


def test_a_subclass_of_the_manager_is_kept(circuit: Circuit) -> None:
    class CircuitManager(RitualArtifactManager[Circuit]):
        def parameters(self) -> int:
            return self.artifact.num_params

    CircuitManager(artifact=circuit).to_repo(REPO)

    assert CircuitManager.from_repo(Circuit, REPO).parameters() == 1000


@pytest.mark.parametrize("repo_type", ["arweave", "huggingface"])
def test_a_repo_type_must_agree_with_the_id(repo_type: str, manager: RitualArtifactManager[Circuit]) -> None:
    with pytest.raises(RepoIdError, match=f"repo_type '{repo_type}' does not agree with .* local/me/circuit"):
        manager.to_repo(REPO, repo_type=repo_type)


def test_an_unknown_option_is_refused(manager: RitualArtifactManager[Circuit]) -> None:
    with pytest.raises(
        BackendError, match="an upload to the local store does not take the option 'commit_message'"
    ):
        manager.to_repo(REPO, upload_kwargs={"commit_message": "x"})
    with pytest.raises(BackendError, match="the local store does not take the option 'gateways'"):
        manager.to_repo(REPO, repo_manager_kwargs={"gateways": []})
    with pytest.raises(BackendError, match="the local store does not take the option 'gateways'"):
        RitualArtifactManager.from_repo(Circuit, REPO, repomanager_kwargs={"gateways": []})


def test_a_credential_goes_only_to_its_own_storage(
    manager: RitualArtifactManager[Circuit], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Mapping[str, Any]] = {}

    def note(storage: Storage, options: Mapping[str, Any], context: Context) -> None:
        del context
        given[str(storage.name)] = options
        message = "noted"
        raise BackendError(message)

    for storage in StorageId:
        monkeypatch.setattr(type(find_storage(storage)), "connect", note)
        with pytest.raises(BackendError, match="noted"):
            manager.to_repo(f"{storage}/me/x", "hf_secret", "wallet.json")

    assert given == {
        "local": {},
        "arweave": {"wallet_path": "wallet.json"},
        "huggingface": {"token": "hf_secret"},
    }


def test_a_token_is_in_no_error_and_no_log(
    manager: RitualArtifactManager[Circuit], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    with pytest.raises(BackendError, match="'tokens'") as error:
        manager.to_repo("huggingface/me/x", hf_token="hf_secret", repo_manager_kwargs={"tokens": "hf_secret"})

    assert "hf_secret" not in f"{error.value!r} {error.value.__cause__!r} {caplog.text}"

"""Versions, pull requests, tags, cards, and all other options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager, StorageId
from ritual_artifacts.backends import connect
from ritual_artifacts.backends.huggingface.options import HubConnection, HubUpload
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, ConflictError, RepoIdError
from ritual_artifacts.settings import load_settings
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.hub import Hub

# --- versions ---


def test_a_version_is_a_branch_that_is_created_if_it_does_not_exist(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    result = client.upload(sample, f"{REPO}/v1")
    repo = client.hub.repo("alice/model")

    again = client.download(tmp_path / "out", f"{REPO}/v1")

    assert repo.branches["v1"] == result.revision
    assert "ritual_manifest.json" not in repo.head.files
    assert contents(again.artifact) == contents(sample)
    assert str(result.repo_id) == f"{REPO}/v1"


def test_a_branch_moves_with_its_uploads(client: Client, sample: Sample, tmp_path: Path) -> None:
    first = client.upload(sample, f"{REPO}/v1")
    second = client.upload(sample.model_copy(update={"note": "second"}), f"{REPO}/v1")

    assert client.download(tmp_path / "new", f"{REPO}/v1").artifact.note == "second"
    assert client.download(tmp_path / "old", f"{REPO}/{first.revision}").artifact.note == "ø"
    assert first.revision != second.revision


def test_a_branch_whose_commit_fails_is_not_left_behind(client: Client, sample: Sample) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.faults.add("*/commit/*", faults.forbidden())

    with pytest.raises(BackendError):
        client.upload(sample, f"{REPO}/v1")

    assert set(repo.branches) == {"main"}


def test_a_tag_and_a_commit_do_not_move(client: Client, sample: Sample) -> None:
    result = client.upload(sample, tag="v1.0")
    other = sample.model_copy(update={"note": "other"})

    client.upload(other)
    for version in ("v1.0", result.revision, "0" * 40):
        with pytest.raises(ConflictError, match="is not a branch"):
            client.upload(other, f"{REPO}/{version}")
    assert set(client.hub.repo("alice/model").branches) == {"main"}


def test_a_tag_names_the_commit_and_can_be_downloaded(client: Client, sample: Sample, tmp_path: Path) -> None:
    result = client.upload(sample, tag="v1.0")
    client.upload(sample.model_copy(update={"note": "newer"}))

    assert client.hub.repo("alice/model").tags["v1.0"] == result.revision
    assert client.download(tmp_path / "out", f"{REPO}/v1.0").artifact.note == "ø"
    assert client.upload(sample.model_copy(update={"note": "newer"}), tag="v2.0").bytes_sent == 0


def test_a_tag_that_is_taken_is_refused_before_anything_is_sent(client: Client, sample: Sample) -> None:
    client.upload(sample, tag="v1.0")
    client.hub.ledger.forget()

    with pytest.raises(ConflictError, match=r"'v1\.0'.*never moves"):
        client.upload(sample.model_copy(update={"note": "newer"}), tag="v1.0")

    assert {e.method for e in client.hub.ledger.of()} == {"GET"}


def test_a_tag_is_found_after_a_lost_answer(client: Client, sample: Sample) -> None:
    client.hub.faults.add("*/tag/*", faults.fail(500, applied=True), times=1)

    result = client.upload(sample, tag="v1.0")

    assert client.hub.repo("alice/model").tags["v1.0"] == result.revision


def test_the_revision_can_be_an_option(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample, revision="v1")

    assert client.download(tmp_path / "id", f"{REPO}/v1").artifact.note == "ø"
    by_option = Client(client.hub, revision="v1").download(tmp_path / "option")
    assert by_option.artifact.note == "ø"
    with pytest.raises(RepoIdError, match="does not agree"):
        client.upload(sample, f"{REPO}/v2", revision="v1")


def test_a_revision_that_does_not_exist_is_not_found(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)

    for version in ("v9", "0" * 40, "a%2Fb"):
        with pytest.raises(ArtifactNotFoundError):
            client.download(tmp_path / "out", f"{REPO}/{version}")


# --- pull requests ---


def test_a_pull_request_holds_the_artifact_and_moves_no_branch(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    repo = client.hub.create_repo("alice/model")
    before = repo.head

    result = client.upload(sample, create_pr=True)

    assert repo.head == before
    assert result.pr_num == 1
    assert result.url == result.pr_url
    by_option = Client(client.hub, revision=result.pr_revision).download(tmp_path / "out")
    assert contents(by_option.artifact) == contents(sample)


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
def test_a_pull_request_whose_answer_is_lost_is_opened_once(
    *, applied: bool, client: Client, sample: Sample
) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.faults.add("*/commit/*", faults.fail(500, applied=applied), times=1)

    result = client.upload(sample, create_pr=True)

    assert len(repo.pulls) == 1
    assert result.pr_num == 1


def test_a_pull_request_can_be_added_to(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.hub.create_repo("alice/model")
    opened = client.upload(sample, create_pr=True)

    client.upload(sample.model_copy(update={"note": "better"}), revision=opened.pr_revision)

    again = Client(client.hub, revision=opened.pr_revision).download(tmp_path / "out")
    assert again.artifact.note == "better"


# --- what the commit says, and who sees it ---


def test_message_and_description_are_those_of_the_user(client: Client, sample: Sample) -> None:
    result = client.upload(sample, commit_message="New weights", commit_description="Trained longer.")

    head = client.hub.repo("alice/model").head
    assert (head.title, result.commit_message) == ("New weights", "New weights")
    assert result.commit_description == "Trained longer."


@pytest.mark.parametrize(("asked", "private"), [(None, True), (True, True), (False, False)])
def test_a_new_repository_is_private_by_default(
    *, asked: bool | None, private: bool, client: Client, sample: Sample
) -> None:
    client.upload(sample, private=asked)

    assert client.hub.repo("alice/model").private is private


def test_the_visibility_of_a_repository_that_exists_stays(client: Client, sample: Sample) -> None:
    client.hub.create_repo("alice/model", private=False)

    client.upload(sample, private=True)

    assert not client.hub.repo("alice/model").private


def test_a_parent_commit_that_is_not_the_newest_is_a_conflict(client: Client, sample: Sample) -> None:
    old = client.upload(sample).revision
    new = client.upload(sample.model_copy(update={"note": "b"}), parent_commit=old)

    with pytest.raises(ConflictError, match="parent_commit"):
        client.upload(sample.model_copy(update={"note": "c"}), parent_commit=old)

    assert client.hub.repo("alice/model").head.oid == new.revision


def test_a_parent_commit_does_not_hide_that_the_commit_was_made(client: Client, sample: Sample) -> None:
    old = client.upload(sample).revision
    client.hub.faults.add("*/commit/*", faults.fail(500, applied=True), times=1)

    new = client.upload(sample.model_copy(update={"note": "b"}), parent_commit=old)

    assert client.hub.repo("alice/model").head.oid == new.revision


def test_files_that_match_delete_patterns_are_deleted_in_the_same_commit(
    client: Client, sample: Sample
) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.put(repo, {"old.bin": b"x", "notes.txt": b"y", "README.md": b"z"})

    client.upload(sample, delete_patterns=["*.bin", "README.md"])

    assert "old.bin" not in repo.head.files
    assert {"notes.txt", "README.md", "weights.bin"} <= set(repo.head.files)
    assert client.hub.ledger.count("commit") == 1


# --- the card ---


def test_the_card_lists_the_files_and_how_to_download_them(client: Client, sample: Sample) -> None:
    result = client.upload(
        sample, license="apache-2.0", base_model="alice/base", pipeline_tag="text-generation"
    )

    card = client.hub.read(client.hub.repo("alice/model"), "README.md").decode()
    front = card.split("---")[1].strip().splitlines()
    assert front == [
        "library_name: ritual-artifacts",
        'tags: ["ritual-artifacts"]',
        "license: apache-2.0",
        'base_model: ["alice/base"]',
        "pipeline_tag: text-generation",
    ]
    for entry in result.files:
        assert f"| `{entry.path}` |" in card
        assert entry.sha256 in card
    assert result.digest in card
    assert '"huggingface/alice/model"' in card


def test_the_snippet_of_the_card_loads_the_artifact(
    client: Client, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.upload(sample)
    monkeypatch.setenv("HF_ENDPOINT", client.hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", client.hub.token)
    card = client.hub.read(client.hub.repo("alice/model"), "README.md").decode()
    snippet = card.split("```python\n")[1].split("```")[0]

    names: dict[str, Any] = {"Sample": Sample}
    exec(snippet, names)  # noqa: S102 - it is what users are told to run

    assert contents(names["artifact"]) == contents(sample)


def test_a_card_that_is_there_stays(client: Client, sample: Sample) -> None:
    repo = client.hub.create_repo("alice/model")
    client.hub.put(repo, {"README.md": b"# mine"})

    client.upload(sample)

    assert client.hub.read(repo, "README.md") == b"# mine"


def test_an_artifacts_own_readme_is_the_card(client: Client, write: Callable[..., Path]) -> None:
    class Model(BaseModel):
        readme: Path
        weights: Path

    own = write("README.md", content=b"---\nlicense: mit\n---\n# own\n")

    client.upload(Model(readme=own, weights=write("weights.bin")))

    assert client.hub.read(client.hub.repo("alice/model"), "README.md") == own.read_bytes()


def test_no_card_is_written_if_none_is_wanted(client: Client, sample: Sample) -> None:
    client.upload(sample, card=False)

    assert "README.md" not in client.hub.repo("alice/model").head.files


def test_names_are_quoted_in_the_card(client: Client, write: Callable[..., Path]) -> None:
    class Files(BaseModel):
        files: list[Path]

    client.upload(Files(files=[write("a|b.bin"), write("`x`.bin"), write("<b>.bin")]))

    card = client.hub.read(client.hub.repo("alice/model"), "README.md").decode()
    rows = [line for line in card.splitlines() if ".bin" in line and line.startswith("|")]
    assert [row.count("|") - row.count("\\|") for row in rows] == [4, 4, 4]
    assert "`` `x`.bin ``" in card


# --- other options ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "colour"),
        ({"repo_type": "bucket"}, "model.*dataset.*space"),
        ({"allow_patterns": "*.bin"}, "fields="),
        ({"cache_dir": "x"}, "RITUAL_CACHE_DIR"),
        ({"endpoint": "huggingface.co"}, "URL"),
        ({"endpoint": "file:///x"}, "URL"),
        ({"endpoint": "https://me:secret@hub.example"}, "URL"),
        ({"endpoint": "https://[x"}, "URL"),
    ],
)
def test_an_unknown_or_invalid_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BackendError, match=message) as caught:
        connect(StorageId.Huggingface, options, Context.create())

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["allow_patterns", "path_in_repo", "run_as_future", "folder_path"])
def test_an_unknown_upload_option_is_refused(name: str, client: Client, sample: Sample) -> None:
    with pytest.raises(BackendError, match=name):
        client.upload(sample, **{name: "x"})

    assert client.hub.ledger.of() == []


def test_options_of_huggingface_hub_that_change_nothing_are_accepted(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    options = {"etag_timeout": 10, "force_download": True, "max_workers": 2, "ignore_patterns": None}

    again = Client(client.hub, **options).download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)


def test_the_token_of_infernet_ml_is_in_the_upload_options(hub: Hub, sample: Sample) -> None:
    RitualArtifactManager(artifact=sample).to_huggingface_hub(
        "alice/model", upload_kwargs={"token": hub.token, "endpoint": hub.endpoint}
    )

    assert "weights.bin" in hub.repo("alice/model").head.files


def test_the_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")

    settings = load_settings()
    assert HubConnection.connect({"endpoint": None}, settings).endpoint == "https://hub.example"
    assert (
        HubConnection.connect({"endpoint": "https://other.example"}, settings).endpoint
        == "https://other.example"
    )


def test_options_do_not_show_their_token() -> None:
    options = HubUpload.merge({"token": "hf_secret"}, HubConnection(headers={"x-secret": "hf_secret"}))

    assert options.connection.token == "hf_secret"
    assert "hf_secret" not in repr(options)


def test_the_client_says_who_it_is(client: Client, sample: Sample) -> None:
    client.upload(sample)

    agents = {e.user_agent for e in client.hub.ledger.of("refs", "commit", "preupload")}
    assert all(agent.startswith("ritual-artifacts/") for agent in agents)


def test_a_revision_has_its_own_folder_in_the_cache(
    client: Client, sample: Sample, own_folders: Path
) -> None:
    client.upload(sample)
    pull_request = client.upload(sample.model_copy(update={"note": "proposed"}), create_pr=True)

    proposed = Client(client.hub, revision=pull_request.pr_revision).download(None)
    newest = client.download(None)

    assert (proposed.artifact.note, newest.artifact.note) == ("proposed", "ø")
    assert proposed.artifact.weights.parent == own_folders / "cache" / REPO / "refs%2Fpr%2F1"
    assert newest.artifact.weights.parent == own_folders / "cache" / REPO / "default"


@pytest.mark.parametrize("name", ["mo?del", "mo#del", "a%2Fb", "a--b", "m" * 97])
def test_a_name_that_would_be_another_address_is_refused(name: str, client: Client) -> None:
    with pytest.raises(RepoIdError, match="does not allow this name"):
        client.download(None, f"huggingface/alice/{name}")

    assert client.hub.ledger.of() == []


def test_an_empty_token_means_none_was_given(
    client: Client, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", client.hub.token)

    assert Client(client.hub, token="").upload(sample).bytes_sent > 0

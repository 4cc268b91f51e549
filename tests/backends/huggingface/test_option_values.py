"""Options of the wrong type or out of range: an error that names the option, and shows no secret."""

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import Progress, RitualArtifactManager, StorageId
from ritual_artifacts.backends import connect
from ritual_artifacts.backends.huggingface.options import HubConnection, HubUpload
from ritual_artifacts.context import Context
from ritual_artifacts.errors import AuthenticationError, BackendError, TransferError
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample
from tests.servers.hub import Hub

CONNECTION: list[tuple[str, list[object]]] = [
    ("max_workers", [0, -1, 1025, True, "8", 2.0]),
    ("timeout", [0, -1, float("nan"), float("inf"), 86_401, "5", True]),
    ("write_timeout", [0, "5"]),
    ("token", [5, b"hf_x", ["hf_x"]]),
    ("endpoint", [5, b"https://hub.example", "https://hub.example/ x", "https://hub.example\n.other"]),
    ("repo_type", [5, ["model"], "Model", ""]),
    ("revision", [5, b"main", Path("main")]),
    ("local_files_only", [1, "yes"]),
    ("library_name", [5, "a\r\nb", "ä"]),
    ("library_version", [5, "1\n"]),
    ("user_agent", [5, ["a"], {"a": 1}, "a\nb", {"a": "b\r\nc"}]),
    ("headers", ["x", 5, {"a": 1}, {"a b": "c"}, {"": "c"}, {"a": "c\r\nd: e"}]),
]
UPLOAD: list[tuple[str, list[object]]] = [
    ("commit_message", [5, b"x"]),
    ("commit_description", [5]),
    ("create_pr", [1, "yes"]),
    ("parent_commit", ["", "main", "abc", "g" * 40, 5]),
    ("private", [1, "no"]),
    ("tag", ["", "a b", "a..b", "-a", "a.lock", "refs/tags/a", "HEAD", "a\n", 5]),
    ("delete_patterns", [5, b"x", [1]]),
    ("card", ["yes", 0]),
    ("license", [5, ["mit"]]),
    ("base_model", [5, [5]]),
    ("pipeline_tag", [5]),
    ("space_sdk", ["flask", 5]),
    ("max_workers", [0]),
]
BAD_TOKENS = ["hf_se cret", "hf_se\ncret", "hf_se\tcret", "hf_se\x00cret", "hf_se\x7fcret", "hf_sécret"]


def each(table: list[tuple[str, list[object]]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in table
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(("name", "value"), each(CONNECTION))
def test_an_invalid_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(BackendError, match=f"'{name}'"):
        connect(StorageId.Huggingface, {name: value}, Context.create())


@pytest.mark.parametrize(("name", "value"), each(UPLOAD))
def test_an_invalid_upload_option_is_refused_by_name(
    name: str, value: Any, client: Client, sample: Sample
) -> None:
    with pytest.raises(BackendError, match=f"'{name}'"):
        client.upload(sample, **{name: value})

    assert client.hub.ledger.of() == []


@pytest.mark.parametrize("version", ["/v1", "/refs%2Fpr%2F1"])
def test_a_pull_request_for_another_branch_than_main_is_refused(
    version: str, client: Client, sample: Sample
) -> None:
    with pytest.raises(BackendError, match="create_pr"):
        client.upload(sample, f"{REPO}{version}", create_pr=True)

    assert client.hub.ledger.of() == []


def test_none_means_not_given() -> None:
    names = [name for name, _ in CONNECTION]

    connect(StorageId.Huggingface, dict.fromkeys(names), Context.create())


def test_an_empty_revision_means_none_was_given(client: Client, sample: Sample) -> None:
    client.upload(sample, revision="")

    assert "ritual_manifest.json" in client.hub.repo("alice/model").head.files


@pytest.mark.parametrize("token", ["", " \n"])
def test_a_blank_token_of_an_upload_leaves_that_of_the_connection(
    token: str, client: Client, sample: Sample
) -> None:
    client.upload(sample, token=token)

    assert "weights.bin" in client.hub.repo("alice/model").head.files


def test_an_upload_also_takes_the_librarys_name_for_the_timeout() -> None:
    options = HubUpload.merge({"etag_timeout": 7}, HubConnection.parse({"timeout": 5}))

    assert options.connection.timeout == 7


@pytest.mark.parametrize("how", ["environment", "option"])
def test_offline_an_upload_is_refused_before_a_file_is_read(
    how: str, hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    seen: list[Progress] = []

    with pytest.raises(TransferError, match="offline mode is on"):
        RitualArtifactManager(artifact=sample).to_repo(
            REPO,
            repo_manager_kwargs=Client(hub, local_files_only=how == "option").connection,
            progress=seen.append,
        )

    assert seen == []
    assert hub.ledger.of() == []


# --- tokens and other secrets ---


@pytest.mark.parametrize(
    ("how", "token"),
    [
        *itertools.product(["connection", "upload"], BAD_TOKENS),
        # The environment cannot contain a NUL, and the library removes line breaks from what it reads.
        *itertools.product(["environment"], [t for t in BAD_TOKENS if "\0" not in t and "\n" not in t]),
        *itertools.product(["login"], [t for t in BAD_TOKENS if "\n" not in t]),
    ],
)
def test_a_malformed_token_is_refused_early_and_not_shown(
    how: str, token: str, hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, options = Client(hub, token=None), {}
    if how == "connection":
        client.connection["token"] = token
    elif how == "upload":
        options["token"] = token
    elif how == "environment":
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        place = Path(os.environ["HF_TOKEN_PATH"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(token, encoding="utf-8")

    with pytest.raises(AuthenticationError, match="token") as caught:
        client.upload(sample, **options)

    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert not any(part in shown for part in ("hf_se", "cret"))
    assert hub.ledger.of() == []


def test_white_space_around_a_token_is_removed(hub: Hub, sample: Sample) -> None:
    Client(hub, token=f" {hub.token}\n").upload(sample)

    assert "weights.bin" in hub.repo("alice/model").head.files


def test_a_missing_login_is_an_error_if_it_was_requested(hub: Hub, sample: Sample) -> None:
    with pytest.raises(AuthenticationError, match="hf auth login"):
        Client(hub, token=True).upload(sample)

    assert hub.ledger.of() == []


def test_a_malformed_header_is_not_shown() -> None:
    with pytest.raises(BackendError, match="'headers'") as caught:
        HubConnection.parse({"headers": {"x-key": "my-secret\r\nx: y"}})

    assert "my-secret" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"

"""What the storage says without a connection: pinned ids, folders in the cache, offline mode."""

import json
import subprocess
import sys
from typing import Any

import pytest

from ritual_artifacts import RitualRepoId
from ritual_artifacts.backends import find_storage
from ritual_artifacts.backends.huggingface.storage import HuggingFaceStorage
from ritual_artifacts.settings import load_settings
from tests.backends.huggingface.conftest import REPO

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ("", {}, None),
        ("/v1", {}, "v1"),
        ("", {"revision": "v1"}, "v1"),
        ("", {"revision": "refs/pr/1"}, "refs%2Fpr%2F1"),
        ("/v1", {"revision": "v2"}, "v1"),
        ("", {"revision": " "}, None),
        ("", {"revision": 5}, None),
        ("", {"repo_type": "model"}, None),
        ("", {"repo_type": "dataset"}, "dataset~default"),
        ("/v1", {"repo_type": "space"}, "space~v1"),
        ("", {"repo_type": "dataset", "revision": "a/b"}, "dataset~a%2Fb"),
        ("", {"repo_type": ["dataset"]}, None),
    ],
)
def test_the_cache_tells_revisions_and_kinds_of_repositories_apart(
    version: str, options: dict[str, Any], expected: str | None
) -> None:
    repo_id = RitualRepoId.from_unique_id(f"{REPO}{version}")

    assert HuggingFaceStorage().cache_version(repo_id, options) == expected


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ("", {}, False),
        ("/v1", {}, False),
        (f"/{COMMIT}", {}, True),
        (f"/{COMMIT.upper()}", {}, False),
        (f"/{COMMIT}0", {}, False),
        ("", {"revision": COMMIT}, True),
        ("/v1", {"revision": COMMIT}, False),
        (f"/{COMMIT}", {"repo_type": "dataset"}, True),
    ],
)
def test_only_a_commit_is_pinned(version: str, options: dict[str, Any], *, expected: bool) -> None:
    repo_id = RitualRepoId.from_unique_id(f"{REPO}{version}")

    assert HuggingFaceStorage().is_pinned(repo_id, options) is expected


def test_offline_mode_is_an_option_or_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = HuggingFaceStorage()

    assert not storage.is_offline({}, load_settings())
    assert storage.is_offline({"local_files_only": True}, load_settings())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert storage.is_offline({}, load_settings())


def test_finding_the_storage_imports_no_client_library() -> None:
    script = (
        "import json, sys; from ritual_artifacts.backends import find_storage; find_storage('huggingface');"
        "print(json.dumps([*sys.modules]))"
    )

    loaded = json.loads(subprocess.check_output([sys.executable, "-c", script]))  # noqa: S603 - our own code

    assert "ritual_artifacts.backends.huggingface.options" in loaded
    assert not {"huggingface_hub", "httpx2", "hf_xet"} & set(loaded)


def test_every_option_has_a_description() -> None:
    storage = find_storage("huggingface")

    for options in (storage.connection_options, storage.upload_options):
        assert all(info.description for info in options.model_fields.values())

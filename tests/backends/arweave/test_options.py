from typing import Any

import pytest

from ritual_artifacts import StorageId
from ritual_artifacts.backends import load_backend
from ritual_artifacts.backends.arweave.gateway import make_client
from ritual_artifacts.backends.arweave.options import (
    DEFAULT_GATEWAYS,
    Connection,
    UploadOptions,
    make_connection,
    make_upload_options,
)
from ritual_artifacts.errors import BackendError


def test_the_default_gateways_are_public_ones() -> None:
    assert make_connection({}).gateways == DEFAULT_GATEWAYS


def test_the_environment_names_gateways_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", "http://b:1984/, https://a")

    assert make_connection({}).gateways == ("http://b:1984", "https://a")


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", "http://b:1984")

    assert make_connection({"gateways": ["https://a", "https://a/"]}).gateways == ("https://a",)


def test_the_options_of_ritual_arweave_are_accepted() -> None:
    options = {
        "gateways": "https://a",
        "wallet_path": "./wallet.json",
        "logger": print,
        "max_upload_size": 1,
        "show_progress_bar": False,
    }

    assert make_connection(options) == Connection(gateways=("https://a",), wallet_path="./wallet.json")
    assert make_connection({"api_url": "https://a"}).gateways == ("https://a",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gateway": "https://a"}, "does not take the option 'gateway'.*gateways"),
        ({"gateways": []}, "no gateway"),
        ({"gateways": ""}, "must be a URL"),
        ({"gateways": 5}, "must be a URL"),
        ({"gateways": "ftp://a"}, "must be a URL"),
        ({"gateways": "arweave.net"}, "must be a URL"),
        ({"gateways": "https://me:secret@a"}, "must be a URL"),
        ({"gateways": "https://a?x=1"}, "must be a URL"),
        ({"gateways": "https://a:port"}, "must be a URL"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"timeout": float("inf")}, "timeout is inf"),
        ({"timeout": "5"}, "timeout is '5'"),
        ({"timeout": True}, "timeout is True"),
        ({"max_workers": 0}, "max_workers is 0"),
        ({"max_workers": 1.5}, "max_workers is 1.5"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BackendError, match=said) as caught:
        load_backend(StorageId.Arweave, options)

    assert "secret" not in str(caught.value)


def test_an_upload_has_defaults_that_cost_nothing_more() -> None:
    assert make_upload_options({"max_cost": None}) == UploadOptions()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"commit_message": "x"}, "does not take the option 'commit_message'"),
        ({"max_cost": -1}, "max_cost is -1"),
        ({"max_cost": 0.5}, "max_cost is 0.5"),
        ({"max_cost": True}, "max_cost is True"),
        ({"confirmations": -1}, "confirmations is -1"),
        ({"bundle": "yes"}, "bundle is 'yes'"),
        ({"reseed": 1}, "reseed is 1"),
        ({"version_mapping": {"a": 1}}, "version_mapping"),
        ({"version_mapping": "a"}, "version_mapping"),
        ({"extra_file_tags": {"a": "b"}}, "extra_file_tags"),
        ({"extra_file_tags": {"a": {"b": 1}}}, "extra_file_tags"),
        ({"extra_file_tags": [1]}, "extra_file_tags"),
        ({"extra_file_tags": {"a": {"Type": "manifest"}}}, "'Type'"),
        ({"extra_file_tags": {"a": {"File-SHA256": "0"}}}, "'File-SHA256'"),
    ],
)
def test_what_an_upload_cannot_use_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BackendError, match=said):
        make_upload_options(options)


def test_a_connection_waits_for_its_turn_as_long_as_it_takes() -> None:
    with make_client(5.0, 1) as client:
        assert client.timeout.pool is None
        assert client.timeout.read == 5.0

"""What the user and the environment say about a connection and an upload."""

from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.backends.arweave import Timing, Wallet
from ritual_artifacts.backends.arweave.options import (
    DEFAULT_GATEWAYS,
    Connection,
    ConnectionOptions,
    UploadOptions,
)
from ritual_artifacts.backends.arweave.storage import ArweaveStorage
from ritual_artifacts.backends.registry import connect, find_storage
from ritual_artifacts.context import Context
from ritual_artifacts.errors import AuthenticationError, BackendError, WalletError
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import load_settings

KEY = Path(__file__).parents[2] / "vectors" / "arweave" / "test_key_rsa4096.json"


def fill_in(**options: Any) -> Connection:
    return ConnectionOptions.parse(options).fill_in(load_settings())


# --- the connection ---------------------------------------------------------------------------------------


def test_the_default_gateways_are_public_ones() -> None:
    assert fill_in().gateways == DEFAULT_GATEWAYS


def test_the_environment_names_gateways_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", "http://b:1984/, https://a")

    assert fill_in().gateways == ("http://b:1984", "https://a")


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", "http://b:1984")
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "3")

    assert fill_in(gateways=["https://a", "https://a/"]).gateways == ("https://a",)
    assert fill_in(max_workers=5).max_workers == 5
    assert fill_in().max_workers == 3


def test_the_environment_names_the_wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWEAVE_WALLET_FILE_PATH", str(KEY))

    owner = connect("arweave", {}, Context.create()).choose_owner(
        RitualRepoId.from_unique_id("arweave/me/model")
    )

    assert owner.owner == Wallet.load(KEY).address


def test_the_environment_is_read_once_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = connect("arweave", {}, Context.create())
    monkeypatch.setenv("ARWEAVE_WALLET_FILE_PATH", str(KEY))

    with pytest.raises(WalletError, match="no wallet was given"):
        backend.choose_owner(RitualRepoId.from_unique_id("arweave/me/model"))


def test_gateways_of_the_environment_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", "arweave.net")

    with pytest.raises(BackendError, match="RITUAL_ARWEAVE_GATEWAYS: a gateway must be a URL"):
        fill_in()


def test_the_options_of_ritual_arweave_are_accepted() -> None:
    options: dict[str, Any] = {
        "gateways": "https://a",
        "wallet_path": "./wallet.json",
        "logger": print,
        "max_upload_size": 1,
        "show_progress_bar": False,
    }

    assert fill_in(**options) == Connection(gateways=("https://a",), wallet_path="./wallet.json")
    assert fill_in(api_url="https://a").gateways == ("https://a",)
    assert fill_in(api_url="https://a", gateways="https://b").gateways == ("https://b",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gateway": "https://a"}, "does not take the option 'gateway'.*gateways"),
        ({"gateways": []}, "the list of gateways is empty"),
        ({"gateways": ""}, "must be a URL"),
        ({"gateways": 5}, "must be a URL"),
        ({"gateways": "ftp://a"}, "must be a URL"),
        ({"gateways": "arweave.net"}, "must be a URL"),
        ({"gateways": "https://me:secret@a"}, "must be a URL"),
        ({"gateways": "https://a?x=1"}, "must be a URL"),
        ({"gateways": "https://a:port"}, "must be a URL"),
        ({"api_url": "arweave.net"}, "must be a URL"),
        ({"timeout": 0}, "'timeout' .* greater than 0"),
        ({"timeout": float("nan")}, "'timeout' .* finite number"),
        ({"timeout": float("inf")}, "'timeout' .* finite number"),
        ({"timeout": "5"}, "'timeout' .* valid number"),
        ({"timeout": True}, "'timeout' .* valid number"),
        ({"max_workers": 0}, "'max_workers' .* greater than or equal to 1"),
        ({"max_workers": 1.5}, "'max_workers' .* valid integer"),
        ({"timing": {"poll_seconds": 1}}, "'timing'"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BackendError, match=said) as caught:
        connect("arweave", options, Context.create())

    assert "secret" not in str(caught.value)


def test_a_wallet_that_is_not_a_path_is_an_error_of_the_credential() -> None:
    with pytest.raises(AuthenticationError, match="'wallet_path'"):
        connect("arweave", {"wallet_path": 5}, Context.create())


def test_the_timing_is_an_option() -> None:
    timing = Timing(poll_seconds=1.0)

    assert fill_in(timing=timing).timing == timing


# --- an upload --------------------------------------------------------------------------------------------


def test_an_upload_has_defaults_that_cost_nothing_more() -> None:
    options = UploadOptions.parse({"max_cost": None})

    assert options == UploadOptions()
    assert (options.max_cost, options.bundle, options.confirmations, options.reseed) == (
        None,
        False,
        0,
        False,
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"commit_message": "x"}, "does not take the option 'commit_message'"),
        ({"max_cost": -1}, "'max_cost' .* greater than or equal to 0"),
        ({"max_cost": 0.5}, "'max_cost' .* valid integer"),
        ({"max_cost": True}, "'max_cost' .* valid integer"),
        ({"confirmations": -1}, "'confirmations' .* greater than or equal to 0"),
        ({"bundle": "yes"}, "'bundle' .* valid boolean"),
        ({"reseed": 1}, "'reseed' .* valid boolean"),
        ({"version_mapping": {"a": 1}}, "'version_mapping' .* valid string"),
        ({"version_mapping": "a"}, "'version_mapping' .* valid dictionary"),
        ({"extra_file_tags": {"a": "b"}}, "'extra_file_tags' .* valid dictionary"),
        ({"extra_file_tags": {"a": {"b": 1}}}, "'extra_file_tags' .* valid string"),
        ({"extra_file_tags": [1]}, "'extra_file_tags' .* valid dictionary"),
        ({"extra_file_tags": {"a": {"Type": "manifest"}}}, "the tag 'Type' describes the transaction itself"),
        ({"extra_file_tags": {"a": {"File-SHA256": "0"}}}, "the tag 'File-SHA256' describes"),
    ],
)
def test_what_an_upload_cannot_use_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BackendError, match=said):
        UploadOptions.parse(options)


# --- the storage ------------------------------------------------------------------------------------------


def test_a_version_on_arweave_is_pinned() -> None:
    storage = find_storage("arweave")
    repo_id = RitualRepoId.from_unique_id("arweave/me/model/v1")

    assert isinstance(storage, ArweaveStorage)
    assert storage.is_pinned(repo_id, {})
    assert not storage.is_pinned(repo_id.without_version(), {})

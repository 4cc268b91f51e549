import copy
import json
import logging
import os
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.backends.arweave import Wallet
from ritual_artifacts.backends.arweave.transaction import is_signed
from ritual_artifacts.errors import WalletError

KEY = Path(__file__).parents[2] / "vectors" / "arweave" / "test_key_rsa4096.json"
ADDRESS = "bd27klaiNgxbChZsSji3w7SLqAc8vjuE7I9llwYBAKY"
PRIVATE = ("d", "p", "q", "dp", "dq", "qi")


@pytest.fixture
def jwk() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(KEY.read_text())
    return values


@pytest.fixture
def place(tmp_path: Path, jwk: dict[str, Any]) -> Path:
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps(jwk))
    path.chmod(0o600)
    return path


def test_a_wallet_has_the_address_of_its_key(place: Path) -> None:
    assert Wallet.load(place).address == ADDRESS


def test_what_a_wallet_signs_is_signed(place: Path) -> None:
    wallet = Wallet.load(place)

    signature = wallet.sign(b"message")

    assert is_signed(wallet.owner, signature, b"message")
    assert not is_signed(wallet.owner, signature, b"massage")


def test_without_any_wallet_the_message_says_how_to_name_one() -> None:
    with pytest.raises(WalletError, match=r"wallet_path=.*ARWEAVE_WALLET_FILE_PATH"):
        Wallet.load(None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match=r"nothing\.json cannot be read"):
        Wallet.load(tmp_path / "nothing.json")


def test_a_fifo_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(WalletError, match="is not a file"):
        Wallet.load(tmp_path / "fifo")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kty": "EC"}, "not an RSA key"),
        ({"d": None}, "public key, which cannot sign"),
        ({"p": None}, "incomplete: it lacks p"),
        ({"n": "AQAB"}, "24 bits"),
        ({"e": "Aw"}, "exponent 3"),
        ({"d": "not base64url!"}, "is not base64url"),
        ({"p": "AQAB"}, "cannot be used"),
    ],
    ids=["kind", "public", "part", "short", "exponent", "encoding", "contradiction"],
)
def test_a_key_that_cannot_be_used_is_refused_without_its_parts(
    place: Path, jwk: dict[str, Any], change: dict[str, str | None], said: str
) -> None:
    values = {name: value for name, value in (jwk | change).items() if value is not None}
    place.write_text(json.dumps(values))

    with pytest.raises(WalletError, match=said) as caught:
        Wallet.load(place)

    shown = "".join(traceback.format_exception(caught.value))
    assert not any(jwk[name][:20] in shown for name in PRIVATE)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"text"', "[" * 100_000])
def test_other_files_than_keys_are_refused(place: Path, text: str) -> None:
    place.write_text(text)

    with pytest.raises(WalletError):
        Wallet.load(place)


def test_a_wallet_shows_nothing_but_its_address(place: Path, jwk: dict[str, Any]) -> None:
    wallet = Wallet.load(place)

    shown = f"{wallet!r} {wallet} {wallet.__dict__ if hasattr(wallet, '__dict__') else ''}"

    assert ADDRESS in shown
    assert not any(jwk[name][:20] in shown for name in PRIVATE)


def test_a_wallet_cannot_be_pickled_or_copied(place: Path) -> None:
    wallet = Wallet.load(place)

    with pytest.raises(WalletError):
        pickle.dumps(wallet)
    with pytest.raises(WalletError):
        copy.deepcopy(wallet)


def test_a_wallet_that_others_can_read_causes_a_warning(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.chmod(0o640)

    with caplog.at_level(logging.WARNING):
        Wallet.load(place)

    assert "chmod 600" in caplog.text


def test_a_private_wallet_causes_no_warning(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    Wallet.load(place)

    assert not caplog.text


def test_a_new_wallet_is_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    created = Wallet.create(tmp_path / "new" / "wallet.json")

    assert (tmp_path / "new" / "wallet.json").stat().st_mode & 0o777 == 0o600
    assert Wallet.load(tmp_path / "new" / "wallet.json").address == created.address
    assert is_signed(created.owner, created.sign(b"a"), b"a")


def test_a_wallet_is_never_replaced(place: Path) -> None:
    before = place.read_bytes()

    with pytest.raises(WalletError, match="never replaced"):
        Wallet.create(place)

    assert place.read_bytes() == before

import json
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.backends.arweave.tags import make_tags
from ritual_artifacts.backends.arweave.transaction import Transaction, is_signed
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.errors import BackendError

VECTORS = Path(__file__).parents[2] / "vectors" / "arweave"
KEY = VECTORS / "test_key_rsa4096.json"
TRANSACTIONS: list[dict[str, Any]] = json.loads((VECTORS / "transactions.json").read_text())["vectors"]
RECORDED = [
    (item["id"], item["graphql_node"]["tags"], item["tx"])
    for name in ("ritual_repo_0.1.1.json", "ritual_repo_0.2.0.json")
    for item in json.loads((VECTORS / name).read_text())["transactions"]
]


def read(values: dict[str, Any], name: str | None = None) -> Transaction:
    return Transaction.from_json(json.dumps(values), name or values["id"])


@pytest.mark.parametrize("vector", TRANSACTIONS, ids=lambda vector: vector["name"])
def test_the_message_is_that_of_arweave_js(vector: dict[str, Any]) -> None:
    transaction = read(vector["post_tx_json"])

    assert transaction.message.hex() == vector["signature_data_hex"]


@pytest.mark.parametrize("vector", TRANSACTIONS, ids=lambda vector: vector["name"])
def test_signatures_with_salts_of_any_length_are_accepted(vector: dict[str, Any]) -> None:
    transaction = read(vector["post_tx_json"])

    for sample in vector["signatures"]:
        signature = decode(sample["signature"], "a signature")
        assert is_signed(transaction.owner, signature, transaction.message), sample["salt_length"]


@pytest.mark.parametrize("vector", TRANSACTIONS, ids=lambda vector: vector["name"])
def test_what_is_read_is_written_again(vector: dict[str, Any]) -> None:
    posted = vector["post_tx_json"]

    written = read(posted).with_data(decode(posted["data"], "data")).to_json()

    assert written == posted
    assert [list(tag) for tag in written["tags"]] == [["name", "value"]] * len(posted["tags"])


@pytest.mark.parametrize(("name", "tags", "values"), RECORDED, ids=[item[0] for item in RECORDED])
def test_transactions_of_ritual_arweave_are_verified(
    name: str, tags: list[dict[str, str]], values: dict[str, Any]
) -> None:
    encoded = [{key: encode(tag[key].encode()) for key in ("name", "value")} for tag in tags]

    transaction = read(values | {"id": name, "tags": encoded}, name)

    assert transaction.id == name
    assert transaction.tag("App-Name") == "Ritual"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owner": encode(bytes(511) + b"\1")}, "not signed by its owner"),
        ({"owner": "AQAB"}, "not signed by its owner"),
        ({"data_size": "6"}, "not signed by its owner"),
        ({"data_root": encode(bytes(32))}, "not signed by its owner"),
        ({"tags": [{"name": "QQ", "value": "QQ"}]}, "not signed by its owner"),
        ({"reward": "1"}, "not signed by its owner"),
        ({"last_tx": ""}, "not signed by its owner"),
        ({"quantity": "1"}, "not signed by its owner"),
        ({"target": encode(bytes(32))}, "not signed by its owner"),
        ({"denomination": "1"}, "not signed by its owner"),
        ({"signature": encode(bytes(512))}, "requested the transaction .*, got"),
        ({"signature": None}, "expected base64url"),
        ({"format": 1}, "expected format 2, .* got '1'"),
        ({"tags": "no"}, "expected a list of at most 2048 tags"),
        ({"tags": [1]}, "malformed tag"),
        ({"tags": [{"name": "QQ"}]}, "expected base64url"),
        ({"data_size": "-5"}, "expected a number"),
        ({"data_size": True}, "expected a number"),
        ({"data_size": "\u0665"}, "expected a number"),
        ({"data_size": "9" * 1000}, "expected a number"),
        ({"owner": "QQ=="}, "expected base64url"),
        ({"owner": "QR"}, "expected base64url"),
    ],
)
def test_a_forged_transaction_is_refused(change: dict[str, Any], said: str) -> None:
    values = TRANSACTIONS[0]["post_tx_json"] | change

    with pytest.raises(BackendError, match=said):
        read(values, TRANSACTIONS[0]["post_tx_json"]["id"])


def test_another_true_transaction_is_refused() -> None:
    first, second = (vector["post_tx_json"] for vector in TRANSACTIONS[:2])

    with pytest.raises(BackendError, match="requested the transaction"):
        read(second, first["id"])


@pytest.mark.parametrize("data", [b"", b"[]", b"Pending", b"\xff", b"[" * 100_000, b"null"])
def test_other_data_than_a_transaction_is_refused(data: bytes) -> None:
    with pytest.raises(BackendError, match="expected a JSON object"):
        Transaction.from_json(data, "A" * 43)


def test_a_signed_transaction_is_verified() -> None:
    wallet = Wallet.load(KEY)
    unsigned = Transaction(
        owner=wallet.owner,
        anchor=b"anchor",
        tags=make_tags([("Content-Type", "text/plain"), ("Näme", "模型")], "it"),
        reward=12,
        data_size=3,
        data_root=bytes(32),
    )

    signed = unsigned.sign(wallet)

    assert Transaction.from_json(json.dumps(signed.to_json()), signed.id) == signed
    assert signed.address == wallet.address
    assert signed.tag("Näme") == "模型"


def test_a_denomination_is_signed_and_written_again() -> None:
    wallet = Wallet.load(KEY)
    signed = Transaction(
        owner=wallet.owner, anchor=b"", tags=(), reward=1, data_size=0, data_root=b"", denomination=2
    ).sign(wallet)

    assert signed.to_json()["denomination"] == "2"
    assert Transaction.from_json(json.dumps(signed.to_json()), signed.id) == signed


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ([("a", "x" * 2048)], "2049 bytes"),
        ([("é" * 512, "é" * 513)], "2050 bytes"),
        ([("a", "")], "is empty"),
        ([("a", "\ud800")], "not valid Unicode"),
    ],
)
def test_tags_that_a_node_does_not_take_are_refused(tags: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(BackendError, match=said):
        make_tags(tags, "'file.bin'")


def test_as_many_tag_bytes_as_a_node_takes_are_fine() -> None:
    assert make_tags([("a", "x" * 2047)], "it") == ((b"a", b"x" * 2047),)

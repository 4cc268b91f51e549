"""The loopback node takes what a correct client sends, and refuses everything else as a real node does."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.servers.arweave.encoding import b64, unb64
from tests.servers.arweave.fixtures import VECTORS
from tests.servers.arweave.merkle import (
    CHUNK_SIZE,
    Split,
    build_tree,
    split_arweave_js,
    split_naive,
    split_node,
    tree_of,
    validate_path,
)
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import g1, g2, sign_transaction
from tests.servers.arweave.signing import Key, deep_hash, verify
from tests.servers.arweave.transactions import Transaction, encode_tags
from tests.servers.arweave.weave import BASE_SIZE

SPLITS: dict[str, Split] = {
    "data_root": split_arweave_js,
    "data_root_naive_split": split_naive,
    "data_root_node_inbody_split": split_node,
}
REFUSED = "Transaction verification failed."


@pytest.fixture
def node(arweave_node: ArweaveNode, wallet: Key) -> ArweaveNode:
    """Return a node where the wallet has winston."""
    arweave_node.mint(wallet.address)
    return arweave_node


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def get(node: ArweaveNode, path: str) -> tuple[int, str]:
    answer = httpx2.get(f"{node.url}{path}")
    return answer.status_code, answer.text


def post_transaction(node: ArweaveNode, transaction: Transaction, data: bytes = b"") -> tuple[int, str]:
    answer = httpx2.post(f"{node.url}/tx", content=transaction.to_bytes(data))
    return answer.status_code, answer.text


def chunks_of(data: bytes, split: Split = split_arweave_js) -> list[dict[str, str]]:
    tree = tree_of(data, split)
    return [
        {
            "data_root": b64(tree.root),
            "data_size": str(len(data)),
            "data_path": b64(chunk.path),
            "offset": str(chunk.end - 1),
            "chunk": b64(data[chunk.start : chunk.end]),
        }
        for chunk in tree.chunks
        if chunk.end > chunk.start
    ]


def post_chunk(node: ArweaveNode, chunk: object) -> tuple[int, str]:
    answer = httpx2.post(f"{node.url}/chunk", content=json.dumps(chunk).encode())
    return answer.status_code, answer.text if answer.status_code == 200 else answer.json()["error"]


# --- the node's own arithmetic, against the vectors ---


@pytest.mark.parametrize("name", SPLITS)
def test_data_roots_are_those_of_the_vectors(name: str) -> None:
    sets = [vector for vector in vectors("data_root_g1.json")["vectors"] if vector["size"] < 4 << 20]
    expected = {vector["size"]: vector[name] for vector in sets}

    roots = {size: b64(tree_of(g1(size), SPLITS[name]).root) for size in expected}

    assert roots == expected


def test_proofs_are_those_of_the_vectors() -> None:
    vector = next(found for found in vectors("data_root_g1.json")["vectors"] if len(found["chunks"]) > 4)

    tree = tree_of(g1(vector["size"]))

    given = [(chunk["min"], chunk["max"], chunk["data_path"]) for chunk in vector["chunks"]]
    assert [(chunk.start, chunk.end, b64(chunk.path)) for chunk in tree.chunks][: len(given)] == given
    for chunk in tree.chunks[: len(given)]:
        for offset in (chunk.start, chunk.end - 1):
            assert validate_path(tree.root, vector["size"], offset, chunk.path) == chunk


def test_a_proof_is_for_data_of_one_size() -> None:
    tree = build_tree([(0, CHUNK_SIZE, bytes(32)), (CHUNK_SIZE, CHUNK_SIZE + 5, bytes(32))])

    found = [
        validate_path(tree.root, size, CHUNK_SIZE, tree.chunks[1].path)
        for size in range(CHUNK_SIZE + 4, CHUNK_SIZE + 7)
    ]

    assert found == [None, tree.chunks[1], None]


def test_base64url_is_read_strictly() -> None:
    assert [unb64(text) for text in ("", "AA", "AAE", "_-8B")] == [b"", b"\0", b"\0\1", b"\xff\xef\1"]
    for text in ("A", "AB", "AAB", "AA==", "+/8B", "AA\n", "é", 5):
        with pytest.raises(ValueError, match="base64url"):
            unb64(text)


def test_deep_hashes_are_those_of_the_vectors() -> None:
    def decode(item: Any) -> Any:
        return [decode(part) for part in item] if isinstance(item, list) else bytes.fromhex(item)

    for vector in vectors("deep_hash.json")["vectors"]:
        size = vector.get("input_size")
        item = decode(vector["input_hex"]) if size is None else g1(size)
        assert deep_hash(item).hex() == vector["sha384_hex"], vector["name"]


def test_the_transactions_of_the_vectors_are_signed() -> None:
    for vector in vectors("transactions.json")["vectors"]:
        transaction = Transaction.from_json(vector["post_tx_json"])

        assert transaction.message().hex() == vector["signature_data_hex"]
        for sample in vector["signatures"]:
            assert verify(transaction.owner, transaction.message(), unb64(sample["signature"]))


def test_a_transaction_of_the_vectors_is_taken_once_its_anchor_is_a_block(
    node: ArweaveNode, wallet: Key
) -> None:
    given = vectors("transactions.json")["vectors"][0]["post_tx_json"]
    transaction = Transaction.from_json(given)
    node.rules.winston_per_byte = 0  # it pays less than a real one
    unknown = post_transaction(node, transaction, unb64(given["data"]))
    node.weave.blocks[-1] = replace(node.weave.tip, id=given["last_tx"])

    known = post_transaction(node, transaction, unb64(given["data"]))

    assert (unknown, known) == ((400, "Invalid anchor (last_tx)."), (200, "OK"))
    assert node.transaction(given["id"]).address == wallet.address


# --- a transaction's life ---


def test_a_transaction_waits_until_it_is_mined(node: ArweaveNode, wallet: Key) -> None:
    transaction = sign_transaction(node, wallet, b"hello", {"Content-Type": "text/plain"})
    paths = [f"/tx/{transaction.id}", f"/tx/{transaction.id}/status", f"/raw/{transaction.id}"]
    unknown = [get(node, path) for path in paths]

    assert post_transaction(node, transaction, b"hello") == (200, "OK")

    waiting = [get(node, path) for path in paths]
    node.mine(3)
    assert unknown == [(404, "Not Found.")] * 3
    assert waiting == [(202, "Pending"), (202, "Pending"), (404, "Not Found.")]
    status, told = get(node, paths[0])
    assert (status, Transaction.from_json(json.loads(told))) == (200, transaction)
    confirmations = json.loads(get(node, paths[1])[1])
    assert (confirmations["block_height"], confirmations["number_of_confirmations"]) == (1, 3)
    assert get(node, paths[2]) == (200, "hello")


def test_data_of_a_waiting_transaction_are_served_by_an_optimistic_gateway(
    node: ArweaveNode, wallet: Key
) -> None:
    node.rules.optimistic = True
    transaction = sign_transaction(node, wallet, b"hello")

    post_transaction(node, transaction, b"hello")

    assert get(node, f"/raw/{transaction.id}") == (200, "hello")


def test_the_reward_is_paid_when_the_transaction_is_mined(node: ArweaveNode, wallet: Key) -> None:
    transaction = sign_transaction(node, wallet, b"hello")
    before = int(get(node, f"/wallet/{wallet.address}/balance")[1])
    post_transaction(node, transaction, b"hello")
    waiting = int(get(node, f"/wallet/{wallet.address}/balance")[1])
    node.mine()

    after = int(get(node, f"/wallet/{wallet.address}/balance")[1])

    assert (before - waiting, before - after) == (0, transaction.reward)


@pytest.mark.parametrize(
    ("mined", "remembers", "expected"),
    [
        (False, True, (208, "Transaction already processed.")),
        (False, False, (400, "Transaction is already in the mempool.")),
        (True, True, (400, "Transaction is already on the weave.")),
    ],
)
def test_a_transaction_is_taken_once(
    node: ArweaveNode, wallet: Key, expected: tuple[int, str], *, mined: bool, remembers: bool
) -> None:
    node.rules.remembers_posts = remembers
    transaction = sign_transaction(node, wallet, b"hello")
    post_transaction(node, transaction, b"hello")
    if mined:
        node.mine()

    assert post_transaction(node, transaction, b"hello") == expected


def test_a_dropped_transaction_is_unknown_and_can_be_posted_again(node: ArweaveNode, wallet: Key) -> None:
    transaction = sign_transaction(node, wallet, b"hello")
    post_transaction(node, transaction, b"hello")
    node.mine()

    node.drop(transaction.id)

    assert get(node, f"/tx/{transaction.id}/status") == (404, "Not Found.")
    assert post_transaction(node, transaction, b"hello") == (200, "OK")


def test_a_transaction_that_waits_too_long_is_dropped(node: ArweaveNode, wallet: Key) -> None:
    transaction = sign_transaction(node, wallet, b"hello")
    post_transaction(node, transaction, b"hello")

    node.mine(50, empty=True)

    assert get(node, f"/tx/{transaction.id}")[0] == 404


def test_prices_are_rounded_up(node: ArweaveNode, other_wallet: Key) -> None:
    rate = node.rules.winston_per_byte
    sizes = {0: 0, 1: CHUNK_SIZE, CHUNK_SIZE: CHUNK_SIZE, CHUNK_SIZE + 1: 2 * CHUNK_SIZE}

    prices = {size: int(get(node, f"/price/{size}")[1]) for size in sizes}

    assert prices == {size: (rounded + BASE_SIZE) * rate for size, rounded in sizes.items()}
    assert int(get(node, f"/price/0/{other_wallet.address}")[1]) == prices[0] + node.rules.new_wallet_fee


def test_a_transfer_moves_winston(node: ArweaveNode, wallet: Key, other_wallet: Key) -> None:
    target = unb64(other_wallet.address)
    unsigned = sign_transaction(node, wallet, target=target, quantity=7)
    transfer = replace(unsigned, reward=node.weave.price(0, other_wallet.address)).signed(wallet)

    assert post_transaction(node, transfer) == (200, "OK")

    node.mine()
    assert get(node, f"/wallet/{other_wallet.address}/balance") == (200, "7")
    assert get(node, f"/wallet/{wallet.address}/last_tx") == (200, transfer.id)


# --- transactions that are refused ---

FORGERIES: dict[str, tuple[str, Callable[[Transaction, Key], Transaction]]] = {
    "signature": (
        "tx_signature_not_valid",
        lambda tx, key: (
            replace(tx, reward=tx.reward + 1)
            .signed(key)
            .__class__(**{**tx.signed(key).__dict__, "reward": tx.reward + 1})
        ),
    ),
    "id": ("tx_id_not_valid", lambda tx, key: replace(tx.signed(key), id=b64(bytes(32)))),
    "cheap": ("tx_too_cheap", lambda tx, key: replace(tx, reward=tx.reward - 1).signed(key)),
    "poor": ("overspend", lambda tx, key: replace(tx, reward=10**20).signed(key)),
    "own target": (
        "same_owner_as_target",
        lambda tx, key: replace(tx, target=unb64(key.address), quantity=1).signed(key),
    ),
    "short target": ("invalid_target_length", lambda tx, key: replace(tx, target=b"abc").signed(key)),
    "tags": (
        "tx_fields_too_large",
        lambda tx, key: replace(tx, tags=encode_tags({"name": "v" * 2045})).signed(key),
    ),
    "no root": (
        "tx_data_size_data_root_mismatch",
        lambda tx, key: replace(tx, data_root=b"").signed(key),
    ),
    "no size": ("tx_data_size_data_root_mismatch", lambda tx, key: replace(tx, data_size=0).signed(key)),
    "denomination": ("invalid_denomination", lambda tx, key: replace(tx, denomination=2).signed(key)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_wrong_transaction_is_refused(node: ArweaveNode, wallet: Key, forgery: str) -> None:
    reason, forge = FORGERIES[forgery]
    transaction = forge(sign_transaction(node, wallet, b"hello"), wallet)

    refused = post_transaction(node, transaction)

    status, told = get(node, f"/tx/{transaction.id}")
    assert refused == (400, REFUSED)
    assert status == 410
    assert reason in json.loads(told)
    assert node.transactions() == []


def test_2048_bytes_of_tags_are_taken(node: ArweaveNode, wallet: Key) -> None:
    transaction = sign_transaction(node, wallet, b"hello", {"name": "v" * 2044})

    assert post_transaction(node, transaction, b"hello") == (200, "OK")


def test_tags_with_their_keys_in_another_order_are_dropped_and_so_break_the_signature(
    node: ArweaveNode, wallet: Key
) -> None:
    fields = sign_transaction(node, wallet, b"hello", {"a": "b"}).to_json(b"hello")
    fields["tags"] = [{"value": tag["value"], "name": tag["name"]} for tag in fields["tags"]]

    answer = httpx2.post(f"{node.url}/tx", json=fields)

    assert (answer.status_code, answer.text) == (400, REFUSED)


@pytest.mark.parametrize("anchor", [b"", bytes(48), b"x" * 32], ids=["none", "no block", "no transaction"])
def test_an_anchor_is_a_recent_block_or_the_last_transaction(
    node: ArweaveNode, wallet: Key, anchor: bytes
) -> None:
    post_transaction(node, sign_transaction(node, wallet, b"first"), b"first")
    transaction = replace(sign_transaction(node, wallet, b"hello"), last_tx=anchor).signed(wallet)

    assert post_transaction(node, transaction, b"hello") == (400, "Invalid anchor (last_tx).")


@pytest.mark.parametrize(("blocks", "status"), [(49, 200), (50, 400)])
def test_an_anchor_holds_for_50_blocks(node: ArweaveNode, wallet: Key, blocks: int, status: int) -> None:
    transaction = sign_transaction(node, wallet, b"hello")
    node.mine(blocks)

    assert post_transaction(node, transaction, b"hello")[0] == status


@pytest.mark.parametrize(
    ("split", "size", "expected"),
    [
        (split_naive, CHUNK_SIZE - 1, (200, "OK")),
        (split_naive, CHUNK_SIZE, (400, "The attached data is split in an unknown way.")),
        (split_arweave_js, CHUNK_SIZE, (200, "OK")),
        (split_arweave_js, CHUNK_SIZE + 1, (400, "The attached data is split in an unknown way.")),
        (split_node, CHUNK_SIZE + 1, (200, "OK")),
    ],
)
def test_data_in_the_body_are_cut_as_the_node_cuts_them(
    node: ArweaveNode, wallet: Key, split: Split, size: int, expected: tuple[int, str]
) -> None:
    data = g2(size)
    transaction = sign_transaction(node, wallet, data, split=split)

    assert post_transaction(node, transaction, data) == expected


def test_too_large_a_body_is_refused(node: ArweaveNode) -> None:
    assert httpx2.post(f"{node.url}/tx", content=b"x" * ((15 << 20) + 1)).status_code == 413


@pytest.mark.parametrize(
    ("field", "value"),
    [("format", "2"), ("format", 1), ("quantity", 0), ("reward", "01"), ("data_size", 5), ("owner", "a=")],
)
def test_a_malformed_transaction_fails_the_test(
    node: ArweaveNode, wallet: Key, field: str, value: object
) -> None:
    fields = sign_transaction(node, wallet, b"hello").to_json(b"hello")
    fields[field] = value

    answer = httpx2.post(f"{node.url}/tx", json=fields)

    assert answer.status_code == 400
    with pytest.raises(AssertionError, match="no JSON of a transaction"):
        node.check()
    node.ledger.violations.clear()


# --- chunks ---


@pytest.fixture
def data() -> bytes:
    return g2(2 * CHUNK_SIZE + 1000)


@pytest.fixture
def posted(node: ArweaveNode, wallet: Key, data: bytes) -> Transaction:
    """Return a waiting transaction whose chunks are not posted yet."""
    transaction = sign_transaction(node, wallet, data)
    post_transaction(node, transaction)
    return transaction


@pytest.mark.parametrize("first", ["mined", "chunks"])
def test_chunks_come_before_or_after_their_transaction_is_mined(
    node: ArweaveNode, posted: Transaction, data: bytes, first: str
) -> None:
    if first == "mined":
        node.mine()

    answers = [post_chunk(node, chunk) for chunk in reversed(chunks_of(data))]

    if first == "chunks":
        node.mine()
    assert answers == [(200, "OK")] * 3
    assert node.is_complete(posted.id)
    assert httpx2.get(f"{node.url}/raw/{posted.id}").content == data


@pytest.mark.parametrize("split", [split_naive, split_arweave_js, split_node])
@pytest.mark.parametrize("size", [2 * CHUNK_SIZE, 2 * CHUNK_SIZE + 1, CHUNK_SIZE + 32768])
def test_chunks_of_every_split_are_taken(node: ArweaveNode, wallet: Key, split: Split, size: int) -> None:
    transaction = sign_transaction(node, wallet, g2(size), split=split)
    post_transaction(node, transaction)

    answers = {post_chunk(node, chunk) for chunk in chunks_of(g2(size), split)}

    assert answers == {(200, "OK")}
    assert node.is_complete(transaction.id)


def test_each_post_of_a_chunk_is_counted(node: ArweaveNode, posted: Transaction, data: bytes) -> None:
    chunks = chunks_of(data)
    for chunk in [*chunks, chunks[0], {**chunks[1], "chunk": "AAAA"}]:
        post_chunk(node, chunk)

    ends = [int(chunk["offset"]) for chunk in chunks]
    assert node.posts_of(posted.id) == dict(zip(ends, [2, 2, 1], strict=True))
    assert node.posts_of(posted.id, status=200) == dict(zip(ends, [2, 1, 1], strict=True))


CHUNK_FORGERIES: dict[str, tuple[str, dict[str, object]]] = {
    "unknown root": ("data_root_not_found", {"data_root": b64(bytes(32))}),
    "another size": ("data_root_not_found", {"data_size": "5"}),
    "bytes": ("invalid_proof", {"chunk": b64(bytes(CHUNK_SIZE))}),
    "proof": ("invalid_proof", {"data_path": b64(bytes(256))}),
    "empty proof": ("invalid_proof", {"data_path": ""}),
    "offset of another chunk": ("invalid_proof", {"offset": str(2 * CHUNK_SIZE - 1)}),
    "offset behind the end": ("invalid_proof", {"offset": str(1 << 40)}),
    "size of a chunk": ("chunk_too_big", {"chunk": b64(bytes(CHUNK_SIZE + 1))}),
    "size of a proof": ("data_path_too_big", {"data_path": b64(bytes(CHUNK_SIZE + 1))}),
    "large offset": ("offset_too_big", {"offset": str(1 << 256)}),
    "large size": ("data_size_too_big", {"data_size": str(1 << 256)}),
    "no string": ("invalid_json", {"offset": 5}),
    "padding": ("invalid_json", {"chunk": "AA=="}),
}


@pytest.mark.parametrize("forgery", CHUNK_FORGERIES)
def test_a_wrong_chunk_is_refused(node: ArweaveNode, posted: Transaction, data: bytes, forgery: str) -> None:
    error, change = CHUNK_FORGERIES[forgery]

    refused = post_chunk(node, chunks_of(data)[0] | change)

    assert refused == (400, error)
    assert node.chunk_starts(posted.id) == []


@pytest.mark.usefixtures("posted")
def test_a_chunk_without_an_offset_is_refused(node: ArweaveNode, data: bytes) -> None:
    chunk = chunks_of(data)[0]
    del chunk["offset"]

    assert post_chunk(node, chunk) == (400, "offset_field_required")


@pytest.mark.usefixtures("posted")
def test_an_offset_inside_the_chunk_fails_the_test(node: ArweaveNode, data: bytes) -> None:
    chunk = chunks_of(data)[0] | {"offset": "0"}

    answer = httpx2.post(f"{node.url}/chunk", json=chunk)

    assert answer.status_code == 400
    with pytest.raises(AssertionError, match="the offset of a chunk is its end minus 1"):
        node.check()
    node.ledger.violations.clear()


def test_a_proof_that_is_longer_than_its_chunk_is_refused(node: ArweaveNode, wallet: Key) -> None:
    data = g2(CHUNK_SIZE + 10)
    tiny: Split = lambda size: [(0, 10), (10, size)]  # noqa: E731 - a split of one line
    transaction = sign_transaction(node, wallet, data, split=tiny)
    post_transaction(node, transaction)

    assert post_chunk(node, chunks_of(data, tiny)[0]) == (400, "chunk_proof_ratio_not_attractive")


def test_a_chunk_that_starts_beside_a_border_is_refused(node: ArweaveNode, wallet: Key) -> None:
    data = g2(2 * CHUNK_SIZE)
    uneven: Split = lambda size: [(0, 1000), (1000, CHUNK_SIZE), (CHUNK_SIZE, size)]  # noqa: E731 - as above
    transaction = sign_transaction(node, wallet, data, split=uneven)
    post_transaction(node, transaction)

    answers = [post_chunk(node, chunk) for chunk in chunks_of(data, uneven)]

    assert answers == [(200, "OK"), (400, "invalid_proof"), (200, "OK")]


def test_a_node_keeps_so_many_bytes_of_a_waiting_transaction(
    node: ArweaveNode, posted: Transaction, data: bytes
) -> None:
    node.rules.unconfirmed_limit = CHUNK_SIZE
    first, second, _ = chunks_of(data)
    waiting = [post_chunk(node, chunk) for chunk in (first, second)]
    node.mine()

    mined = post_chunk(node, second)

    assert waiting == [(200, "OK"), (400, "exceeds_disk_pool_size_limit")]
    assert mined == (200, "OK")
    assert node.chunk_starts(posted.id) == [0, CHUNK_SIZE]


def test_a_node_forgets_the_root_of_a_waiting_transaction(
    node: ArweaveNode, posted: Transaction, data: bytes
) -> None:
    first, second, third = chunks_of(data)
    post_chunk(node, first)
    node.forget_roots()
    forgotten = post_chunk(node, second)
    node.mine()

    assert forgotten == (400, "data_root_not_found")
    assert [post_chunk(node, chunk) for chunk in (first, second, third)] == [(200, "OK")] * 3
    assert node.is_complete(posted.id)


def test_two_transactions_share_their_chunks(
    node: ArweaveNode, wallet: Key, posted: Transaction, data: bytes
) -> None:
    other = sign_transaction(node, wallet, data, {"another": "tag"})
    post_transaction(node, other)

    for chunk in chunks_of(data):
        post_chunk(node, chunk)

    assert node.is_complete(posted.id)
    assert node.is_complete(other.id)


# --- the rest ---


def test_an_unknown_path_fails_the_test(node: ArweaveNode) -> None:
    assert get(node, "/no/such/path")[0] == 400

    with pytest.raises(AssertionError, match="no such path"):
        node.check()
    node.ledger.violations.clear()


def test_a_failure_of_the_node_fails_the_test(node: ArweaveNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> int:
        message = "a bug"
        raise RuntimeError(message)

    monkeypatch.setattr(node.weave, "balance", fail)

    with pytest.raises(httpx2.RemoteProtocolError):
        get(node, "/wallet/x/balance")

    with pytest.raises(AssertionError, match="a bug"):
        node.check()
    node.ledger.violations.clear()


def test_data_larger_than_the_memory_limit_of_a_body_go_by_chunks_alone(
    node: ArweaveNode, wallet: Key, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(g2(1 << 20))
    node.rules.in_body_limit = 1000
    transaction = sign_transaction(node, wallet, large)
    node.put(transaction, large)
    node.mine()

    assert get(node, f"/tx/{transaction.id}/data") == (400, "tx_data_too_big")
    assert httpx2.get(f"{node.url}/raw/{transaction.id}").content == large.read_bytes()

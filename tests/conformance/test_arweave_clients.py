"""Clients and a gateway by other people agree with the loopback node."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from arweave import arweave_lib

from tests.servers.arlocal import Arlocal
from tests.servers.arweave.encoding import b64, unb64
from tests.servers.arweave.merkle import CHUNK_SIZE, Split, split_naive, split_node, tree_of
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import g2, publish, publish_bundle, sign_transaction
from tests.servers.arweave.signing import Key
from tests.servers.arweave_js import ArweaveJs, Proof

SIZES = [5, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 700_000]
TAGS = {"Content-Type": "text/plain", "Näme": "wért"}


@pytest.fixture
def node(arweave_node: ArweaveNode, wallet: Key) -> ArweaveNode:
    arweave_node.mint(wallet.address)
    return arweave_node


# --- arweave-js ---


@pytest.mark.parametrize("size", SIZES)
def test_arweave_js_uploads_and_reads(
    node: ArweaveNode, wallet: Key, arweave_js: ArweaveJs, tmp_path: Path, size: int
) -> None:
    file = tmp_path / "file"
    file.write_bytes(g2(size))

    uploaded = arweave_js.upload(node.url, wallet.path, file, TAGS)

    node.mine()
    transaction = node.transaction(uploaded.id)
    assert uploaded.data_root == b64(tree_of(file).root)
    assert {name.decode(): value.decode() for name, value in transaction.tags} == TAGS
    assert node.ledger.count("post-chunk") == (0 if size <= CHUNK_SIZE else uploaded.chunks)
    assert node.read(uploaded.id) == g2(size)
    assert arweave_js.read(node.url, uploaded.id, tmp_path / "a") == g2(size)
    assert arweave_js.read(node.url, uploaded.id, tmp_path / "b", by_chunks=True) == g2(size)


def test_arweave_js_accepts_every_proof_and_no_wrong_one(arweave_js: ArweaveJs) -> None:
    size = 5 * CHUNK_SIZE + 100
    tree = tree_of(g2(size))
    proofs = [
        Proof(root=b64(tree.root), size=size, offset=offset, path=b64(chunk.path))
        for chunk in tree.chunks
        for offset in (chunk.start, chunk.end - 1)
    ]
    first = tree.chunks[0].path
    wrong = Proof(root=b64(tree.root), size=size, offset=0, path=b64(bytes([first[0] ^ 1]) + first[1:]))

    accepted = arweave_js.validate_paths([*proofs, wrong])

    assert accepted[:-1] == [(chunk.start, chunk.end) for chunk in tree.chunks for _ in range(2)]
    assert accepted[-1] is None


def test_arweave_js_believes_the_signature_of_the_tests(
    node: ArweaveNode, wallet: Key, arweave_js: ArweaveJs, tmp_path: Path
) -> None:
    tx_id = publish(node, wallet, g2(300_000), TAGS)

    assert arweave_js.read(node.url, tx_id, tmp_path / "out") == g2(300_000)


@pytest.mark.parametrize("split", [split_naive, split_node])
def test_arweave_js_reads_what_other_tools_split_otherwise(
    node: ArweaveNode, wallet: Key, arweave_js: ArweaveJs, tmp_path: Path, split: Split
) -> None:
    tx_id = publish(node, wallet, g2(2 * CHUNK_SIZE), split=split)

    assert arweave_js.read(node.url, tx_id, tmp_path / "out", by_chunks=True) == g2(2 * CHUNK_SIZE)


def test_arweave_js_does_not_find_a_data_item_on_the_node(
    node: ArweaveNode, wallet: Key, arweave_js: ArweaveJs, tmp_path: Path
) -> None:
    _, (item,) = publish_bundle(node, wallet, [(b"one", TAGS)])

    with pytest.raises(AssertionError, match="TX_NOT_FOUND"):
        arweave_js.read(node.url, item, tmp_path / "out")


# --- arlocal ---


def test_arlocal_takes_what_arweave_js_uploads(
    arlocal: Arlocal, wallet: Key, arweave_js: ArweaveJs, tmp_path: Path
) -> None:
    arlocal.mint(wallet.address)
    file = tmp_path / "file"
    file.write_bytes(g2(700_000))

    uploaded = arweave_js.upload(arlocal.url, wallet.path, file, TAGS)
    arlocal.mine()

    assert arweave_js.read(arlocal.url, uploaded.id, tmp_path / "out") == g2(700_000)


def test_arlocal_takes_what_the_tests_sign_and_finds_what_the_loopback_node_finds(
    node: ArweaveNode, arlocal: Arlocal, wallet: Key
) -> None:
    arlocal.mint(wallet.address)
    unsigned = sign_transaction(node, wallet, b"hello", TAGS)
    # arlocal does not find a tag by words that are not ASCII.
    tags = '[{ name: "Content-Type", values: ["text/plain"] }]'
    query = f"""{{ transactions(owners: ["{wallet.address}"], tags: {tags}) {{
        edges {{ node {{ owner {{ address key }} recipient data {{ size type }} tags {{ name value }} }} }}
    }} }}"""
    posts, data, found = [], [], []

    for server in (node, arlocal):
        anchor = httpx2.get(f"{server.url}/tx_anchor").text
        transaction = replace(unsigned, last_tx=unb64(anchor)).signed(wallet)
        posts.append(httpx2.post(f"{server.url}/tx", json=transaction.to_json(b"hello")).status_code)
        server.mine()
        data.append(httpx2.get(f"{server.url}/{transaction.id}").content)
        found.append(httpx2.post(f"{server.url}/graphql", json={"query": query}).json()["data"])

    assert (posts, data) == ([200, 200], [b"hello", b"hello"])
    assert found[0] == found[1]
    assert len(found[0]["transactions"]["edges"]) == 1


# --- arweave-python-client ---


def test_the_node_takes_what_arweave_python_client_sends(
    node: ArweaveNode, wallet: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The constructor of a transaction asks for a price before anybody can tell it where.
    monkeypatch.setattr(arweave_lib, "API_URL", node.url)
    transaction = arweave_lib.Transaction(arweave_lib.Wallet(str(wallet.path)), data=b"hello")
    transaction.add_tag("Name", "value")
    transaction.sign()

    transaction.send()

    node.mine()
    assert node.transaction(transaction.id).tag("Name") == "value"
    assert node.read(transaction.id) == b"hello"
    assert transaction.get_status()["number_of_confirmations"] == 1
    transaction.data = b""
    transaction.get_data()
    assert transaction.data == b"hello"


def test_the_wallet_of_arweave_python_client_signs_what_the_node_takes(
    node: ArweaveNode, wallet: Key
) -> None:
    unsigned = sign_transaction(node, wallet, b"hello", TAGS)
    owner = arweave_lib.Wallet(str(wallet.path))
    signature = owner.sign(unsigned.message())
    signed = {**unsigned.to_json(b"hello"), "signature": b64(signature)}
    signed["id"] = b64(hashlib.sha256(signature).digest())

    posted = httpx2.post(f"{node.url}/tx", content=json.dumps(signed).encode())

    assert owner.address == wallet.address
    assert (posted.status_code, posted.text) == (200, "OK")
    assert signature != unsigned.signature

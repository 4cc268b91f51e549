"""The loopback gateway serves data, path manifests, bundles and GraphQL as gateways do."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.servers.arweave.bundles import item_id, make_bundle, make_item, read_bundle
from tests.servers.arweave.encoding import b64, sha256, unb64
from tests.servers.arweave.fixtures import VECTORS, MakeArweave
from tests.servers.arweave.merkle import CHUNK_SIZE, validate_path
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.publish import (
    BUNDLE_TAGS,
    g2,
    publish,
    publish_bundle,
    publish_manifest,
    publish_recorded_repo,
)
from tests.servers.arweave.signing import Key
from tests.servers.replies import Slice

QUERY = """
query($owners: [String!], $tags: [TagFilter!], $ids: [ID!], $first: Int, $after: String, $sort: SortOrder,
      $block: BlockFilter, $bundledIn: [ID!]) {
    transactions(owners: $owners, tags: $tags, ids: $ids, first: $first, after: $after, sort: $sort,
                 block: $block, bundledIn: $bundledIn) {
        pageInfo { hasNextPage }
        edges { cursor node {
            id anchor signature recipient owner { address key } fee { winston } quantity { winston ar }
            data { size type } tags { name value } block { id timestamp height previous } bundledIn { id }
        } }
    }
}
"""


def get(node: ArweaveNode, path: str, **headers: str) -> httpx2.Response:
    return httpx2.get(f"{node.url}{path}", headers=headers)


def find(node: ArweaveNode, **variables: Any) -> list[dict[str, Any]]:
    """Return the nodes of the first page."""
    return [edge["node"] for edge in ask(node, QUERY, variables)["transactions"]["edges"]]


def ask(node: ArweaveNode, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    request = {"operationName": None, "query": query, "variables": variables}
    answer = httpx2.post(f"{node.url}/graphql", json=request).json()
    assert "errors" not in answer
    data: dict[str, Any] = answer["data"]
    return data


# --- data ---


@pytest.mark.parametrize(
    ("part", "status", "expected"),
    [
        ("bytes=0-4", 206, b"01234"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=10-", 416, b""),
    ],
)
def test_parts_are_served(
    arweave_node: ArweaveNode, wallet: Key, part: str, status: int, expected: bytes
) -> None:
    tx_id = publish(arweave_node, wallet, b"0123456789")

    answer = get(arweave_node, f"/raw/{tx_id}", Range=part)

    assert (answer.status_code, answer.content) == (status, expected)
    assert answer.headers["Content-Range"].endswith("/10")


def test_the_head_tells_size_type_and_digest(arweave_node: ArweaveNode, wallet: Key) -> None:
    tx_id = publish(arweave_node, wallet, b"0123456789", {"Content-Type": "text/plain"})

    answer = httpx2.head(f"{arweave_node.url}/raw/{tx_id}")

    digest = b64(sha256(b"0123456789"))
    assert answer.content == b""
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Content-Type"] == "text/plain"
    assert (answer.headers["X-AR-IO-Digest"], answer.headers["ETag"]) == (digest, f'"{digest}"')


def test_a_node_serves_data_as_text_and_as_bytes(arweave_node: ArweaveNode, wallet: Key) -> None:
    tx_id = publish(arweave_node, wallet, b"hello")

    assert get(arweave_node, f"/tx/{tx_id}/data").text == b64(b"hello")
    assert get(arweave_node, f"/tx/{tx_id}/data.").content == b"hello"
    assert get(arweave_node, f"/tx/{tx_id}/data.txt").content == b"hello"
    assert get(arweave_node, f"/{tx_id}").content == b"hello"
    assert get(arweave_node, f"/{tx_id}.txt").content == b"hello"


def test_empty_data_are_found_or_not(arweave_node: ArweaveNode, wallet: Key) -> None:
    tx_id = publish(arweave_node, wallet, b"")
    found = get(arweave_node, f"/raw/{tx_id}")
    arweave_node.rules.serves_empty_data = False

    assert (found.status_code, found.content) == (200, b"")
    assert get(arweave_node, f"/raw/{tx_id}").status_code == 404


def test_data_end_where_chunks_are_lost(arweave_node: ArweaveNode, wallet: Key) -> None:
    data = g2(3 * CHUNK_SIZE)
    tx_id = publish(arweave_node, wallet, data)

    arweave_node.lose_chunks(tx_id, [CHUNK_SIZE])

    with pytest.raises(httpx2.RemoteProtocolError, match=f"{CHUNK_SIZE} bytes"):
        get(arweave_node, f"/raw/{tx_id}")
    assert get(arweave_node, f"/raw/{tx_id}", Range=f"bytes={CHUNK_SIZE}-").status_code == 404
    rest = get(arweave_node, f"/raw/{tx_id}", Range=f"bytes={2 * CHUNK_SIZE}-")
    assert rest.content == data[2 * CHUNK_SIZE :]
    assert get(arweave_node, f"/tx/{tx_id}/data").status_code == 404


def test_chunks_are_served_with_proofs_by_any_offset_inside_them(
    arweave_node: ArweaveNode, wallet: Key
) -> None:
    publish(arweave_node, wallet, b"another transaction", mine=False)
    data = g2(CHUNK_SIZE + 40_000)
    tx_id = publish(arweave_node, wallet, data)
    place = get(arweave_node, f"/tx/{tx_id}/offset").json()
    size, end = int(place["size"]), int(place["offset"])
    first = end - size + 1
    block = get(arweave_node, f"/block/height/{arweave_node.height}").json()
    transaction = arweave_node.transaction(tx_id)

    def read() -> Iterator[bytes]:
        at = first
        while at <= end:
            told = get(arweave_node, f"/chunk/{at}").json()
            chunk, last = unb64(told["chunk"]), int(told["absolute_end_offset"])
            proven = validate_path(transaction.data_root, size, at - first, unb64(told["data_path"]))
            start = int(block["weave_size"]) - int(block["block_size"])
            holder = validate_path(
                unb64(block["tx_root"]), int(block["block_size"]), at - 1 - start, unb64(told["tx_path"])
            )
            assert proven is not None
            assert proven.data_hash == sha256(chunk)
            assert holder is not None
            assert holder.data_hash == transaction.data_root
            assert get(arweave_node, f"/chunk/{last}").json() == told
            assert get(arweave_node, f"/chunk/{at}/data").content == chunk
            assert get(arweave_node, f"/chunk2/{at}").content[3 : 3 + len(chunk)] == chunk
            yield chunk
            at = last + 1

    assert b"".join(read()) == data
    assert get(arweave_node, f"/chunk/{end + CHUNK_SIZE}").status_code == 404


# --- path manifests ---


def test_a_path_manifest_is_resolved_but_not_by_raw(arweave_node: ArweaveNode, wallet: Key) -> None:
    file = publish(arweave_node, wallet, b"hello")
    bare = publish_manifest(arweave_node, wallet, {"deep/ü.txt": file})
    index = publish_manifest(
        arweave_node,
        wallet,
        json.dumps({"index": {"path": "a"}, "fallback": {"id": bare}, "paths": {"a": {"id": file}}}),
    )

    assert get(arweave_node, f"/{bare}").status_code == 404
    assert get(arweave_node, f"/{bare}/deep/ü.txt").content == b"hello"
    assert get(arweave_node, f"/{bare}/other").status_code == 404
    assert json.loads(get(arweave_node, f"/raw/{bare}").content)["paths"] == {"deep/ü.txt": {"id": file}}
    assert get(arweave_node, f"/{index}").content == b"hello"
    assert b"paths" in get(arweave_node, f"/{index}/other").content


# --- bundles ---


def test_data_items_are_found_but_not_by_nodes(arweave_node: ArweaveNode, wallet: Key) -> None:
    bundle, (first, second) = publish_bundle(
        arweave_node, wallet, [(b"one", {"Name": "1"}), (b"two", {"Name": "2"})]
    )

    assert [get(arweave_node, f"/raw/{item}").content for item in (first, second)] == [b"one", b"two"]
    assert get(arweave_node, f"/raw/{second}", Range="bytes=1-").content == b"wo"
    assert get(arweave_node, f"/tx/{first}").status_code == 404
    (found,) = find(arweave_node, tags=[{"name": "Name", "values": ["2"]}])
    assert (found["id"], found["bundledIn"], found["data"]["size"]) == (second, {"id": bundle}, "3")
    assert {node["id"] for node in find(arweave_node, bundledIn=[bundle])} == {first, second}


def test_data_items_are_found_only_when_the_bundle_is_mined(arweave_node: ArweaveNode, wallet: Key) -> None:
    _, (item,) = publish_bundle(arweave_node, wallet, [(b"one", {})], mine=False)
    waiting = get(arweave_node, f"/raw/{item}").status_code

    arweave_node.mine()

    assert (waiting, get(arweave_node, f"/raw/{item}").status_code) == (404, 200)


def test_a_bundle_in_a_bundle_is_read(arweave_node: ArweaveNode, wallet: Key) -> None:
    inner = make_item(wallet, b"deep")
    bundle, (middle,) = publish_bundle(arweave_node, wallet, [(make_bundle([inner]), BUNDLE_TAGS)])

    (found,) = find(arweave_node, ids=[item_id(inner)])

    assert found["bundledIn"] == {"id": middle}
    assert get(arweave_node, f"/raw/{item_id(inner)}").content == b"deep"
    assert get(arweave_node, f"/raw/{item_id(inner)}").headers["X-AR-IO-Root-Transaction-Id"] == bundle


def test_an_item_with_a_wrong_signature_is_not_found(arweave_node: ArweaveNode, wallet: Key) -> None:
    item = make_item(wallet, b"data")
    forged = item[:-1] + b"!"

    bundle = publish(arweave_node, wallet, make_bundle([forged]), BUNDLE_TAGS)

    assert arweave_node.weave.malformed_bundles == {bundle: "an item's signature is wrong"}
    assert get(arweave_node, f"/raw/{item_id(item)}").status_code == 404


def test_the_bundle_of_the_vectors_is_read(arweave_node: ArweaveNode, wallet: Key) -> None:
    vectors = json.loads((VECTORS / "ans104.json").read_text())
    bundle = vectors["bundle_of_first_three"]

    tx_id = publish(arweave_node, wallet, unb64(bundle["raw_b64url"]), BUNDLE_TAGS)

    path = arweave_node.weave.entries[tx_id].data.path
    items = list(read_bundle(Slice(path, 0, bundle["len"]), tx_id))
    assert [item.id for item in items] == bundle["ids"]
    for item, vector in zip(items, vectors["items"], strict=False):
        assert [(name.decode(), value.decode()) for name, value in item.tags] == [
            (tag["name"], tag["value"]) for tag in vector["tags"]
        ]


# --- GraphQL ---


def test_everything_about_a_transaction_is_told(arweave_node: ArweaveNode, wallet: Key) -> None:
    tx_id = publish(arweave_node, wallet, b"hello", {"Content-Type": "text/plain", "Näme": "wért"})
    transaction = arweave_node.transaction(tx_id)

    (found,) = find(arweave_node, owners=[wallet.address], tags=[{"name": "Näme", "values": ["x", "wért"]}])

    assert found == {
        "id": tx_id,
        "anchor": b64(transaction.last_tx),
        "signature": b64(transaction.signature),
        "recipient": "",
        "owner": {"address": wallet.address, "key": b64(wallet.owner)},
        "fee": {"winston": str(transaction.reward)},
        "quantity": {"winston": "0", "ar": "0.000000000000"},
        "data": {"size": "5", "type": "text/plain"},
        "tags": [{"name": "Content-Type", "value": "text/plain"}, {"name": "Näme", "value": "wért"}],
        "block": {
            "id": arweave_node.weave.tip.id,
            "timestamp": arweave_node.weave.tip.timestamp,
            "height": 1,
            "previous": arweave_node.weave.blocks[0].id,
        },
        "bundledIn": None,
    }


def test_a_waiting_transaction_has_no_block_and_comes_first(arweave_node: ArweaveNode, wallet: Key) -> None:
    mined = publish(arweave_node, wallet, b"1")
    waiting = publish(arweave_node, wallet, b"2", mine=False)

    found = find(arweave_node)

    assert [(node["id"], node["block"] is None) for node in found] == [(waiting, True), (mined, False)]
    assert [node["id"] for node in find(arweave_node, sort="HEIGHT_ASC")] == [mined, waiting]
    assert [node["id"] for node in find(arweave_node, block={"min": 1, "max": 1})] == [mined]


@pytest.mark.parametrize("sort", ["HEIGHT_DESC", "HEIGHT_ASC"])
def test_pages_follow_each_other(arweave_node: ArweaveNode, wallet: Key, sort: str) -> None:
    ids = [publish(arweave_node, wallet, bytes([n]), mine=n % 2 == 1) for n in range(7)]
    arweave_node.rules.page_limit = 3
    found: list[list[str]] = []
    after, more = None, True

    while more:
        page = ask(arweave_node, QUERY, {"after": after, "sort": sort, "first": 100})["transactions"]
        found.append([edge["node"]["id"] for edge in page["edges"]])
        after, more = page["edges"][-1]["cursor"], page["pageInfo"]["hasNextPage"]

    assert [len(page) for page in found] == [3, 3, 1]
    assert sum(found, []) == (ids if sort == "HEIGHT_ASC" else ids[::-1])  # noqa: RUF017 - three short lists


def test_ten_are_told_where_nobody_says_how_many(arweave_node: ArweaveNode, wallet: Key) -> None:
    for n in range(11):
        publish(arweave_node, wallet, bytes([n]), mine=False)

    assert len(ask(arweave_node, "{ transactions { edges { cursor } } }", {})["transactions"]["edges"]) == 10


def test_conditions_are_all_met(arweave_node: ArweaveNode, wallet: Key, other_wallet: Key) -> None:
    wanted = publish(arweave_node, wallet, b"1", {"A": "1", "B": "2"})
    publish(arweave_node, wallet, b"2", {"A": "1", "B": "3"})
    publish(arweave_node, other_wallet, b"3", {"A": "1", "B": "2"})
    tags = [{"name": "A", "values": ["1"]}, {"name": "B", "values": ["2"]}]

    found = find(arweave_node, owners=[wallet.address], tags=tags)

    assert [node["id"] for node in found] == [wanted]
    assert len(find(arweave_node, tags=[{"name": "B", "values": ["2"], "op": "NEQ"}])) == 1


def test_a_query_with_literals_is_answered(arweave_node: ArweaveNode) -> None:
    recorded = publish_recorded_repo(arweave_node, VECTORS / "ritual_repo_0.2.0.json")
    owner, name = recorded.repo_id.split("/")
    query = f"""query {{ transactions(sort:HEIGHT_DESC, owners: ["{owner}"], tags: [
        {{ name: "App-Name", values: ["Ritual"] }},
        {{ name: "Repo-Name", values: ["{name}"] }},
        {{ name: "Type", values: ["manifest"] }} ])
        {{ edges {{ node {{ block {{ id timestamp }} id owner {{ address }} tags {{ name value }} }} }} }}
    }}"""

    (edge,) = ask(arweave_node, query, {})["transactions"]["edges"]

    assert edge["node"]["id"] == recorded.manifest


@pytest.mark.parametrize("query", ["{ nothing }", "{ transactions(", '{ transactions(tags: "x") { edges } }'])
def test_a_wrong_query_is_an_error(arweave_node: ArweaveNode, query: str) -> None:
    answer = httpx2.post(f"{arweave_node.url}/graphql", json={"query": query})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"]


# --- more than one gateway ---


def test_gateways_of_one_weave_show_the_same(make_arweave: MakeArweave, wallet: Key) -> None:
    first = make_arweave()
    second = make_arweave(weave=first.weave)
    tx_id = publish(first, wallet, b"hello")

    assert get(second, f"/raw/{tx_id}").content == b"hello"
    assert (first.ledger.count(), second.ledger.count()) == (0, 1)

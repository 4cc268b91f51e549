"""What nodes answer: prices, wallets, transactions, chunks."""

import re
from typing import TYPE_CHECKING

from tests.servers.arweave.checks import accept_chunk, accept_transaction, declined, plain
from tests.servers.arweave.encoding import b64, decimal
from tests.servers.arweave.weave import Block, Entry
from tests.servers.replies import Call, ProtocolViolation, Reply, Slice, answer

if TYPE_CHECKING:
    from tests.servers.arweave.node import ArweaveNode

NOT_FOUND = "Not Found."
PENDING = "Pending"
ID = re.compile(r"[A-Za-z0-9_-]{43}")


def info(node: "ArweaveNode", _: Call, __: dict[str, str]) -> Reply:
    tip = node.weave.tip
    told = {
        "network": "arweave.test",
        "version": 5,
        "release": 1,
        "height": tip.height,
        "current": tip.id,
        "blocks": len(node.weave.blocks),
        "peers": 0,
    }
    return answer(told)


def anchor(node: "ArweaveNode", _: Call, __: dict[str, str]) -> Reply:
    return plain(node.weave.tip.id)


def price(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    size = as_number(groups["size"])
    return plain(str(node.weave.price(size, groups.get("target") or "")))


def balance(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    return plain(str(node.weave.balance(groups["address"])))


def last_tx(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    return plain(node.weave.last_tx(groups["address"]))


def block(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    found = [block for block in node.weave.blocks if groups["block"] in {str(block.height), block.id}]
    if not found:
        raise declined(404, "Block not found.")
    return answer(_block_json(found[0]))


def _block_json(block: Block) -> dict[str, object]:
    return {
        "indep_hash": block.id,
        "height": block.height,
        "previous_block": block.previous,
        "timestamp": block.timestamp,
        "txs": list(block.transactions),
        "tx_root": b64(block.tx_root.root),
        "weave_size": str(block.stop),
        "block_size": str(block.stop - block.start),
    }


def mine(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    """As arlocal does, for clients in other languages."""
    node.weave.mine(int(groups.get("blocks") or 1))
    return answer(_block_json(node.weave.tip))


# --- transactions ---


def post_transaction(node: "ArweaveNode", call: Call, _: dict[str, str]) -> Reply:
    accept_transaction(node.weave, call.body)
    return plain("OK")


def transaction(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    entry = _entry(node, groups["id"], rejected=True)
    if entry.rejected:
        return answer(list(entry.rejected), status=410)
    if entry.block is None:
        return plain(PENDING, 202)
    return answer(entry.transaction.to_json())


def status(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    entry = _entry(node, groups["id"])
    if entry.block is None:
        return plain(PENDING, 202)
    told = {
        "block_height": entry.block.height,
        "block_indep_hash": entry.block.id,
        "number_of_confirmations": node.weave.tip.height - entry.block.height + 1,
    }
    return answer(told)


def offset(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    entry = _entry(node, groups["id"])
    if entry.block is None or not entry.data.size:
        raise declined(404, NOT_FOUND)
    return answer({"size": str(entry.data.size), "offset": str(entry.end)})


def field(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    """`/tx/{id}/{field}`: a number or base64url as text, the tags as JSON."""
    entry = _entry(node, groups["id"])
    if entry.block is None:
        return plain(PENDING, 202)
    value = entry.transaction.to_json().get(groups["field"])
    return answer(value) if isinstance(value, list) else plain(str(value))


def encoded_data(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    """`/tx/{id}/data`: base64url."""
    return plain(b64(_data(node, groups["id"])[1]))


def decoded_data(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    """`/tx/{id}/data.ext`: bytes."""
    entry, data = _data(node, groups["id"])
    kind = entry.transaction.tag("Content-Type") or "application/octet-stream"
    return Reply(headers={"Content-Type": kind}, body=data)


def _data(node: "ArweaveNode", tx_id: str) -> tuple[Entry, bytes]:
    entry = _entry(node, tx_id)
    if entry.block is None:
        raise declined(202, PENDING)
    if entry.data.size > node.rules.in_body_limit:
        raise declined(400, "tx_data_too_big")
    if not entry.data.complete:
        raise declined(404, NOT_FOUND)
    return entry, entry.data.path.read_bytes()


def _entry(node: "ArweaveNode", tx_id: str, *, rejected: bool = False) -> Entry:
    if not ID.fullmatch(tx_id):
        raise declined(400, "Invalid hash.")
    entry = node.weave.find(tx_id)
    if entry is None or (entry.rejected and not rejected):
        raise declined(404, NOT_FOUND)
    return entry


# --- chunks ---


def post_chunk(node: "ArweaveNode", call: Call, _: dict[str, str]) -> Reply:
    accept_chunk(node.weave, call.body)
    return plain("OK")


def chunk(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    """`/chunk/{offset}`: the chunk that holds the byte at an absolute offset, with its proofs."""
    entry, start, end, data, path = _chunk(node, as_number(groups["offset"]))
    told = {
        "chunk": b64(data),
        "data_path": b64(path),
        "tx_path": b64(node.weave.tx_path(entry)),
        "packing": "unpacked",
        "absolute_end_offset": str(entry.end - entry.data.size + end),
        "chunk_size": str(end - start),
    }
    return answer(told)


def chunk_bytes(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    """`/chunk/{offset}/data`, which only gateways know."""
    entry, start, _end, data, path = _chunk(node, as_number(groups["offset"]))
    headers = {
        "Content-Type": "application/octet-stream",
        "X-Arweave-Chunk-Data-Path": b64(path),
        "X-Arweave-Chunk-Data-Root": b64(entry.data.root),
        "X-Arweave-Chunk-Start-Offset": str(entry.end - entry.data.size + start),
        "X-Arweave-Chunk-Relative-Start-Offset": str(start),
        "X-Arweave-Chunk-Tx-Data-Size": str(entry.data.size),
    }
    return Reply(headers=headers, body=data, offset=start)


def chunk_binary(node: "ArweaveNode", _: Call, groups: dict[str, str]) -> Reply:
    """`/chunk2/{offset}`: three parts, each after its length in 3 bytes."""
    entry, _start, _end, data, path = _chunk(node, as_number(groups["offset"]))
    parts = [data, node.weave.tx_path(entry), path, b"unpacked"]
    body = b"".join(len(part).to_bytes(3, "big") + part for part in parts)
    return Reply(headers={"Content-Type": "application/octet-stream"}, body=body)


def _chunk(node: "ArweaveNode", absolute: int) -> tuple[Entry, int, int, bytes, bytes]:
    entry = node.weave.at(absolute)
    if entry is None:
        raise declined(404, NOT_FOUND)
    found = entry.data.chunk_at(absolute - (entry.end - entry.data.size) - 1)
    if found is None:
        raise declined(404, NOT_FOUND)
    data = Reply(body=Slice(entry.data.path, found.start, found.end)).data()
    return entry, found.start, found.end, data, Reply(body=found.proof).data()


def as_number(text: str) -> int:
    try:
        return decimal(text)
    except ValueError as error:
        raise ProtocolViolation(str(error)) from error

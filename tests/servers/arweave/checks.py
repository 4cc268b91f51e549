"""What a node looks at before it takes a transaction or a chunk."""

import json
from typing import Any

from tests.servers.arweave.chunks import DataRoot
from tests.servers.arweave.encoding import b64, decimal, sha256, unb64
from tests.servers.arweave.merkle import CHUNK_SIZE, Proven, split_node, tree_of, validate_path
from tests.servers.arweave.transactions import Transaction
from tests.servers.arweave.weave import Weave
from tests.servers.replies import ProtocolViolation, Reply, answer

BODY_LIMIT = 15 << 20
MAX_TAGS = MAX_TAG_BYTES = 2048
MAX_PATH_SIZE = 256 * 1024
MAX_NUMBER = 1 << 256


class Declined(Exception):  # noqa: N818 - an answer, raised where the rest of a check is moot
    """The node answers with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def declined(status: int, words: str) -> Declined:
    return Declined(plain(words, status))


def plain(words: str, status: int = 200) -> Reply:
    return Reply(status=status, headers={"Content-Type": "text/plain; charset=utf-8"}, body=words.encode())


# --- transactions ---


def accept_transaction(weave: Weave, body: bytes) -> None:
    """Take a posted transaction.

    Raises:
        Declined: the node does not take it.
        ProtocolViolation: it is none that a correct client sends.
    """
    if len(body) > BODY_LIMIT:
        raise declined(413, "Payload too large")
    try:
        fields = json.loads(body)
        transaction = Transaction.from_json(fields)
        data = unb64(fields.get("data", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"no JSON of a transaction: {error!r}"
        raise ProtocolViolation(message) from error
    known = weave.find(transaction.id)
    if known is not None and not known.rejected:
        if known.block:
            raise declined(400, "Transaction is already on the weave.")
        if weave.rules.remembers_posts:
            raise declined(208, "Transaction already processed.")
        raise declined(400, "Transaction is already in the mempool.")
    reasons = find_faults(weave, transaction)
    if "last_tx_not_valid" in reasons:
        raise declined(400, "Invalid anchor (last_tx).")
    if reasons:
        weave.reject(transaction, reasons)
        raise declined(400, "Transaction verification failed.")
    if data:
        if len(data) != transaction.data_size or tree_of(data, split_node).root != transaction.data_root:
            raise declined(400, "The attached data is split in an unknown way.")
        weave.put(transaction, data, split=split_node)
    else:
        weave.put(transaction)


def find_faults(weave: Weave, transaction: Transaction) -> list[str]:
    """Return why a transaction is refused, in the words that nodes tell under its id."""
    size = transaction.data_size
    target = b64(transaction.target) if transaction.target else ""
    checks = {
        "same_owner_as_target": target != transaction.address,
        "tx_id_not_valid": transaction.id == b64(sha256(transaction.signature)),
        "tx_data_size_data_root_mismatch": (size == 0) == (transaction.data_root == b""),
        "invalid_target_length": len(transaction.target) in {0, 32},
        "tx_fields_too_large": _fields_fit(transaction),
        "tx_too_cheap": transaction.reward >= weave.price(size, target),
        "last_tx_not_valid": _is_anchored(weave, transaction),
        "overspend": weave.balance(transaction.address, waiting=True)
        >= transaction.reward + transaction.quantity,
        "invalid_denomination": transaction.denomination == 0,
        "tx_signature_not_valid": transaction.is_signed(),
    }
    return [reason for reason, holds in checks.items() if not holds]


def _fields_fit(transaction: Transaction) -> bool:
    tag_bytes = sum(len(name) + len(value) for name, value in transaction.tags)
    return (
        len(transaction.tags) <= MAX_TAGS
        and tag_bytes <= MAX_TAG_BYTES
        and len(transaction.last_tx) <= 48
        and len(transaction.data_root) in {0, 32}
        and len(transaction.owner) == len(transaction.signature) == 512
        and transaction.data_size < MAX_NUMBER
    )


def _is_anchored(weave: Weave, transaction: Transaction) -> bool:
    if len(transaction.last_tx) == 48:
        return transaction.last_tx in weave.anchors()
    return b64(transaction.last_tx) == weave.last_tx(transaction.address, waiting=True)


# --- chunks ---


def refuse_chunk(error: str, status: int = 400) -> Reply:
    return answer({"error": error}, status=status)


def accept_chunk(weave: Weave, body: bytes) -> None:
    """Take a posted chunk.

    Raises:
        Declined: the node does not take it.
        ProtocolViolation: it is none that a correct client sends.
    """
    fields = _read_chunk(body)
    root_id, size, offset = fields["data_root"], fields["data_size"], fields["offset"]
    chunk, path = fields["chunk"], fields["data_path"]
    known = weave.data_root(root_id, size)
    if known is None:
        raise Declined(refuse_chunk("data_root_not_found"))
    root, mined = known
    proven = validate_path(root_id, size, offset, path)
    if proven is None or not _matches(proven, chunk, size):
        raise Declined(refuse_chunk("invalid_proof"))
    if len(path) > len(chunk) and proven.end != size:
        raise Declined(refuse_chunk("chunk_proof_ratio_not_attractive"))
    if offset != proven.end - 1:
        message = f"the offset of a chunk is its end minus 1, {proven.end - 1}, not {offset}"
        raise ProtocolViolation(message)
    if not mined and not _has_room(weave, root, len(chunk)):
        raise Declined(refuse_chunk("exceeds_disk_pool_size_limit"))
    root.store(proven, chunk)
    if root.complete:
        weave.index_bundles()


def _read_chunk(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
        if "offset" not in given:
            raise Declined(refuse_chunk("offset_field_required"))
        fields = {name: unb64(given[name]) for name in ("data_root", "data_path", "chunk")}
        numbers = {name: decimal(given[name]) for name in ("data_size", "offset")}
    except (ValueError, KeyError, TypeError) as error:
        raise Declined(refuse_chunk("invalid_json")) from error
    for name, limit in {"chunk": CHUNK_SIZE, "data_path": MAX_PATH_SIZE}.items():
        if len(fields[name]) > limit:
            raise Declined(refuse_chunk(f"{name}_too_big"))
    for name, number in numbers.items():
        if number >= MAX_NUMBER:
            raise Declined(refuse_chunk(f"{name}_too_big"))
    return {**fields, **numbers}


def _matches(proven: Proven, chunk: bytes, size: int) -> bool:
    """Tell whether these are the bytes of a chunk that lies where nodes want one to lie."""
    return (
        0 < proven.end - proven.start <= CHUNK_SIZE
        and len(chunk) == proven.end - proven.start
        and sha256(chunk) == proven.data_hash
        and (proven.start % CHUNK_SIZE == 0 or proven.end == size)
    )


def _has_room(weave: Weave, root: DataRoot, more: int) -> bool:
    return root.stored + more <= weave.rules.unconfirmed_limit

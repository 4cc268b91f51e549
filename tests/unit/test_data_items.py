"""The door to data items and bundles: what arbundles made, what is made here, and what strangers send."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.core.chunks import deep_hash
from ritual_artifacts.core.data_items import (
    bundle_index,
    bundle_index_length,
    data_item_header,
    data_item_message,
    parse_bundle,
    parse_data_item,
    write_data_item,
)
from ritual_artifacts.errors import BackendError

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/arweave/ans104.json").read_bytes())
OWNER, SIGNATURE = bytes([1]) * 512, bytes([2]) * 512
TAGS = [(b"Content-Type", b"text/plain"), ("größe".encode(), b"\xff\x00")]


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("vector", VECTORS["items"], ids=lambda vector: vector["name"])
def test_an_item_of_arbundles_is_read_and_made_again(vector: dict[str, Any]) -> None:
    raw = decode(vector["raw_b64url"])

    item = parse_data_item(raw)

    tags = tuple((tag["name"].encode(), tag["value"].encode()) for tag in vector["tags"])
    target, anchor = decode(vector["target"] or ""), (vector["anchor_utf8"] or "").encode()
    assert (item.id, item.signature_type, item.tags) == (vector["id"], 1, tags)
    assert item.data_offset == vector["header_len"]
    assert item.message == bytes.fromhex(vector["signature_data_hex"])
    data = raw[item.data_offset :]
    assert data_item_message(item.owner, tags, data, target=target, anchor=anchor) == item.message
    assert write_data_item(item.owner, item.signature, tags, data, target=target, anchor=anchor) == raw


def test_the_bundle_of_arbundles_is_read_and_made_again() -> None:
    bundle = decode(VECTORS["bundle_of_first_three"]["raw_b64url"])
    length = bundle_index_length(bundle[:32])

    entries = parse_bundle(bundle[:length])

    assert [entry.id for entry in entries] == VECTORS["bundle_of_first_three"]["ids"]
    assert [bundle[entry.offset :][: entry.size] for entry in entries] == [
        decode(vector["raw_b64url"]) for vector in VECTORS["items"]
    ]
    assert bundle_index([(entry.id, entry.size) for entry in entries]) == bundle[:length]
    assert len(set(entries)) == 3
    assert repr(entries[0]) == f"BundleEntry(id='{entries[0].id}', offset={length}, size={entries[0].size})"


def test_the_message_covers_every_part() -> None:
    part = bytes(32)
    messages = [
        data_item_message(OWNER, [], b""),
        data_item_message(SIGNATURE, [], b""),
        data_item_message(OWNER, TAGS, b""),
        data_item_message(OWNER, TAGS[::-1], b""),
        data_item_message(OWNER, [], b"data"),
        data_item_message(OWNER, [], b"", target=part),
        data_item_message(OWNER, [], b"", anchor=part),
        data_item_message(OWNER, [], b"", target=part, anchor=part),
    ]

    assert len(set(messages)) == len(messages)
    assert messages[0] == deep_hash([b"dataitem", b"1", b"1", OWNER, b"", b"", b"", b""])


def test_a_bundle_that_is_made_here_is_read_again() -> None:
    items = [write_data_item(OWNER, bytes([n]) * 512, TAGS * n, b"x" * n) for n in range(5)]
    parsed = [parse_data_item(item) for item in items]

    index = bundle_index([(item.id, len(raw)) for item, raw in zip(parsed, items, strict=True)])
    bundle = b"".join([index, *items])

    assert len(index) == bundle_index_length(bundle[:32])
    for entry, item, raw in zip(parse_bundle(index), parsed, items, strict=True):
        assert (entry.id, bundle[entry.offset :][: entry.size]) == (item.id, raw)


def test_a_header_is_as_long_before_it_is_signed() -> None:
    unsigned = data_item_header(bytes(512), bytes(512), TAGS)

    assert len(unsigned) == len(data_item_header(OWNER, SIGNATURE, TAGS))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"owner": bytes(511)}, "the owner has 511 bytes, expected 512"),
        ({"signature": bytes(64)}, "the signature has 64 bytes, expected 512"),
        ({"target": bytes(31)}, "the target has 31 bytes, expected 32"),
        ({"anchor": bytes(33)}, "the anchor has 33 bytes, expected 32"),
        ({"tags": [(b"a", b"b")] * 129}, "there are 129 tags, expected at most 128"),
        ({"tags": [(b"a", b"b" * 4096)]}, "the tags have 4102 bytes, expected at most 4096"),
        ({"tags": [(b"a", b"b"), (b"", b"b")]}, "the name or the value of tag 1 is empty"),
        ({"tags": [(b"a", b"")]}, "the name or the value of tag 0 is empty"),
    ],
)
def test_what_other_tools_do_not_take_is_not_written(change: dict[str, Any], problem: str) -> None:
    parts: dict[str, Any] = {"owner": OWNER, "signature": SIGNATURE, "tags": TAGS} | change

    with pytest.raises(BackendError, match=f"^invalid data item: {problem}$"):
        data_item_header(**parts)
    if "signature" not in change:
        del parts["signature"]
        with pytest.raises(BackendError, match=problem):
            data_item_message(**parts, data=b"")


@pytest.mark.parametrize(
    ("at", "replacement", "problem"),
    [
        (0, b"\x00\x00", "unknown signature type 0, expected 1"),
        (0, b"\x08\x00", "unknown signature type 8, expected 1"),
        (1026, b"\x02", "invalid presence byte 2 before the target, expected 0 or 1"),
        (1027, b"\x80", "invalid presence byte 128 before the anchor, expected 0 or 1"),
        (1028, b"\x01", "expected 1 tags, got 2"),
        (1028, b"\xff" * 8, "expected 18446744073709551615 tags, got 2"),
        (1036, b"\x00\x20", "the tags have 8192 bytes, expected at most 4096"),
        (1036, b"\x00\x08", "expected 2048 bytes for the tags, got"),
        (1044, b"\x06", r"the tags are not a valid Avro array: .* \(at byte"),
        (1044, b"\xff" * 11, r"a number does not fit in 64 bits \(at byte"),
    ],
)
def test_a_hostile_item_is_refused(at: int, replacement: bytes, problem: str) -> None:
    item = bytearray(write_data_item(OWNER, SIGNATURE, TAGS, b"data"))

    item[at : at + len(replacement)] = replacement

    with pytest.raises(BackendError, match=f"^invalid data item: .*{problem}"):
        parse_data_item(bytes(item))


@pytest.mark.parametrize("length", [0, 1, 2, 513, 1026, 1027, 1028, 1036, 1043, 1044, 1060])
def test_an_item_that_is_cut_off_is_refused(length: int) -> None:
    item = write_data_item(OWNER, SIGNATURE, TAGS, b"data")[:length]

    with pytest.raises(BackendError, match=r"expected \d+ bytes for .*, got"):
        parse_data_item(item)


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        (b"", "expected 32 bytes for the number of data items, got 0"),
        (b"\x01" + bytes(31), "an index of 1 items does not have 32 bytes"),
        (bytes(33), "an index of 0 items does not have 33 bytes"),
        (b"\xff" * 8 + bytes(24), "the index cannot have 18446744073709551615 items"),
        (b"\xff" * 32, "the number of data items does not fit in 64 bits"),
        (b"\x01" + bytes(31) + b"\xff" * 64, "the size of a data item does not fit in 64 bits"),
        (b"\x01" + bytes(31) + b"\xff" * 8 + bytes(56), "data item 0 ends beyond"),
    ],
)
def test_a_hostile_index_is_refused(index: bytes, problem: str) -> None:
    with pytest.raises(BackendError, match=f"^invalid bundle: {problem}"):
        parse_bundle(index)


def test_an_index_needs_ids() -> None:
    for text in ("", "short", "A" * 44, "A" * 42 + "+", "A" * 42 + "B"):
        with pytest.raises(BackendError, match="is not a transaction id"):
            bundle_index([(text, 1)])

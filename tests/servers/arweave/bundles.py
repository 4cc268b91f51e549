"""ANS-104: data items and bundles, read from a file without holding them, and written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.servers.arweave.encoding import address_of, b64, sha256, unb64
from tests.servers.arweave.signing import OWNER_SIZE, SIGNATURE_SIZE, Deep, Key, deep_hash, verify
from tests.servers.arweave.transactions import Tags
from tests.servers.replies import Slice

ARWEAVE_SIGNATURE = 1
MAX_TAG_BYTES = 4096


class MalformedBundleError(ValueError):
    """These bytes are no bundle."""


@dataclass(frozen=True, kw_only=True)
class DataItem:
    """A data item; `body` is where its data lie."""

    id: str
    bundle: str
    owner: bytes
    signature: bytes
    target: bytes
    anchor: bytes
    tags: Tags
    body: Slice

    @property
    def address(self) -> str:
        return address_of(self.owner)


def read_bundle(file: Slice, bundle: str) -> Iterator[DataItem]:
    """Yield the data items of a bundle that lies in a file; each is verified.

    Raises:
        MalformedBundleError: it is no bundle, or an item is not what its id says.
    """
    with file.path.open("rb") as source:
        reader = _Reader(source, file.start, file.stop)
        count = reader.integer(32)
        if 32 + 64 * count > file.stop - file.start:
            message = f"a bundle of {count} items has no room for its header"
            raise MalformedBundleError(message)
        heads = [(reader.integer(32), b64(reader.take(32))) for _ in range(count)]
        start = reader.place
        for size, item_id in heads:
            if start + size > file.stop:
                message = f"item {item_id} ends beyond its bundle"
                raise MalformedBundleError(message)
            item = _read_item(_Reader(source, start, start + size), bundle, file.path)
            if item.id != item_id:
                message = f"item {item_id} is in truth {item.id}"
                raise MalformedBundleError(message)
            yield item
            start += size


class _Reader:
    def __init__(self, source: BinaryIO, start: int, stop: int) -> None:
        self.source, self.place, self.stop = source, start, stop

    def take(self, size: int) -> bytes:
        if self.place + size > self.stop:
            message = f"it ends {self.place + size - self.stop} bytes too early"
            raise MalformedBundleError(message)
        self.source.seek(self.place)
        self.place += size
        return self.source.read(size)

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def optional(self) -> bytes:
        flag = self.integer(1)
        if flag > 1:
            message = f"a presence byte is {flag}"
            raise MalformedBundleError(message)
        return self.take(32) if flag else b""


def _read_item(reader: _Reader, bundle: str, path: Path) -> DataItem:
    kind = reader.integer(2)
    if kind != ARWEAVE_SIGNATURE:
        message = f"signatures of type {kind} are not read here"
        raise MalformedBundleError(message)
    signature, owner = reader.take(SIGNATURE_SIZE), reader.take(OWNER_SIZE)
    target, anchor = reader.optional(), reader.optional()
    count, size = reader.integer(8), reader.integer(8)
    if size > MAX_TAG_BYTES:
        message = f"{size} bytes of tags"
        raise MalformedBundleError(message)
    raw_tags = reader.take(size)
    tags = read_tags(raw_tags)
    if len(tags) != count:
        message = f"{len(tags)} tags where the header says {count}"
        raise MalformedBundleError(message)
    body = Slice(path, reader.place, reader.stop)
    if not verify(owner, _message(owner, target, anchor, raw_tags, body), signature):
        message = "an item's signature is wrong"
        raise MalformedBundleError(message)
    return DataItem(
        id=b64(sha256(signature)),
        bundle=bundle,
        owner=owner,
        signature=signature,
        target=target,
        anchor=anchor,
        tags=tags,
        body=body,
    )


def _message(owner: bytes, target: bytes, anchor: bytes, raw_tags: bytes, data: Deep) -> bytes:
    return deep_hash([b"dataitem", b"1", b"%d" % ARWEAVE_SIGNATURE, owner, target, anchor, raw_tags, data])


def read_tags(raw: bytes) -> Tags:
    """Read Avro's array of pairs of strings.

    Raises:
        MalformedBundleError: it is no such array.
    """
    tags: list[tuple[bytes, bytes]] = []
    words = _Words(raw)
    while raw and (count := words.number()):
        if count < 0:  # Avro's other form: the number of bytes follows
            words.number()
        tags.extend((words.string(), words.string()) for _ in range(abs(count)))
    if words.place != len(raw):
        message = "bytes are left after the tags"
        raise MalformedBundleError(message)
    return tuple(tags)


class _Words:
    """Avro's numbers and strings, one after the other."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.place = raw, 0

    def number(self) -> int:
        value = shift = 0
        while self.place < len(self.raw):
            byte = self.raw[self.place]
            self.place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return (value >> 1) ^ -(value & 1)
        message = "the tags end too early"
        raise MalformedBundleError(message)

    def string(self) -> bytes:
        size = self.number()
        self.place += size
        if size < 0 or self.place > len(self.raw):
            message = "a tag ends too late"
            raise MalformedBundleError(message)
        return self.raw[self.place - size : self.place]


def write_tags(tags: Tags) -> bytes:
    def number(value: int) -> bytes:
        value <<= 1
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes([*out, value])

    if not tags:
        return b""
    parts = [number(len(tags))]
    for tag in tags:
        parts += [piece for word in tag for piece in (number(len(word)), word)]
    return b"".join([*parts, number(0)])


def make_item(key: Key, data: bytes, tags: Tags = (), *, target: bytes = b"", anchor: bytes = b"") -> bytes:
    """Return a signed data item."""
    raw_tags = write_tags(tags)
    signature = key.sign(_message(key.owner, target, anchor, raw_tags, data))
    return b"".join(
        [
            ARWEAVE_SIGNATURE.to_bytes(2, "little"),
            signature,
            key.owner,
            *(b"\1" + part if part else b"\0" for part in (target, anchor)),
            len(tags).to_bytes(8, "little"),
            len(raw_tags).to_bytes(8, "little"),
            raw_tags,
            data,
        ]
    )


def item_id(item: bytes) -> str:
    return b64(sha256(item[2 : 2 + SIGNATURE_SIZE]))


def make_bundle(items: Sequence[bytes]) -> bytes:
    """Return a bundle of signed data items."""
    heads = [len(item).to_bytes(32, "little") + unb64(item_id(item)) for item in items]
    return b"".join([len(items).to_bytes(32, "little"), *heads, *items])

"""Small files as data items of one transaction (ANS-104): one signature to pay for, one thing to confirm."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ritual_artifacts.backends.arweave.contents import BUNDLE_NAME, Piece
from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.backends.arweave.transaction import make_tags
from ritual_artifacts.backends.arweave.wallet import RSA_BYTES, Wallet
from ritual_artifacts.chunks import data_item_message, find_data_root, write_data_item

MAX_BUNDLED_BYTES: Final = 4 << 20
"""Of a file that goes into the bundle; a larger one has a transaction of its own."""

_TAGS: Final = (("Bundle-Format", "binary"), ("Bundle-Version", "2.0.0"))


_NUMBER: Final = 32
"""Bytes of a count or size in the index, the least significant first; and of an id."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A signed data item.

    Attributes:
        name: The file's name in the artifact, or that of the path manifest.
        id: SHA-256 of the signature, in base64url.
        data: The item as it stands in a bundle: header and data.
    """

    name: str
    id: str
    data: bytes


def sign_item(piece: Piece, wallet: Wallet) -> Item:
    """Sign a small file as a data item."""
    data = piece.read()
    signature = wallet.sign(data_item_message(wallet.owner, b"", b"", piece.tags, data))
    whole = write_data_item(wallet.owner, signature, b"", b"", piece.tags, data)
    return Item(name=piece.name, id=encode(hashlib.sha256(signature).digest()), data=whole)


def make_bundle(items: Sequence[Item]) -> Piece:
    """Put data items behind each other, with an index before them."""
    index = [len(items).to_bytes(_NUMBER, "little")]
    index += [len(i.data).to_bytes(_NUMBER, "little") + decode(i.id, "an id") for i in items]
    data = b"".join([*index, *(item.data for item in items)])
    tags = make_tags(_TAGS, "the bundle")
    return Piece(name=BUNDLE_NAME, source=data, size=len(data), data_root=find_data_root(data), tags=tags)


def bundle_size(pieces: Sequence[Piece]) -> int:
    """Return how large a bundle of these files will be, before anything is signed."""
    headers = (write_data_item(bytes(RSA_BYTES), bytes(RSA_BYTES), b"", b"", p.tags, b"") for p in pieces)
    return _NUMBER + sum(2 * _NUMBER + len(h) + p.size for h, p in zip(headers, pieces, strict=True))

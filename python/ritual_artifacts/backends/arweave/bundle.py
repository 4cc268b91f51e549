"""Small files as data items of one transaction (ANS-104): one signature to pay for, one thing to confirm."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ritual_artifacts.backends.arweave.contents import BUNDLE_NAME, Piece
from ritual_artifacts.backends.arweave.encoding import ID_LENGTH, encode
from ritual_artifacts.backends.arweave.transaction import Tags
from ritual_artifacts.backends.arweave.wallet import RSA_BYTES, Wallet
from ritual_artifacts.core.chunks import find_data_root
from ritual_artifacts.core.data_items import (
    bundle_index,
    data_item_header,
    data_item_message,
    write_data_item,
)
from ritual_artifacts.errors import SourceChangedError

MAX_BUNDLED_BYTES: Final = 4 << 20
"""Of a file that goes into the bundle; a larger one has a transaction of its own."""

MAX_BUNDLE_BYTES: Final = 128 << 20
"""Of all files in the bundle, which is made in memory; what does not fit has a transaction of its own."""


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


def choose_bundled(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the small files that go into the bundle, in order, as long as there is room."""
    chosen: list[Piece] = []
    room = MAX_BUNDLE_BYTES
    for piece in pieces:
        if piece.size <= min(MAX_BUNDLED_BYTES, room):
            chosen.append(piece)
            room -= piece.size
    return chosen


def sign_item(piece: Piece, wallet: Wallet) -> Item:
    """Sign a small file as a data item.

    Raises:
        SourceChangedError: it is no longer what its tags and the manifest say.
    """
    data = piece.read()
    if len(data) != piece.size or piece.sha256 not in {None, hashlib.sha256(data).hexdigest()}:
        message = (
            f"{piece.source if isinstance(piece.source, Path) else piece.name} changed after it was read"
        )
        raise SourceChangedError(message)
    signature = wallet.sign(data_item_message(wallet.owner, piece.tags, data))
    whole = write_data_item(wallet.owner, signature, piece.tags, data)
    return Item(name=piece.name, id=encode(hashlib.sha256(signature).digest()), data=whole)


def make_bundle(items: Sequence[Item], tags: Tags) -> Piece:
    """Put data items behind each other, with an index before them, for a transaction with these tags."""
    index = bundle_index([(item.id, len(item.data)) for item in items])
    data = b"".join([index, *(item.data for item in items)])
    return Piece(name=BUNDLE_NAME, source=data, size=len(data), data_root=find_data_root(data), tags=tags)


def bundle_size(pieces: Sequence[Piece]) -> int:
    """Return how large a bundle of these files will be, before anything is signed."""
    no_key = bytes(RSA_BYTES)
    headers = [data_item_header(no_key, no_key, piece.tags) for piece in pieces]
    index = bundle_index([("A" * ID_LENGTH, 0)] * len(pieces))
    return len(index) + sum(len(h) + p.size for h, p in zip(headers, pieces, strict=True))

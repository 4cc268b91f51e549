"""Small files as data items of one transaction (ANS-104): one price to pay, one transaction to confirm."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ritual_artifacts.backends.arweave.encoding import ID_LENGTH, encode
from ritual_artifacts.backends.arweave.tags import Tags
from ritual_artifacts.backends.arweave.upload.unsigned import BUNDLE_NAME, UnsignedData
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
"""Of a file in a bundle; a larger one gets a transaction of its own."""

MAX_BUNDLE_BYTES: Final = 128 << 20
"""Of all files in a bundle, which is made in memory; further files get transactions of their own."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A signed data item.

    Attributes:
        name: The file's name in the artifact, or that of the path manifest.
        id: SHA-256 of the signature, in base64url.
        data: The whole item, header and data.
    """

    name: str
    id: str
    data: bytes


def choose_bundled(files: Sequence[UnsignedData], *, max_bytes: int = MAX_BUNDLE_BYTES) -> list[UnsignedData]:
    """Return the small files that go into the bundle, in order.

    Args:
        files: All files.
        max_bytes: Of the chosen files together.
    """
    chosen: list[UnsignedData] = []
    room = max_bytes
    for file in files:
        if file.size <= min(MAX_BUNDLED_BYTES, room):
            chosen.append(file)
            room -= file.size
    return chosen


def sign_item(file: UnsignedData, wallet: Wallet) -> Item:
    """Sign a small file as a data item.

    Raises:
        SourceChangedError: it differs from its tags and the manifest.
    """
    data = file.read()
    if len(data) != file.size or file.sha256 not in {None, hashlib.sha256(data).hexdigest()}:
        message = f"{file.source if isinstance(file.source, Path) else file.name} changed after it was read"
        raise SourceChangedError(message)
    signature = wallet.sign(data_item_message(wallet.owner, file.tags, data))
    whole = write_data_item(wallet.owner, signature, file.tags, data)
    return Item(name=file.name, id=encode(hashlib.sha256(signature).digest()), data=whole)


def make_bundle(items: Sequence[Item], tags: Tags) -> UnsignedData:
    """Return a bundle of data items, to be signed as a transaction with these tags."""
    index = bundle_index([(item.id, len(item.data)) for item in items])
    data = b"".join([index, *(item.data for item in items)])
    return UnsignedData(
        name=BUNDLE_NAME, source=data, size=len(data), data_root=find_data_root(data), tags=tags
    )


def bundle_size(files: Sequence[UnsignedData]) -> int:
    """Return the size of a bundle of these files, before anything is signed."""
    no_key = bytes(RSA_BYTES)
    headers = [data_item_header(no_key, no_key, file.tags) for file in files]
    index = bundle_index([("A" * ID_LENGTH, 0)] * len(files))
    return len(index) + sum(len(h) + file.size for h, file in zip(headers, files, strict=True))

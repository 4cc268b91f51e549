"""The typed door to data items and bundles (ANS-104) in the Rust core.

A data item is data with an owner, tags and a signature of its own. A bundle is the data of a transaction
that holds many of them behind an index. Nothing here signs, or checks a signature: `DataItem.message` is
what it has to be of.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ritual_artifacts import _core
from ritual_artifacts._core import BundleEntry, DataItem
from ritual_artifacts.core.hashing import ByteCallback, StrPath
from ritual_artifacts.errors import BackendError

__all__ = [
    "BundleEntry",
    "DataItem",
    "bundle_index",
    "bundle_index_length",
    "data_item_header",
    "data_item_message",
    "parse_bundle",
    "parse_data_item",
    "read_bundle",
    "read_data_item",
    "write_data_item",
]


def parse_bundle(index: bytes, *, size: int | None = None) -> list[BundleEntry]:
    """Read the index of a bundle from a stranger.

    Args:
        index: The first bytes of the bundle, as many as `bundle_index_length` says.
        size: Bytes of the whole bundle, where they are known: no item ends behind them.

    Returns:
        The data items in order: `id` (base64url), `offset` and `size` in the bundle. Each is only what the
            index
        says, until the item itself is read.

    Raises:
        BackendError: it is no such index.
    """
    with _refusing("the bundle"):
        return _core.parse_bundle(index, size=size)


def bundle_index_length(beginning: bytes) -> int:
    """Return how many bytes the index takes of a bundle that begins with these 32 bytes.

    Raises:
        BackendError: no data has room for so many items.
    """
    with _refusing("the bundle"):
        return _core.bundle_index_length(beginning)


def read_bundle(path: StrPath, *, offset: int = 0, size: int | None = None) -> list[BundleEntry]:
    """Read the index of a bundle that is a file, or a part of one; nothing but the index is read.

    Args:
        path: A regular file; a link is refused.
        offset: Where the bundle begins.
        size: Its bytes; default all the rest.

    Returns:
        As `parse_bundle`, with offsets from the beginning of the file.

    Raises:
        BackendError: there is no bundle.
        SourceChangedError: the file changed while it was read.
        OSError: the file is missing or cannot be read.
    """
    with _refusing("the bundle"):
        return _core.read_bundle(path, offset=offset, size=size)


def parse_data_item(data: bytes) -> DataItem:
    """Read a data item from a stranger; `data` is all of it.

    Returns:
        Its parts, and the `message` that its `signature` has to be of. Nobody has checked that yet.

    Raises:
        BackendError: it is none.
    """
    with _refusing("the data item"):
        return _core.parse_data_item(data)


def read_data_item(
    path: StrPath, *, offset: int = 0, size: int | None = None, progress: ByteCallback | None = None
) -> DataItem:
    """Read a data item of any size that is a file, or a part of one, in the memory of a few MiB.

    Args:
        path: A regular file; a link is refused.
        offset: Where the item begins.
        size: Its bytes; default all the rest.
        progress: Called on the calling thread with the number of bytes read since its last call.

    Returns:
        As `parse_data_item`.

    Raises:
        BackendError: there is no data item.
        SourceChangedError: the file changed while it was read.
        OSError: the file is missing or cannot be read.
    """
    with _refusing("the data item"):
        return _core.read_data_item(path, offset=offset, size=size, progress=progress)


def data_item_message(
    owner: bytes,
    tags: Sequence[tuple[bytes, bytes]],
    data: bytes | Path,
    *,
    target: bytes = b"",
    anchor: bytes = b"",
) -> bytes:
    """Return what a wallet has to sign to make a data item: a deep hash (SHA-384).

    Args:
        owner: The modulus of the wallet's key, 512 bytes.
        tags: Names and values, none of them empty; at most 128, and 4096 bytes as they are encoded.
        data: The data, or a file that holds it; a file is read once and never held as a whole.
        target: Whom the item is sent to, 32 bytes; empty for nobody.
        anchor: What makes the item another one than its like, 32 bytes; empty for nothing.

    Raises:
        BackendError: a part is longer or shorter than it has to be, or the tags are more than other tools
            take.
        SourceChangedError: the file changed while it was read.
        OSError: the file is missing or cannot be read.
    """
    with _refusing("a data item"):
        if isinstance(data, Path):
            return _core.data_item_message_of_file(owner, target, anchor, tags, data)
        return _core.data_item_message(owner, target, anchor, tags, data)


def data_item_header(
    owner: bytes,
    signature: bytes,
    tags: Sequence[tuple[bytes, bytes]],
    *,
    target: bytes = b"",
    anchor: bytes = b"",
) -> bytes:
    """Return what stands before the data in a data item; see `data_item_message`.

    Args:
        owner: The modulus of the wallet's key, 512 bytes.
        signature: The wallet's signature, 512 bytes. The header's length does not depend on what they are.
        tags: Names and values.
        target: Whom the item is sent to.
        anchor: What makes the item another one than its like.

    Raises:
        BackendError: a part is longer or shorter than it has to be, or the tags are more than other tools
            take.
    """
    with _refusing("a data item"):
        return _core.data_item_header(owner, signature, target, anchor, tags)


def write_data_item(
    owner: bytes,
    signature: bytes,
    tags: Sequence[tuple[bytes, bytes]],
    data: bytes,
    *,
    target: bytes = b"",
    anchor: bytes = b"",
) -> bytes:
    """Return a whole data item, header and data; see `data_item_header`.

    Raises:
        BackendError: a part is longer or shorter than it has to be, or the tags are more than other tools
            take.
    """
    return data_item_header(owner, signature, tags, target=target, anchor=anchor) + data


def bundle_index(items: Sequence[tuple[str, int]]) -> bytes:
    """Return what stands before the data items in a bundle.

    Args:
        items: The id (base64url) and the size in bytes of each item, in the order in which they follow.

    Raises:
        BackendError: an id is none.
    """
    with _refusing("the bundle"):
        return _core.bundle_index(items)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        message = f"{what} cannot be used: {error}"
        raise BackendError(message) from None

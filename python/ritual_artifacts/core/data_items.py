"""The typed interface to data items and bundles (ANS-104) in the Rust core.

A data item is data with an owner, tags and a signature of its own. A bundle is the data of a transaction
that holds many of them behind an index. Nothing here signs, or verifies a signature: that is done with
`DataItem.message`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ritual_artifacts import _core
from ritual_artifacts._core import BundleEntry, DataItem
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
    "write_data_item",
]


def parse_bundle(index: bytes) -> list[BundleEntry]:
    """Parse the index of a bundle from an untrusted source.

    Args:
        index: The first bytes of the bundle, as many as `bundle_index_length` returns.

    Returns:
        The data items in order: `id` (base64url), `offset` and `size` in the bundle. The index proves
        nothing; verify each item itself.

    Raises:
        BackendError: the index is invalid.
    """
    with _refusing("bundle"):
        return _core.parse_bundle(index)


def bundle_index_length(beginning: bytes) -> int:
    """Return the length of a bundle's index, from the first 32 bytes of the bundle.

    Raises:
        BackendError: the number of items is invalid.
    """
    with _refusing("bundle"):
        return _core.bundle_index_length(beginning)


def parse_data_item(data: bytes) -> DataItem:
    """Parse a whole data item from an untrusted source.

    Returns:
        Its parts, and the `message` that its `signature` has to sign; the signature is not verified.

    Raises:
        BackendError: the data item is invalid.
    """
    with _refusing("data item"):
        return _core.parse_data_item(data)


def data_item_message(
    owner: bytes,
    tags: Sequence[tuple[bytes, bytes]],
    data: bytes,
    *,
    target: bytes = b"",
    anchor: bytes = b"",
) -> bytes:
    """Return the message that a wallet signs to make a data item: a deep hash (SHA-384).

    Args:
        owner: The modulus of the wallet's key, 512 bytes.
        tags: Names and values, none of them empty; at most 128, and 4096 bytes once encoded.
        data: The item's data.
        target: Address of the recipient, 32 bytes; empty for none.
        anchor: Bytes that tell equal items apart, 32 bytes; empty for none.

    Raises:
        BackendError: a part has the wrong length, or there are more tags than other tools accept.
    """
    with _refusing("data item"):
        return _core.data_item_message(owner, target, anchor, tags, data)


def data_item_header(
    owner: bytes,
    signature: bytes,
    tags: Sequence[tuple[bytes, bytes]],
    *,
    target: bytes = b"",
    anchor: bytes = b"",
) -> bytes:
    """Return the header of a data item, which comes before its data; see `data_item_message`.

    Args:
        owner: The modulus of the wallet's key, 512 bytes.
        signature: The wallet's signature, 512 bytes. The length of the header does not depend on its value.
        tags: Names and values.
        target: Address of the recipient.
        anchor: Bytes that tell equal items apart.

    Raises:
        BackendError: a part has the wrong length, or there are more tags than other tools accept.
    """
    with _refusing("data item"):
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
        BackendError: a part has the wrong length, or there are more tags than other tools accept.
    """
    return data_item_header(owner, signature, tags, target=target, anchor=anchor) + data


def bundle_index(items: Sequence[tuple[str, int]]) -> bytes:
    """Return the index of a bundle, which comes before its data items.

    Args:
        items: The id (base64url) and the size in bytes of each item, in the order in which they follow.

    Raises:
        BackendError: an id is invalid.
    """
    with _refusing("bundle"):
        return _core.bundle_index(items)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        message = f"invalid {what}: {error}"
        raise BackendError(message) from None

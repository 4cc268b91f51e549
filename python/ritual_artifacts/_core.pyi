"""
Hashing and durable file writes, in Rust.
"""

from _typeshed import SupportsGetItem
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, SupportsIndex, final
from typing_extensions import Buffer

__all__ = ["BundleEntry", "ChunkTree", "DataItem", "FileDigest", "PartialFile", "bundle_index", "bundle_index_length", "check_proof", "copy_files", "data_item_header", "data_item_message", "deep_hash", "find_data_root", "hash_files", "parse_bundle", "parse_data_item", "rename_files", "sha256_kernels", "split_lengths", "write_file"]

@final
class BundleEntry:
    """
    Where a data item is in its bundle: its id, offset and size in bytes.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __repr__(self, /) -> str: ...
    @property
    def id(self, /) -> str:
        """
        The item's id in base64url without padding.
        """
    @property
    def offset(self, /) -> int:
        """
        Offset of its first byte.
        """
    @property
    def size(self, /) -> int:
        """
        Size in bytes, header and data.
        """

@final
class ChunkTree:
    """
    The Merkle tree over a file's chunks on Arweave.

    Opening it reads the file once, on all cores. Its length is the number of chunks to upload, without the empty
    one at the end of some trees. `rule` is the way to split the file: as arweave-js does, or into slices of 256 KiB
    only (`naive`).
    """
    def __len__(self, /) -> int: ...
    def __new__(cls, /, path: str | PathLike[str], *, rule: str = ..., follow_symlinks: bool = False, max_workers: int | None = None, progress: Callable[[int], object] | None = None) -> ChunkTree: ...
    @property
    def data_root(self, /) -> str:
        """
        Root of the tree in base64url without padding; empty for an empty file.
        """
    def id_between(self, /, start: SupportsIndex, end: SupportsIndex) -> bytes | None:
        """
        The id of the node that spans the bytes from `start` to `end`; None if there is no such node.
        """
    def proof(self, /, index: SupportsIndex) -> bytes:
        """
        The proof (`data_path`) that a chunk is part of the file.
        """
    def read(self, /, index: SupportsIndex) -> bytes:
        """
        Read a chunk from the file again, and verify that it has not changed.
        """
    @property
    def size(self, /) -> int:
        """
        Size of the file in bytes.
        """
    def span(self, /, index: SupportsIndex) -> tuple[int, int]:
        """
        Offsets in the file of a chunk's first byte and of the byte after its last.
        """
    def split_as(self, /, rule: str) -> ChunkTree:
        """
        The tree over the same file under another rule; only the chunks that differ are read again.
        """

@final
class DataItem:
    """
    The fields of a data item, and the message that its signature has to sign. The signature is not verified.
    """
    @property
    def data_offset(self, /) -> int:
        """
        Offset in the item of the data's first byte.
        """
    @property
    def id(self, /) -> str:
        """
        The item's id in base64url without padding: the SHA-256 of its signature.
        """
    @property
    def message(self, /) -> bytes:
        """
        The signed message: a deep hash (SHA-384) of all other fields and the data.
        """
    @property
    def owner(self, /) -> bytes:
        """
        The owner's public key; of an Arweave wallet, the modulus.
        """
    @property
    def signature(self, /) -> bytes:
        """
        The signature.
        """
    @property
    def signature_type(self, /) -> int:
        """
        Signature type; 1 is RSA-PSS with an Arweave wallet's key.
        """
    @property
    def tags(self, /) -> tuple[tuple[bytes, bytes], ...]:
        """
        Names and values, in order.
        """

@final
class FileDigest:
    """
    A file's path as it was given, its size in bytes, its SHA-256 and, if requested, other digests.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __getnewargs__(self, /) -> tuple[Path, int, str, str | None, str | None]:
        """
        The constructor's arguments, for pickling and copying.
        """
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, path: str | PathLike[str], size: SupportsIndex, sha256: str, data_root: str | None = None, git_sha1: str | None = None) -> FileDigest:
        """
        Make a digest from values computed elsewhere, each spelled like the attribute of its name.
        """
    def __repr__(self, /) -> str: ...
    @property
    def data_root(self, /) -> str | None:
        """
        Root of the file's chunks on Arweave in base64url, empty for an empty file; None unless requested.
        """
    @property
    def git_sha1(self, /) -> str | None:
        """
        SHA-1 of the file as a git blob in lower-case hexadecimal; None unless requested, or if it is too large.
        """
    @property
    def path(self, /) -> Path:
        """
        The path, as it was given.
        """
    @property
    def sha256(self, /) -> str:
        """
        SHA-256 in lower-case hexadecimal.
        """
    @property
    def size(self, /) -> int:
        """
        Size in bytes.
        """

@final
class PartialFile:
    """
    A file that is appended to, and hashed at the same time; it continues where an earlier attempt ended.

    Opening it hashes the present content, and reports that to `progress`. After a failed write, open it
    again.
    """
    def __enter__(self, /) -> PartialFile: ...
    def __exit__(self, /, *_error: "object") -> None: ...
    def __new__(cls, /, path: str | PathLike[str], *, progress: Callable[[int], object] | None = None) -> PartialFile: ...
    def close(self, /) -> None:
        """
        Close the file and keep its content; closing twice is allowed.
        """
    def finish(self, /) -> FileDigest:
        """
        Sync the content to disk, close the file and return its digest.
        """
    @property
    def size(self, /) -> int:
        """
        Size in bytes, including earlier attempts.
        """
    def write(self, /, data: Buffer) -> None:
        """
        Hash `data` and append it.
        """

def bundle_index(items: SupportsGetItem[int, tuple[str, SupportsIndex]]) -> bytes:
    """
    The index of a bundle of data items with these ids and sizes.
    """

def bundle_index_length(beginning: bytes) -> int:
    """
    The length of a bundle's index, from the first 32 bytes of the bundle.
    """

def check_proof(data_root: bytes, data_size: SupportsIndex, offset: SupportsIndex, proof: bytes) -> tuple[int, int, bytes]:
    """
    Validate the proof (`data_path`) of the chunk that contains the byte at `offset`, and return the chunk's start,
    end and SHA-256.

    `data_root` and `data_size` have to be trusted, the proof does not. Raises `ValueError` for an invalid proof.
    """

def copy_files(pairs: SupportsGetItem[int, tuple[str | PathLike[str], str | PathLike[str]]], *, follow_symlinks: bool = False, max_workers: int | None = None, progress: Callable[[int], object] | None = None, resume: bool = False) -> list[FileDigest]:
    """
    Copy regular files, each pair's first path to its second; one item per pair, in order, with the
    source's path and the size and SHA-256 of the target's bytes.

    An error ends the call; finished copies remain. With `resume`, each copy continues what its target holds, and
    an unfinished one remains too.
    """

def data_item_header(owner: bytes, signature: bytes, target: bytes, anchor: bytes, tags: Sequence[tuple[bytes, bytes]]) -> bytes:
    """
    The header of a data item that an Arweave wallet has signed; the data follows it.
    """

def data_item_message(owner: bytes, target: bytes, anchor: bytes, tags: Sequence[tuple[bytes, bytes]], data: Buffer) -> bytes:
    """
    The message that an Arweave wallet signs to make a data item; `target` and `anchor` may be empty.

    Raises `ValueError` if a part has the wrong length, or if other tools would not accept the tags.
    """

def deep_hash(value: Any) -> bytes:
    """
    The deep hash (SHA-384) of bytes, or of a list of bytes and such lists; Arweave signs deep hashes.
    """

def find_data_root(data: Buffer, *, rule: str = ...) -> bytes:
    """
    The root of the tree over the chunks of data in memory; empty for no data.
    """

def hash_files(paths: SupportsGetItem[int, str | PathLike[str]], *, follow_symlinks: bool = True, max_workers: int | None = None, read_size: int = ..., progress: Callable[[int], object] | None = None, return_exceptions: bool = False, data_root: bool = False, git_sha1_max_size: SupportsIndex | None = None) -> "list[FileDigest | Exception]":
    """
    Hash regular files with SHA-256 on several threads; one item per path, in order.

    With `return_exceptions`, a file's error takes its place in the list; otherwise the first error ends the
    call and is raised.
    """

def parse_bundle(index: bytes) -> list[BundleEntry]:
    """
    Parse the whole index of a bundle. Raises `ValueError` if it is invalid.
    """

def parse_data_item(data: Buffer) -> DataItem:
    """
    Parse a whole data item. Raises `ValueError` if it is invalid.
    """

def rename_files(pairs: SupportsGetItem[int, tuple[str | PathLike[str], str | PathLike[str]]]) -> None:
    """
    Rename each pair's first path to its second, then make all new names durable.
    """

def sha256_kernels() -> list[str]:
    """
    Names of the SHA-256 implementations that this processor supports; the last, `single`, runs on any.
    """

def split_lengths(size: SupportsIndex) -> list[int]:
    """
    Lengths in bytes of the chunks that `size` bytes of data are uploaded in, as arweave-js splits them.
    """

def write_file(path: str | PathLike[str], data: Buffer) -> None:
    """
    Write a small file atomically: readers see either the old content or all of the new one.
    """

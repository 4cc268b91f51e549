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
    Where a data item is in its bundle: what the index calls it, its offset and its size in bytes.
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

    Opening it reads the file once, on all cores. Its length is the number of chunks that are uploaded: the empty
    one that ends some trees is not among them. `rule` says how the file is split: as arweave-js does, as the node
    does (`node`), or in slices of 256 KiB alone (`naive`).
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
        The id that the node has which spans the bytes from `start` to `end`; None where no node can.
        """
    def proof(self, /, index: SupportsIndex) -> bytes:
        """
        The proof (`data_path`) that a chunk is in the tree.
        """
    def read(self, /, index: SupportsIndex) -> bytes:
        """
        A chunk's bytes, read from the file again and compared with what they were.
        """
    @property
    def size(self, /) -> int:
        """
        Bytes in the file.
        """
    def span(self, /, index: SupportsIndex) -> tuple[int, int]:
        """
        Offsets in the file of a chunk's first byte and of the one after its last.
        """
    def split_as(self, /, rule: str) -> ChunkTree:
        """
        The tree over the same file as another rule splits it; only the chunks that differ are read again.
        """

@final
class DataItem:
    """
    What a data item says, and what its signature has to be of. Nobody has checked the signature.
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
        What is signed: a deep hash (SHA-384) of everything else.
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
        Who signs how: 1 is RSA-PSS with an Arweave wallet's key.
        """
    @property
    def tags(self, /) -> tuple[tuple[bytes, bytes], ...]:
        """
        Names and values, in order.
        """

@final
class FileDigest:
    """
    What a file held: its path as it was given, its size in bytes, its SHA-256 and, where asked for, other names.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __getnewargs__(self, /) -> tuple[Path, int, str, str | None, str | None]:
        """
        What pickling and copying call the constructor with.
        """
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, path: str | PathLike[str], size: SupportsIndex, sha256: str, data_root: str | None = None, git_sha1: str | None = None) -> FileDigest:
        """
        What was read elsewhere, each value written as the attribute of its name.
        """
    def __repr__(self, /) -> str: ...
    @property
    def data_root(self, /) -> str | None:
        """
        Root of the file's chunks on Arweave in base64url, empty for an empty file; None unless asked for.
        """
    @property
    def git_sha1(self, /) -> str | None:
        """
        SHA-1 of the file as a git blob in lower-case hexadecimal; None unless asked for, or too large.
        """
    @property
    def path(self, /) -> Path:
        """
        The path that was read.
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
    A file that grows at its end, is hashed as it grows, and is continued where an earlier attempt
    left it.

    Opening it hashes what is there, and reports that to `progress`. After a write that failed it
    has to be opened again.
    """
    def __enter__(self, /) -> PartialFile: ...
    def __exit__(self, /, *_error: "object") -> None: ...
    def __new__(cls, /, path: str | PathLike[str], *, progress: Callable[[int], object] | None = None) -> PartialFile: ...
    def close(self, /) -> None:
        """
        Close the file as it is; closing twice is allowed.
        """
    def finish(self, /) -> FileDigest:
        """
        Put the content on the disk, close the file and say what it holds.
        """
    @property
    def size(self, /) -> int:
        """
        Bytes in the file, those of earlier attempts included.
        """
    def write(self, /, data: Buffer) -> None:
        """
        Hash `data` and append it.
        """

def bundle_index(items: SupportsGetItem[int, tuple[str, SupportsIndex]]) -> bytes:
    """
    What stands before the data items with these ids and sizes in a bundle.
    """

def bundle_index_length(beginning: bytes) -> int:
    """
    How many bytes the index of a bundle takes that begins with these 32 bytes.
    """

def check_proof(data_root: bytes, data_size: SupportsIndex, offset: SupportsIndex, proof: bytes) -> tuple[int, int, bytes]:
    """
    What a proof (`data_path`) proves of the chunk with the byte at `offset`: its start, its end and its SHA-256.

    `data_root` and `data_size` have to be trusted, the proof need not. A proof that proves nothing is a
    `ValueError`.
    """

def copy_files(pairs: SupportsGetItem[int, tuple[str | PathLike[str], str | PathLike[str]]], *, follow_symlinks: bool = False, max_workers: int | None = None, progress: Callable[[int], object] | None = None) -> list[FileDigest]:
    """
    Copy regular files, each pair's first path to its second; one item per pair, in their order,
    with the source's path and the size and SHA-256 of the bytes that landed.

    An error ends the call; copies that were finished by then stay.
    """

def data_item_header(owner: bytes, signature: bytes, target: bytes, anchor: bytes, tags: Sequence[tuple[bytes, bytes]]) -> bytes:
    """
    What stands before the data in a data item that an Arweave wallet has signed.
    """

def data_item_message(owner: bytes, target: bytes, anchor: bytes, tags: Sequence[tuple[bytes, bytes]], data: Buffer) -> bytes:
    """
    What an Arweave wallet has to sign to make a data item of this data; `target` and `anchor` may be empty.

    Tags that other tools do not take, and parts of a wrong length, are a `ValueError`.
    """

def deep_hash(value: Any) -> bytes:
    """
    The deep hash (SHA-384) of bytes, or of a list of bytes and such lists: what Arweave signs.
    """

def find_data_root(data: Buffer, *, rule: str = ...) -> bytes:
    """
    The root of the tree over chunks of data in memory; empty for no data.
    """

def hash_files(paths: SupportsGetItem[int, str | PathLike[str]], *, follow_symlinks: bool = True, max_workers: int | None = None, read_size: int = ..., progress: Callable[[int], object] | None = None, return_exceptions: bool = False, data_root: bool = False, git_sha1_max_size: SupportsIndex | None = None) -> "list[FileDigest | Exception]":
    """
    Hash regular files with SHA-256 on several threads; one item per path, in their order.

    With `return_exceptions` a file's error stands in its place; otherwise the first one ends the
    call and is raised.
    """

def parse_bundle(index: bytes) -> list[BundleEntry]:
    """
    Read a bundle's index, from its first byte to its last.
    """

def parse_data_item(data: Buffer) -> DataItem:
    """
    Read the data item that `data` is, from its first byte to its last.

    What is none is a `ValueError`.
    """

def rename_files(pairs: SupportsGetItem[int, tuple[str | PathLike[str], str | PathLike[str]]]) -> None:
    """
    Rename each pair's first path to its second, then make all the new names durable.
    """

def sha256_kernels() -> list[str]:
    """
    The ways to run SHA-256 that this processor has, by name; the last, `single`, is on every one.
    """

def split_lengths(size: SupportsIndex) -> list[int]:
    """
    Lengths in bytes of the chunks that `size` bytes of data are uploaded in, as arweave-js splits them.
    """

def write_file(path: str | PathLike[str], data: Buffer) -> None:
    """
    Write a small file so that readers see the old content or all of the new one.
    """

"""What an upload has signed and what was acknowledged, on the disk before anything is posted.

A transaction that was posted may have been paid for, whatever became of the process. So each is written
down first; whoever uploads the same again finds it, and posts the very same transaction, which costs
nothing twice.

::

    <state>/arweave/<address>/<key>/
        upload.json      the transactions, signed, in the order in which they are posted
        <id>.data        data that is in no file of the user: manifests and bundles
        <id>.chunks      one byte for each chunk, 1 where a node has it
        posted           ids of the transactions that a node has, one a line
        finished         there once everything is posted
        lock
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.errors import BackendError, ConflictError
from ritual_artifacts.hashing import make_folder, read_regular, write_file
from ritual_artifacts.settings import load_settings

_VERSION: Final = 1
_RECORD: Final = "upload.json"
_POSTED: Final = "posted"
_FINISHED: Final = "finished"
_MAX_RECORD_BYTES: Final = 1 << 30
_LOCK: Final = "lock"
_ONE: Final = b"\1"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One signed transaction of an upload.

    Attributes:
        name: The file's name in the artifact; for others what they are for.
        transaction: The transaction, without data.
    """

    name: str
    transaction: Transaction


@dataclass(frozen=True, kw_only=True)
class Record:
    """What `upload.json` says.

    Attributes:
        unix_time: `Unix-Time` of all transactions.
        entries: The transactions of files, in the order of the files.
        final: The transaction that makes the artifact visible, and is posted last.
        reused: Ids of files that are stored already, by name.
        items: Ids of the data items in a bundle, by name.
    """

    unix_time: str
    entries: tuple[Entry, ...]
    final: Entry
    reused: Mapping[str, str]
    items: Mapping[str, str]

    @property
    def ids(self) -> dict[str, str]:
        """Where each file is."""
        return {**self.reused, **self.items, **{entry.name: entry.transaction.id for entry in self.entries}}

    @property
    def cost(self) -> int:
        """What the transactions cost together, in winston."""
        return sum(entry.transaction.reward for entry in (*self.entries, self.final))


class Journal:
    """The folder of one upload; see `open_journal`."""

    def __init__(self, folder: Path) -> None:
        """Use a folder that is there and locked."""
        self._folder = folder
        self._posted = self._read_posted()

    # --- what was signed ---

    def read(self) -> Record | None:
        """Return what an earlier process has signed; None where there is nothing.

        Raises:
            BackendError: it is there, but cannot be used: transactions in it may have been paid for.
        """
        path = self._folder / _RECORD
        try:
            data = read_regular(path, _MAX_RECORD_BYTES)
        except FileNotFoundError:
            return None
        try:
            values = json.loads(data or b"")
            if values["version"] != _VERSION:
                raise ValueError  # noqa: TRY301 - said below
            return Record(
                unix_time=str(values["unix_time"]),
                entries=tuple(map(_read_entry, values["transactions"])),
                final=_read_entry(values["final"]),
                reused=dict(values["reused"]),
                items=dict(values["items"]),
            )
        except (ValueError, KeyError, TypeError, BackendError):
            message = (
                f"the journal {path} cannot be read; transactions in it may have been paid for, "
                f"so look at it before you remove its folder"
            )
            raise BackendError(message) from None

    def write(self, record: Record) -> None:
        """Put what was signed on the disk, all at once."""
        values = {
            "version": _VERSION,
            "unix_time": record.unix_time,
            "transactions": [_write_entry(entry) for entry in record.entries],
            "final": _write_entry(record.final),
            "reused": dict(record.reused),
            "items": dict(record.items),
        }
        write_file(self._folder / _RECORD, json.dumps(values, indent=1).encode())

    def write_data(self, transaction: Transaction, data: bytes) -> Path:
        """Keep data that is in no file of the user."""
        path = self.data_path(transaction)
        write_file(path, data)
        return path

    def data_path(self, transaction: Transaction) -> Path:
        """Return where `write_data` keeps a transaction's data."""
        return self._folder / f"{transaction.id}.data"

    # --- what was acknowledged ---

    def is_posted(self, transaction: Transaction) -> bool:
        """Say whether a node has the transaction."""
        return transaction.id in self._posted

    def note_posted(self, transaction: Transaction) -> None:
        """Remember that a node has the transaction."""
        if transaction.id not in self._posted:
            _append(self._folder / _POSTED, f"{transaction.id}\n".encode())
            self._posted.add(transaction.id)

    def forget_posted(self, transaction: Transaction) -> None:
        """Remember that no node has it any more, nor any of its chunks."""
        self._posted.discard(transaction.id)
        write_file(self._folder / _POSTED, "".join(f"{name}\n" for name in sorted(self._posted)).encode())
        (self._folder / f"{transaction.id}.chunks").unlink(missing_ok=True)

    def is_finished(self) -> bool:
        """Say whether an earlier process has posted everything."""
        return (self._folder / _FINISHED).exists()

    def note_finished(self) -> None:
        """Remember that everything is posted."""
        write_file(self._folder / _FINISHED, b"")

    def open_chunks(self, transaction: Transaction, count: int) -> "ChunkLog":
        """Open the log of a transaction's chunks, of which there are `count`."""
        return ChunkLog(self._folder / f"{transaction.id}.chunks", count)

    def _read_posted(self) -> set[str]:
        try:
            lines = (self._folder / _POSTED).read_text(encoding="ascii", errors="replace").split("\n")
        except FileNotFoundError:
            return set()
        return set(lines[:-1])  # a line without its end was being written

    def clear(self) -> None:
        """Remove everything but the lock: the network has it all for good."""
        for path in self._folder.iterdir():
            if path.name != _LOCK:
                path.unlink()


class ChunkLog:
    """Which chunks of one transaction were acknowledged; several threads may tell it so."""

    def __init__(self, path: Path, count: int) -> None:
        """Open or make the file."""
        path.touch(mode=0o600)
        self._file: Final = path.open("r+b", buffering=0)
        self._count = count
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def find_missing(self) -> list[int]:
        """Return the indexes of the chunks that nobody has acknowledged."""
        with self._lock:
            self._file.seek(0)
            marks = self._file.read().ljust(self._count, b"\0")[: self._count]
        return [index for index, mark in enumerate(marks) if mark != _ONE[0]]

    def note(self, index: int) -> None:
        """Remember that a node has a chunk; what a killed process has noted stays noted."""
        with self._lock:
            self._file.seek(index)
            self._file.write(_ONE)


@contextmanager
def open_journal(address: str, parts: Iterable[str]) -> Iterator[Journal]:
    """Open the journal of an upload, alone among all processes.

    Args:
        address: The wallet's address.
        parts: What tells this upload from others.

    Raises:
        ConflictError: another process is at the same upload.
    """
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    folder = load_settings().state_dir / "arweave" / address / key
    make_folder(folder)
    folder.chmod(0o700)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        message = (
            f"another process is uploading the same artifact already (its journal is {folder}); wait for it"
        )
        raise ConflictError(message) from None
    try:
        yield Journal(folder)
    finally:
        lock.release()


def _write_entry(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "tx": entry.transaction.with_data(b"").to_json()}


def _read_entry(values: dict[str, Any]) -> Entry:
    transaction = values["tx"]
    proven = Transaction.from_json(json.dumps(transaction), transaction["id"])
    return Entry(name=str(values["name"]), transaction=proven)


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What an upload has signed and what was acknowledged, on the disk before anything is posted.

A transaction that was posted may have been paid for, whatever became of the process. So each is written
down first; whoever uploads the same again finds it, and posts the very same transaction, which costs
nothing twice.

::

    <state>/arweave/<address>/<key>/
        upload.json      the transactions, signed, in the order in which they are posted
        <id>.data        data that is in no file of the user: manifests and bundles
        <id>.chunks      one byte for each chunk, 1 where a node has it
        posted           ids of the transactions that a node has, and when it got them, one a line
        finished         there once everything is posted
        lock
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from ritual_artifacts.backends.arweave.contents import PATHS_NAME
from ritual_artifacts.backends.arweave.encoding import is_id
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.core.hashing import make_folder, read_regular, write_file
from ritual_artifacts.errors import BackendError, ConflictError
from ritual_artifacts.settings import load_settings

log = logging.getLogger(__name__)

_VERSION: Final = 1
_RECORD: Final = "upload.json"
_POSTED: Final = "posted"
_FINISHED: Final = "finished"
_MAX_RECORD_BYTES: Final = 1 << 30
_LOCK: Final = "lock"
_PAIR: Final = 2
_ONE: Final = b"\1"
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows would write other line ends


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
        copies: Names of files that others have the same bytes as, by the others' names: stored once.
        superseded: Winston that those transactions would have cost which were signed anew.
    """

    unix_time: str
    entries: tuple[Entry, ...]
    final: Entry
    reused: Mapping[str, str]
    items: Mapping[str, str]
    copies: Mapping[str, str] = field(default_factory=dict)
    superseded: int = 0

    @property
    def ids(self) -> dict[str, str]:
        """Where each file is."""
        ids = {**self.reused, **self.items, **{entry.name: entry.transaction.id for entry in self.entries}}
        return ids | {name: ids[same] for name, same in self.copies.items()}

    @property
    def revision(self) -> str:
        """The path manifest: a transaction of its own, or a data item of the bundle."""
        return self.items.get(PATHS_NAME, self.final.transaction.id)

    @property
    def transactions(self) -> tuple[Entry, ...]:
        """Everything that is posted, the final transaction last."""
        return (*self.entries, self.final)

    @property
    def cost(self) -> int:
        """What the transactions cost together, in winston."""
        return sum(entry.transaction.reward for entry in self.transactions)


class Journal:
    """The folder of one upload; see `open_journal`."""

    def __init__(self, folder: Path, address: str) -> None:
        """Use a folder that is there and locked; `address` is that of the wallet that signs."""
        self._folder = folder
        self._address = address
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
            record = Record(
                unix_time=str(values["unix_time"]),
                entries=tuple(map(_read_entry, values["transactions"])),
                final=_read_entry(values["final"]),
                reused=dict(values["reused"]),
                items=dict(values["items"]),
                copies=dict(values["copies"]),
                superseded=int(values["superseded"]),
            )
            self._check(record)
        except (ValueError, KeyError, TypeError, RecursionError, BackendError):
            message = (
                f"the journal {path} cannot be read; transactions in it may have been paid for, "
                f"so look at it before you remove its folder"
            )
            raise BackendError(message) from None
        return record

    def _check(self, record: Record) -> None:
        """Check that all transactions are the wallet's own, and that all else are ids.

        Raises:
            ValueError: one is not.
            KeyError: a copy is one of nothing.
        """
        owners = {entry.transaction.address for entry in record.transactions}
        if owners != {self._address} or not all(map(is_id, record.ids.values())):
            raise ValueError

    def write(self, record: Record) -> None:
        """Put what was signed on the disk, all at once: from now on it is to be posted."""
        (self._folder / _FINISHED).unlink(missing_ok=True)
        values = {
            "version": _VERSION,
            "unix_time": record.unix_time,
            "transactions": [_write_entry(entry) for entry in record.entries],
            "final": _write_entry(record.final),
            "reused": dict(record.reused),
            "items": dict(record.items),
            "copies": dict(record.copies),
            "superseded": str(record.superseded),
        }
        write_file(self._folder / _RECORD, json.dumps(values, indent=1).encode())

    def write_data(self, transaction: Transaction, data: bytes) -> Path:
        """Keep data that is in no file of the user."""
        path = self._folder / f"{transaction.id}.data"
        write_file(path, data)
        return path

    def find_data(self, transaction: Transaction) -> Path | None:
        """Return where `write_data` has put a transaction's data; None where it has not."""
        path = self._folder / f"{transaction.id}.data"
        return path if path.is_file() else None

    # --- what was acknowledged ---

    def is_posted(self, transaction: Transaction) -> bool:
        """Say whether a node has the transaction."""
        return transaction.id in self._posted

    def posted_at(self, transaction: Transaction) -> float:
        """Return when a node got the transaction, in seconds since 1970; 0 where that is not known."""
        return self._posted.get(transaction.id, 0.0)

    def note_posted(self, transaction: Transaction) -> None:
        """Remember that a node has the transaction."""
        now = int(time.time())
        _append(self._folder / _POSTED, f"{transaction.id} {now}\n".encode())
        self._posted[transaction.id] = float(now)

    def is_finished(self) -> bool:
        """Say whether an earlier process has posted everything."""
        return (self._folder / _FINISHED).exists()

    def note_finished(self) -> None:
        """Remember that everything is posted."""
        write_file(self._folder / _FINISHED, b"")

    def read_chunks(self, transaction: Transaction, count: int) -> list[bool]:
        """Say of each of a transaction's `count` chunks whether a node has it."""
        path = self._chunks_path(transaction)
        marks = path.read_bytes() if path.exists() else b""
        return [mark == _ONE[0] for mark in marks.ljust(count, b"\0")[:count]]

    def note_chunk(self, transaction: Transaction, index: int) -> None:
        """Remember that a node has a chunk; what a killed process has noted stays noted."""
        descriptor = os.open(self._chunks_path(transaction), os.O_WRONLY | os.O_CREAT | _BINARY, 0o600)
        try:
            os.lseek(descriptor, index, os.SEEK_SET)
            os.write(descriptor, _ONE)
        finally:
            os.close(descriptor)

    def forget_chunks(self, transaction: Transaction) -> None:
        """Remember that no node has any chunk of it any more."""
        self._chunks_path(transaction).unlink(missing_ok=True)

    def _chunks_path(self, transaction: Transaction) -> Path:
        return self._folder / f"{transaction.id}.chunks"

    def _read_posted(self) -> dict[str, float]:
        try:
            lines = (self._folder / _POSTED).read_text(encoding="ascii", errors="replace").split("\n")
        except FileNotFoundError:
            return {}
        pairs = (line.split() for line in lines[:-1])  # a line without its end was being written
        return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == _PAIR and pair[1].isdecimal()}

    def clear(self) -> None:
        """Remove everything but the lock: the network has it all for good."""
        (self._folder / _RECORD).unlink(missing_ok=True)  # first: without it all else means nothing
        for path in self._folder.iterdir():
            if path.name != _LOCK:
                path.unlink()
        self._posted = {}


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
        yield Journal(folder, address)
    finally:
        lock.release()


def find_posted(address: str) -> Iterator[Transaction]:
    """Yield what a wallet's uploads from this machine have posted, whatever an index knows of it yet."""
    for folder in sorted((load_settings().state_dir / "arweave" / address).glob("*")):
        journal = Journal(folder, address)
        try:
            record = journal.read()
        except (BackendError, OSError) as error:  # it is of another upload, whose own turn comes
            log.info("a journal is passed over: %s", error)
            continue
        for entry in () if record is None else record.transactions:
            if journal.is_posted(entry.transaction):
                yield entry.transaction


def _write_entry(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "tx": entry.transaction.with_data(b"").to_json()}


def _read_entry(values: dict[str, Any]) -> Entry:
    transaction = values["tx"]
    proven = Transaction.from_json(json.dumps(transaction), transaction["id"])
    return Entry(name=str(values["name"]), transaction=proven)


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

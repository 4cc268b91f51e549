"""The journal of an upload: what was signed and what nodes acknowledged, on disk before anything is posted.

A transaction that was posted may have been paid for, even if the process was killed. So each is written down
first. The next upload of the same artifact finds it and posts exactly the same transaction, so that you are
not charged again.

::

    <state>/arweave/<address>/<key>/
        upload.json      the transactions, signed, in the order in which they are posted
        <id>.data        data that is not in a file of the user: manifests and bundles
        <id>.chunks      one byte for each chunk, 1 where a node has it
        posted           what a node has, one a line: the transaction, when, and by which gateway
        finished         exists once everything is posted
        lock
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from ritual_artifacts.backends.arweave.encoding import is_id
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.backends.arweave.upload.unsigned import PATHS_NAME
from ritual_artifacts.context import Clock
from ritual_artifacts.core.hashing import make_folder, read_regular, write_file
from ritual_artifacts.errors import BackendError, ConflictError

log = logging.getLogger(__name__)

_VERSION: Final = 1
_RECORD: Final = "upload.json"
_POSTED: Final = "posted"
_FINISHED: Final = "finished"
_MAX_RECORD_BYTES: Final = 1 << 30
_LOCK: Final = "lock"
_PARTS: Final = 2
"""Of a line of `posted`, without the gateway, which earlier releases did not write."""
_ONE: Final = b"\1"
_BINARY: Final = getattr(os, "O_BINARY", 0)  # without it Windows would change line ends


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One signed transaction of an upload.

    Attributes:
        name: The file's name in the artifact, or `PATHS_NAME` or `BUNDLE_NAME`.
        transaction: The transaction, without data.
    """

    name: str
    transaction: Transaction


@dataclass(frozen=True, kw_only=True)
class Record:
    """The content of `upload.json`.

    Attributes:
        unix_time: The tag `Unix-Time` of all transactions.
        entries: The transactions of files, in the order of the files.
        final: The transaction that makes the artifact visible, and is posted last.
        reused: Ids of files that are stored already, by name.
        items: Ids of the data items in a bundle, by name.
        copies: Files with the same bytes as another one, which is stored once: the other one's name, by name.
        superseded: Winston that transactions would have cost that were signed again.
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
        """The transaction or data item of each file, by name."""
        ids = {**self.reused, **self.items, **{entry.name: entry.transaction.id for entry in self.entries}}
        return ids | {name: ids[same] for name, same in self.copies.items()}

    @property
    def revision(self) -> str:
        """The path manifest: a transaction of its own, or a data item of the bundle."""
        return self.items.get(PATHS_NAME, self.final.transaction.id)

    @property
    def transactions(self) -> tuple[Entry, ...]:
        """All transactions to post, the final one last."""
        return (*self.entries, self.final)

    @property
    def cost(self) -> int:
        """What all transactions cost together, in winston."""
        return sum(entry.transaction.reward for entry in self.transactions)


class Journal:
    """The folder of one upload; see `open_journal`.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, address: str, clock: Clock) -> None:
        """Use a folder that exists and is locked.

        Args:
            folder: The folder.
            address: Of the wallet that signs.
            clock: Tells when nodes acknowledged something.
        """
        self.folder = folder
        self._address = address
        self._clock = clock
        self._posted = self._read_posted()

    # --- what was signed ---

    def read(self) -> Record | None:
        """Return what an earlier process signed; None: nothing.

        Raises:
            BackendError: the file cannot be used, and transactions in it may have been paid for.
        """
        path = self.folder / _RECORD
        try:
            data = read_regular(path, _MAX_RECORD_BYTES)
        except FileNotFoundError:
            return None
        try:
            values = json.loads(data or b"")
            if values["version"] != _VERSION:
                raise ValueError  # noqa: TRY301 - reported below
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
                f"the journal {path} is not valid; transactions in it may have been paid for, "
                f"so check it before you remove its folder"
            )
            raise BackendError(message) from None
        return record

    def _check(self, record: Record) -> None:
        """Check that the wallet owns all transactions, and that everything else is an id.

        Raises:
            ValueError: a transaction has another owner, or something is not an id.
            KeyError: a copy names a file that is not there.
        """
        owners = {entry.transaction.address for entry in record.transactions}
        if owners != {self._address} or not all(map(is_id, record.ids.values())):
            raise ValueError

    def write(self, record: Record) -> None:
        """Write down what was signed, in one step; from now on it is to be posted."""
        (self.folder / _FINISHED).unlink(missing_ok=True)
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
        write_file(self.folder / _RECORD, json.dumps(values, indent=1).encode())

    def write_data(self, transaction: Transaction, data: bytes) -> Path:
        """Keep data that is not in a file of the user."""
        path = self.folder / f"{transaction.id}.data"
        write_file(path, data)
        return path

    def find_data(self, transaction: Transaction) -> Path | None:
        """Return where `write_data` put a transaction's data; None: it was not kept."""
        path = self.folder / f"{transaction.id}.data"
        return path if path.is_file() else None

    # --- what was acknowledged ---

    def is_posted(self, transaction: Transaction) -> bool:
        """Return whether a node acknowledged the transaction."""
        return transaction.id in self._posted

    def posted_at(self, transaction: Transaction) -> float:
        """Return when a node acknowledged the transaction, in seconds since 1970; 0: none did."""
        return self._posted.get(transaction.id, (0.0, ""))[0]

    def posted_by(self, transaction: Transaction) -> str:
        """Return the address of the gateway whose node acknowledged the transaction; empty: not known.

        Gateways of another network, a test network for example, know nothing of it.
        """
        return self._posted.get(transaction.id, (0.0, ""))[1]

    def note_posted(self, transaction: Transaction, gateway: str = "") -> None:
        """Write down that a node has the transaction."""
        now = int(self._clock.time())
        _append(self.folder / _POSTED, f"{transaction.id} {now} {gateway}\n".encode())
        self._posted[transaction.id] = float(now), gateway

    def is_finished(self) -> bool:
        """Return whether everything is posted."""
        return (self.folder / _FINISHED).exists()

    def note_finished(self) -> None:
        """Write down that everything is posted."""
        write_file(self.folder / _FINISHED, b"")

    def read_chunks(self, transaction: Transaction, count: int) -> list[bool]:
        """Return for each of a transaction's `count` chunks whether a node acknowledged it."""
        path = self._chunks_path(transaction)
        marks = path.read_bytes() if path.exists() else b""
        return [mark == _ONE[0] for mark in marks.ljust(count, b"\0")[:count]]

    def note_chunk(self, transaction: Transaction, index: int) -> None:
        """Write down that a node has a chunk; this survives a kill of the process."""
        descriptor = os.open(self._chunks_path(transaction), os.O_WRONLY | os.O_CREAT | _BINARY, 0o600)
        try:
            os.lseek(descriptor, index, os.SEEK_SET)
            os.write(descriptor, _ONE)
        finally:
            os.close(descriptor)

    def forget_chunks(self, transaction: Transaction) -> None:
        """Write down that no node has any chunk of the transaction any more."""
        self._chunks_path(transaction).unlink(missing_ok=True)

    def _chunks_path(self, transaction: Transaction) -> Path:
        return self.folder / f"{transaction.id}.chunks"

    def _read_posted(self) -> dict[str, tuple[float, str]]:
        try:
            lines = (self.folder / _POSTED).read_text(encoding="ascii", errors="replace").split("\n")
        except FileNotFoundError:
            return {}
        found: dict[str, tuple[float, str]] = {}
        for line in lines[:-1]:  # the last line may be incomplete
            name, *parts = line.split(maxsplit=_PARTS) or [""]
            if parts and parts[0].isdecimal():
                found[name] = float(parts[0]), parts[1] if len(parts) == _PARTS else ""
        return found

    def clear(self) -> None:
        """Remove everything but the lock: all of it is mined."""
        (self.folder / _RECORD).unlink(missing_ok=True)  # first: without it the rest means nothing
        for path in self.folder.iterdir():
            if path.name != _LOCK:
                path.unlink()
        self._posted = {}


@contextmanager
def open_journal(state_dir: Path, address: str, parts: Iterable[str], clock: Clock) -> Iterator[Journal]:
    """Open the journal of an upload; no other process can open it meanwhile.

    Args:
        state_dir: Where this package keeps its state.
        address: The wallet's address.
        parts: What distinguishes this upload from others.
        clock: Tells when nodes acknowledged something.

    Raises:
        ConflictError: another process is uploading the same.
    """
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    folder = _journals_of(state_dir, address) / key
    make_folder(folder)
    folder.chmod(0o700)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        message = f"another process is uploading the same artifact (its journal is {folder}); wait for it"
        raise ConflictError(message) from None
    try:
        yield Journal(folder, address, clock)
    finally:
        lock.release()


def find_posted(state_dir: Path, address: str, clock: Clock) -> Iterator[Transaction]:
    """Yield what uploads of a wallet posted from this machine, even if no index lists it yet."""
    for folder in sorted(_journals_of(state_dir, address).glob("*")):
        journal = Journal(folder, address, clock)
        try:
            record = journal.read()
        except (BackendError, OSError) as error:  # that upload reports it itself
            log.info("skipping a journal: %s", error)
            continue
        for entry in () if record is None else record.transactions:
            if journal.is_posted(entry.transaction):
                yield entry.transaction


def _journals_of(state_dir: Path, address: str) -> Path:
    return state_dir / "arweave" / address


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

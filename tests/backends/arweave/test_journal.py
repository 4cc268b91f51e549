import json
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.backends.arweave.upload import journal as journals
from ritual_artifacts.backends.arweave.upload.journal import Entry, Journal, Record
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.context import SystemClock
from ritual_artifacts.errors import BackendError, ConflictError
from ritual_artifacts.settings import load_settings

KEY = Path(__file__).parents[2] / "vectors" / "arweave" / "test_key_rsa4096.json"
ADDRESS = Wallet.load(KEY).address
PARTS = ("arweave/me/repo", "sha256:1")


class FixedClock(SystemClock):
    """A clock that stands still."""

    def __init__(self, now: float) -> None:
        self._now = now

    def time(self) -> float:
        return self._now


def open_journal(
    address: str, parts: tuple[str, ...], now: float = 1000.0
) -> AbstractContextManager[Journal]:
    return journals.open_journal(load_settings().state_dir, address, parts, FixedClock(now))


@pytest.fixture(scope="module")
def transaction() -> Transaction:
    wallet = Wallet.load(KEY)
    unsigned = Transaction(
        owner=wallet.owner, anchor=b"a", tags=((b"a", b"b"),), reward=5, data_size=3, data_root=bytes(32)
    )
    return unsigned.sign(wallet)


@pytest.fixture
def record(transaction: Transaction) -> Record:
    return Record(
        unix_time="1.5",
        entries=(Entry(name="a.bin", transaction=transaction),),
        final=Entry(name=":paths", transaction=transaction),
        reused={"b.bin": "B" * 43},
        items={},
    )


@pytest.fixture
def folder(own_folders: Path) -> Path:
    with open_journal(ADDRESS, PARTS):
        pass
    (found,) = (own_folders / "state" / "arweave" / ADDRESS).iterdir()
    return found


def test_what_was_signed_is_there_for_the_next_process(record: Record) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        assert journal.read() is None
        journal.write(record)

    with open_journal(ADDRESS, PARTS) as journal:
        assert journal.read() == record
        assert record.cost == 10
        assert record.ids == {"a.bin": record.entries[0].transaction.id, "b.bin": "B" * 43}


def test_data_inside_a_transaction_is_not_written_to_the_journal(record: Record, folder: Path) -> None:
    entry = record.entries[0]
    whole = Entry(name=entry.name, transaction=entry.transaction.with_data(b"abc"))

    with open_journal(ADDRESS, PARTS) as journal:
        journal.write(replace(record, entries=(whole,)))

    assert '"data": ""' in (folder / "upload.json").read_text()


def test_another_upload_has_another_journal(record: Record) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        journal.write(record)

    with open_journal(ADDRESS, ("arweave/me/repo", "sha256:2")) as journal:
        assert journal.read() is None


def test_two_processes_cannot_open_one_journal() -> None:
    with (
        open_journal(ADDRESS, PARTS),
        pytest.raises(ConflictError, match="another process"),
        open_journal(ADDRESS, PARTS),
    ):
        pass


def test_only_its_owner_reads_a_journal(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"version": 1}', "[" * 100_000])
def test_an_invalid_journal_is_an_error(folder: Path, content: str) -> None:
    (folder / "upload.json").write_text(content)

    with (
        open_journal(ADDRESS, PARTS) as journal,
        pytest.raises(BackendError, match="may have been paid for"),
    ):
        journal.read()


def test_a_journal_whose_transactions_were_altered_is_refused(record: Record, folder: Path) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        journal.write(record)
    values = json.loads((folder / "upload.json").read_text())
    values["transactions"][0]["tx"]["reward"] = "6"
    (folder / "upload.json").write_text(json.dumps(values))

    with open_journal(ADDRESS, PARTS) as journal, pytest.raises(BackendError, match="is not valid"):
        journal.read()


def test_a_journal_of_another_wallet_is_refused(record: Record) -> None:
    with open_journal("another", PARTS) as journal:
        journal.write(record)

        with pytest.raises(BackendError, match="is not valid"):
            journal.read()


@pytest.mark.parametrize(
    "change",
    [
        {"reused": {"b.bin": "../b"}},
        {"reused": {"b.bin": 5}},
        {"items": {"b.bin": ""}},
        {"copies": {"c.bin": "nowhere.bin"}},
    ],
)
def test_a_journal_with_invalid_ids_is_refused(
    record: Record, folder: Path, change: dict[str, object]
) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        journal.write(record)
        values = json.loads((folder / "upload.json").read_text())
        (folder / "upload.json").write_text(json.dumps(values | change))

        with pytest.raises(BackendError, match="is not valid"):
            journal.read()


def test_posted_transactions_survive_the_process(transaction: Transaction) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        assert not journal.is_posted(transaction)
        journal.note_posted(transaction)
        journal.note_posted(transaction)

    with open_journal(ADDRESS, PARTS) as journal:
        assert journal.is_posted(transaction)


def test_an_incomplete_line_is_ignored(transaction: Transaction, folder: Path) -> None:
    (folder / "posted").write_text(transaction.id)

    assert not Journal(folder, ADDRESS, FixedClock(0)).is_posted(transaction)


def test_acknowledged_chunks_survive_the_process(transaction: Transaction) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        assert journal.read_chunks(transaction, 5) == [False] * 5
        journal.note_chunk(transaction, 3)
        journal.note_chunk(transaction, 0)

    with open_journal(ADDRESS, PARTS) as journal:
        assert journal.read_chunks(transaction, 5) == [True, False, False, True, False]


def test_forgotten_chunks_are_removed_from_the_journal(transaction: Transaction) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        journal.note_posted(transaction)
        journal.note_chunk(transaction, 0)

        journal.forget_chunks(transaction)

        assert journal.is_posted(transaction)
        assert journal.read_chunks(transaction, 2) == [False, False]


def test_the_last_time_at_which_something_was_posted_counts(transaction: Transaction) -> None:
    for now in (1000.0, 2000.0):
        with open_journal(ADDRESS, PARTS, now) as journal:
            journal.note_posted(transaction)

    with open_journal(ADDRESS, PARTS) as journal:
        assert journal.posted_at(transaction) == 2000


def test_an_upload_that_is_signed_again_is_not_finished(record: Record) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        journal.write(record)
        journal.note_finished()
        assert journal.is_finished()

        journal.write(replace(record, unix_time="2.5"))

        assert not journal.is_finished()


def test_a_copy_is_where_the_file_is_whose_bytes_it_has(record: Record) -> None:
    copies = {"c.bin": "a.bin", "d.bin": "b.bin"}
    with open_journal(ADDRESS, PARTS) as journal:
        journal.write(replace(record, copies=copies))

        read = journal.read()

    assert read is not None
    assert read.copies == copies
    assert (read.ids["c.bin"], read.ids["d.bin"]) == (read.ids["a.bin"], read.ids["b.bin"])


def test_a_cleared_journal_is_empty(record: Record, folder: Path) -> None:
    with open_journal(ADDRESS, PARTS) as journal:
        journal.write(record)
        journal.write_data(record.final.transaction, b"data")
        journal.note_posted(record.final.transaction)

        journal.clear()

    assert [path.name for path in folder.iterdir()] in ([], ["lock"])

"""What an owner has stored already, and what waits to be mined: neither is paid for again."""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ritual_artifacts.backends.arweave.contents import Piece
from ritual_artifacts.backends.arweave.journal import Journal, Record, find_posted
from ritual_artifacts.backends.arweave.network import Listed, Network
from ritual_artifacts.backends.arweave.reader import DataReader, Stored
from ritual_artifacts.backends.arweave.repository import (
    APP_NAME,
    BUNDLE_TYPE,
    DIGEST_TAG,
    MANIFEST_TYPE,
    Repositories,
)
from ritual_artifacts.backends.arweave.reseeding import Reseeder
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.transaction import MAX_BODY_BYTES
from ritual_artifacts.core.chunks import has_data_root
from ritual_artifacts.errors import BackendError, ConflictError, NotFinalizedError, TransferError
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.workers import Job, run_jobs

log = logging.getLogger(__name__)

_LOOKUP: Final = 50
"""Files that are looked for in the index at once."""


class Holdings:
    """Looks after what one owner has of one repository, and of files anywhere."""

    def __init__(
        self,
        network: Network,
        reader: DataReader,
        repositories: Repositories,
        repo_id: RitualRepoId,
        *,
        max_workers: int,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            network: The gateways.
            reader: Who proves what they say.
            repositories: Who finds versions.
            repo_id: The repository or version, with its true owner.
            max_workers: Requests in flight at once.
        """
        self._network = network
        self._reader = reader
        self._repositories = repositories
        self._repo_id = repo_id
        self._max_workers = max_workers

    # --- the artifact ---

    def find_existing(self, digest: str, journal: Journal) -> Stored | None:
        """Return the path manifest that publishes this very artifact under this id, also one not mined yet.

        A journal of the same artifact that was published before the newest one says nothing any more.

        Raises:
            ConflictError: the version's label names another artifact, which it will do for ever.
            NotFinalizedError: something with this label waits to be mined, and nobody can say yet what it is.
        """
        record = journal.read()
        waiting: list[str] = []
        try:
            existing = self._repositories.find_version(self._repo_id, pending=True, waiting=waiting)
        except NotFinalizedError:
            if record is None and self._repo_id.version is not None:
                raise
            existing = None  # what waits is ours, or is going to be an older version
        is_same = existing is not None and existing.tag(DIGEST_TAG) == digest
        if existing is not None and self._repo_id.version is not None and not is_same:
            message = (
                f"{self._repo_id} is {existing.tag(DIGEST_TAG)} already, in the transaction {existing.id}, "
                f"and a version never changes; choose another label"
            )
            raise ConflictError(message)
        if existing is not None:
            is_last = self._repo_id.version is not None or self._is_last(existing, record, waiting)
            if is_same and is_last:
                return existing
            if record is not None and self._is_outdated(record, existing, is_last=is_last):
                journal.clear()
                record = None
        if record is None:
            types = [MANIFEST_TYPE, BUNDLE_TYPE]
            tags = {"Repo-Name": [self._repo_id.name], "Type": types, DIGEST_TAG: [digest]}
            self._list_mined(tags, f"the artifact {digest}")
        return None

    def _is_last(self, existing: Stored, record: Record | None, waiting: Sequence[str]) -> bool:
        """Say whether nothing but this upload waits to be mined, which would be the newest then."""
        ours = set() if record is None else {record.revision, record.final.transaction.id}
        others = [name for name in waiting if name not in ours | {existing.id, existing.bundle}]
        return all(self._network.is_gone(name) for name in others)

    def _is_outdated(self, record: Record, existing: Stored, *, is_last: bool) -> bool:
        """Say whether what was signed is mined already, and older than something else is or will be."""
        height = self._network.read_status(record.final.transaction.id).height
        newest = existing.listed.height if is_last else None
        return height is not None and (newest is None or height < newest)

    def check_label(self, result: ArweaveUploadResult) -> None:
        """Look whether a version's label was given to something else at the same time.

        Raises:
            ConflictError: it names another artifact, which was mined first.
            NotFinalizedError: that cannot be said yet.
        """
        waiting: list[str] = []
        try:
            first = self._repositories.find_version(self._repo_id, waiting=waiting)
        except NotFinalizedError:
            first = None
        ours = f"everything is posted (the transaction {result.transaction_id}), but {self._repo_id}"
        if first is not None and first.tag(DIGEST_TAG) != result.digest:
            message = f"{ours} was given to the transaction {first.id} before; choose another label"
            raise ConflictError(message)
        ours_too = {result.transaction_id, result.final_transaction}
        rivals = [name for name in waiting if name not in ours_too and not self._network.is_gone(name)]
        if first is None and rivals:
            message = (
                f"{ours} is given to the transaction {rivals[0]}, too, and will name what is mined first; "
                f"upload the same again in some minutes to learn which that is"
            )
            raise NotFinalizedError(message)

    # --- its files ---

    def find_reusable(self, pieces: Sequence[Piece], reseeder: Reseeder, *, bundled: bool) -> dict[str, str]:
        """Return the ids of files that this owner has stored already, by name; each is proven to be the same.

        What is paid for but lost is posted again.

        Args:
            pieces: The files.
            reseeder: Who posts again.
            bundled: Whether data items of bundles may be named as well.

        Raises:
            NotFinalizedError: a file that takes more than a chunk waits to be mined.
            TransferError: no gateway could be asked.
        """
        wanted = {piece.sha256: piece for piece in pieces if piece.sha256 is not None and piece.size}
        large = [name for name, piece in wanted.items() if piece.size > MAX_BODY_BYTES]
        small = [name for name in wanted if name not in large]
        candidates = self._find_posted(wanted)
        for hashes, what in ((large, "a file of the artifact"), (small, None)):
            for start in range(0, len(hashes), _LOOKUP):
                candidates += self._list_mined({"File-SHA256": hashes[start : start + _LOOKUP]}, what)
        jobs = [
            functools.partial(self._find_same, item, wanted)
            for item in candidates
            if item.bundle is None or bundled
        ]
        meter = ProgressMeter(None, "upload", 0)
        same = filter(None, run_jobs(jobs, max_workers=self._max_workers, meter=meter))
        found: dict[str | None, str] = {}
        for piece, stored, is_there in sorted(same, key=lambda each: not each[2]):
            if piece.sha256 not in found and (is_there or reseeder.bring_back(piece, stored)):
                found[piece.sha256] = stored.id
        return {piece.name: found[piece.sha256] for piece in pieces if piece.sha256 in found}

    def _find_posted(self, wanted: Mapping[str, Piece]) -> list[Listed]:
        """Return what other uploads from this machine have posted of these files, as far as it is mined.

        Raises:
            NotFinalizedError: a file that takes more than a chunk waits to be mined.
        """
        found: list[Listed] = []
        for transaction in find_posted(self._repo_id.owner):
            piece = wanted.get(transaction.tag("File-SHA256") or "")
            if piece is None:
                continue
            status = self._network.read_status(transaction.id)
            if status.height is not None:
                found.append(Listed(transaction.id, status.height, 0, None))
            elif status.state == "pending" and piece.size > MAX_BODY_BYTES:
                raise _still_waiting(repr(piece.name), transaction.id)
        return found

    def _find_same(
        self, item: Listed, wanted: Mapping[str, Piece], job: Job
    ) -> tuple[Piece, Stored, bool] | None:
        """Return the file whose bytes this is, what is proven of it, and whether its data is there still.

        Raises:
            TransferError: the gateways could not be reached.
        """
        job.advance(0)  # which ends it when another one has failed
        try:
            stored = self._reader.read_stored(item)
        except TransferError:  # it may well be what is wanted
            raise
        except BackendError as error:
            log.info("not used again: %s", error)
            return None
        piece = wanted.get(stored.tag("File-SHA256") or "")
        if piece is None or stored.address != self._repo_id.owner or stored.data_size != piece.size:
            return None
        if stored.bundle is None:
            is_same = stored.data_root == piece.data_root or has_data_root(piece.source, stored.data_root)
        else:
            is_same = self._reader.read_small(stored, limit=piece.size) == piece.read()
        return (piece, stored, self._reader.is_retrievable(stored, piece.source)) if is_same else None

    def _list_mined(self, tags: Mapping[str, Sequence[str]], what: str | None) -> list[Listed]:
        """Return what indexes list of this owner, as far as it is mined.

        Args:
            tags: Values of tags that it has.
            what: What it is, where it must not be paid for again while it waits to be mined.

        Raises:
            NotFinalizedError: it waits to be mined.
            TransferError: no gateway could be asked.
        """
        found: dict[str, Listed] = {}
        tags = {"App-Name": [APP_NAME], **tags}
        for listed in self._network.list_transactions(owner=self._repo_id.owner, tags=tags):
            for item in listed:
                if item.id not in found or found[item.id].height is None:
                    found[item.id] = item
        for item in [item for item in found.values() if item.height is None]:
            holder = item.bundle or item.id
            status = self._network.read_status(holder)
            if status.height is not None:  # an index may be behind
                found[item.id] = replace(item, height=status.height)
            elif what is not None and (status.state == "pending" or not self._network.is_gone(holder)):
                raise _still_waiting(what, holder)
        return [item for item in found.values() if item.height is not None]


def _still_waiting(what: str, transaction_id: str) -> NotFinalizedError:
    return NotFinalizedError(
        f"{what} is posted in the transaction {transaction_id} already, which is not mined yet; "
        f"upload again in some minutes, so that it is not paid for twice"
    )

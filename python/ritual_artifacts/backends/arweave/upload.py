"""One upload to Arweave: hash, look what is there, ask for the price, sign, and only then post.

Everything is signed and in the journal before the first byte is posted, the path manifest included. That
comes last: whoever sees it finds everything that it names.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ritual_artifacts.backends.arweave.contents import PATHS_NAME, Contents, Piece
from ritual_artifacts.backends.arweave.delivery import Delivery, ForgottenError
from ritual_artifacts.backends.arweave.journal import Entry, Journal, Record, find_posted, open_journal
from ritual_artifacts.backends.arweave.network import Listed, Network
from ritual_artifacts.backends.arweave.options import Connection, UploadOptions
from ritual_artifacts.backends.arweave.reader import DataReader, Stored
from ritual_artifacts.backends.arweave.repository import (
    APP_NAME,
    BUNDLE_TYPE,
    DIGEST_TAG,
    MANIFEST_TYPE,
    Repositories,
)
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.signing import Signer
from ritual_artifacts.backends.arweave.transaction import MAX_BODY_BYTES
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.chunks import has_data_root
from ritual_artifacts.errors import BackendError, ConflictError, NotFinalizedError, TransferError
from ritual_artifacts.hashing import FileDigest, hash_files
from ritual_artifacts.manifest import Manifest
from ritual_artifacts.planning import ArtifactPlan
from ritual_artifacts.progress import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.workers import Job, run_jobs

log = logging.getLogger(__name__)

_MAX_SIGNATURES: Final = 6
"""Times that one upload signs anew: a gateway may give anchors that no node ever takes."""
_MAX_ROUNDS: Final = 20
"""Times that all transactions are looked for, and what is missing is posted."""
_LOOKUP: Final = 50
"""Files that are looked for in the index at once."""


class ArweaveUpload:
    """An `UploadSession` of Arweave; its id has the wallet's address as the owner."""

    def __init__(
        self,
        network: Network,
        reader: DataReader,
        repositories: Repositories,
        wallet: Wallet,
        repo_id: RitualRepoId,
        *,
        connection: Connection,
        options: UploadOptions,
    ) -> None:
        """Prepare an upload; nothing is asked yet."""
        self._repo_id = repo_id
        self._network = network
        self._reader = reader
        self._repositories = repositories
        self._wallet = wallet
        self._connection = connection
        self._options = options
        self._digests: list[FileDigest] = []

    def read_files(self, plan: ArtifactPlan, progress: ProgressCallback | None) -> list[FileDigest]:
        """Hash each file and its chunks in one read; see `UploadSession`."""
        meter = ProgressMeter(progress, "hash", plan.size)
        sources = [file.source for file in plan.files]
        self._digests = hash_files(sources, follow_symlinks=False, data_root=True, progress=meter.advance)
        return self._digests

    def publish(
        self, manifest: Manifest, plan: ArtifactPlan, progress: ProgressCallback | None
    ) -> ArweaveUploadResult:
        """Pay for what is not stored yet, and post it; see `UploadSession`.

        Raises:
            InsufficientFundsError: the wallet cannot pay; nothing was posted.
            NotFinalizedError: everything is posted, but not as many blocks deep yet as was asked for; or it
                waits already, posted by another process.
            ConflictError: the version's label names another artifact.
        """
        if manifest.digest is None:
            message = "an artifact needs the size of every file before it can be published"
            raise BackendError(message)
        manifest = manifest.with_repo_id(self._repo_id)
        parts = (str(self._repo_id), str(manifest.digest), "bundle" if self._options.bundle else "")
        with open_journal(self._wallet.address, parts) as journal:
            existing = self._find_existing(str(manifest.digest), journal)
            record = journal.read()
            contents = Contents(
                manifest,
                plan,
                self._digests,
                self._repo_id,
                self._options,
                unix_time=None if record is None else record.unix_time,
            )
            if existing is None or (record is not None and existing.id == record.revision):
                result = self._publish_new(manifest, contents, journal, record, progress)
            else:
                result = self._describe_existing(existing, manifest)
            if self._options.confirmations:
                result.wait_for(self._options.confirmations)
            if self._options.confirmations or self._options.reseed:
                self._reseed(result, contents, journal)
            is_mined = existing is not None and existing.listed.height is not None
            if not is_mined and self._repo_id.version is not None:
                self._check_label(result)
            if is_mined and self._is_settled(result, journal):
                journal.clear()
        return result

    # --- what is there already ---

    def _find_existing(self, digest: str, journal: Journal) -> Stored | None:
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
        for listed in self._network.list_transactions(owner=self._wallet.address, tags=tags):
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

    def _check_label(self, result: ArweaveUploadResult) -> None:
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

    def _describe_existing(self, existing: Stored, manifest: Manifest) -> ArweaveUploadResult:
        paths = self._repositories.open(existing).paths
        final = existing.bundle or existing.id
        return self._describe(manifest, paths, existing.id, final, cost=0, sent=0)

    def _is_settled(self, result: ArweaveUploadResult, journal: Journal) -> bool:
        """Say whether the journal can be forgotten: all that it has is mined, or it is of another try."""
        record = journal.read()
        if record is None or record.revision != result.transaction_id:
            return True
        states = (self._network.read_status(entry.transaction.id).state for entry in record.transactions)
        return all(state == "confirmed" for state in states)

    def _reseed(self, result: ArweaveUploadResult, contents: Contents, journal: Journal) -> None:
        """Post again what the network has lost of a version that was paid for."""
        posted = self._list_posted(result, contents, journal)
        jobs = [functools.partial(self._find_lost, name, piece, result) for name, piece in posted.items()]
        meter = ProgressMeter(None, "upload", 0)
        for found in run_jobs(jobs, max_workers=self._connection.max_workers, meter=meter):
            if found is not None:
                self._restore(*found, journal)

    def _list_posted(
        self, result: ArweaveUploadResult, contents: Contents, journal: Journal
    ) -> dict[str, Piece]:
        """Return what transactions and data items hold, by their ids, as far as it is known here."""
        ids = {**result.transactions, PATHS_NAME: result.transaction_id}
        pieces = (*contents.pieces, contents.make_paths(result.transactions))
        found = {ids[piece.name]: piece for piece in pieces if piece.name in ids}
        record = journal.read()
        if record is not None and record.revision == result.transaction_id:
            for name in record.items.values():  # these are in the bundle, which is posted as a whole
                found.pop(name, None)
            for entry in record.transactions:
                transaction = entry.transaction
                data = journal.find_data(transaction)
                if data is not None:
                    found[transaction.id] = Piece(
                        name=entry.name,
                        source=data,
                        size=transaction.data_size,
                        data_root=transaction.data_root,
                        tags=transaction.tags,
                    )
        return found

    def _find_lost(
        self, name: str, piece: Piece, result: ArweaveUploadResult, job: Job
    ) -> tuple[Piece, Stored, list[int]] | None:
        """Return which chunks of a transaction the network has lost; None where nothing can be done."""
        job.advance(0)  # which ends it when another one has failed
        bundle = None if result.final_transaction == result.transaction_id else result.final_transaction
        try:
            stored = self._reader.read_by_id(name, bundle=bundle if name != bundle else None)
        except NotFinalizedError:  # only what is mined can be looked for
            return None
        if self._options.reseed or not self._reader.is_retrievable(stored, piece.source):
            return piece, stored, self._lost_chunks(piece, stored)
        return None

    def _lost_chunks(self, piece: Piece, stored: Stored) -> list[int]:
        """Return the chunks that are lost and that are ours to post: those of a bundle's items are not.

        Another tool may have cut the same bytes in other chunks.
        """
        is_ours = stored.bundle is None and stored.data_root == piece.data_root
        return self._reader.find_lost_chunks(stored) if is_ours else []

    def _restore(self, piece: Piece, stored: Stored, lost: Sequence[int], journal: Journal) -> None:
        """Post again the chunks of a file that the network has lost, which costs nothing.

        Raises:
            TransferError: nodes do not know the transaction at the moment.
        """
        if not lost:
            return
        log.warning("posting %d chunks of %r again, which the network has lost", len(lost), piece.name)
        transaction = self._network.read_transaction(stored.id)
        delivery = self._deliver({piece.name: piece.source}, journal, ProgressMeter(None, "upload", 0))
        try:
            delivery.post_lost(Entry(name=piece.name, transaction=transaction), lost)
        except ForgottenError as error:
            message = f"{error}; try again later"
            raise TransferError(message, retryable=True) from None

    def _find_reusable(self, pieces: Sequence[Piece], journal: Journal) -> dict[str, str]:
        """Return the ids of files that this owner has stored already, by name; each is proven to be the same.

        What is paid for but lost is posted again.

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
            if item.bundle is None or self._options.bundle
        ]
        meter = ProgressMeter(None, "upload", 0)
        same = filter(None, run_jobs(jobs, max_workers=self._connection.max_workers, meter=meter))
        found: dict[str | None, str] = {}
        for piece, stored, is_there in sorted(same, key=lambda each: not each[2]):
            if piece.sha256 not in found and (is_there or self._bring_back(piece, stored, journal)):
                found[piece.sha256] = stored.id
        return {piece.name: found[piece.sha256] for piece in pieces if piece.sha256 in found}

    def _find_posted(self, wanted: Mapping[str, Piece]) -> list[Listed]:
        """Return what other uploads from this machine have posted of these files, as far as it is mined.

        Raises:
            NotFinalizedError: a file that takes more than a chunk waits to be mined.
        """
        found: list[Listed] = []
        for transaction in find_posted(self._wallet.address):
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
        if piece is None or stored.address != self._wallet.address or stored.data_size != piece.size:
            return None
        if stored.bundle is None:
            is_same = stored.data_root == piece.data_root or has_data_root(piece.source, stored.data_root)
        else:
            is_same = self._reader.read_small(stored, limit=piece.size) == piece.read()
        return (piece, stored, self._reader.is_retrievable(stored, piece.source)) if is_same else None

    def _bring_back(self, piece: Piece, stored: Stored, journal: Journal) -> bool:
        """Post again what was lost of a file that was paid for, and say whether it is there now."""
        self._restore(piece, stored, self._lost_chunks(piece, stored), journal)
        if self._reader.is_retrievable(stored, piece.source):
            return True
        log.warning("the data of %s is lost, so %r is stored anew", stored.id, piece.name)
        return False

    # --- what is new ---

    def _publish_new(
        self,
        manifest: Manifest,
        contents: Contents,
        journal: Journal,
        record: Record | None,
        progress: ProgressCallback | None,
    ) -> ArweaveUploadResult:
        signer = Signer(
            self._network,
            self._wallet,
            contents,
            journal,
            connection=self._connection,
            options=self._options,
        )
        if record is None:
            record = signer.sign(self._find_reusable(contents.pieces, journal))
        else:
            signer.refuse_costly(record)
        meter = ProgressMeter(progress, "upload", sum(e.transaction.data_size for e in record.transactions))
        sources = {piece.name: piece.source for piece in contents.pieces}
        delivery = self._deliver(sources, journal, meter)
        known = set(record.transactions) if journal.is_finished() else set()
        record = self._post_all(record, signer, delivery, journal, sources)
        journal.note_finished()
        meter.finish()
        new = [entry for entry in record.transactions if entry not in known]
        names = {entry.name for entry in new} | (record.items.keys() if record.final in new else set())
        return self._describe(
            manifest,
            record.ids,
            record.revision,
            record.final.transaction.id,
            cost=sum(entry.transaction.reward for entry in new),
            sent=sum(entry.size or 0 for entry in manifest.files if entry.path in names),
        )

    def _post_all(
        self,
        record: Record,
        signer: Signer,
        delivery: Delivery,
        journal: Journal,
        sources: dict[str, Path | bytes],
    ) -> Record:
        """Post everything; what the network has forgotten meanwhile is signed and posted again."""
        for _ in range(_MAX_SIGNATURES):
            for entry in record.transactions:  # what was signed, not what would be written now
                if (data := journal.find_data(entry.transaction)) is not None:
                    sources[entry.name] = data
            stale = self._post_entries(record.entries, delivery) or self._post_entries(
                [record.final], delivery
            )
            if not stale:
                return record
            record = signer.sign_again(record, stale)
        message = (
            f"{stale[0].name!r} was signed anew {_MAX_SIGNATURES} times, each time with the anchor and the "
            f"price that a gateway had just given; name other gateways, and upload the same again"
        )
        raise TransferError(message, retryable=True)

    def _post_entries(self, entries: Sequence[Entry], delivery: Delivery) -> list[Entry]:
        """Post transactions with all their chunks; return those that have to be signed again."""
        for _ in range(_MAX_ROUNDS):
            # Once more after the chunks: these may take hours, and nodes forget transactions.
            if stale := delivery.post_transactions(entries):
                return stale
            incomplete = delivery.find_incomplete(entries)
            if not incomplete:
                return []
            try:
                delivery.post_chunks(incomplete)
            except ForgottenError as error:
                if not self._network.is_gone(error.entry.transaction.id):
                    message = f"{error}; it will be known again once it is mined, so try again later"
                    raise TransferError(message, retryable=True) from None
                return [error.entry]
        message = "nodes forget the transactions of this upload again and again; try again later"
        raise TransferError(message, retryable=True)

    def _deliver(
        self, sources: Mapping[str, Path | bytes], journal: Journal, meter: ProgressMeter
    ) -> Delivery:
        return Delivery(
            self._network,
            self._reader,
            journal,
            sources,
            max_workers=self._connection.max_workers,
            meter=meter,
        )

    def _describe(
        self,
        manifest: Manifest,
        transactions: Mapping[str, str],
        revision: str,
        final: str,
        *,
        cost: int,
        sent: int,
    ) -> ArweaveUploadResult:
        url = f"{self._network.gateways[0]}/{revision}"
        return ArweaveUploadResult(
            repo_id=self._repo_id,
            revision=revision,
            url=url,
            digest=str(manifest.digest),
            files=manifest.files,
            bytes_sent=sent,
            bytes_reused=manifest.size - sent,
            transaction_id=revision,
            manifest_url=url,
            cost=cost,
            transactions={name: transactions[name] for name in transactions if not name.startswith(":")},
            final_transaction=final,
            _network=self._network,
        )


def _still_waiting(what: str, transaction_id: str) -> NotFinalizedError:
    return NotFinalizedError(
        f"{what} is posted in the transaction {transaction_id} already, which is not mined yet; "
        f"upload again in some minutes, so that it is not paid for twice"
    )

"""One upload to Arweave: hash, look what is there, ask for the price, sign, and only then post.

Everything is signed and in the journal before the first byte is posted, the path manifest included. That
comes last: whoever sees it finds everything that it names.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ritual_artifacts.backends.arweave.contents import PATHS_NAME, Contents, Piece
from ritual_artifacts.backends.arweave.delivery import Delivery
from ritual_artifacts.backends.arweave.journal import Entry, Journal, Record, open_journal
from ritual_artifacts.backends.arweave.network import Listed, Network, StaleAnchor
from ritual_artifacts.backends.arweave.options import Connection, UploadOptions
from ritual_artifacts.backends.arweave.reader import DataReader, Stored
from ritual_artifacts.backends.arweave.repository import APP_NAME, DIGEST_TAG, Repositories
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.signing import Signer
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.chunks import has_data_root
from ritual_artifacts.errors import BackendError, ConflictError, NotFinalizedError, TransferError
from ritual_artifacts.hashing import FileDigest, hash_files
from ritual_artifacts.manifest import Manifest
from ritual_artifacts.planning import ArtifactPlan
from ritual_artifacts.progress import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

_MAX_SIGNATURES: Final = 6
"""Times that one upload signs anew: a gateway may give anchors that no node ever takes."""
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
            NotFinalizedError: everything is posted, but not as many blocks deep yet as was asked for.
        """
        if manifest.digest is None:
            message = "an artifact needs the size of every file before it can be published"
            raise BackendError(message)
        manifest = manifest.with_repo_id(self._repo_id)
        parts = (str(self._repo_id), str(manifest.digest), "bundle" if self._options.bundle else "")
        with open_journal(self._wallet.address, parts) as journal:
            record = journal.read()
            existing = self._find_existing(str(manifest.digest), record)
            contents = Contents(
                manifest,
                plan,
                self._digests,
                self._repo_id,
                self._options,
                unix_time=None if record is None else record.unix_time,
            )
            if existing is not None:
                result = self._describe_existing(existing, manifest)
                if existing.listed.height is not None:  # nothing in the journal is needed any more
                    journal.clear()
            else:
                result = self._publish_new(manifest, contents, journal, record, progress)
            if self._options.confirmations:
                result.wait_for(self._options.confirmations)
            if self._options.confirmations or self._options.reseed:
                self._reseed(result, contents, journal)
        return result

    # --- what is there already ---

    def _find_existing(self, digest: str, record: Record | None) -> Stored | None:
        """Return the path manifest that publishes this very artifact under this id, also one not mined yet.

        Raises:
            ConflictError: the version's label names another artifact, which it will do for ever.
            NotFinalizedError: something with this label waits to be mined, and nobody can say yet what it is.
        """
        try:
            existing = self._repositories.find_version(self._repo_id, pending=True)
        except NotFinalizedError:
            if record is None and self._repo_id.version is not None:
                raise
            return None  # what waits is ours, or is going to be an older version
        if existing is None or existing.tag(DIGEST_TAG) == digest:
            return existing
        if self._repo_id.version is not None:
            message = (
                f"{self._repo_id} is {existing.tag(DIGEST_TAG)} already, in the transaction {existing.id}, "
                f"and a version never changes; choose another label"
            )
            raise ConflictError(message)
        return None

    def _describe_existing(self, existing: Stored, manifest: Manifest) -> ArweaveUploadResult:
        paths = self._repositories.open(existing).paths
        final = existing.bundle or existing.id
        return self._describe(manifest, paths, existing.id, final, cost=0, sent=0)

    def _reseed(self, result: ArweaveUploadResult, contents: Contents, journal: Journal) -> None:
        """Post again what the network has lost of a version that was paid for."""
        ids = {**result.transactions, PATHS_NAME: result.transaction_id}
        bundle = None if result.final_transaction == result.transaction_id else result.final_transaction
        for piece in (*contents.pieces, contents.make_paths(result.transactions)):
            if piece.name not in ids:
                continue
            try:
                stored = self._reader.read_by_id(ids[piece.name], bundle=bundle)
            except NotFinalizedError:  # only what is mined can be looked for
                continue
            if self._options.reseed or not self._reader.is_retrievable(stored, piece.source):
                self._restore(piece, stored, journal)

    def _restore(self, piece: Piece, stored: Stored, journal: Journal) -> None:
        """Post again the chunks of a file that the network has lost, which costs nothing."""
        if stored.bundle is not None or stored.data_root != piece.data_root:
            return  # in a bundle, or cut in chunks by another tool: these chunks are not ours to post
        lost = self._reader.find_lost_chunks(stored)
        if lost:
            log.warning("posting %d chunks of %r again, which the network has lost", len(lost), piece.name)
            transaction = self._network.read_transaction(stored.id)
            sources = {piece.name: piece.source}
            delivery = self._deliver(sources, journal, ProgressMeter(None, "upload", 0))
            delivery.post_lost(Entry(name=piece.name, transaction=transaction), lost)

    def _find_reusable(self, pieces: Sequence[Piece], journal: Journal) -> dict[str, str]:
        """Return the ids of files that this owner has stored already, by name; each is proven to be the same.

        What is paid for but lost is posted again.
        """
        wanted = {piece.sha256: piece for piece in pieces if piece.sha256 is not None and piece.size}
        found: dict[str, str] = {}
        hashes = list(wanted)
        for start in range(0, len(hashes), _LOOKUP):
            part = hashes[start : start + _LOOKUP]
            tags = {"App-Name": [APP_NAME], "File-SHA256": part}
            for listed in self._network.list_transactions(owner=self._wallet.address, tags=tags):
                for item in listed:
                    if item.height is not None and (item.bundle is None or self._options.bundle):
                        self._reuse(item, wanted, found, journal)
        return {piece.name: found[piece.sha256] for piece in pieces if piece.sha256 in found}

    def _reuse(
        self, item: Listed, wanted: Mapping[str, Piece], found: dict[str, str], journal: Journal
    ) -> None:
        try:
            stored = self._reader.read_stored(item)
        except BackendError as error:
            log.info("not used again: %s", error)
            return
        sha256 = stored.tag("File-SHA256")
        piece = None if sha256 is None else wanted.get(sha256)
        if piece is None or sha256 is None or sha256 in found:
            return
        is_same = stored.address == self._wallet.address and stored.data_size == piece.size
        if is_same and stored.bundle is None:
            is_same = stored.data_root == piece.data_root or has_data_root(piece.source, stored.data_root)
        elif is_same:
            is_same = self._reader.read_small(stored, limit=piece.size) == piece.read()
        if not is_same:
            return
        if not self._reader.is_retrievable(stored, piece.source):
            self._restore(piece, stored, journal)
            if not self._reader.is_retrievable(stored, piece.source):
                log.warning("the data of %s is lost, so %r is stored anew", stored.id, piece.name)
                return
        found[sha256] = stored.id

    # --- what is new ---

    def _publish_new(
        self,
        manifest: Manifest,
        contents: Contents,
        journal: Journal,
        record: Record | None,
        progress: ProgressCallback | None,
    ) -> ArweaveUploadResult:
        signer = Signer(self._network, self._wallet, contents, journal, self._options)
        if record is None:
            record = signer.sign(self._find_reusable(contents.pieces, journal))
        else:
            signer.refuse_costly(record)
        meter = ProgressMeter(progress, "upload", sum(e.transaction.data_size for e in record.entries))
        sources = {piece.name: piece.source for piece in contents.pieces}
        delivery = self._deliver(sources, journal, meter)
        was_finished = journal.is_finished()
        record = self._post_all(record, signer, delivery, journal, sources)
        journal.note_finished()
        meter.finish()
        stored = set() if was_finished else record.ids.keys() - record.reused.keys()
        return self._describe(
            manifest,
            record.ids,
            record.items.get(PATHS_NAME, record.final.transaction.id),
            record.final.transaction.id,
            cost=0 if was_finished else record.cost,
            sent=sum(entry.size or 0 for entry in manifest.files if entry.path in stored),
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
            stale = self._post_entries(record.entries, delivery)
            if not stale:
                # Its data is in the journal: it names what was signed, and is signed itself.
                sources[record.final.name] = journal.data_path(record.final.transaction)
                stale = self._post_entries([record.final], delivery)
            if not stale:
                return record
            record = signer.sign_again(record, stale)
        message = (
            f"nodes called the anchor of {stale[0].name!r} too old {_MAX_SIGNATURES} times, "
            f"each time one that a gateway had just given; name other gateways, and upload the same again"
        )
        raise TransferError(message, retryable=True)

    def _post_entries(self, entries: Sequence[Entry], delivery: Delivery) -> list[Entry]:
        """Post transactions with all their chunks; return those that have to be signed again."""
        while True:
            # Once more after the chunks: these may take hours, and nodes forget transactions.
            if stale := delivery.post_transactions(entries):
                return stale
            incomplete = [entry for entry in entries if not delivery.is_complete(entry)]
            if not incomplete:
                return []
            for entry in incomplete:
                try:
                    delivery.post_chunks(entry)
                except StaleAnchor as error:
                    if not self._network.is_gone(entry.transaction.id):
                        message = f"{error}; it will be known again once it is mined, so try again later"
                        raise TransferError(message, retryable=True) from None
                    delivery.forget(entry.transaction)
                    return [entry]

    def _deliver(
        self, sources: Mapping[str, Path | bytes], journal: Journal, meter: ProgressMeter
    ) -> Delivery:
        return Delivery(
            self._network, journal, sources, max_workers=self._connection.max_workers, meter=meter
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

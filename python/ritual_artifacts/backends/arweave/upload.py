"""One upload to Arweave: hash, look what is there, ask for the price, sign, and only then post.

Everything is signed and in the journal before the first byte is posted, the path manifest included. That
comes last: whoever sees it finds everything that it names.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.backends.arweave.contents import Contents
from ritual_artifacts.backends.arweave.delivery import Delivery, ForgottenError
from ritual_artifacts.backends.arweave.holdings import Holdings
from ritual_artifacts.backends.arweave.journal import Entry, Journal, Record, open_journal
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.options import Connection, UploadOptions
from ritual_artifacts.backends.arweave.reader import DataReader, Stored
from ritual_artifacts.backends.arweave.repository import Repositories
from ritual_artifacts.backends.arweave.reseeding import Reseeder
from ritual_artifacts.backends.arweave.result import LONGEST_WAIT, ArweaveUploadResult
from ritual_artifacts.backends.arweave.signing import Signer
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import BackendError, TransferError
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.workers import Job, run_jobs

_MAX_SIGNATURES: Final = 6
"""Times that one upload signs anew: a gateway may give anchors that no node ever takes."""
_MAX_ROUNDS: Final = 20
"""Times that all transactions are looked for, and what is missing is posted."""


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
        self._holdings = Holdings(network, reader, repositories, repo_id, max_workers=connection.max_workers)
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
            reseeder = Reseeder(
                self._network, self._reader, journal, max_workers=self._connection.max_workers
            )
            existing = self._holdings.find_existing(str(manifest.digest), journal)
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
                result = self._publish_new(manifest, contents, journal, reseeder, progress)
            else:
                result = self._describe_existing(existing, manifest)
            if self._options.confirmations:
                self._wait_for(result, journal)
            if self._options.confirmations or self._options.reseed:
                reseeder.reseed(result, contents, thorough=self._options.reseed)
            is_mined = existing is not None and existing.listed.height is not None
            if not is_mined and self._repo_id.version is not None:
                self._holdings.check_label(result)
            if is_mined and self._is_settled(result, journal):
                journal.clear()
        return result

    def _describe_existing(self, existing: Stored, manifest: Manifest) -> ArweaveUploadResult:
        paths = self._repositories.open(existing).paths
        final = existing.bundle or existing.id
        return self._describe(manifest, paths, existing.id, final, cost=0, sent=0)

    def _wait_for(self, result: ArweaveUploadResult, journal: Journal) -> None:
        """Wait until all that was posted is as many blocks deep as was asked for.

        Raises:
            NotFinalizedError: something is not within the time, or the network has dropped it.
        """
        confirmations = self._options.confirmations
        result.wait_for(confirmations)
        record = journal.read()
        if record is None or record.revision != result.transaction_id:
            return

        def wait(entry: Entry, job: Job) -> None:
            job.advance(0)  # which ends it when another one has failed
            self._network.wait_for(entry.transaction.id, confirmations, timeout=LONGEST_WAIT)

        jobs = [functools.partial(wait, entry) for entry in record.entries]
        meter = ProgressMeter(None, "upload", 0)
        run_jobs(jobs, max_workers=self._connection.max_workers, meter=meter)

    def _is_settled(self, result: ArweaveUploadResult, journal: Journal) -> bool:
        """Say whether the journal can be forgotten: all that it has is mined, or it is of another try."""
        record = journal.read()
        if record is None or record.revision != result.transaction_id:
            return True
        states = (self._network.read_status(entry.transaction.id).state for entry in record.transactions)
        return all(state == "confirmed" for state in states)

    def _publish_new(
        self,
        manifest: Manifest,
        contents: Contents,
        journal: Journal,
        reseeder: Reseeder,
        progress: ProgressCallback | None,
    ) -> ArweaveUploadResult:
        """Sign what is not signed yet, and post what is not posted yet."""
        signer = Signer(
            self._network,
            self._wallet,
            contents,
            journal,
            connection=self._connection,
            options=self._options,
        )
        record = journal.read()
        if record is None:
            reused = self._holdings.find_reusable(contents.pieces, reseeder, bundled=self._options.bundle)
            record = signer.sign(reused)
        else:
            signer.refuse_costly(record)
        meter = ProgressMeter(progress, "upload", sum(e.transaction.data_size for e in record.transactions))
        sources = {piece.name: piece.source for piece in contents.pieces}
        delivery = Delivery(
            self._network,
            self._reader,
            journal,
            sources,
            max_workers=self._connection.max_workers,
            meter=meter,
        )
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

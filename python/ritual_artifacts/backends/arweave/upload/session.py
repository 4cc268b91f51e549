"""One upload to Arweave, from hashing the files to the result."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.backends.arweave.encoding import format_ar
from ritual_artifacts.backends.arweave.options import UploadOptions
from ritual_artifacts.backends.arweave.reading.paths import PathManifest
from ritual_artifacts.backends.arweave.reading.versions import Version
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.upload.journal import Entry, Journal, Record, open_journal
from ritual_artifacts.backends.arweave.upload.owned import ExistingUploads
from ritual_artifacts.backends.arweave.upload.posting import ForgottenError, Poster
from ritual_artifacts.backends.arweave.upload.reseeding import Reseeder
from ritual_artifacts.backends.arweave.upload.signing import Signer
from ritual_artifacts.backends.arweave.upload.unsigned import UnsignedArtifact
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.backends.base import UploadSession
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import BackendError, TransferError
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

_MAX_SIGNATURES: Final = 6
"""How often one upload signs: a gateway may send anchors that no node ever takes."""
_MAX_ROUNDS: Final = 20
"""How often all transactions are looked up and what is missing is posted."""


class ArweaveUpload(UploadSession):
    """One upload; its repository id has the wallet's address as the owner."""

    def __init__(
        self,
        weave: Weave,
        wallet: Wallet,
        plan: ArtifactPlan,
        repo_id: RitualRepoId,
        *,
        options: UploadOptions,
        context: Context,
    ) -> None:
        """Prepare; nothing is sent."""
        self._weave = weave
        self._network = weave.network
        self._wallet = wallet
        self._plan = plan
        self._repo_id = repo_id
        self._options = options
        self._context = context
        self._existing = ExistingUploads(weave, repo_id, context.settings.state_dir)
        self._digests: list[FileDigest] = []

    def read_files(self) -> list[FileDigest]:
        """Hash each file and its chunks in one read; see `UploadSession`."""
        meter = self._context.meter("hash", self._plan.size)
        self._digests = hash_files(
            [file.source for file in self._plan.files],
            follow_symlinks=False,
            max_workers=self._context.settings.max_workers,
            data_root=True,
            progress=meter.advance,
        )
        return self._digests

    def publish(self, manifest: Manifest) -> ArweaveUploadResult:
        """Pay for what is not stored yet, and post it; see `UploadSession`.

        Raises:
            InsufficientFundsError: the wallet cannot pay; nothing was posted.
            NotFinalizedError: everything is posted, but not as many blocks deep yet as requested; or another
                process has posted it, and it is not mined yet.
            ConflictError: the version label names another artifact.
        """
        manifest = manifest.with_repo_id(self._repo_id)
        digest = f"{manifest.digest} {manifest.fields_hash}"  # versions of one digest may have other values
        parts = (str(self._repo_id), digest, "bundle" if self._options.bundle else "")
        state_dir, clock = self._context.settings.state_dir, self._context.clock
        with open_journal(state_dir, self._wallet.address, parts, clock) as journal:
            try:
                return self._publish(manifest, journal)
            except KeyboardInterrupt as interruption:
                interruption.add_note(_describe_interruption(journal))
                raise

    def _publish(self, manifest: Manifest, journal: Journal) -> ArweaveUploadResult:
        existing = self._existing.find_version(manifest, journal)
        record = journal.read()
        artifact = UnsignedArtifact(
            manifest,
            self._plan,
            self._digests,
            self._repo_id,
            self._options,
            unix_time=str(self._context.clock.time()) if record is None else record.unix_time,
        )
        reseeder = Reseeder(self._weave, journal)
        if existing is None or (record is not None and existing.manifest.id == record.revision):
            result = self._publish_new(manifest, artifact, journal, reseeder)
        else:
            result = self._describe_existing(existing, manifest)
        if self._options.confirmations:
            self._wait_for(result, journal)
        is_mined = existing is not None and existing.height is not None
        is_whole = not is_mined or self._repair(result, artifact, reseeder)
        if not is_mined and (self._options.confirmations or self._options.reseed):
            reseeder.reseed(result, artifact, thorough=self._options.reseed)
        if not is_mined and self._repo_id.version is not None:
            self._existing.check_label(result)
        if is_mined and is_whole and self._is_settled(result, journal):
            journal.clear()
        return result

    def _repair(self, result: ArweaveUploadResult, artifact: UnsignedArtifact, reseeder: Reseeder) -> bool:
        """Post again what the network lost of a mined version, and return whether nothing was lost.

        Raises:
            BackendError: the user wants it checked, and no gateway can say what it has.
        """
        try:
            return not reseeder.reseed(result, artifact, thorough=self._options.reseed)
        except BackendError as error:
            if self._options.confirmations or self._options.reseed:
                raise
            log.warning("it is not known whether gateways have all of %s: %s", result.repo_id, error)
            return False

    def _describe_existing(self, existing: Version, manifest: Manifest) -> ArweaveUploadResult:
        stored = existing.manifest
        paths = PathManifest(self._weave.reader, stored).paths
        return self._describe(manifest, paths, stored.id, stored.holder, cost=0, sent=0)

    def _wait_for(self, result: ArweaveUploadResult, journal: Journal) -> None:
        """Wait until everything that was posted is as many blocks deep as requested.

        Raises:
            NotFinalizedError: something is not within the time, or the network has dropped it.
        """
        confirmations = self._options.confirmations
        result.wait_for(confirmations)
        record = journal.read()
        if record is None or record.revision != result.transaction_id:
            return
        timeout = self._network.timing.confirmation_seconds

        def wait(entry: Entry) -> None:
            self._network.wait_for(entry.transaction.id, confirmations, timeout=timeout)

        self._network.each(wait, record.entries)

    def _is_settled(self, result: ArweaveUploadResult, journal: Journal) -> bool:
        """Return whether the journal is not needed: all its transactions are mined, or it is outdated."""
        record = journal.read()
        if record is None or record.revision != result.transaction_id:
            return True
        states = (self._network.read_status(entry.transaction.id).state for entry in record.transactions)
        return all(state == "confirmed" for state in states)

    def _publish_new(
        self, manifest: Manifest, artifact: UnsignedArtifact, journal: Journal, reseeder: Reseeder
    ) -> ArweaveUploadResult:
        """Sign what is not signed yet, and post what is not posted yet."""
        signer = Signer(self._network, self._wallet, artifact, journal, self._options)
        record = journal.read()
        if record is None:
            reused = self._existing.find_reusable(artifact.files, reseeder, bundled=self._options.bundle)
            record = signer.sign(reused)
        else:
            signer.refuse_costly(record)
        meter = self._context.meter("upload", sum(e.transaction.data_size for e in record.transactions))
        sources = {file.name: file.source for file in artifact.files}
        poster = Poster(self._weave, journal, sources, meter)
        known = set()
        if journal.is_finished():
            known = {entry for entry in record.transactions if signer.is_paid(entry.transaction)}
        record = self._post_all(record, signer, poster, journal, sources)
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
            sent=sum(entry.size for entry in manifest.files if entry.path in names),
        )

    def _post_all(
        self,
        record: Record,
        signer: Signer,
        poster: Poster,
        journal: Journal,
        sources: dict[str, Path | bytes],
    ) -> Record:
        """Post everything; what the network forgets meanwhile is signed and posted again."""
        for _ in range(_MAX_SIGNATURES):
            for entry in record.transactions:  # what was signed, not what would be written now
                if (data := journal.find_data(entry.transaction)) is not None:
                    sources[entry.name] = data
            stale = self._post_entries(record.entries, poster) or self._post_entries([record.final], poster)
            if not stale:
                return record
            record = signer.sign_again(record, stale)
        message = (
            f"{stale[0].name!r} was signed {_MAX_SIGNATURES} times, each time with the anchor and the price "
            f"that a gateway had just sent, and no node took it; use other gateways, and upload again"
        )
        raise TransferError(message, retryable=True)

    def _post_entries(self, entries: Sequence[Entry], poster: Poster) -> list[Entry]:
        """Post transactions with all their chunks; return those that have to be signed again."""
        for _ in range(_MAX_ROUNDS):
            # Once more after the chunks: these may take hours, and nodes forget transactions.
            if stale := poster.post_transactions(entries):
                return stale
            incomplete = poster.find_incomplete(entries)
            if not incomplete:
                return []
            try:
                poster.post_chunks(incomplete)
            except ForgottenError as error:
                if not self._network.is_gone(error.entry.transaction.id):
                    message = f"{error}; nodes will know it again once it is mined, so try again later"
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
            digest=manifest.digest,
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


def _describe_interruption(journal: Journal) -> str:
    """Say what an interrupted upload has posted, and how it is finished without paying twice."""
    record = journal.read()
    if record is None:
        return "the upload was interrupted before anything was signed or posted: nothing is paid"
    posted = [entry.transaction for entry in record.transactions if journal.is_posted(entry.transaction)]
    cost = sum(transaction.reward for transaction in posted)
    sent = f"{len(posted)} of {len(record.transactions)} transactions are posted ({format_ar(cost)})"
    return (
        f"the upload was interrupted: {sent}; all of them are recorded in {journal.folder}, and the same "
        f"upload posts what is missing, so that you do not pay twice"
    )

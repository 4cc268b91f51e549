"""What an owner has stored already, or posted and waits for: neither is paid for again."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.backends.arweave.index import IndexEntry
from ritual_artifacts.backends.arweave.reading.stored import Stored, unreadable
from ritual_artifacts.backends.arweave.reading.transactions import StoredTransaction
from ritual_artifacts.backends.arweave.reading.versions import Version
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.revision import ArweaveRevision
from ritual_artifacts.backends.arweave.tags import APP_NAME, BUNDLE_TYPE, DIGEST_TAG, MANIFEST_TYPE
from ritual_artifacts.backends.arweave.transaction import MAX_BODY_BYTES, UnverifiableError
from ritual_artifacts.backends.arweave.upload.journal import Journal, Record, find_posted
from ritual_artifacts.backends.arweave.upload.reseeding import Reseeder
from ritual_artifacts.backends.arweave.upload.unsigned import UnsignedData
from ritual_artifacts.backends.arweave.weave import Weave
from ritual_artifacts.core.chunks import has_data_root
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    IntegrityError,
    ManifestError,
    NotFinalizedError,
    TransferError,
)
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

_LOOKUP: Final = 50
"""Files in one search of the index."""


@dataclass(frozen=True)
class _SameData:
    """A stored file with the same bytes as one of the upload, and whether gateways still have them."""

    file: UnsignedData
    stored: Stored
    is_retrievable: bool


class ExistingUploads:
    """What one owner has published under one id, and the owner's files anywhere."""

    def __init__(self, weave: Weave, repo_id: RitualRepoId, state_dir: Path) -> None:
        """Prepare; nothing is sent.

        Args:
            weave: The session.
            repo_id: The repository or version, with its true owner.
            state_dir: Where the journals of earlier uploads are.
        """
        self._weave = weave
        self._network = weave.network
        self._repo_id = repo_id
        self._state_dir = state_dir

    # --- the artifact ---

    def find_version(self, manifest: Manifest, journal: Journal) -> Version | None:
        """Return the version that is this very artifact under this id, also one that is not mined yet.

        Without a label, the newest version must also have the same values: 1 and 1.0 have one digest. A
        journal of the same artifact that was published before the newest version is cleared.

        Raises:
            ConflictError: the version label names another artifact, which never changes.
            NotFinalizedError: something with this label is not mined yet, so it is not known what it is.
            TransferError: a gateway cannot say whether this is published already, and it would have to be
                paid.
        """
        record = journal.read()
        search = self._weave.versions.search_all(self._repo_id, pending=True)
        if record is None and self._repo_id.version is not None:
            existing = search.check(self._repo_id)
        else:
            existing = search.version  # what waits is this upload, or will be an older version
        digest = manifest.digest
        is_same = existing is not None and existing.manifest.tag(DIGEST_TAG) == digest
        if existing is not None and is_same and self._repo_id.version is None:
            is_same = self._has_values_of(manifest, existing)
        if existing is not None and self._repo_id.version is not None and not is_same:
            message = (
                f"{self._repo_id} already names {existing.manifest.tag(DIGEST_TAG)}, in the transaction "
                f"{existing.manifest.id}, and a version never changes; choose another label"
            )
            raise ConflictError(message)
        if existing is not None:
            is_last = self._repo_id.version is not None or self._is_last(existing, record, search.waiting)
            if is_same and is_last:
                return existing
            if record is not None and self._is_outdated(record, existing, is_last=is_last):
                journal.clear()
                record = None
        if search.doubt is not None and not (record is not None and self._is_paid(record, journal)):
            raise search.doubt
        if record is None:
            types = [MANIFEST_TYPE, BUNDLE_TYPE]
            tags = {"Repo-Name": [self._repo_id.name], "Type": types, DIGEST_TAG: [str(digest)]}
            _, doubt = self._list_mined(tags, f"the artifact {digest}")
            if doubt is not None:
                raise doubt
        return None

    def _is_paid(self, record: Record, journal: Journal) -> bool:
        """Return whether nodes of these gateways took everything, so that nothing is left to pay."""
        takers = {journal.posted_by(entry.transaction) for entry in record.transactions}
        return takers <= {gateway.url for gateway in self._network.gateways}

    def _has_values_of(self, manifest: Manifest, existing: Version) -> bool:
        """Return whether a version with the digest of `manifest` has its values, too.

        Raises:
            TransferError: no gateway could say; it may be the same, which must not be paid for again.
        """
        try:
            data = ArweaveRevision(self._weave, self._repo_id, existing.manifest).manifest_bytes()
            return Manifest.from_bytes(data).fields_hash == manifest.fields_hash
        except (ArtifactNotFoundError, ManifestError) as error:
            log.info("published again: %s", error)
            return False
        except (BackendError, IntegrityError) as error:
            raise unreadable(existing.manifest.id, error) from None

    def _is_last(self, existing: Version, record: Record | None, waiting: Sequence[str]) -> bool:
        """Return whether nothing but this upload waits to be mined, which would be the newest then."""
        ours = set() if record is None else {record.revision, record.final.transaction.id}
        known = ours | {existing.manifest.id, existing.manifest.holder}
        return all(self._network.is_gone(name) for name in waiting if name not in known)

    def _is_outdated(self, record: Record, existing: Version, *, is_last: bool) -> bool:
        """Return whether what was signed is mined, and older than something else is or will be."""
        height = self._network.read_status(record.final.transaction.id).height
        newest = existing.height if is_last else None
        return height is not None and (newest is None or height < newest)

    def check_label(self, result: ArweaveUploadResult) -> None:
        """Check that no other artifact got the version's label at the same time.

        Raises:
            ConflictError: the label names another artifact, which was mined first.
            NotFinalizedError: that is not decided yet.
            TransferError: a gateway cannot say.
        """
        search = self._weave.versions.search_all(self._repo_id)
        first = None if search.version is None else search.version.manifest
        posted = f"everything is posted (the transaction {result.transaction_id}), but"
        if first is not None and first.tag(DIGEST_TAG) != result.digest:
            message = (
                f"{posted} {self._repo_id} already names the transaction {first.id}; choose another label"
            )
            raise ConflictError(message)
        ours = {result.transaction_id, result.final_transaction}
        rivals = [name for name in search.waiting if name not in ours and not self._network.is_gone(name)]
        if first is None and rivals:
            message = (
                f"{posted} the transaction {rivals[0]} has the label of {self._repo_id}, too, and the one "
                f"mined first counts; upload the same again in some minutes to learn which one that is"
            )
            raise NotFinalizedError(message)
        if search.doubt is not None:
            message = (
                f"{posted} it is not known whether {self._repo_id} names it: {search.doubt}; upload the same "
                f"again, you will not be charged twice"
            )
            raise TransferError(message, retryable=True)

    # --- its files ---

    def find_reusable(
        self, files: Sequence[UnsignedData], reseeder: Reseeder, *, bundled: bool
    ) -> dict[str, str]:
        """Return the ids of files that this owner has stored already, by name; each is verified.

        Lost data that was paid for is posted again.

        Args:
            files: The files of the upload.
            reseeder: Posts lost data again.
            bundled: Whether data items of bundles count, too.

        Raises:
            NotFinalizedError: a file that takes more than a chunk is not mined yet.
            TransferError: a gateway cannot say whether a file is stored already.
        """
        wanted = {file.sha256: file for file in files if file.sha256 is not None and file.size}
        large = [name for name, file in wanted.items() if file.size > MAX_BODY_BYTES]
        small = [name for name in wanted if name not in large]
        posted = self._find_posted(wanted)
        entries: list[IndexEntry] = []
        doubts: list[BackendError] = []
        for hashes, what in ((large, "a file of the artifact"), (small, None)):
            for start in range(0, len(hashes), _LOOKUP):
                mined, doubt = self._list_mined({"File-SHA256": hashes[start : start + _LOOKUP]}, what)
                entries += mined
                doubts += [] if doubt is None else [doubt]
        reader = self._weave.reader
        reads: list[tuple[str, Callable[[], Stored]]] = [
            *((name, functools.partial(reader.read_transaction, name)) for name in posted),
            *(
                (e.id, functools.partial(reader.read_entry, e))
                for e in entries
                if e.bundle is None or bundled
            ),
        ]
        looked = self._network.each(lambda read: self._find_same(*read, wanted), reads)
        doubts += [each for each in looked if isinstance(each, BackendError)]
        same = [each for each in looked if isinstance(each, _SameData)]
        found: dict[str | None, str] = {}
        for each in sorted(same, key=lambda each: not each.is_retrievable):
            sha256 = each.file.sha256
            if sha256 not in found and (each.is_retrievable or reseeder.restore(each.file, each.stored)):
                found[sha256] = each.stored.id
        if doubts and not found.keys() >= wanted.keys():
            raise doubts[0]
        return {file.name: found[file.sha256] for file in files if file.sha256 in found}

    def _find_posted(self, wanted: Mapping[str, UnsignedData]) -> list[str]:
        """Return the transactions that uploads from this machine posted of these files, if they are mined.

        Raises:
            NotFinalizedError: a file that takes more than a chunk is not mined yet.
        """
        found: list[str] = []
        clock = self._network.context.clock
        for transaction in find_posted(self._state_dir, self._repo_id.owner, clock):
            file = wanted.get(transaction.tag("File-SHA256") or "")
            if file is None:
                continue
            status = self._network.read_status(transaction.id)  # which fails where a gateway cannot say
            if status.height is not None:
                found.append(transaction.id)
            elif status.state == "pending" and file.size > MAX_BODY_BYTES:
                raise _still_waiting(repr(file.name), transaction.id)
        return found

    def _find_same(
        self, name: str, read: Callable[[], Stored], wanted: Mapping[str, UnsignedData]
    ) -> _SameData | BackendError | None:
        """Return the file of the upload that a transaction or data item has the bytes of.

        None: it is proven to be something else. An error: no gateway could say, and it may be one of them.
        """
        try:
            return self._compare(read(), wanted)
        except UnverifiableError as error:  # of another owner
            log.info("not used again: %s", error)
            return None
        except NotFinalizedError as error:
            return error
        except BackendError as error:
            return unreadable(name, error)

    def _compare(self, stored: Stored, wanted: Mapping[str, UnsignedData]) -> _SameData | None:
        file = wanted.get(stored.tag("File-SHA256") or "")
        if file is None or stored.address != self._repo_id.owner or stored.data_size != file.size:
            return None
        if isinstance(stored, StoredTransaction):
            is_same = stored.data_root == file.data_root or has_data_root(file.source, stored.data_root)
        else:
            is_same = stored.read(file.size) == file.read()
        return _SameData(file, stored, stored.is_retrievable(file.source)) if is_same else None

    def _list_mined(
        self, tags: Mapping[str, Sequence[str]], what: str | None
    ) -> tuple[list[IndexEntry], TransferError | None]:
        """Return what indexes list of this owner, as far as it is mined, and why there may be more.

        Args:
            tags: Accepted values, by the tag's name.
            what: What it is, where it must not be paid for again while it waits to be mined.

        Raises:
            NotFinalizedError: it waits to be mined.
            TransferError: no gateway could be asked.
        """
        findings = self._weave.index.search_all(
            owner=self._repo_id.owner, tags={"App-Name": [APP_NAME], **tags}
        )
        found = {entry.id: entry for entry in findings.entries}
        for entry in [entry for entry in found.values() if entry.height is None]:
            status = self._network.read_status(entry.holder)
            if status.height is not None:  # an index may be behind
                found[entry.id] = replace(entry, height=status.height)
            elif what is not None and (status.state == "pending" or not self._network.is_gone(entry.holder)):
                raise _still_waiting(what, entry.holder)
        return [entry for entry in found.values() if entry.height is not None], findings.doubt


def _still_waiting(what: str, transaction_id: str) -> NotFinalizedError:
    return NotFinalizedError(
        f"{what} is already posted in the transaction {transaction_id}, which is not mined yet; "
        f"upload again in some minutes, so that you are not charged twice"
    )

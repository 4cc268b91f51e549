"""Arweave as a backend."""

import contextlib
import functools
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ritual_artifacts.artifact.manifest import MAX_MANIFEST_BYTES, ManifestEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.backends.arweave.encoding import is_id
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.options import make_connection, make_upload_options
from ritual_artifacts.backends.arweave.payment import estimate
from ritual_artifacts.backends.arweave.reader import DataReader, Stored
from ritual_artifacts.backends.arweave.repository import Repositories, Snapshot
from ritual_artifacts.backends.arweave.upload import ArweaveUpload
from ritual_artifacts.backends.arweave.wallet import Wallet
from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.core.hashing import is_sha256
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    IntegrityError,
    Mismatch,
    NotFinalizedError,
    RepoIdError,
    TransferError,
)
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.workers import Job, run_jobs

log = logging.getLogger(__name__)

_SHOWN_FILES = 10


class ArweaveBackend:
    """Repositories on Arweave, read through gateways that nobody trusts.

    Attributes:
        network: The gateways.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - each has a type of its own, see `Connection`
        """Prepare; nothing is asked yet.

        Args:
            options: `gateways`, `wallet_path`, `timeout` and `max_workers`; see `Connection`. Those of
                ritual-arweave that make no difference here are accepted.

        Raises:
            BackendError: there is no such option, or it cannot have this value.
        """
        self._connection = make_connection(options)
        self.network = Network(self._connection)
        self._reader = DataReader(self.network, max_workers=self._connection.max_workers)
        self.repositories = Repositories(self.network, self._reader)
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}
        self._parts: dict[tuple[str, str], tuple[Stored, ...]] = {}

    # --- writing ---

    @contextlib.contextmanager
    def start_upload(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> Iterator[ArweaveUpload]:
        """Start an upload, which takes the options of `UploadOptions`; see `Backend`.

        Raises:
            WalletError: the wallet cannot be used.
            RepoIdError: the id names the address of somebody else.
        """
        chosen = make_upload_options(options)
        wallet = Wallet.load(self._connection.wallet_path)
        yield ArweaveUpload(
            self.network,
            self._reader,
            self.repositories,
            wallet,
            _own(repo_id, wallet.address),
            connection=self._connection,
            options=chosen,
        )

    def choose_owner(self, repo_id: RitualRepoId) -> RitualRepoId:
        """Return the id with the wallet's address as its owner; see `ChoosesOwner`.

        Raises:
            WalletError: the wallet cannot be used.
        """
        return _own(repo_id, Wallet.load(self._connection.wallet_path).address)

    def estimate(self, sizes: list[int]) -> int:
        """Return what it costs to store data of these sizes (bytes), in winston, a transaction each.

        Raises:
            TransferError: no gateway could be reached.
        """
        return estimate(self.network, sizes, max_workers=self._connection.max_workers)

    # --- reading ---

    def identify(self, transaction_id: str) -> RitualRepoId:
        """Return the id of the repository and version that a path manifest's transaction stands for.

        Raises:
            ArtifactNotFoundError: no gateway has it, or it is no path manifest.
            NotFinalizedError: it is not mined yet.
        """
        return self.repositories.identify(transaction_id)

    def find_transaction(self, repo_id: RitualRepoId) -> str:
        """Return what has to be confirmed for this id: the path manifest, or the bundle with it.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
        """
        waiting: list[str] = []
        try:
            found = self.repositories.find_version(repo_id, pending=True, waiting=waiting)
        except NotFinalizedError:  # nodes do not show it yet, and so nobody can prove what it is
            return self.find_holder(waiting[0])
        stored = found or self.repositories.find(repo_id)
        return stored.bundle or stored.id

    def find_holder(self, name: str) -> str:
        """Return what has to be confirmed for the id of a transaction or data item: that of the bundle."""
        if self.network.read_status(name).state == "dropped":
            with contextlib.suppress(TransferError):  # without an index, nobody knows of data items
                listed = self.network.list_by_id([name]).get(name)
                return (listed and listed.bundle) or name
        return name

    def resolve(self, repo_id: RitualRepoId) -> str:
        """Return the path manifest that the id names; see `Backend`."""
        stored = self.repositories.find(repo_id)
        self._open(stored)
        return stored.id

    def _open(self, stored: Stored) -> Snapshot:
        with self._lock:
            if stored.id not in self._snapshots:
                self._snapshots[stored.id] = self.repositories.open(stored)
            return self._snapshots[stored.id]

    def _snapshot(self, revision: str) -> Snapshot:
        with self._lock:
            if revision in self._snapshots:
                return self._snapshots[revision]
        return self._open(self._reader.read_by_id(revision))

    def _find_parts(self, revision: str, path: str) -> tuple[Stored, ...]:
        with self._lock:
            known = self._parts.get((revision, path))
        if known is None:
            known = self.repositories.find_parts(self._snapshot(revision), path)
            with self._lock:
                self._parts[revision, path] = known
        return known

    def _find_promised(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry
    ) -> tuple[Stored, ...]:
        """Return a file's parts, which together are as long as the manifest says.

        Raises:
            IntegrityError: they are not, so no gateway can ever send the file.
        """
        parts = self._find_parts(revision, entry.path)
        size = sum(part.data_size for part in parts)
        if entry.size not in {None, size}:
            raise IntegrityError.of(
                [Mismatch(entry.path, f"{entry.size} bytes", f"{size} bytes", str(repo_id))]
            )
        return parts

    def read_manifest(self, repo_id: RitualRepoId, revision: str) -> bytes:
        """Return the artifact's manifest, every byte proven; see `Backend`."""
        snapshot = self._snapshot(revision)
        if MANIFEST_FILENAME not in snapshot.paths:
            names = sorted(snapshot.paths)
            shown = ", ".join(names[:_SHOWN_FILES])
            more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
            message = (
                f"{repo_id} has no {MANIFEST_FILENAME} in the transaction {revision}, so it is no artifact; "
                f"it has {shown}{more}"
            )
            raise ArtifactNotFoundError(message)
        parts = self._find_parts(revision, MANIFEST_FILENAME)
        if sum(part.data_size for part in parts) > MAX_MANIFEST_BYTES:
            return b" " * (MAX_MANIFEST_BYTES + 1)  # which is refused for its size
        return b"".join(self._reader.read_small(part, limit=MAX_MANIFEST_BYTES) for part in parts)

    def read_file(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, *, offset: int = 0
    ) -> Iterator[bytes]:
        """Stream a file, continued by another gateway where one fails; see `Backend`.

        Raises:
            IntegrityError: what the owner has stored is longer or shorter than the manifest says.
        """
        for part in self._find_promised(repo_id, revision, entry):
            if offset < part.data_size:
                yield from self._reader.stream(part, offset)
            offset = max(0, offset - part.data_size)

    def find_good_prefix(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, path: Path
    ) -> int | None:
        """Say which bytes of a copy are wrong; see `FindsDamage`.

        Raises:
            IntegrityError: what the owner has stored is longer or shorter than the manifest says.
        """
        parts = self._find_promised(repo_id, revision, entry)
        if len(parts) == 1:
            return self._reader.find_good_prefix(parts[0], path)
        blamed = [self._reader.blame(part) for part in parts]  # all of them, also after the first
        return 0 if any(blamed) else None

    def list_files(self, repo_id: RitualRepoId, revision: str) -> dict[str, RemoteFile]:
        """Return what the owner has signed about every file; see `ListsFiles`."""
        del repo_id
        paths = list(self._snapshot(revision).paths)

        def find(path: str, job: Job) -> tuple[Stored, ...]:
            job.advance(0)  # which ends it when another one has failed
            return self._find_parts(revision, path)

        jobs = [functools.partial(find, path) for path in paths]
        meter = ProgressMeter(None, "verify", 0)
        found = {}
        all_parts = run_jobs(jobs, max_workers=self._connection.max_workers, meter=meter)
        for path, parts in zip(paths, all_parts, strict=True):
            sha256 = parts[0].tag("File-SHA256")
            size = sum(part.data_size for part in parts)
            found[path] = RemoteFile(size, sha256=sha256 if sha256 and is_sha256(sha256) else None)
        return found

    def find_local_file(self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry) -> Path | None:
        """Return None: what is on Arweave is not on this machine; see `Backend`."""
        del repo_id, revision, entry
        return None


def _own(repo_id: RitualRepoId, address: str) -> RitualRepoId:
    """Return the id with the wallet's address as its owner.

    Raises:
        RepoIdError: the id names another address, or a version that nobody could find.
    """
    if repo_id.version is not None and is_id(repo_id.version):
        message = (
            f"{repo_id}: a version of 43 such characters is read as a transaction's id, so nobody could "
            f"find it; choose another label"
        )
        raise RepoIdError(message)
    if repo_id.owner == address:
        return repo_id
    if is_id(repo_id.owner):
        message = (
            f"{repo_id} is owned by another wallet; this one is {address}, and can publish only as itself"
        )
        raise RepoIdError(message)
    log.warning("on Arweave the owner is the wallet: publishing to %s, not to %s", address, repo_id.owner)
    return RitualRepoId(storage=repo_id.storage, owner=address, name=repo_id.name, version=repo_id.version)

"""Is what a storage holds what the manifest says? Answered without keeping a byte of it."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.backends import Backend, ListsFiles, RemoteFile
from ritual_artifacts.errors import BackendError, Mismatch, TransferError
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.verification import MISSING
from ritual_artifacts.workers import Job, run_jobs

_MAX_STREAMS = 8


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        mismatches: Every file that is missing or differs, in the manifest's order.
        sizes: The size of each file that is as promised.
        read: How many files had to be read, because the storage does not know their SHA-256.
    """

    mismatches: list[Mismatch]
    sizes: dict[str, int]
    read: int


def audit(
    backend: Backend,
    repo_id: RitualRepoId,
    revision: str,
    manifest: Manifest,
    *,
    deep: bool = False,
    progress: ProgressCallback | None = None,
) -> Audit:
    """Compare a revision's manifest with what the storage says about its files.

    Where the storage knows a file's SHA-256, that is compared, and not one byte is fetched. Where it knows
    only git's id (small files, on the Hugging Face Hub), the file is streamed, and both are compared.

    Args:
        backend: Where the artifact is.
        repo_id: Its name there.
        revision: The immutable revision.
        manifest: The revision's manifest.
        deep: Believe nothing: stream and hash every file.
        progress: Called while bytes arrive.

    Raises:
        BackendError: the storage cannot list its files, or failed.
    """
    if not isinstance(backend, ListsFiles):
        if not deep:
            message = f"{repo_id.storage} cannot say what it holds without sending it; verify it with --deep"
            raise BackendError(message)
        listed: Mapping[str, RemoteFile] = {}
    else:
        listed = backend.list_files(repo_id, revision)
    source = str(repo_id)
    found: dict[str, Mismatch] = {}
    to_read: list[ManifestEntry] = []
    for entry in manifest.files:
        remote = listed.get(entry.path)
        if mismatch := _compare(entry, remote, source) if isinstance(backend, ListsFiles) else None:
            found[entry.path] = mismatch
        elif deep or remote is None or remote.sha256 is None:
            to_read.append(entry)
    meter = ProgressMeter(progress, "verify", sum(entry.size or 0 for entry in to_read), len(to_read))
    stream = functools.partial(backend.read_file, repo_id, revision)
    jobs = [functools.partial(_read, stream, e, listed.get(e.path), source) for e in to_read]
    workers = load_settings().max_workers or _MAX_STREAMS
    results = run_jobs(jobs, max_workers=workers, meter=meter)
    sizes = {path: remote.size for path, remote in listed.items()}
    for entry, (size, mismatch) in zip(to_read, results, strict=True):
        sizes[entry.path] = size
        if mismatch is not None:
            found[entry.path] = mismatch
    return Audit(
        mismatches=[found[e.path] for e in manifest.files if e.path in found],
        sizes={e.path: sizes[e.path] for e in manifest.files if e.path not in found},
        read=len(to_read),
    )


def _compare(entry: ManifestEntry, remote: RemoteFile | None, source: str) -> Mismatch | None:
    if remote is None:
        return Mismatch(entry.path, entry.sha256, MISSING, source)
    if entry.size is not None and remote.size != entry.size:
        return Mismatch(entry.path, f"{entry.size} bytes", f"{remote.size} bytes", source)
    if remote.sha256 is not None and remote.sha256 != entry.sha256:
        return Mismatch(entry.path, entry.sha256, remote.sha256, source)
    return None


def _read(
    stream: Callable[[ManifestEntry], Iterator[bytes]],
    entry: ManifestEntry,
    remote: RemoteFile | None,
    source: str,
    job: Job,
) -> tuple[int, Mismatch | None]:
    """Stream a file; return its size, and how it differs."""
    sha256 = hashlib.sha256()
    limit = entry.size if entry.size is not None else (remote.size if remote else None)
    git = hashlib.sha1(b"blob %d\0" % limit, usedforsecurity=False) if limit is not None else None
    size = 0
    for block in stream(entry):
        size += len(block)
        if limit is not None and size > limit:
            return size, Mismatch(entry.path, f"{limit} bytes", "more bytes", source)
        sha256.update(block)
        if git is not None:
            git.update(block)
        job.advance(len(block))
    if limit is not None and size < limit:
        message = f"{entry.path!r} of {source} ended after {size} of {limit} bytes"
        raise TransferError(message, retryable=True)
    job.advance(0, files=1)
    actual = sha256.hexdigest()
    if actual != entry.sha256:
        return size, Mismatch(entry.path, entry.sha256, actual, source)
    if remote is not None and remote.git_sha1 and git is not None and git.hexdigest() != remote.git_sha1:
        expected = f"git id {remote.git_sha1}"
        return size, Mismatch(entry.path, expected, f"git id {git.hexdigest()}", source)
    return size, None

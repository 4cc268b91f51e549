"""Comparison of the files in a storage with their manifest; nothing is kept on this machine."""

import hashlib
from dataclasses import dataclass

from ritual_artifacts import workers
from ritual_artifacts.artifact.manifest import AnyEntry, AnyManifest
from ritual_artifacts.backends.base import RemoteFile, Revision
from ritual_artifacts.context import Context
from ritual_artifacts.errors import MISSING, BackendError, Mismatch, TransferError
from ritual_artifacts.events import ProgressMeter


@dataclass(frozen=True)
class Audit:
    """The result of a comparison.

    Attributes:
        mismatches: Every file that is missing or differs, in the manifest's order.
        sizes: The size of each file that matches.
        read: The number of files that were read, because the storage does not know their SHA-256.
    """

    mismatches: list[Mismatch]
    sizes: dict[str, int]
    read: int


def audit(revision: Revision, manifest: AnyManifest, context: Context, *, deep: bool = False) -> Audit:
    """Compare a revision's manifest with the storage's description of its files.

    If the storage knows a file's SHA-256, that is compared, and nothing is downloaded. If it knows only git's
    id, as the Hugging Face Hub does for small files, the file is streamed, and both are compared.

    Args:
        revision: The revision.
        manifest: Its manifest.
        context: The call that this belongs to; progress is reported as `"verify"`.
        deep: Stream and hash every file.

    Raises:
        BackendError: the storage cannot list its files, or failed.
    """
    listed = revision.listing()
    if listed is None and not deep:
        message = (
            f"{revision.repo_id.storage} does not report the digests of its files; "
            f"pass --deep to download and hash every file"
        )
        raise BackendError(message)
    source = str(revision.repo_id)
    known = listed or {}
    found: dict[str, Mismatch] = {}
    to_read: list[AnyEntry] = []
    for entry in manifest.files:
        remote = known.get(entry.path)
        if listed is not None and (mismatch := _compare(entry, remote, source)):
            found[entry.path] = mismatch
        elif deep or remote is None or remote.sha256 is None:
            to_read.append(entry)
    meter = context.meter("verify", sum(entry.size or 0 for entry in to_read), len(to_read))
    results = context.each(
        lambda entry: _read(revision, entry, known.get(entry.path), meter), to_read, meter=meter
    )
    sizes = {path: remote.size for path, remote in known.items()}
    for entry, (size, mismatch) in zip(to_read, results, strict=True):
        sizes[entry.path] = size
        if mismatch is not None:
            found[entry.path] = mismatch
    return Audit(
        mismatches=[found[e.path] for e in manifest.files if e.path in found],
        sizes={e.path: sizes[e.path] for e in manifest.files if e.path not in found},
        read=len(to_read),
    )


def _compare(entry: AnyEntry, remote: RemoteFile | None, source: str) -> Mismatch | None:
    if remote is None:
        return Mismatch(entry.path, entry.sha256, MISSING, source)
    if entry.size is not None and remote.size != entry.size:
        return Mismatch(entry.path, f"{entry.size} bytes", f"{remote.size} bytes", source)
    if remote.sha256 is not None and remote.sha256 != entry.sha256:
        return Mismatch(entry.path, entry.sha256, remote.sha256, source)
    return None


def _read(
    revision: Revision, entry: AnyEntry, remote: RemoteFile | None, meter: ProgressMeter
) -> tuple[int, Mismatch | None]:
    """Stream a file; return its size, and how it differs."""
    source = str(revision.repo_id)
    sha256 = hashlib.sha256()
    limit = entry.size if entry.size is not None else (remote.size if remote else None)
    git = hashlib.sha1(b"blob %d\0" % limit, usedforsecurity=False) if limit is not None else None
    size = 0
    for block in revision.read(entry):
        workers.check()
        size += len(block)
        if limit is not None and size > limit:
            return size, Mismatch(entry.path, f"{limit} bytes", "more bytes", source)
        sha256.update(block)
        if git is not None:
            git.update(block)
        meter.advance(len(block))
    if limit is not None and size < limit:
        message = f"{entry.path!r} of {source} ended after {size} of {limit} bytes"
        raise TransferError(message, retryable=True)
    meter.advance(0, files=1)
    actual = sha256.hexdigest()
    if actual != entry.sha256:
        return size, Mismatch(entry.path, entry.sha256, actual, source)
    if remote is not None and remote.git_sha1 and git is not None and git.hexdigest() != remote.git_sha1:
        expected = f"git id {remote.git_sha1}"
        return size, Mismatch(entry.path, expected, f"git id {git.hexdigest()}", source)
    return size, None

"""Downloading: from an opened revision to verified files in a folder, whatever the backend."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ritual_artifacts import workers
from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyEntry, AnyManifest, LegacyManifest, Manifest, parse_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.backends.base import Revision
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, PartialFile, copy_files, hash_files
from ritual_artifacts.errors import (
    IntegrityError,
    ManifestError,
    Mismatch,
    SourceChangedError,
    TransferError,
)
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.transfer.staging import Staging, stage_into
from ritual_artifacts.transfer.verification import check_expected_digest, compare_digest


@dataclass(frozen=True, kw_only=True)
class Target:
    """The folder of a download, and which files it may replace.

    Attributes:
        folder: The folder; created if it is missing.
        exclusive: The folder belongs to the cache, and becomes exactly the artifact.
        overwrite: Replace files that differ and are not known to be an artifact's.
    """

    folder: Path
    exclusive: bool = False
    overwrite: bool = False


def read_revision_manifest(revision: Revision) -> AnyManifest:
    """Return the checked manifest of a revision.

    Raises:
        ArtifactNotFoundError: the revision has no manifest.
        ManifestError: the manifest is malformed or hostile.
        IntegrityError: it is another revision's.
    """
    manifest = parse_manifest(revision.manifest_bytes(), f"the manifest of {revision.repo_id}")
    _check_revision(manifest, revision)
    return manifest


def download(
    revision: Revision,
    manifest: AnyManifest,
    selection: Selection,
    target: Target,
    context: Context,
    *,
    expected_digest: Digest | None = None,
    check_fit: Callable[[Path], object] | None = None,
) -> AnyManifest:
    """Download an artifact into a folder; a file appears there only after its SHA-256 was checked.

    Existing files are verified and kept. The next call resumes an interrupted download.

    Args:
        revision: What to download.
        manifest: Its manifest; see `read_revision_manifest`.
        selection: Which files. A folder with only some of an artifact's files gets no manifest.
        target: The folder.
        context: The call that this belongs to.
        expected_digest: Accept only the artifact with this digest.
        check_fit: Called with a preview of the target before the target changes; if it raises an exception,
            the target is not changed.

    Returns:
        The manifest, complete where all files are there.

    Raises:
        IntegrityError: the artifact or a file differs from the manifest; every such file is named.
        ManifestError: `expected_digest` cannot be compared, because only a part is downloaded.
        ConflictError: another file is in the way.
        BackendError: the backend failed.
        OSError: the disk is full, or the folder cannot be written.
    """
    source = str(revision.repo_id)
    check_expected_digest(manifest, expected_digest, source)
    if expected_digest is not None and isinstance(manifest, LegacyManifest) and selection.names is not None:
        message = (
            f"the manifest of {source} states no sizes, so its digest is known only when all files are "
            f"there; download every field, or leave expected_digest out"
        )
        raise ManifestError(message)
    key = manifest.digest if isinstance(manifest, Manifest) else f"{source} {revision.name}"
    with stage_into(
        target.folder,
        key,
        context,
        exclusive=target.exclusive,
        overwrite=target.overwrite,
        resumable=True,
    ) as staging:
        present = staging.find_present(manifest, selection.directories)
        wanted = [entry for entry in selection.choose(manifest) if entry.path not in present]
        complete = len(present) + len(wanted) == len(manifest.files)
        if not complete:
            staging.refuse_mixture(manifest)
        meter = context.meter("download", sum(entry.size or 0 for entry in wanted), len(wanted))
        _Download(revision, staging, selection.fields, context, meter).run(wanted)
        if complete and isinstance(manifest, LegacyManifest):
            places = {e.path: target.folder / e.path for e in manifest.files}
            places |= {e.path: staging.partial_path(e.path) for e in wanted}
            manifest = manifest.with_sizes({name: path.stat().st_size for name, path in places.items()})
            check_expected_digest(manifest, expected_digest, source)
            _check_revision(manifest, revision)
        staged = [entry.path for entry in wanted]
        if check_fit is not None:
            staging.try_out(check_fit, [*present, *staged], staged)
        staging.commit(manifest, staged, complete=complete)
    return manifest


def _check_revision(manifest: AnyManifest, revision: Revision) -> None:
    """Compare a manifest with its revision's digest, if the revision has one.

    Raises:
        IntegrityError: it is another revision's.
    """
    expected = revision.digest
    if expected is not None and isinstance(manifest, Manifest) and manifest.digest != expected:
        found = Mismatch(MANIFEST_FILENAME, expected, manifest.digest, str(revision.repo_id))
        raise IntegrityError.of([found])


class _Download:
    """Downloads the files of one revision to a staging folder."""

    def __init__(
        self,
        revision: Revision,
        staging: Staging,
        fields: Mapping[str, str],
        context: Context,
        meter: ProgressMeter,
    ) -> None:
        self._revision = revision
        self._staging = staging
        self._fields = fields
        self._context = context
        self._meter = meter

    def run(self, entries: Sequence[AnyEntry]) -> None:
        """Download and verify `entries`; valid files stay staged even if others are invalid.

        Raises:
            IntegrityError: bytes differ from the manifest; every such file is named.
        """
        copies: list[tuple[AnyEntry, Path]] = []
        streams: list[AnyEntry] = []
        for entry in entries:
            place = self._revision.local_path(entry)
            if place is not None and not place.is_file():
                place = None  # the storage has lost it, and reading it says so
            if place is not None:
                copies.append((entry, place))
            elif entry.size is None and self._is_staged(entry):
                self._staging.note_verified(entry.path)
                self._meter.advance(0, files=1)
            else:
                streams.append(entry)
        found = [
            *self._copy(copies),
            *self._context.each(self._stream, streams, meter=self._meter),
        ]
        if mismatches := [mismatch for mismatch in found if mismatch is not None]:
            order = {entry.path: index for index, entry in enumerate(entries)}
            raise IntegrityError.of(sorted(mismatches, key=lambda mismatch: order[mismatch.path]))

    def _is_staged(self, entry: AnyEntry) -> bool:
        """Return whether an interrupted download has staged the whole file.

        This is needed for a file of unknown size only; otherwise, the size of the partial file is enough.
        """
        path = self._staging.partial_path(entry.path)
        if path.is_symlink() or not path.is_file():  # the owner of a link's target could change it later
            return False
        return self._compare(entry, hash_files([path], follow_symlinks=False)[0]) is None

    def _copy(self, copies: Sequence[tuple[AnyEntry, Path]]) -> list[Mismatch | None]:
        """Continue partial files with the bytes of local files; copy invalid ones once more.

        Raises:
            SourceChangedError: files changed in the second attempt too.
        """
        if not copies:
            return []
        continued = self._find_partials(copies)
        try:
            found = self._try_copies(copies)
        except SourceChangedError:  # the altered file is on the disk, perhaps with wrong bytes
            continued = self._find_partials(copies)
            found = self._try_copies(copies)
        wrong = [name for name, mismatch in found.items() if mismatch and name in continued]
        found |= self._try_copies([copy for copy in copies if copy[0].path in wrong])
        self._meter.advance(0, files=len(copies))
        return list(found.values())

    def _find_partials(self, copies: Sequence[tuple[AnyEntry, Path]]) -> set[str]:
        names = [entry.path for entry, _ in copies]
        return {name for name in names if self._staging.partial_path(name).exists()}

    def _try_copies(self, copies: Sequence[tuple[AnyEntry, Path]]) -> dict[str, Mismatch | None]:
        """Copy files, compare each with its entry, and remove those that differ."""
        pairs = [(place, self._staging.partial_path(entry.path)) for entry, place in copies]
        limit = self._context.settings.max_workers
        digests = copy_files(pairs, max_workers=limit, progress=self._meter.advance, resume=True)
        found: dict[str, Mismatch | None] = {}
        for (entry, _), digest in zip(copies, digests, strict=True):
            found[entry.path] = self._compare(entry, digest)
            if found[entry.path]:
                self._staging.partial_path(entry.path).unlink(missing_ok=True)
            else:
                self._staging.note_verified(entry.path)
        return found

    def _stream(self, entry: AnyEntry) -> Mismatch | None:
        """Download a file; if another process changes its partial file, start again once.

        Raises:
            SourceChangedError: another process changed it again.
        """
        try:
            return self._try_stream(entry)
        except SourceChangedError:  # the partial file may be invalid, so it cannot be resumed
            self._staging.partial_path(entry.path).unlink(missing_ok=True)
        return self._try_stream(entry)

    def _try_stream(self, entry: AnyEntry) -> Mismatch | None:
        try:
            return self._receive_all(entry)
        except IntegrityError as error:  # the storage knows that it cannot send the file
            if not error.mismatches:
                raise
            self._meter.advance(0, files=1)
            return replace(error.mismatches[0], field=self._fields.get(entry.path))

    def _receive_all(self, entry: AnyEntry) -> Mismatch | None:
        """Resume a partial file; if the result is invalid, repair it, or start again once."""
        path = self._staging.partial_path(entry.path)
        if path.exists() and entry.size is not None and path.stat().st_size > entry.size:
            path.unlink()
        with PartialFile(path, progress=self._meter.advance) as partial:
            resumed = partial.size > 0
            if partial.size != entry.size:  # many storages return an error for a range without bytes
                self._receive(entry, partial)
            digest = partial.finish()
        if entry.size is not None and digest.size < entry.size:
            message = (
                f"{entry.path!r} of {self._revision.repo_id} ended after {digest.size} of {entry.size} "
                f"bytes; the same call continues there"
            )
            raise TransferError(message, retryable=True)
        mismatch = self._compare(entry, digest)
        if mismatch is None:
            self._staging.note_verified(entry.path)
            self._meter.advance(0, files=1)
            return None
        try:
            kept = self._revision.repair_point(entry, path)
        except IntegrityError:
            path.unlink(missing_ok=True)
            self._meter.advance(0, files=1)
            return mismatch
        if kept is not None:
            os.truncate(path, kept)
            return self._receive_all(entry)
        path.unlink(missing_ok=True)
        if resumed:
            return self._receive_all(entry)
        self._meter.advance(0, files=1)
        return mismatch

    def _receive(self, entry: AnyEntry, partial: PartialFile) -> None:
        for block in self._revision.read(entry, partial.size):
            workers.check()
            # Bytes beyond the size in the manifest are not part of the file, and are not stored.
            wanted = block if entry.size is None else block[: entry.size - partial.size]
            partial.write(wanted)
            self._meter.advance(len(wanted))
            if len(wanted) < len(block):
                return

    def _compare(self, entry: AnyEntry, digest: FileDigest) -> Mismatch | None:
        return compare_digest(entry, digest, str(self._revision.repo_id), self._fields.get(entry.path))

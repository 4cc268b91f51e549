"""Upload and download: the pipelines in which every byte is hashed and compared, whatever the backend."""

import functools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan, PlannedFile
from ritual_artifacts.backends.base import Backend, FindsDamage, UploadResult
from ritual_artifacts.core.hashing import FileDigest, PartialFile, copy_files, hash_files, is_sha256
from ritual_artifacts.errors import IntegrityError, ManifestError, Mismatch, TransferError
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.staging import Staging, stage_into
from ritual_artifacts.transfer.verification import MISSING, check_expected_digest, compare_digest
from ritual_artifacts.workers import Job, run_jobs

_MAX_STREAMS: Final = 8
"""Files that are fetched at once: enough to hide the time that a server needs to answer."""

CHANGED_SINCE: Final = (
    "the artifact's files have changed since it came; bring it back again, "
    "or publish what is there now as a new artifact"
)
"""What to say when files that were promised are about to be published, and are others."""


def upload(
    plan: ArtifactPlan,
    backend: Backend,
    repo_id: RitualRepoId,
    *,
    expected: Manifest | None = None,
    options: Mapping[str, Any] | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[UploadResult, Manifest]:
    """Publish a planned artifact.

    Args:
        plan: What to publish.
        backend: Where to.
        repo_id: Under which name.
        expected: What files must be, where that is known already; if one is not, nothing is published.
        options: What this backend's `start_upload` takes.
        progress: Called while files are read and sent.

    Returns:
        Where it went, and its manifest.

    Raises:
        ArtifactModelError: a file cannot be an artifact file.
        IntegrityError: a file is not what `expected` says.
        SourceChangedError: a file changed while it was read; nothing was published.
        BackendError: the backend refused or failed.
    """
    with backend.start_upload(repo_id, options or {}) as session:
        digests = session.read_files(plan, progress)
        manifest = Manifest.build(plan, digests, repo_id)
        manifest.to_bytes()  # too large a manifest is refused here, before anything is visible
        if expected is not None:
            _compare_all(expected, manifest, plan)
        result = session.publish(manifest, plan, progress)
    if result.repo_id != repo_id:  # the storage has put in another owner
        manifest = manifest.with_repo_id(result.repo_id)
    return result, manifest


def export(
    plan: ArtifactPlan,
    target: Path,
    repo_id: RitualRepoId | None = None,
    *,
    expected: Manifest | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Copy a planned artifact into a folder, with its manifest; the folder changes all at once.

    Files of the artifact that was there before go away where they are unchanged and the new one does not name
    them; not from a folder that holds some of the plan's own sources.

    Raises:
        IntegrityError: a file is not what `expected` says.
        ConflictError: another file is in the way.
        SourceChangedError: a file changed while it was read.
        OSError: a file cannot be read, or the disk is full.
    """
    folder = target.resolve()
    in_place = any(path.resolve().is_relative_to(folder) for path in {f.source.parent for f in plan.files})
    with stage_into(target, "export", in_place=in_place, overwrite=overwrite) as staging:
        meter = ProgressMeter(progress, "copy", plan.size)
        pairs = [(file.source, staging.partial_path(file.path)) for file in plan.files]
        manifest = Manifest.build(plan, copy_files(pairs, progress=meter.advance), repo_id)
        if expected is not None:
            _compare_all(expected, manifest, plan)
        present = staging.find_present(manifest, plan.directories)
        staging.commit(manifest, [e.path for e in manifest.files if e.path not in present])
    return manifest


def download(
    backend: Backend,
    repo_id: RitualRepoId,
    revision: str,
    manifest: Manifest,
    target: Path,
    *,
    only: Collection[str] | None = None,
    exclusive: bool = False,
    overwrite: bool = False,
    expected_digest: str | None = None,
    fields: Mapping[str, str] | None = None,
    directories: Collection[str] = (),
    check_fit: Callable[[Path], object] | None = None,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Bring an artifact into a folder, every byte verified before it is at its place.

    Files that are in place already are verified and kept. What is cut short is continued by the next call.

    Args:
        backend: Where it is.
        repo_id: Its name there.
        revision: The immutable revision to fetch.
        manifest: The revision's manifest; see `read_manifest`.
        target: The folder.
        only: Names of the files to fetch; default all. A folder with only some has no manifest.
        exclusive: The folder is the cache's, and becomes exactly the artifact.
        overwrite: Replace files that differ.
        expected_digest: Accept only the artifact with this digest.
        fields: The model's field of each file, for messages.
        directories: Names of the directories that the model names, which hold nothing but the artifact.
        check_fit: Called with a folder that looks as the target will, before that changes; what it raises
            leaves the target as it is.
        progress: Called while bytes arrive.

    Returns:
        The manifest, with all sizes.

    Raises:
        IntegrityError: the artifact or a file is not what was promised; every bad file is named.
        ManifestError: `expected_digest` cannot be compared, because only a part is fetched.
        ConflictError: another file is in the way.
        BackendError: the backend failed.
        OSError: the disk is full, or the folder cannot be written.
    """
    check_expected_digest(manifest, expected_digest, str(repo_id))
    if expected_digest is not None and manifest.digest is None and only is not None:
        message = (
            f"the manifest of {repo_id} has no sizes, so the artifact's digest shows only when all of it is "
            f"there; fetch every field, or leave expected_digest out"
        )
        raise ManifestError(message)
    key = manifest.digest or f"{repo_id} {revision}"
    with stage_into(target, key, exclusive=exclusive, overwrite=overwrite, resumable=True) as staging:
        present = staging.find_present(manifest, directories)
        wanted = [e for e in manifest.files if e.path not in present and (only is None or e.path in only)]
        complete = len(present) + len(wanted) == len(manifest.files)
        if not complete:
            staging.refuse_mixture(manifest)
        fetch = _Fetch(backend, repo_id, revision, staging, fields or {})
        size = sum(e.size or 0 for e in wanted)
        fetch.run(wanted, ProgressMeter(progress, "download", size, len(wanted)))
        if complete and not manifest.has_sizes:
            places = {e.path: target / e.path for e in manifest.files}
            places |= {e.path: staging.partial_path(e.path) for e in wanted}
            manifest = manifest.with_sizes({name: path.stat().st_size for name, path in places.items()})
            check_expected_digest(manifest, expected_digest, str(repo_id))
            _check_revision(manifest, revision, str(repo_id))
        staged = [entry.path for entry in wanted]
        if check_fit is not None:
            staging.try_out(check_fit, [*present, *staged], staged)
        staging.commit(manifest, staged, complete=complete)
    return manifest


def read_manifest(backend: Backend, repo_id: RitualRepoId) -> tuple[str, Manifest]:
    """Return the revision that `repo_id` names now, and its manifest.

    Raises:
        ArtifactNotFoundError: there is no such repository or version.
        ManifestError: the manifest is malformed or hostile.
        IntegrityError: it is another revision's.
    """
    revision = backend.resolve(repo_id)
    manifest = Manifest.from_bytes(backend.read_manifest(repo_id, revision), f"the manifest of {repo_id}")
    _check_revision(manifest, revision, str(repo_id))
    return revision, manifest


def _check_revision(manifest: Manifest, revision: str, source: str) -> None:
    """Check that a manifest is its revision's, where the revision is named after the digest.

    Raises:
        IntegrityError: it is another one's.
    """
    promised = f"sha256:{revision}"
    if is_sha256(revision) and manifest.digest not in {None, promised}:
        raise IntegrityError.of([Mismatch(MANIFEST_FILENAME, promised, str(manifest.digest), source)])


def plan_again(manifest: Manifest, places: Mapping[str, Path]) -> ArtifactPlan:
    """Plan to publish an artifact once more, under the same names, without knowing its class.

    Args:
        manifest: What it is.
        places: Where each of its files is.

    Raises:
        IntegrityError: a file is missing; every one is named.
    """
    missing = [entry for entry in manifest.files if not places[entry.path].exists()]
    if missing:
        raise IntegrityError.of(
            Mismatch(entry.path, entry.sha256, MISSING, str(places[entry.path])) for entry in missing
        )
    files = tuple(PlannedFile(e.path, places[e.path], places[e.path].stat().st_size) for e in manifest.files)
    return ArtifactPlan(manifest.artifact_type, manifest.fields, files)


class _Fetch:
    """Brings the bytes of one revision into a staging folder."""

    def __init__(
        self,
        backend: Backend,
        repo_id: RitualRepoId,
        revision: str,
        staging: Staging,
        fields: Mapping[str, str],
    ) -> None:
        self._backend = backend
        self._repo_id = repo_id
        self._revision = revision
        self._staging = staging
        self._fields = fields

    def run(self, entries: Sequence[ManifestEntry], meter: ProgressMeter) -> None:
        """Fetch and verify `entries`; what is good stays staged even when something else is not.

        Raises:
            IntegrityError: bytes differ from the manifest; every bad file is named.
        """
        copies: list[tuple[ManifestEntry, Path]] = []
        streams: list[ManifestEntry] = []
        for entry in entries:
            place = self._backend.find_local_file(self._repo_id, self._revision, entry)
            if place is not None and not place.is_file():
                place = None  # it is lost, and reading it says so
            if place is None and entry.size is not None:
                streams.append(entry)  # which looks itself at what is staged
            elif self._is_staged(entry):
                meter.advance(0, files=1)
            elif place is None:
                streams.append(entry)
            else:
                copies.append((entry, place))
        found = [*self._copy(copies, meter), *self._stream_all(streams, meter)]
        if mismatches := [mismatch for mismatch in found if mismatch is not None]:
            order = {entry.path: index for index, entry in enumerate(entries)}
            raise IntegrityError.of(sorted(mismatches, key=lambda mismatch: order[mismatch.path]))

    def _is_staged(self, entry: ManifestEntry) -> bool:
        """Say whether a process that was killed left the whole file behind."""
        path = self._staging.partial_path(entry.path)
        if path.is_symlink() or not path.is_file():  # whoever owns a link's target could change it later
            return False
        return self._compare(entry, hash_files([path], follow_symlinks=False)[0]) is None

    def _copy(
        self, copies: Sequence[tuple[ManifestEntry, Path]], meter: ProgressMeter
    ) -> list[Mismatch | None]:
        pairs = [(place, self._staging.partial_path(entry.path)) for entry, place in copies]
        digests = copy_files(pairs, progress=meter.advance)
        if copies:
            meter.advance(0, files=len(copies))
        return [self._judge(entry, digest) for (entry, _), digest in zip(copies, digests, strict=True)]

    def _stream_all(self, entries: Sequence[ManifestEntry], meter: ProgressMeter) -> list[Mismatch | None]:
        jobs = [functools.partial(self._stream, entry) for entry in entries]
        return run_jobs(jobs, max_workers=load_settings().max_workers or _MAX_STREAMS, meter=meter)

    def _stream(self, entry: ManifestEntry, job: Job) -> Mismatch | None:
        """Continue a partial file; when what was there proves wrong, begin once more."""
        path = self._staging.partial_path(entry.path)
        with job.step():
            if path.exists() and entry.size is not None and path.stat().st_size > entry.size:
                path.unlink()
            partial = PartialFile(path, progress=job.advance)
        with partial:
            resumed = partial.size > 0
            if partial.size != entry.size:  # many storages answer with an error when asked for no bytes
                self._receive(entry, partial, job)
            with job.step():
                digest = partial.finish()
        if entry.size is not None and digest.size < entry.size:
            message = (
                f"{entry.path!r} of {self._repo_id} ended after {digest.size} of {entry.size} bytes; "
                f"the same call continues there"
            )
            raise TransferError(message, retryable=True)
        mismatch = self._compare(entry, digest)
        if mismatch is None:
            job.advance(0, files=1)
            return None
        if isinstance(self._backend, FindsDamage):
            kept = self._backend.find_good_prefix(self._repo_id, self._revision, entry, path)
            if kept is not None:
                with job.step():
                    os.truncate(path, kept)
                return self._stream(entry, job)
            resumed = False
        with job.step():
            path.unlink()
        if resumed:
            return self._stream(entry, job)
        job.advance(0, files=1)
        return mismatch

    def _receive(self, entry: ManifestEntry, partial: PartialFile, job: Job) -> None:
        for block in self._backend.read_file(self._repo_id, self._revision, entry, offset=partial.size):
            # What comes after the promised size cannot be part of the file: it is not even stored.
            wanted = block if entry.size is None else block[: entry.size - partial.size]
            with job.step():
                partial.write(wanted)
            job.advance(len(wanted))
            if len(wanted) < len(block):
                return

    def _judge(self, entry: ManifestEntry, digest: FileDigest) -> Mismatch | None:
        """Compare, and throw the bytes away when they are wrong."""
        mismatch = self._compare(entry, digest)
        if mismatch:
            self._staging.partial_path(entry.path).unlink()
        return mismatch

    def _compare(self, entry: ManifestEntry, digest: FileDigest) -> Mismatch | None:
        return compare_digest(entry, digest, str(self._repo_id), self._fields.get(entry.path))


def _compare_all(expected: Manifest, actual: Manifest, plan: ArtifactPlan) -> None:
    """Compare files that were read with what they must be; those that `expected` does not name are new.

    Raises:
        IntegrityError: a file differs.
    """
    wanted = {entry.path: entry.sha256 for entry in expected.files}
    mismatches = [
        Mismatch(entry.path, wanted[entry.path], entry.sha256, str(file.source), file.field)
        for entry, file in zip(actual.files, plan.files, strict=True)
        if wanted.get(entry.path, entry.sha256) != entry.sha256
    ]
    if mismatches:
        raise IntegrityError.of(mismatches, hint=CHANGED_SINCE)

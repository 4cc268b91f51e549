"""One upload into the store, and what is left of one that was killed."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan, PlannedFile
from ritual_artifacts.backends.base import UploadResult
from ritual_artifacts.backends.local.layout import Layout, make_replaceable
from ritual_artifacts.core.hashing import (
    FileDigest,
    copy_files,
    hash_files,
    is_sha256,
    make_folder,
    rename_files,
    write_file,
)
from ritual_artifacts.errors import BackendError, ConflictError, ManifestError, SourceChangedError
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId

_ALIVE: Final = "alive.lock"
"""In an upload's folder: locked as long as the upload lives."""


class LocalUpload:
    """An `UploadSession` of the local store."""

    def __init__(self, layout: Layout, repo_id: RitualRepoId, folder: Path) -> None:
        """Prepare an upload of `repo_id` whose files land in `folder`."""
        self._layout = layout
        self._repo_id = repo_id
        self._folder = folder
        self._meter = ProgressMeter(None, "upload", 0)
        self._landed: dict[str, Path] = {}  # sha256 -> where the bytes wait
        self._stored: set[str] = set()  # objects that were there, with the right bytes
        self._landings = 0

    def read_files(self, plan: ArtifactPlan, progress: ProgressCallback | None) -> list[FileDigest]:
        """Land each file and hash it as it lands; only hash what may be stored already."""
        labelled = self._layout.read_label(self._repo_id) is not None  # a no-op or a conflict: copy nothing
        maybe_stored = [labelled or self._layout.may_hold(file.size) for file in plan.files]
        known = [file for file, maybe in zip(plan.files, maybe_stored, strict=True) if maybe]
        fresh = [file for file, maybe in zip(plan.files, maybe_stored, strict=True) if not maybe]
        # What may be stored is read twice: here, and then as the object in the store or while it lands.
        self._meter = ProgressMeter(progress, "upload", plan.size + sum(file.size for file in known))
        sources = [file.source for file in known]
        hashed = iter(hash_files(sources, follow_symlinks=False, progress=self._meter.advance))
        landed = iter(self._land(fresh))
        return [next(hashed) if maybe else next(landed) for maybe in maybe_stored]

    def publish(
        self, manifest: Manifest, plan: ArtifactPlan, progress: ProgressCallback | None
    ) -> UploadResult:
        """Land what is missing, then name the version; see `UploadSession`."""
        del progress  # the meter of `read_files` goes on
        if manifest.digest is None:
            message = "an artifact needs the size of every file before it can be stored"
            raise BackendError(message)
        revision = manifest.digest.removeprefix("sha256:")
        self._refuse_conflict(revision)
        sources = {e.sha256: file for e, file in zip(manifest.files, plan.files, strict=True)}
        while True:
            self._find_stored(sources)
            self._land_missing(sources)
            with self._layout.lock():
                if all(self._layout.object_path(sha256).exists() for sha256 in self._stored):
                    self._refuse_conflict(revision)
                    sent = self._name_objects()
                    data = manifest.with_repo_id(self._repo_id.without_version()).to_bytes()
                    self._make_visible(revision, data)
                    break
            self._stored.clear()  # a garbage collection came between: look again
        self._meter.finish()
        return UploadResult(
            repo_id=self._repo_id,
            revision=revision,
            url=self._layout.revision_path(self._repo_id, revision).as_uri(),
            digest=manifest.digest,
            files=manifest.files,
            bytes_sent=sent,
            bytes_reused=manifest.size - sent,
        )

    def _refuse_conflict(self, revision: str) -> None:
        label = self._repo_id.version
        if label is not None and is_sha256(label) and label != revision:
            message = f"{self._repo_id}: a version label cannot be the digest of another artifact"
            raise ConflictError(message)
        named = self._layout.read_label(self._repo_id)
        if named not in {None, revision}:
            message = (
                f"{self._repo_id} is already another artifact (sha256:{named}), and a version never changes; "
                f"upload under a new version"
            )
            raise ConflictError(message)

    def _find_stored(self, wanted: Iterable[str]) -> None:
        """Look which objects are there and whole; a damaged one is stored again."""
        candidates = [sha256 for sha256 in wanted if sha256 not in self._landed]
        paths = [self._layout.object_path(sha256) for sha256 in candidates]
        found = hash_files(paths, follow_symlinks=False, progress=self._meter.advance, return_exceptions=True)
        self._stored = {
            sha256
            for sha256, digest in zip(candidates, found, strict=True)
            if isinstance(digest, FileDigest) and digest.sha256 == sha256
        }

    def _land_missing(self, sources: Mapping[str, PlannedFile]) -> None:
        missing = [s for s in sources if s not in self._landed and s not in self._stored]
        for sha256, digest in zip(missing, self._land([sources[s] for s in missing]), strict=True):
            if digest.sha256 != sha256:
                message = f"{digest.path} changed while it was uploaded; nothing was published"
                raise SourceChangedError(message)

    def _land(self, files: Sequence[PlannedFile]) -> list[FileDigest]:
        targets = [self._folder / str(self._landings + i) for i in range(len(files))]
        self._landings += len(files)
        pairs = [(file.source, target) for file, target in zip(files, targets, strict=True)]
        digests = copy_files(pairs, progress=self._meter.advance)
        self._landed |= {d.sha256: target for d, target in zip(digests, targets, strict=True)}
        return digests

    def _name_objects(self) -> int:
        """Move what has landed to where its digest says; the caller holds the lock."""
        sizes = []
        pairs = []
        for sha256, path in self._landed.items():
            target = self._layout.object_path(sha256)
            make_folder(target.parent)
            make_replaceable(target)
            sizes.append(path.stat().st_size)
            path.chmod(path.stat().st_mode & 0o444)  # read-only, for those whom the user's umask lets in
            pairs.append((path, target))
        self._layout.note_sizes(sizes)
        rename_files(pairs)
        self._landed.clear()
        return sum(sizes)

    def _make_visible(self, revision: str, data: bytes) -> None:
        """Name a revision, whose manifest is `data` and whose files are all there, under the caller's lock.

        The revision comes first and its label last: a process that is killed between them leaves a store in
        which everything that is named is whole, and the next upload of the same finishes.
        """
        revision_path = self._layout.revision_path(self._repo_id, revision)
        if not _is_whole(revision_path):
            self._put({revision_path: data})
        if self._layout.read_label(self._repo_id) != revision:
            name = revision.encode()
            pointers = {self._layout.latest_path(self._repo_id): name}
            if self._repo_id.version:
                pointers[self._layout.label_path(self._repo_id, self._repo_id.version)] = name
            self._put(pointers)

    def _put(self, contents: Mapping[Path, bytes]) -> None:
        """Write small files in their order, each first where a killed process may leave it."""
        pairs = []
        for index, (path, content) in enumerate(contents.items()):
            staged = self._folder / f"pointer-{index}"
            write_file(staged, content)
            make_folder(path.parent)
            pairs.append((staged, path))
        rename_files(pairs)


@contextlib.contextmanager
def open_upload(layout: Layout, repo_id: RitualRepoId) -> Iterator[LocalUpload]:
    """Start an upload; leaving the context drops everything that was not published."""
    alive = None
    folder = layout.incoming_path()
    try:
        with layout.lock():  # between these steps a collection would take the upload for a dead one
            make_folder(folder)
            alive = FileLock(folder / _ALIVE)
            alive.acquire()
        yield LocalUpload(layout, repo_id, folder)
    finally:
        if alive is not None:
            alive.release()
        shutil.rmtree(folder, ignore_errors=True)  # what stays is the next collection's


def sweep(folder: Path) -> int:
    """Remove an upload's folder unless the upload is alive; return the bytes freed."""
    alive = FileLock(folder / _ALIVE)
    try:
        alive.acquire(timeout=0)
    except Timeout:
        return 0
    alive.release()
    freed = 0
    for subfolder, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # the upload is just ending, and removes it itself
                freed += Path(subfolder, name).lstat().st_size
    shutil.rmtree(folder, ignore_errors=True)
    return freed


def _is_whole(revision_path: Path) -> bool:
    try:
        return Manifest.read(revision_path).digest == f"sha256:{revision_path.name}"
    except (FileNotFoundError, ManifestError):
        return False

"""One upload into the local store, and the removal of files that a killed upload left."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from filelock import Timeout

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan, PlannedFile
from ritual_artifacts.backends.base import UploadResult, UploadSession
from ritual_artifacts.backends.local.layout import (
    Layout,
    digest_of,
    is_revision,
    make_replaceable,
    revision_name,
)
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import (
    FileDigest,
    copy_files,
    hash_files,
    make_folder,
    rename_files,
    write_file,
)
from ritual_artifacts.errors import ConflictError, ManifestError, SourceChangedError
from ritual_artifacts.locks import ProcessLock
from ritual_artifacts.repo_id import RitualRepoId

_RUNNING: Final = "alive.lock"
"""In an upload's folder: locked while the upload runs."""


class LocalUpload(UploadSession):
    """One upload into the local store."""

    def __init__(
        self, layout: Layout, plan: ArtifactPlan, repo_id: RitualRepoId, folder: Path, context: Context
    ) -> None:
        """Prepare an upload of `plan` whose files are copied into `folder` first."""
        self._layout = layout
        self._plan = plan
        self._repo_id = repo_id
        self._folder = folder
        self._max_workers = context.settings.max_workers
        has_label = layout.read_label(repo_id) is not None  # a no-op or a conflict: copy nothing yet
        self._may_be_stored = [has_label or layout.may_hold(file.size) for file in plan.files]
        # These files are read twice: here, and then as the object in the store or while they are copied.
        read_twice = sum(file.size for file, maybe in self._marked_files() if maybe)
        self._meter = context.meter("upload", plan.size + read_twice)
        self._copied: dict[str, Path] = {}  # by SHA-256: where in `folder` the bytes are
        self._stored: set[str] = set()  # objects that exist and are intact
        self._copies = 0

    def _marked_files(self) -> list[tuple[PlannedFile, bool]]:
        """Return each file, and whether it may be stored already."""
        return list(zip(self._plan.files, self._may_be_stored, strict=True))

    def read_files(self) -> list[FileDigest]:
        """Copy each file and hash it on the way; a file that may be stored already is only hashed."""
        known = [file.source for file, maybe in self._marked_files() if maybe]
        hashed = iter(
            hash_files(
                known, follow_symlinks=False, max_workers=self._max_workers, progress=self._meter.advance
            )
        )
        copied = iter(self._copy([file for file, maybe in self._marked_files() if not maybe]))
        return [next(hashed) if maybe else next(copied) for maybe in self._may_be_stored]

    def publish(self, manifest: Manifest) -> UploadResult:
        """Copy what is missing, then make the version visible; see `UploadSession`."""
        self._refuse_conflict(manifest)
        sources = {e.sha256: file for e, file in zip(manifest.files, self._plan.files, strict=True)}
        while True:
            self._find_stored(sources)
            self._copy_missing(sources)
            with self._layout.lock():
                if all(self._layout.object_path(sha256).exists() for sha256 in self._stored):
                    self._refuse_conflict(manifest)
                    sent = self._name_objects()
                    revision = self._make_visible(manifest)
                    break
            self._stored.clear()  # a garbage collection has removed some: look again
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

    def _refuse_conflict(self, manifest: Manifest) -> None:
        label = self._repo_id.version
        if label is not None and is_revision(label) and label != manifest.digest.hex:
            message = f"{self._repo_id}: a version label cannot be the name of another revision"
            raise ConflictError(message)
        named = self._layout.read_label(self._repo_id)
        if named is not None and digest_of(named) != manifest.digest:
            message = (
                f"{self._repo_id} already names another artifact ({digest_of(named)}), and a version "
                f"never changes; upload under a new version label"
            )
            raise ConflictError(message)

    def _find_stored(self, wanted: Iterable[str]) -> None:
        """Find the objects that exist and are intact; a damaged one is stored again."""
        candidates = [sha256 for sha256 in wanted if sha256 not in self._copied]
        found = hash_files(
            [self._layout.object_path(sha256) for sha256 in candidates],
            follow_symlinks=False,
            max_workers=self._max_workers,
            progress=self._meter.advance,
            return_exceptions=True,
        )
        self._stored = {
            sha256
            for sha256, digest in zip(candidates, found, strict=True)
            if isinstance(digest, FileDigest) and digest.sha256 == sha256
        }

    def _copy_missing(self, sources: Mapping[str, PlannedFile]) -> None:
        missing = [s for s in sources if s not in self._copied and s not in self._stored]
        for sha256, digest in zip(missing, self._copy([sources[s] for s in missing]), strict=True):
            if digest.sha256 != sha256:
                message = f"{digest.path} changed while it was uploaded; nothing was published"
                raise SourceChangedError(message)

    def _copy(self, files: Sequence[PlannedFile]) -> list[FileDigest]:
        targets = [self._folder / str(self._copies + i) for i in range(len(files))]
        self._copies += len(files)
        pairs = [(file.source, target) for file, target in zip(files, targets, strict=True)]
        digests = copy_files(pairs, max_workers=self._max_workers, progress=self._meter.advance)
        self._copied |= {d.sha256: target for d, target in zip(digests, targets, strict=True)}
        return digests

    def _name_objects(self) -> int:
        """Move copied files to the paths that their digests give them; the caller holds the lock."""
        sizes = []
        pairs = []
        for sha256, path in self._copied.items():
            target = self._layout.object_path(sha256)
            make_folder(target.parent)
            make_replaceable(target)
            sizes.append(path.stat().st_size)
            path.chmod(path.stat().st_mode & 0o444)  # read-only, for those whom the user's umask lets in
            pairs.append((path, target))
        self._layout.note_sizes(sizes)
        rename_files(pairs)
        self._copied.clear()
        return sum(sizes)

    def _make_visible(self, manifest: Manifest) -> str:
        """Name a revision whose files are all stored, and return its name; the caller holds the lock.

        The revision is written first and its label last. A process that is killed in between leaves a store
        in which every name is valid, and the next upload of the same artifact finishes the work.
        """
        named = self._layout.read_label(self._repo_id)
        revision = named or self._choose_revision(manifest)
        revision_path = self._layout.revision_path(self._repo_id, revision)
        if _read_intact(revision_path) is None:
            data = manifest.with_repo_id(self._repo_id.without_version()).to_bytes()
            self._write({revision_path: data})
        if named is None:
            name = revision.encode()
            pointers = {self._layout.latest_path(self._repo_id): name}
            if self._repo_id.version:
                pointers[self._layout.label_path(self._repo_id, self._repo_id.version)] = name
            self._write(pointers)
        return revision

    def _choose_revision(self, manifest: Manifest) -> str:
        """Return the name of the revision that has this manifest, or will have it."""
        name = revision_name(manifest, first=True)
        if name == self._repo_id.version:
            return name  # a label that is a revision's name means that revision
        found = _read_intact(self._layout.revision_path(self._repo_id, name))
        other = revision_name(manifest, first=False)
        return name if found is None or revision_name(found, first=False) == other else other

    def _write(self, contents: Mapping[Path, bytes]) -> None:
        """Write small files in this order, each by a rename."""
        pairs = []
        for index, (path, content) in enumerate(contents.items()):
            staged = self._folder / f"pointer-{index}"
            write_file(staged, content)
            make_folder(path.parent)
            pairs.append((staged, path))
        rename_files(pairs)


@contextlib.contextmanager
def open_upload(
    layout: Layout, plan: ArtifactPlan, repo_id: RitualRepoId, context: Context
) -> Iterator[LocalUpload]:
    """Start an upload; leaving the context drops everything that was not published."""
    running = None
    folder = layout.incoming_path()
    try:
        with layout.lock():  # between these steps a collection would take the upload for a killed one
            make_folder(folder)
            running = ProcessLock(folder / _RUNNING)
            running.acquire()
        yield LocalUpload(layout, plan, repo_id, folder, context)
    finally:
        if running is not None:
            running.release()
        shutil.rmtree(folder, ignore_errors=True)  # the next collection removes what this leaves


def sweep(folder: Path) -> int:
    """Remove an upload's folder unless the upload is running; return the bytes freed."""
    running = ProcessLock(folder / _RUNNING, timeout=0)
    try:
        running.acquire()
    except Timeout:
        return 0
    running.release()
    freed = 0
    for subfolder, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # the upload is just ending, and removes it itself
                freed += Path(subfolder, name).lstat().st_size
    shutil.rmtree(folder, ignore_errors=True)
    return freed


def _read_intact(revision_path: Path) -> Manifest | None:
    """Return a revision's manifest; None when it is missing or not the revision's own."""
    try:
        manifest = Manifest.read(revision_path)
    except (FileNotFoundError, ManifestError):
        return None
    return manifest if manifest.digest == digest_of(revision_path.name) else None

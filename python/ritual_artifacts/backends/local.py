"""The embedded local store: content-addressed, deduplicated, safe with several processes.

Layout below the store's root::

    objects/<first two digits>/<sha256>          each content once, read-only
    repos/<owner>/<name>/revisions/<digest>      manifest of one immutable version
    repos/<owner>/<name>/versions/<label>        the revision that a label names
    repos/<owner>/<name>/latest                  the revision that no label names: the newest
    incoming/<upload>/                           files that have landed and belong to nothing yet
    sizes/<bytes>                                empty; there may be a content of this size
    lock                                         taken for each change of what is visible, never for long

A revision's name is the hex part of its artifact's digest. Files land outside the lock; naming them is a
matter of renames under it. So is the garbage collection, which therefore never sees half an upload. A process
that is killed leaves a folder in `incoming`, and perhaps contents that no version names, for that collection.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from ritual_artifacts.backends.base import UploadResult, UploadSession
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    IntegrityError,
    ManifestError,
    Mismatch,
    SourceChangedError,
)
from ritual_artifacts.hashing import (
    DEFAULT_READ_SIZE,
    FileDigest,
    copy_files,
    hash_files,
    make_folder,
    rename_files,
    write_file,
)
from ritual_artifacts.manifest import MAX_MANIFEST_BYTES, Manifest, ManifestEntry
from ritual_artifacts.planning import ArtifactPlan, PlannedFile
from ritual_artifacts.progress import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId, StorageId
from ritual_artifacts.settings import load_settings

_HEX: Final = frozenset("0123456789abcdef")
_DIGEST_LENGTH: Final = 64
_ALIVE: Final = "alive.lock"
"""In an upload's folder: locked as long as the upload lives."""


@dataclass(frozen=True)
class StoredVersion:
    """One immutable version in the store.

    Attributes:
        repo_id: The repository, without a version.
        revision: The hex part of the artifact's digest.
        labels: The version labels that name it.
        latest: Whether it is what the repository's id without a version names.
        created: When it was first uploaded.
        manifest: Its manifest.
    """

    repo_id: RitualRepoId
    revision: str
    labels: tuple[str, ...]
    latest: bool
    created: datetime
    manifest: Manifest


class LocalBackend:
    """The store below one folder."""

    def __init__(self, root: Path | str | None = None) -> None:
        """Use the store below `root` (default `RITUAL_STORE_DIR`); nothing is created before it is needed."""
        self.root = load_settings().store_dir if root is None else Path(root).expanduser().absolute()

    # --- writing ---

    @contextlib.contextmanager
    def start_upload(self, repo_id: RitualRepoId, options: Mapping[str, Any]) -> Iterator[UploadSession]:
        """Start an upload, which takes no options here; see `Backend`."""
        if options:
            message = f"an upload to the local store takes no options, but got {', '.join(sorted(options))}"
            raise BackendError(message)
        alive = None
        folder = self._incoming_path()
        try:
            with self.lock():  # between these steps a collection would take the upload for a dead one
                make_folder(folder)
                alive = FileLock(folder / _ALIVE)
                alive.acquire()
            yield _LocalUpload(self, repo_id, folder)
        finally:
            if alive is not None:
                alive.release()
            shutil.rmtree(folder, ignore_errors=True)  # what stays is the next collection's

    def lock(self) -> FileLock:
        """Return the lock that guards what is visible in the store."""
        make_folder(self.root)
        return FileLock(self.root / "lock")

    def remove(self, repo_id: RitualRepoId) -> int:
        """Remove a version, or the whole repository where the id names no version.

        Files stay until `collect_garbage`.

        Returns:
            How many revisions are gone. A revision that another label still names stays.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
        """
        with self.lock():
            if repo_id.version is None:
                revisions = self._revisions(repo_id)
                if not revisions:
                    raise _not_found(repo_id)
                self._remove_repo(repo_id)
                return len(revisions)
            revision = self.resolve(repo_id)
            self._label_path(repo_id, repo_id.version).unlink(missing_ok=True)
            if any(label_revision == revision for label_revision in self._labels(repo_id).values()):
                return 0
            newest_first = [name for name in self._revisions(repo_id) if name != revision]
            latest = self._repo_folder(repo_id) / "latest"
            if not newest_first:
                self._remove_repo(repo_id)
                return 1
            if _read_name(latest) == revision:
                write_file(latest, newest_first[0].encode())
            self._revision_path(repo_id, revision).unlink()
            return 1

    def _remove_repo(self, repo_id: RitualRepoId) -> None:
        """Remove a repository in one step: a process that is killed leaves all of it or none."""
        gone = self._incoming_path()
        make_folder(gone.parent)
        rename_files([(self._repo_folder(repo_id), gone)])
        shutil.rmtree(gone, ignore_errors=True)

    def collect_garbage(self) -> int:
        """Remove the files that no version names, and what dead uploads left.

        Returns:
            Bytes freed.

        Raises:
            ManifestError: a version's manifest cannot be read; nothing is removed then, because what it
                names is not known.
        """
        freed = 0
        with self.lock():
            named = {entry.sha256 for version in self.list_versions() for entry in version.manifest.files}
            kept_sizes = set()
            for path in list(self._object_paths()):
                size = path.stat().st_size
                if path.name in named:
                    kept_sizes.add(str(size))
                else:
                    _make_replaceable(path)
                    path.unlink()
                    freed += size
            for hint in self._children("sizes"):
                if hint.name not in kept_sizes:
                    hint.unlink()
            for folder in self._folders("incoming"):
                freed += _sweep(folder)
        return freed

    # --- reading ---

    def resolve(self, repo_id: RitualRepoId) -> str:
        """Return the revision that the id names; a version is a label or a revision. See `Backend`."""
        if repo_id.version is None:
            revision = _read_name(self._repo_folder(repo_id) / "latest")
        elif _is_digest(repo_id.version) and self._revision_path(repo_id, repo_id.version).exists():
            revision = repo_id.version
        else:
            revision = _read_name(self._label_path(repo_id, repo_id.version))
        if revision is None:
            raise _not_found(repo_id, self._known_versions(repo_id))
        return revision

    def read_manifest(self, repo_id: RitualRepoId, revision: str) -> bytes:
        """Return a revision's manifest; see `Backend`."""
        try:
            with self._revision_path(repo_id, revision).open("rb") as file:
                return file.read(MAX_MANIFEST_BYTES + 1)
        except FileNotFoundError:
            raise _not_found(repo_id) from None

    def read_file(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, *, offset: int = 0
    ) -> Iterator[bytes]:
        """Stream a file; see `Backend`."""
        with self._open_object(repo_id, revision, entry).open("rb") as file:
            file.seek(offset)
            while block := file.read(DEFAULT_READ_SIZE):
                yield block

    def find_local_file(self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry) -> Path | None:
        """Return the object that holds the file; see `Backend`."""
        return self._open_object(repo_id, revision, entry)

    def _open_object(self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry) -> Path:
        path = self.object_path(entry.sha256)
        if not path.is_file():
            message = (
                f"the local store {self.root} has lost the bytes of {entry.path!r} of {repo_id} "
                f"(revision {revision}); upload the artifact again"
            )
            raise ArtifactNotFoundError(message)
        return path

    def list_versions(self) -> Iterator[StoredVersion]:
        """List every version, by repository, the newest first.

        Raises:
            ManifestError: a version's manifest cannot be read.
        """
        for owner in self._folders("repos"):
            for folder in self._folders("repos", owner.name):
                repo_id = RitualRepoId(storage=StorageId.Local, owner=owner.name, name=folder.name)
                latest = _read_name(folder / "latest")
                labels = self._labels(repo_id)
                for revision in self._revisions(repo_id):
                    path = self._revision_path(repo_id, revision)
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        yield StoredVersion(
                            repo_id=repo_id,
                            revision=revision,
                            labels=tuple(sorted(k for k, v in labels.items() if v == revision)),
                            latest=revision == latest,
                            created=datetime.fromtimestamp(path.stat().st_mtime, tz=UTC),
                            manifest=Manifest.read(path),
                        )

    def find_damage(self, progress: ProgressCallback | None = None) -> list[Mismatch]:
        """Hash every object and return those whose content is not what their name says."""
        paths = list(self._object_paths())
        meter = ProgressMeter(progress, "verify", sum(path.stat().st_size for path in paths))
        found = []
        for path, digest in zip(
            paths, hash_files(paths, progress=meter.advance, return_exceptions=True), strict=True
        ):
            if isinstance(digest, FileDigest):
                if digest.sha256 != path.name:
                    name = f"objects/{path.parent.name}/{path.name}"
                    found.append(Mismatch(name, path.name, digest.sha256, str(self.root)))
            elif not isinstance(digest, FileNotFoundError):  # removed meanwhile
                raise digest
        return found

    # --- layout ---

    def object_path(self, sha256: str) -> Path:
        """Return where the content with this SHA-256 is, or would be."""
        return self.root / "objects" / sha256[:2] / sha256

    def _object_paths(self) -> Iterator[Path]:
        for folder in self._folders("objects"):
            yield from sorted(path for path in folder.iterdir() if _is_digest(path.name))

    def may_hold(self, size: int) -> bool:
        """Say whether some object may have this size; a file of another size cannot be stored already.

        It is a hint, and right either way: a file that is stored already, but was taken for a new one, is
        copied once for nothing.
        """
        return (self.root / "sizes" / str(size)).exists()

    def note_sizes(self, sizes: Iterable[int]) -> None:
        """Remember that there are objects of these sizes."""
        folder = self.root / "sizes"
        folder.mkdir(exist_ok=True)
        for size in sizes:
            (folder / str(size)).touch()

    def _incoming_path(self) -> Path:
        return self.root / "incoming" / uuid.uuid4().hex

    def _children(self, *names: str) -> list[Path]:
        folder = self.root.joinpath(*names)
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def _folders(self, *names: str) -> list[Path]:
        return [path for path in self._children(*names) if path.is_dir()]

    def _repo_folder(self, repo_id: RitualRepoId) -> Path:
        return self.root / "repos" / repo_id.owner / repo_id.name

    def _revision_path(self, repo_id: RitualRepoId, revision: str) -> Path:
        return self._repo_folder(repo_id) / "revisions" / revision

    def _label_path(self, repo_id: RitualRepoId, label: str) -> Path:
        return self._repo_folder(repo_id) / "versions" / label

    def _revisions(self, repo_id: RitualRepoId) -> list[str]:
        folder = self._repo_folder(repo_id) / "revisions"
        paths = [path for path in folder.iterdir() if _is_digest(path.name)] if folder.is_dir() else []
        return [path.name for path in sorted(paths, key=lambda p: (-p.stat().st_mtime_ns, p.name))]

    def _labels(self, repo_id: RitualRepoId) -> dict[str, str]:
        folder = self._repo_folder(repo_id) / "versions"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return {name: revision for name in names if (revision := _read_name(folder / name))}

    def _known_versions(self, repo_id: RitualRepoId) -> list[str]:
        return sorted(self._labels(repo_id))

    def read_label(self, repo_id: RitualRepoId) -> str | None:
        """Return the revision that the id's version label names, or None."""
        return _read_name(self._label_path(repo_id, repo_id.version)) if repo_id.version else None

    def make_visible(self, repo_id: RitualRepoId, revision: str, data: bytes, folder: Path) -> None:
        """Name a revision whose files are all there; the caller holds the lock.

        The revision comes first and its label last: a process that is killed between them leaves a store in
        which everything that is named is whole, and the next upload of the same finishes.

        Args:
            repo_id: The repository and, where there is one, the label.
            revision: The revision's name.
            data: Its manifest.
            folder: Where files may be written before they are visible.
        """
        revision_path = self._revision_path(repo_id, revision)
        if not _is_whole(revision_path):
            _put({revision_path: data}, folder)
        if self.read_label(repo_id) != revision:
            name = revision.encode()
            pointers = {self._repo_folder(repo_id) / "latest": name}
            if repo_id.version:
                pointers[self._label_path(repo_id, repo_id.version)] = name
            _put(pointers, folder)

    def url_of(self, repo_id: RitualRepoId, revision: str) -> str:
        """Return the `file:` address of a revision's manifest."""
        return self._revision_path(repo_id, revision).as_uri()


class _LocalUpload:
    """One upload into the store."""

    def __init__(self, store: LocalBackend, repo_id: RitualRepoId, folder: Path) -> None:
        self._store = store
        self._repo_id = repo_id
        self._folder = folder
        self._landed: dict[str, Path] = {}  # sha256 -> where the bytes wait
        self._stored: set[str] = set()  # objects that were there, with the right bytes
        self._landings = 0

    def read_files(self, plan: ArtifactPlan, progress: ProgressCallback | None) -> list[FileDigest]:
        """Land each file and hash it as it lands; only hash what may be stored already."""
        meter = ProgressMeter(progress, "upload", plan.size)
        labelled = self._store.read_label(self._repo_id) is not None  # a no-op or a conflict: copy nothing
        maybe_stored = [labelled or self._store.may_hold(file.size) for file in plan.files]
        known = [file for file, maybe in zip(plan.files, maybe_stored, strict=True) if maybe]
        fresh = [file for file, maybe in zip(plan.files, maybe_stored, strict=True) if not maybe]
        hashed = iter(
            hash_files([file.source for file in known], follow_symlinks=False, progress=meter.advance)
        )
        landed = iter(self._land(fresh, meter))
        return [next(hashed) if maybe else next(landed) for maybe in maybe_stored]

    def publish(
        self, manifest: Manifest, plan: ArtifactPlan, progress: ProgressCallback | None
    ) -> UploadResult:
        """Land what is missing, then name the version; see `UploadSession`."""
        if manifest.digest is None:
            message = "an artifact needs the size of every file before it can be stored"
            raise BackendError(message)
        revision = manifest.digest.removeprefix("sha256:")
        self._refuse_conflict(revision)
        sources = {e.sha256: file for e, file in zip(manifest.files, plan.files, strict=True)}
        while True:
            self._find_stored(sources)
            self._land_missing(sources, progress)
            with self._store.lock():
                if all(self._store.object_path(sha256).exists() for sha256 in self._stored):
                    self._refuse_conflict(revision)
                    sent = self._name_objects()
                    data = manifest.with_repo_id(self._repo_id.without_version()).to_bytes()
                    self._store.make_visible(self._repo_id, revision, data, self._folder)
                    break
            self._stored.clear()  # a garbage collection came between: look again
        return UploadResult(
            repo_id=self._repo_id,
            revision=revision,
            url=self._store.url_of(self._repo_id, revision),
            digest=manifest.digest,
            files=manifest.files,
            bytes_sent=sent,
            bytes_reused=manifest.size - sent,
        )

    def _refuse_conflict(self, revision: str) -> None:
        label = self._repo_id.version
        if label is not None and _is_digest(label) and label != revision:
            message = f"{self._repo_id}: a version label cannot be the digest of another artifact"
            raise ConflictError(message)
        named = self._store.read_label(self._repo_id)
        if named not in {None, revision}:
            message = (
                f"{self._repo_id} is already another artifact (sha256:{named}), and a version never changes; "
                f"upload under a new version"
            )
            raise ConflictError(message)

    def _find_stored(self, wanted: Iterable[str]) -> None:
        """Look which objects are there and whole; a damaged one is stored again."""
        candidates = [sha256 for sha256 in wanted if sha256 not in self._landed]
        paths = [self._store.object_path(sha256) for sha256 in candidates]
        found = hash_files(paths, return_exceptions=True)
        self._stored = {
            sha256
            for sha256, digest in zip(candidates, found, strict=True)
            if isinstance(digest, FileDigest) and digest.sha256 == sha256
        }

    def _land_missing(self, sources: dict[str, PlannedFile], progress: ProgressCallback | None) -> None:
        missing = [s for s in sources if s not in self._landed and s not in self._stored]
        files = [sources[sha256] for sha256 in missing]
        meter = ProgressMeter(progress, "upload", sum(file.size for file in files))
        for sha256, digest in zip(missing, self._land(files, meter), strict=True):
            if digest.sha256 != sha256:
                message = f"{digest.path} changed while it was uploaded; nothing was published"
                raise SourceChangedError(message)

    def _land(self, files: Sequence[PlannedFile], meter: ProgressMeter) -> list[FileDigest]:
        targets = [self._folder / str(self._landings + i) for i in range(len(files))]
        self._landings += len(files)
        pairs = [(file.source, target) for file, target in zip(files, targets, strict=True)]
        digests = copy_files(pairs, progress=meter.advance)
        self._landed |= {d.sha256: target for d, target in zip(digests, targets, strict=True)}
        return digests

    def _name_objects(self) -> int:
        """Move what has landed to where its digest says; the caller holds the lock."""
        sizes = []
        pairs = []
        for sha256, path in self._landed.items():
            target = self._store.object_path(sha256)
            make_folder(target.parent)
            _make_replaceable(target)
            sizes.append(path.stat().st_size)
            path.chmod(path.stat().st_mode & 0o444)  # read-only, for those whom the user's umask lets in
            pairs.append((path, target))
        self._store.note_sizes(sizes)
        rename_files(pairs)
        self._landed.clear()
        return sum(sizes)


def _put(contents: Mapping[Path, bytes], folder: Path) -> None:
    """Write small files, first in `folder`, where a killed process may leave them, then in their order."""
    pairs = []
    for index, (path, content) in enumerate(contents.items()):
        staged = folder / f"pointer-{index}"
        write_file(staged, content)
        make_folder(path.parent)
        pairs.append((staged, path))
    rename_files(pairs)


def _sweep(folder: Path) -> int:
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


def _make_replaceable(path: Path) -> None:
    """Let a read-only object be removed or replaced, which only Windows refuses."""
    if os.name == "nt":
        with contextlib.suppress(FileNotFoundError):
            path.chmod(0o666)


def _is_whole(revision_path: Path) -> bool:
    try:
        return Manifest.read(revision_path).digest == f"sha256:{revision_path.name}"
    except (FileNotFoundError, ManifestError):
        return False


def _is_digest(name: str) -> bool:
    return len(name) == _DIGEST_LENGTH and set(name) <= _HEX


def _read_name(path: Path) -> str | None:
    """Read a file that holds a revision; None where it is missing.

    Raises:
        IntegrityError: it holds something else.
    """
    try:
        name = path.read_bytes().decode(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not _is_digest(name):
        raise IntegrityError.of([Mismatch(path.name, "a revision", repr(name[:80]), str(path.parent))])
    return name


def _not_found(repo_id: RitualRepoId, versions: Sequence[str] = ()) -> ArtifactNotFoundError:
    known = f"; it has the versions {', '.join(versions)}" if versions else ""
    return ArtifactNotFoundError(f"the local store has no {repo_id}{known}")

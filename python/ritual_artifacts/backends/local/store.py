"""The local store as a backend, and operations on the whole store: list, remove, collect, verify."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyEntry, Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan
from ritual_artifacts.artifact.untrusted import MAX_MANIFEST_BYTES
from ritual_artifacts.backends.base import Backend, Revision, UploadSession
from ritual_artifacts.backends.local.layout import (
    Layout,
    digest_of,
    is_regular,
    is_revision,
    make_replaceable,
)
from ritual_artifacts.backends.local.options import LocalUploadOptions
from ritual_artifacts.backends.local.upload import open_upload, sweep
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import (
    DEFAULT_READ_SIZE,
    FileDigest,
    hash_files,
    make_folder,
    read_regular,
    rename_files,
    write_file,
)
from ritual_artifacts.errors import (
    MISSING,
    ArtifactNotFoundError,
    ConflictError,
    IntegrityError,
    ManifestError,
    Mismatch,
    RepoIdError,
)
from ritual_artifacts.repo_id import RitualRepoId

NEWEST: Final = "latest"
"""How listings show the newest version; no label can be this word, in any case."""

_NOT_REGULAR: Final = "not a regular file"
"""What a `Mismatch` found where something else has replaced an object or a manifest."""


@dataclass(frozen=True)
class StoredVersion:
    """One immutable version in the store.

    Attributes:
        repo_id: The repository, without a version.
        revision: Its immutable name, which begins with the artifact's digest.
        labels: The version labels that name it.
        latest: Whether the repository's id without a version names it.
        created: When it was first uploaded.
        manifest: Its manifest.
    """

    repo_id: RitualRepoId
    revision: str
    labels: tuple[str, ...]
    latest: bool
    created: datetime
    manifest: Manifest


class LocalRevision(Revision):
    """One version in the store; `name` begins with its artifact's digest."""

    def __init__(self, layout: Layout, repo_id: RitualRepoId, name: str) -> None:
        """Open a version that exists."""
        super().__init__(repo_id, name)
        self._layout = layout

    @property
    def digest(self) -> Digest:
        """The digest of the artifact."""
        return digest_of(self.name)

    def manifest_bytes(self) -> bytes:
        """Return the manifest file, unchecked; see `Revision`."""
        try:
            data = read_regular(self._layout.revision_path(self.repo_id, self.name), MAX_MANIFEST_BYTES + 1)
        except FileNotFoundError:
            raise _not_found(self.repo_id) from None
        if data is None:
            found = Mismatch(MANIFEST_FILENAME, self.digest, _NOT_REGULAR, str(self.repo_id))
            raise IntegrityError.of([found])
        return data

    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        """Yield a file's bytes, unchecked, from `offset` to its end; see `Revision`."""
        path = self._layout.object_path(entry.sha256)
        if os.path.lexists(path) and not is_regular(path):
            raise IntegrityError.of([Mismatch(entry.path, entry.sha256, _NOT_REGULAR, str(path))])
        try:
            file = path.open("rb")
        except FileNotFoundError:
            message = (
                f"the local store {self._layout.root} has lost the bytes of {entry.path!r} of {self.repo_id} "
                f"(revision {self.name}); upload the artifact again"
            )
            raise ArtifactNotFoundError(message) from None
        with file:
            file.seek(offset)
            while block := file.read(DEFAULT_READ_SIZE):
                yield block

    def local_path(self, entry: AnyEntry) -> Path | None:
        """Return the object that holds the file; None when something else has replaced it."""
        path = self._layout.object_path(entry.sha256)
        return path if is_regular(path) or not os.path.lexists(path) else None


class LocalBackend(Backend[LocalUploadOptions]):
    """The store below one folder.

    Attributes:
        layout: Its paths.
    """

    def __init__(self, root: Path) -> None:
        """Use the store below `root`; nothing is created before it is needed."""
        self.layout = Layout(root.expanduser().absolute())

    def upload_options(self, given: Mapping[str, Any]) -> LocalUploadOptions:
        """Check the options of an upload; see `Backend`."""
        return LocalUploadOptions.parse(given)

    # --- writing ---

    def start_upload(
        self, plan: ArtifactPlan, repo_id: RitualRepoId, options: LocalUploadOptions, context: Context
    ) -> AbstractContextManager[UploadSession]:
        """Start an upload; see `Backend`.

        Raises:
            RepoIdError: the version is the word that stands for the newest one.
        """
        del options  # there are none
        if _is_newest(repo_id):
            message = (
                f"{repo_id}: {repo_id.version!r} cannot be a version label, because it stands for the newest "
                f"version; upload under another label, or without one"
            )
            raise RepoIdError(message)
        return open_upload(self.layout, plan, repo_id, context)

    def remove(self, repo_id: RitualRepoId) -> int:
        """Remove a version, or the whole repository when the id has no version.

        Files stay until `collect_garbage`.

        Returns:
            The number of revisions that were removed. A revision that has another label stays. One that has
            lost its last label is removed, even if it was once uploaded without a label.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
            ConflictError: the version is a revision that still has labels.
        """
        with self.layout.lock():
            if repo_id.version is None:
                revisions = self.layout.revisions(repo_id)
                if not revisions:
                    raise _not_found(repo_id)
                self._remove_repo(repo_id)
                return len(revisions)
            revision = self.resolve(repo_id)
            named = sorted(k for k, v in self.layout.labels(repo_id).items() if v == revision)
            if named and repo_id.version not in named:
                message = f"{repo_id} still has a label; remove {', '.join(named)} instead"
                raise ConflictError(message)
            self.layout.label_path(repo_id, repo_id.version).unlink(missing_ok=True)
            if revision in self.layout.labels(repo_id).values():
                return 0
            newest_first = [name for name in self.layout.revisions(repo_id) if name != revision]
            if not newest_first:
                self._remove_repo(repo_id)
                return 1
            if self.layout.read_latest(repo_id) == revision:
                write_file(self.layout.latest_path(repo_id), newest_first[0].encode())
            self.layout.revision_path(repo_id, revision).unlink()
            return 1

    def _remove_repo(self, repo_id: RitualRepoId) -> None:
        """Remove a repository in one step, so that a killed process leaves all of it or nothing."""
        gone = self.layout.incoming_path()
        make_folder(gone.parent)
        rename_files([(self.layout.repo_folder(repo_id), gone)])
        shutil.rmtree(gone, ignore_errors=True)

    def collect_garbage(self) -> int:
        """Remove the files that no version names, and the leftovers of killed uploads.

        Returns:
            Bytes freed.

        Raises:
            ManifestError: a manifest cannot be read, so the files it names are not known; nothing is removed.
        """
        freed = 0
        with self.layout.lock():
            named = {entry.sha256 for version in self.list_versions() for entry in version.manifest.files}
            kept_sizes = set()
            for path in list(self.layout.object_paths()):
                size = path.lstat().st_size if is_regular(path) else 0
                if path.name in named:
                    kept_sizes.add(str(size))
                else:
                    make_replaceable(path)
                    path.unlink(missing_ok=True)
                    freed += size
            for hint in self.layout.size_hints():
                if hint.name not in kept_sizes:
                    hint.unlink()
            for folder in self.layout.incoming_folders():
                freed += sweep(folder)
        return freed

    # --- reading ---

    def open(self, repo_id: RitualRepoId) -> LocalRevision:
        """Open the version that the id names; see `Backend`."""
        return LocalRevision(self.layout, repo_id, self.resolve(repo_id))

    def resolve(self, repo_id: RitualRepoId) -> str:
        """Return the revision that the id names; a version is a label or a revision.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
            IntegrityError: the file that names the revision is damaged.
        """
        version = repo_id.version
        if version is None:
            revision = self.layout.read_latest(repo_id)
        elif is_revision(version) and self.layout.revision_path(repo_id, version).exists():
            revision = version
        else:
            revision = self.layout.read_label(repo_id)
        if revision is None:
            raise _not_found(repo_id, sorted(self.layout.labels(repo_id)))
        return revision

    def list_versions(self) -> Iterator[StoredVersion]:
        """Yield every version, ordered by repository, the newest first.

        Raises:
            ManifestError: a version's manifest cannot be read.
        """
        for repo_id in self.layout.repo_ids():
            latest = self.layout.read_latest(repo_id)
            labels = self.layout.labels(repo_id)
            for revision in self.layout.revisions(repo_id):
                path = self.layout.revision_path(repo_id, revision)
                with contextlib.suppress(FileNotFoundError):  # removed in the meantime
                    yield StoredVersion(
                        repo_id=repo_id,
                        revision=revision,
                        labels=tuple(sorted(k for k, v in labels.items() if v == revision)),
                        latest=revision == latest,
                        created=datetime.fromtimestamp(path.stat().st_mtime, tz=UTC),
                        manifest=Manifest.read(path),
                    )

    # --- verification ---

    def find_damage(self, context: Context) -> list[Mismatch]:
        """Hash every object and read every manifest.

        Args:
            context: The call that this belongs to.

        Returns:
            The objects that cannot be read or whose content does not match their name; then, for each
            version, a manifest that is not the version's own and the files whose object is missing.
        """
        return [*self._find_altered(context), *self._find_lost()]

    def _find_altered(self, context: Context) -> Iterator[Mismatch]:
        paths = list(self.layout.object_paths())
        meter = context.meter("verify", sum(path.lstat().st_size for path in paths if is_regular(path)))
        digests = hash_files(
            paths,
            follow_symlinks=False,
            max_workers=context.settings.max_workers,
            progress=meter.advance,
            return_exceptions=True,
        )
        for path, digest in zip(paths, digests, strict=True):
            if isinstance(digest, FileDigest):
                actual = digest.sha256
            elif isinstance(digest, FileNotFoundError):  # removed in the meantime
                continue
            else:
                actual = str(digest) if is_regular(path) else _NOT_REGULAR
            if actual != path.name:
                name = path.relative_to(self.layout.root).as_posix()
                yield Mismatch(name, path.name, actual, str(self.layout.root))

    def _find_lost(self) -> Iterator[Mismatch]:
        for repo_id in self.layout.repo_ids():
            for revision in self.layout.revisions(repo_id):
                path = self.layout.revision_path(repo_id, revision)
                version = f"{repo_id}/{revision}"
                expected = digest_of(revision)
                try:
                    manifest = Manifest.read(path)
                    digest = manifest.digest
                except FileNotFoundError:  # removed in the meantime
                    continue
                except ManifestError as error:
                    yield Mismatch(MANIFEST_FILENAME, expected, str(error), version)
                    continue
                if digest != expected:
                    yield Mismatch(MANIFEST_FILENAME, expected, digest, version)
                    continue
                lost = [e for e in manifest.files if not os.path.lexists(self.layout.object_path(e.sha256))]
                if path.exists():  # else the version and its files were removed in the meantime
                    yield from (Mismatch(e.path, e.sha256, MISSING, version) for e in lost)


def _is_newest(repo_id: RitualRepoId) -> bool:
    return repo_id.version is not None and repo_id.version.casefold() == NEWEST


def _not_found(repo_id: RitualRepoId, versions: Sequence[str] = ()) -> ArtifactNotFoundError:
    hint = f"; it has the versions {', '.join(versions)}" if versions else ""
    if _is_newest(repo_id):
        hint = f"; the newest version is {repo_id.without_version()}, without a version label"
    return ArtifactNotFoundError(f"the local store has no {repo_id}{hint}")

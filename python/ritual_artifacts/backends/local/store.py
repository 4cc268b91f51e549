"""The store as a backend, and what is done to all of it: listing, removal, collection, verification."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ritual_artifacts.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.backends.base import UploadSession
from ritual_artifacts.backends.local.layout import Layout, is_regular, make_replaceable
from ritual_artifacts.backends.local.upload import open_upload, sweep
from ritual_artifacts.core.hashing import (
    DEFAULT_READ_SIZE,
    FileDigest,
    hash_files,
    is_sha256,
    make_folder,
    read_regular,
    rename_files,
    write_file,
)
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    IntegrityError,
    ManifestError,
    Mismatch,
)
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.verification import MISSING

NOT_REGULAR: Final = "not a regular file"
"""What is found where something else has taken the place of an object or manifest."""


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
    """The store below one folder.

    Attributes:
        layout: Where everything is in it.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        """Use the store below `root` (default `RITUAL_STORE_DIR`); nothing is created before it is needed."""
        self.layout = Layout(
            load_settings().store_dir if root is None else Path(root).expanduser().absolute()
        )

    # --- writing ---

    def start_upload(
        self, repo_id: RitualRepoId, options: Mapping[str, Any]
    ) -> AbstractContextManager[UploadSession]:
        """Start an upload, which takes no options here; see `Backend`."""
        if options:
            message = f"an upload to the local store takes no options, but got {', '.join(sorted(options))}"
            raise BackendError(message)
        return open_upload(self.layout, repo_id)

    def remove(self, repo_id: RitualRepoId) -> int:
        """Remove a version, or the whole repository where the id names no version.

        Files stay until `collect_garbage`.

        Returns:
            How many revisions are gone. A revision that another label still names stays. One that no label
            names any more goes, even if it was once uploaded without a label.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
            ConflictError: the version is a revision that labels name.
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
                message = f"{repo_id} is what the label {named[0]} names; remove {', '.join(named)} instead"
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
        """Remove a repository in one step: a process that is killed leaves all of it or none."""
        gone = self.layout.incoming_path()
        make_folder(gone.parent)
        rename_files([(self.layout.repo_folder(repo_id), gone)])
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

    def resolve(self, repo_id: RitualRepoId) -> str:
        """Return the revision that the id names; a version is a label or a revision. See `Backend`."""
        version = repo_id.version
        if version is None:
            revision = self.layout.read_latest(repo_id)
        elif is_sha256(version) and self.layout.revision_path(repo_id, version).exists():
            revision = version
        else:
            revision = self.layout.read_label(repo_id)
        if revision is None:
            raise _not_found(repo_id, sorted(self.layout.labels(repo_id)))
        return revision

    def read_manifest(self, repo_id: RitualRepoId, revision: str) -> bytes:
        """Return a revision's manifest; see `Backend`."""
        try:
            data = read_regular(self.layout.revision_path(repo_id, revision), MAX_MANIFEST_BYTES + 1)
        except FileNotFoundError:
            raise _not_found(repo_id) from None
        if data is None:
            found = Mismatch(MANIFEST_FILENAME, f"sha256:{revision}", NOT_REGULAR, str(repo_id))
            raise IntegrityError.of([found])
        return data

    def read_file(
        self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry, *, offset: int = 0
    ) -> Iterator[bytes]:
        """Stream a file; see `Backend`."""
        path = self.layout.object_path(entry.sha256)
        if os.path.lexists(path) and not is_regular(path):
            raise IntegrityError.of([Mismatch(entry.path, entry.sha256, NOT_REGULAR, str(path))])
        try:
            file = path.open("rb")
        except FileNotFoundError:
            message = (
                f"the local store {self.layout.root} has lost the bytes of {entry.path!r} of {repo_id} "
                f"(revision {revision}); upload the artifact again"
            )
            raise ArtifactNotFoundError(message) from None
        with file:
            file.seek(offset)
            while block := file.read(DEFAULT_READ_SIZE):
                yield block

    def find_local_file(self, repo_id: RitualRepoId, revision: str, entry: ManifestEntry) -> Path | None:
        """Return the object that holds the file; None where something else is in its place. See `Backend`."""
        del repo_id, revision  # the content alone says where it is
        path = self.layout.object_path(entry.sha256)
        return path if is_regular(path) or not os.path.lexists(path) else None

    def list_versions(self) -> Iterator[StoredVersion]:
        """List every version, by repository, the newest first.

        Raises:
            ManifestError: a version's manifest cannot be read.
        """
        for repo_id in self.layout.repo_ids():
            latest = self.layout.read_latest(repo_id)
            labels = self.layout.labels(repo_id)
            for revision in self.layout.revisions(repo_id):
                path = self.layout.revision_path(repo_id, revision)
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    yield StoredVersion(
                        repo_id=repo_id,
                        revision=revision,
                        labels=tuple(sorted(k for k, v in labels.items() if v == revision)),
                        latest=revision == latest,
                        created=datetime.fromtimestamp(path.stat().st_mtime, tz=UTC),
                        manifest=Manifest.read(path),
                    )

    # --- verification ---

    def find_damage(self, progress: ProgressCallback | None = None) -> list[Mismatch]:
        """Hash every object and read every manifest.

        Returns:
            The objects that cannot be read or whose content is not what their name says; then, by version, a
            manifest that is not the version's and the files whose object is gone.
        """
        return [*self._find_altered(progress), *self._find_lost()]

    def _find_altered(self, progress: ProgressCallback | None) -> Iterator[Mismatch]:
        paths = list(self.layout.object_paths())
        sizes = (path.lstat().st_size for path in paths if is_regular(path))
        meter = ProgressMeter(progress, "verify", sum(sizes))
        digests = hash_files(paths, follow_symlinks=False, progress=meter.advance, return_exceptions=True)
        for path, digest in zip(paths, digests, strict=True):
            if isinstance(digest, FileDigest):
                actual = digest.sha256
            elif isinstance(digest, FileNotFoundError):  # removed meanwhile
                continue
            else:
                actual = str(digest) if is_regular(path) else NOT_REGULAR
            if actual != path.name:
                name = path.relative_to(self.layout.root).as_posix()
                yield Mismatch(name, path.name, actual, str(self.layout.root))

    def _find_lost(self) -> Iterator[Mismatch]:
        for repo_id in self.layout.repo_ids():
            for revision in self.layout.revisions(repo_id):
                path = self.layout.revision_path(repo_id, revision)
                version = f"{repo_id}/{revision}"
                promised = f"sha256:{revision}"
                try:
                    manifest = Manifest.read(path)
                    digest = manifest.digest
                except FileNotFoundError:  # removed meanwhile
                    continue
                except ManifestError as error:
                    yield Mismatch(MANIFEST_FILENAME, promised, str(error), version)
                    continue
                if digest != promised:
                    yield Mismatch(MANIFEST_FILENAME, promised, str(digest), version)
                    continue
                lost = [e for e in manifest.files if not os.path.lexists(self.layout.object_path(e.sha256))]
                if path.exists():  # else it was removed meanwhile, and its files with it
                    yield from (Mismatch(e.path, e.sha256, MISSING, version) for e in lost)


def _not_found(repo_id: RitualRepoId, versions: Sequence[str] = ()) -> ArtifactNotFoundError:
    known = f"; it has the versions {', '.join(versions)}" if versions else ""
    return ArtifactNotFoundError(f"the local store has no {repo_id}{known}")

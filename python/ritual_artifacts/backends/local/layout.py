"""Paths in the local store, and the content of its small files. Decides nothing about versions."""

import contextlib
import errno
import logging
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.core.hashing import is_sha256, make_folder, read_regular
from ritual_artifacts.errors import IntegrityError, Mismatch, RepoIdError
from ritual_artifacts.locks import ProcessLock
from ritual_artifacts.repo_id import RitualRepoId, StorageId

log = logging.getLogger(__name__)

_POINTER_BYTES: Final = 200
"""More than a revision and a line end need."""
_REVISION: Final = re.compile(r"([0-9a-f]{64})(-[0-9a-f]{16})?", re.ASCII)


def is_revision(text: str) -> bool:
    """Return whether `text` has the form of a revision's name; see `revision_name`."""
    return _REVISION.fullmatch(text) is not None


def digest_of(revision: str) -> Digest:
    """Return the artifact's digest, which a revision's name begins with."""
    return Digest.from_hex(revision.partition("-")[0])


def revision_name(manifest: Manifest, *, first: bool) -> str:
    """Return the name of the revision that has this manifest.

    Canonical JSON writes 1 and 1.0 alike, so manifests that differ can have one digest. Each of them is a
    revision of its own.

    Args:
        manifest: The manifest.
        first: Whether no other manifest of the repository has this digest; else a hash of the fields follows.
    """
    return manifest.digest.hex if first else f"{manifest.digest.hex}-{manifest.fields_hash[:16]}"


@dataclass(frozen=True)
class Layout:
    """The folders and files below one root; see the package for the drawing.

    Attributes:
        root: The store's folder, which need not exist.
    """

    root: Path

    def lock(self) -> ProcessLock:
        """Return the lock that guards what is visible in the store."""
        make_folder(self.root)
        return ProcessLock(self.root / "lock")

    # --- contents ---

    def object_path(self, sha256: str) -> Path:
        """Return where the content with this SHA-256 is, or would be."""
        return self.root / "objects" / sha256[:2] / sha256

    def object_paths(self) -> Iterator[Path]:
        """Yield every stored content, ordered by digest."""
        for folder in _folders(self.root / "objects"):
            yield from (path for path in _children(folder) if is_sha256(path.name))

    def size_hints(self) -> list[Path]:
        """Return the files that `note_sizes` made; each is named after a size."""
        return _children(self.root / "sizes")

    def may_hold(self, size: int) -> bool:
        """Return whether an object may have this size; a file of another size cannot be stored already.

        This is only a hint. When it is wrong, a file that is stored already is copied once more.
        """
        return (self.root / "sizes" / str(size)).exists()

    def note_sizes(self, sizes: Iterable[int]) -> None:
        """Remember that there are objects of these sizes."""
        folder = self.root / "sizes"
        folder.mkdir(exist_ok=True)
        for size in sizes:
            (folder / str(size)).touch()

    # --- uploads ---

    def incoming_path(self) -> Path:
        """Return a new folder for files that are not visible yet."""
        return self.root / "incoming" / uuid.uuid4().hex

    def incoming_folders(self) -> list[Path]:
        """Return the folders of all uploads, running and killed."""
        return _folders(self.root / "incoming")

    # --- repositories ---

    def repo_ids(self) -> Iterator[RitualRepoId]:
        """Yield every repository, ordered by owner and name; folders that cannot be repositories are skipped.

        Raises:
            NotADirectoryError: the root is not a folder.
        """
        if os.path.lexists(self.root) and not self.root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.root))
        for owner in _folders(self.root / "repos"):
            for folder in _folders(owner):
                try:
                    yield RitualRepoId(storage=StorageId.Local, owner=owner.name, name=folder.name)
                except RepoIdError:
                    log.info("skipping %s: not the folder of a repository", folder)

    def repo_folder(self, repo_id: RitualRepoId) -> Path:
        """Return the folder that holds all versions of a repository."""
        return self.root / "repos" / repo_id.owner / repo_id.name

    def latest_path(self, repo_id: RitualRepoId) -> Path:
        """Return the file that names the newest revision."""
        return self.repo_folder(repo_id) / "latest"

    def revision_path(self, repo_id: RitualRepoId, revision: str) -> Path:
        """Return where the manifest of a revision is."""
        return self.repo_folder(repo_id) / "revisions" / revision

    def label_path(self, repo_id: RitualRepoId, label: str) -> Path:
        """Return the file that names a label's revision."""
        return self.repo_folder(repo_id) / "versions" / label

    def revisions(self, repo_id: RitualRepoId) -> list[str]:
        """Return a repository's revisions, the newest first."""
        paths = [p for p in _children(self.repo_folder(repo_id) / "revisions") if is_revision(p.name)]
        return [path.name for path in sorted(paths, key=lambda p: (-p.stat().st_mtime_ns, p.name))]

    def labels(self, repo_id: RitualRepoId) -> dict[str, str]:
        """Return the revision of each label of a repository.

        Raises:
            IntegrityError: the file of a label does not hold a revision.
        """
        paths = _children(self.repo_folder(repo_id) / "versions")
        return {path.name: revision for path in paths if (revision := _read_pointer(path))}

    def read_label(self, repo_id: RitualRepoId) -> str | None:
        """Return the revision that the id's version label names, or None.

        Raises:
            IntegrityError: the file of the label does not hold a revision.
        """
        return _read_pointer(self.label_path(repo_id, repo_id.version)) if repo_id.version else None

    def read_latest(self, repo_id: RitualRepoId) -> str | None:
        """Return the repository's newest revision, or None.

        Raises:
            IntegrityError: the file `latest` does not hold a revision.
        """
        return _read_pointer(self.latest_path(repo_id))


def is_regular(path: Path) -> bool:
    """Return whether the path is a regular file, as every object is; a link to a file is not."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def make_replaceable(path: Path) -> None:
    """Make it possible to remove or replace what is at an object's path: a read-only file, or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.name == "nt":  # which refuses to replace a read-only file
        with contextlib.suppress(FileNotFoundError):
            path.chmod(0o666)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _folders(folder: Path) -> list[Path]:
    return [path for path in _children(folder) if path.is_dir()]


def _read_pointer(path: Path) -> str | None:
    """Read a file that holds a revision; None when it is missing."""
    try:
        data = read_regular(path, _POINTER_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    name = "not a regular file" if data is None else data.decode(errors="replace").strip()
    if not is_revision(name):
        raise IntegrityError.of([Mismatch(path.name, "a revision", repr(name[:80]), str(path.parent))])
    return name

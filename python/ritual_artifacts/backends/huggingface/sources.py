"""Files on their way to the Hub, each checked to be what the manifest says."""

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, TypeAlias, cast

from huggingface_hub import CommitOperationAdd

from ritual_artifacts.artifact.planning import PlannedFile
from ritual_artifacts.backends.base import RemoteFile
from ritual_artifacts.core.hashing import FileDigest, hash_files, open_at_once
from ritual_artifacts.errors import BackendError, SourceChangedError

MAX_HELD_BYTES: Final = 16 << 20
"""A larger file is not kept in memory; as a rule, the Hub stores only smaller ones in the commit itself."""

_SMALL: Final = 4096
"""A file of at most this many bytes is read as a whole when its beginning is needed, and not again."""
_SAMPLE_SIZE: Final = 512
"""Bytes of a file's beginning by which the Hub decides how it stores the file."""

Report: TypeAlias = Callable[[int, int], object]
"""Called with the numbers of bytes and of files that were read to be sent; what it raises ends the upload."""
Stamp: TypeAlias = tuple[int, int, int, int]


class Addition(CommitOperationAdd):
    """One file of a commit, whose SHA-256 is known, so that the library does not hash it.

    A file that is part of the commit itself is read once, verified, and kept until the commit is made. A file
    that goes to the storage for large files is streamed from its place.
    """

    report: Report = staticmethod(lambda _size, _files: None)

    def __init__(
        self, path: str, source: Path | bytes, sha256: str, size: int, git_sha1: str | None = None
    ) -> None:
        """Prepare to add a file.

        Args:
            path: Its name in the repository.
            source: Where it is, or its content.
            sha256: SHA-256 of its content in lower-case hex.
            size: Its size in bytes.
            git_sha1: Its git object id, if it is known.
        """
        self._sha256 = sha256
        self._size = size
        self._git_sha1 = git_sha1
        self._place = Path(path) if isinstance(source, bytes) else source.absolute()
        known = source if isinstance(source, bytes) else _read_beginning(source, size)
        self._held = self._checked(known) if len(known) == size else None
        try:
            super().__init__(path_in_repo=path, path_or_fileobj=known)
        except ValueError as error:
            raise BackendError(str(error)) from None
        if self.path_in_repo != path:
            message = f"the Hub cannot store a file called {path!r}"
            raise BackendError(message)
        if self._held is None:  # set afterwards: the library would read from the file
            self.path_or_fileobj = str(self._place)
        self.upload_info.size = size
        self.upload_info.sha256 = bytes.fromhex(sha256)

    @classmethod
    def of_file(cls, path: str, digest: FileDigest) -> Self:
        """Prepare to add a file that was hashed.

        Args:
            path: Its name in the repository.
            digest: Its place, size and digests.
        """
        return cls(path, Path(digest.path), digest.sha256, digest.size, digest.git_sha1)

    @classmethod
    def of_bytes(cls, path: str, data: bytes) -> Self:
        """Prepare to add a file that is not on the disk."""
        git_sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        return cls(path, data, hashlib.sha256(data).hexdigest(), len(data), git_sha1)

    @contextlib.contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:  # noqa: FBT001, FBT002 - the library's signature
        """Open the file for the library, which asks for a progress bar when it streams to the LFS storage."""
        if not with_tqdm:  # for the commit itself, as a whole
            yield io.BytesIO(self.read())
            return
        with super().as_file() as file:
            yield cast("BinaryIO", _Counted(file, self.report))
        self.report(0, 1)

    def read(self) -> bytes:
        """Return the content, which is kept if it is small.

        Raises:
            SourceChangedError: it has changed since it was hashed.
        """
        if self._held is None:
            data = self._checked(self._place.read_bytes())
            if len(data) > MAX_HELD_BYTES:
                return data
            self._held = data
        return self._held

    def _checked(self, data: bytes) -> bytes:
        """Return the content.

        Raises:
            SourceChangedError: it has changed since it was hashed.
        """
        if hashlib.sha256(data).hexdigest() != self._sha256:
            raise _changed(self._place)
        return data

    def is_stored_as(self, remote: RemoteFile | None) -> bool:
        """Return whether the repository already has this content under this name.

        Raises:
            SourceChangedError: the content has changed since it was hashed.
        """
        if remote is None or remote.size != self._size:
            return False
        if remote.sha256 is not None:
            return remote.sha256 == self._sha256
        if self._git_sha1 is None:  # a large file that a server keeps in the commit itself all the same
            [digest] = hash_files([self._place], follow_symlinks=False, git_sha1_max_size=self._size)
            if digest.sha256 != self._sha256:
                raise _changed(self._place)
            self._git_sha1 = digest.git_sha1
        return remote.git_sha1 == self._git_sha1


class _Counted(io.RawIOBase):
    """A file that reports how much of it was read."""

    def __init__(self, file: BinaryIO, report: Report) -> None:
        self._file = file
        self._report = report

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._report(len(data), 0)
        return data

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - the interpreter's signature
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


def take_stamps(files: Sequence[PlannedFile]) -> list[Stamp]:
    """Return what identifies each file's content without reading it: size, times and inode."""
    stats = [file.source.stat(follow_symlinks=False) for file in files]
    return [(s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for s in stats]


def refuse_changed(files: Sequence[PlannedFile], stamps: Sequence[Stamp]) -> None:
    """Check that files have the stamps that they had before they were hashed.

    Raises:
        SourceChangedError: one does not, so the bytes that were sent may differ from those that were hashed.
    """
    for file, before in zip(files, stamps, strict=True):
        try:
            now = take_stamps([file])[0]
        except OSError:
            raise _changed(file.source) from None
        if now != before:
            raise _changed(file.source)


def _read_beginning(path: Path, size: int) -> bytes:
    """Read the beginning of a file; all of it if it is small.

    Raises:
        SourceChangedError: it is no longer a file of this size.
    """
    wanted = size if size <= _SMALL else _SAMPLE_SIZE
    try:
        with open(path, "rb", buffering=0, opener=open_at_once) as file:
            status = os.fstat(file.fileno())
            data = file.read(wanted)
    except OSError:
        raise _changed(path) from None
    if not stat.S_ISREG(status.st_mode) or status.st_size != size or len(data) != wanted:
        raise _changed(path)
    return data


def _changed(path: Path) -> SourceChangedError:
    return SourceChangedError(f"{path} changed while it was uploaded; nothing was published")

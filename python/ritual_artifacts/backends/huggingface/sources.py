"""Files on their way to the Hub, each proven to be what the manifest says."""

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
from ritual_artifacts.core.hashing import open_at_once
from ritual_artifacts.errors import BackendError, SourceChangedError

_MAX_HELD_BYTES: Final = 16 << 20
"""A larger file is not kept in memory; the Hub has only smaller ones, as a rule, in the commit itself."""

_SMALL: Final = 4096
"""A file of so many bytes is read as a whole when its beginning is, and not once more."""
_SAMPLE_SIZE: Final = 512
"""Bytes of a file's beginning by which the Hub decides where the file goes."""
_BLOCK_SIZE: Final = 1 << 20

Stamp: TypeAlias = tuple[int, int, int, int]


def _report_to_nobody(size: int, files: int) -> None:
    """Do nothing with what was read."""


class Addition(CommitOperationAdd):
    """One file of a commit, whose SHA-256 is known, so that nobody hashes it again.

    What the commit itself carries is read once, verified, and kept until the commit is there. What goes to
    the storage for large files is streamed from where it lies.
    """

    report: Callable[[int, int], object] = staticmethod(_report_to_nobody)
    """Called with the numbers of bytes, and of files, that were read to be sent."""

    def __init__(self, path: str, source: Path | bytes, sha256: str, size: int) -> None:
        """Prepare to add a file.

        Args:
            path: Its name in the repository.
            source: Where its bytes are, or the bytes.
            sha256: Their SHA-256 in lower-case hex.
            size: Their number.
        """
        self.expected_sha256 = sha256
        self.expected_size = size
        self._place = Path(path) if isinstance(source, bytes) else source.absolute()
        self._git_sha1: str | None = None
        known = source if isinstance(source, bytes) else _read_beginning(source, size)
        self._held = self._checked(known) if len(known) == size else None
        try:
            super().__init__(path_in_repo=path, path_or_fileobj=known)
        except ValueError as error:
            raise BackendError(str(error)) from None
        if self.path_in_repo != path:
            message = f"the Hub has no place for a file called {path!r}"
            raise BackendError(message)
        if self._held is None:  # not before: the library would read a block of the file
            self.path_or_fileobj = str(self._place)
        self.upload_info.size = size
        self.upload_info.sha256 = bytes.fromhex(sha256)

    @classmethod
    def of_bytes(cls, path: str, data: bytes) -> Self:
        """Prepare to add a file that is not on the disk."""
        return cls(path, data, hashlib.sha256(data).hexdigest(), len(data))

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
        """Return the content, which is kept where it is small.

        Raises:
            SourceChangedError: it is no longer what was hashed.
        """
        if self._held is None:
            data = self._checked(self._place.read_bytes())
            if len(data) > _MAX_HELD_BYTES:
                return data
            self._held = data
        return self._held

    def _checked(self, data: bytes) -> bytes:
        """Return the content.

        Raises:
            SourceChangedError: it is no longer what was hashed.
        """
        if hashlib.sha256(data).hexdigest() != self.expected_sha256:
            raise _changed(self._place)
        return data

    def _hash_as_git(self) -> str:
        """Return git's name for the file, of which nothing more is kept than is sent.

        Raises:
            SourceChangedError: it is no longer what was hashed.
        """
        sha1 = hashlib.sha1(b"blob %d\0" % self.expected_size, usedforsecurity=False)
        if self.expected_size <= _MAX_HELD_BYTES:
            sha1.update(self.read())
            return sha1.hexdigest()
        sha256 = hashlib.sha256()
        with self._place.open("rb") as file:
            while block := file.read(_BLOCK_SIZE):
                sha1.update(block)
                sha256.update(block)
        if sha256.hexdigest() != self.expected_sha256:
            raise _changed(self._place)
        return sha1.hexdigest()

    def is_stored_as(self, remote: RemoteFile | None) -> bool:
        """Say whether the repository has this very content under this name already."""
        if remote is None or remote.size != self.expected_size:
            return False
        if remote.sha256 is not None:
            return remote.sha256 == self.expected_sha256
        if self._git_sha1 is None:
            self._git_sha1 = self._hash_as_git()
        return remote.git_sha1 == self._git_sha1


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, report: Callable[[int, int], object]) -> None:
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
    """Note what files look like from outside."""
    stats = [file.source.stat(follow_symlinks=False) for file in files]
    return [(s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for s in stats]


def refuse_changed(files: Sequence[PlannedFile], stamps: Sequence[Stamp]) -> None:
    """Check that files look as they did before they were hashed.

    Raises:
        SourceChangedError: one does not, so what was sent may be something else than what was hashed.
    """
    for file, before in zip(files, stamps, strict=True):
        try:
            now = take_stamps([file])[0]
        except OSError:
            raise _changed(file.source) from None
        if now != before:
            raise _changed(file.source)


def _read_beginning(path: Path, size: int) -> bytes:
    """Read as much of a file as is needed to ask where it goes; all of it where it is small.

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

"""Reading for `hash`: digests of files, all in one call, and of streams (standard input, pipes, devices)."""

import errno
import hashlib
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from ritual_artifacts.cli.output import progress_bar
from ritual_artifacts.core.hashing import DEFAULT_READ_SIZE, ByteCallback, FileDigest
from ritual_artifacts.errors import ArtifactModelError, SourceChangedError
from ritual_artifacts.events import ProgressMeter
from ritual_artifacts.hashing import hash_files

STDIN = "-"
"""The name of standard input."""


@dataclass(frozen=True, slots=True)
class StreamDigest:
    """The size in bytes and the SHA-256 in lower-case hex of a stream's content."""

    size: int
    sha256: str


Reading: TypeAlias = FileDigest | StreamDigest | Exception
"""The result of reading one name."""


def read_digests(names: Sequence[str], *, streams: Collection[str] = ()) -> list[Reading]:
    """Hash files and streams, and return one result per name, in order.

    Args:
        names: Files; `-` is standard input.
        streams: Names that the user gave explicitly. These may also be pipes (such as `<(command)`), devices,
            and files without a size, such as those in `/proc`. For all other names this is an error, because
            reading might never end.
    """
    files = [name for name in names if name != STDIN]
    typed = len(files) < len(names) and sys.stdin is not None and sys.stdin.isatty()
    # A progress bar would overwrite the user's input.
    with nullcontext() if typed else progress_bar() as progress:
        total = _sum_sizes(files) if progress is not None and len(files) == len(names) else 0
        meter = ProgressMeter(progress, "hash", total)
        found = iter(hash_files(files, progress=meter.advance, return_exceptions=True))
        readings: list[Reading] = [
            _read_stream(name, meter.advance) if name == STDIN else next(found) for name in names
        ]
        for index, (name, reading) in enumerate(zip(names, readings, strict=True)):
            if isinstance(reading, Exception) and name in streams and _is_stream(name, reading):
                readings[index] = _read_stream(name, meter.advance)
    return readings


def _sum_sizes(names: Iterable[str]) -> int:
    total = 0
    for name in names:
        try:
            total += os.stat(name).st_size  # noqa: PTH116 - quicker without a Path
        except OSError:  # reported when the file is hashed
            continue
    return total


def _is_stream(name: str, error: Exception) -> bool:
    """Return whether a name that `hash_files` refused can be read as a stream."""
    match error:
        case ArtifactModelError():  # not a regular file
            return True
        case SourceChangedError():  # its content is longer than its size
            return _sum_sizes([name]) == 0
        case _:
            return False


def open_stdin() -> BinaryIO:
    """Return standard input.

    Raises:
        OSError: it was closed when this process started.
    """
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdin.buffer


def _read_stream(name: str, progress: ByteCallback) -> StreamDigest | OSError:
    """Hash the content of a stream in constant memory."""
    try:
        if name == STDIN:
            return _hash_stream(open_stdin().fileno(), progress)
        with open(name, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path would change the name
            return _hash_stream(stream.fileno(), progress)
    except OSError as error:
        return error


def _hash_stream(descriptor: int, progress: ByteCallback) -> StreamDigest:
    digest, size = hashlib.sha256(), 0
    # A file object returns None if there is no data yet, which looks like the end; `os.read` raises.
    while block := os.read(descriptor, DEFAULT_READ_SIZE):
        digest.update(block)
        size += len(block)
        progress(len(block))
    return StreamDigest(size, digest.hexdigest())

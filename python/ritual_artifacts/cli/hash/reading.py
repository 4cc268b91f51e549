"""The digests of files, all hashed in one call, and of streams: standard input, pipes and devices."""

import errno
import hashlib
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from ritual_artifacts.cli.output import progress_bar
from ritual_artifacts.errors import ArtifactModelError, SourceChangedError
from ritual_artifacts.hashing import DEFAULT_READ_SIZE, ByteCallback, FileDigest, hash_files
from ritual_artifacts.progress import ProgressMeter

STDIN = "-"
"""The name of standard input."""


@dataclass(frozen=True, slots=True)
class StreamDigest:
    """What a stream held: its size in bytes and its SHA-256 in lower-case hex."""

    size: int
    sha256: str


Reading: TypeAlias = FileDigest | StreamDigest | Exception
"""What came of reading one name."""


def read_digests(names: Sequence[str], *, streams: Collection[str] = ()) -> list[Reading]:
    """Hash what `names` name, with one item per name in their order.

    Args:
        names: Files; `-` is standard input.
        streams: Names that a person gave on purpose: these may also be pipes (as `<(command)` makes them),
            devices, and files of no stated size, such as those in `/proc`. Elsewhere such a name is an error,
            for it may never end.
    """
    files = [name for name in names if name != STDIN]
    with progress_bar() as progress:
        total = _sum_sizes(files) if progress is not None and len(files) == len(names) else 0
        meter = ProgressMeter(progress, "hash", total)
        found = iter(hash_files(files, progress=meter.advance, return_exceptions=True))
        readings: list[Reading] = [
            _read_stdin(meter.advance) if name == STDIN else next(found) for name in names
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
        except OSError:  # hashing will say it
            continue
    return total


def _is_stream(name: str, error: Exception) -> bool:
    """Say whether a name that `hash_files` refused can be read as a stream."""
    match error:
        case ArtifactModelError():  # no regular file
            return True
        case SourceChangedError():  # it held more than it said
            return os.stat(name).st_size == 0  # noqa: PTH116 - as above
        case _:
            return False


def _read_stdin(progress: ByteCallback) -> StreamDigest | OSError:
    if sys.stdin is None:  # closed by whoever started us
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        return _hash_stream(sys.stdin.buffer, progress)
    except OSError as error:
        return error


def _read_stream(name: str, progress: ByteCallback) -> StreamDigest | OSError:
    try:
        with open(name, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path would change the name
            return _hash_stream(stream, progress)
    except OSError as error:
        return error


def _hash_stream(stream: BinaryIO, progress: ByteCallback) -> StreamDigest:
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(DEFAULT_READ_SIZE))
    while count := stream.readinto(buffer):
        digest.update(buffer[:count])
        size += count
        progress(count)
    return StreamDigest(size, digest.hexdigest())

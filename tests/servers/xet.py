"""The folder store of hf-xet (`local://…`), read as far as a hub must: which file has which digest, where.

Layout (xet-core's shard and xorb formats): a shard is a header of 48 bytes and records of 48 bytes. Each file
has a record with its hash, flags and number of segments, then its segments, then, where a flag says so, as
many records for verification and one with its SHA-256. A xorb is a row of chunks with headers of 8 bytes.
"""

import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hf_xet

RECORD_SIZE = 48
WITH_VERIFICATION = 1 << 31
WITH_SHA256 = 1 << 30
END = b"\xff" * 32
TOKEN_LIFETIME = 3600  # seconds


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Some chunks of a xorb, by their index."""

    xorb: str
    size: int
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class XetFile:
    """A file as a shard describes it; hashes are hex."""

    hash: str
    sha256: str | None
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self.segments)


class XetStore:
    """A folder that hf-xet reads and writes as if it were the storage service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True)
        self.url = f"local://{folder}"
        self._lock = threading.Lock()

    def find(self, sha256: str) -> XetFile | None:
        """Return the file that was uploaded under a SHA-256, which nobody has checked."""
        return next((file for file in self._files() if file.sha256 == sha256), None)

    def extract(self, file: XetFile, target: Path) -> None:
        """Put the chunks of a file together."""
        expires = int(time.time()) + TOKEN_LIFETIME
        with (
            self._lock,
            hf_xet.XetSession().new_file_download_group(
                endpoint=self.url, token="loopback", token_expiry_unix_secs=expires, custom_headers={}
            ) as group,
        ):
            group.start_download_file(hf_xet.XetFileInfo(file.hash, file.size), str(target))

    def flip_bit(self, sha256: str) -> None:
        """Flip one bit in the middle of a stored file."""
        file = self.find(sha256)
        assert file is not None, f"nothing was uploaded as {sha256}"
        segment = file.segments[len(file.segments) // 2]
        path = self.folder / "xet" / "xorbs" / "xorbs" / f"default.{segment.xorb}"
        xorb = bytearray(path.read_bytes())
        start = 0
        for _ in range((segment.first + segment.last) // 2):
            start += 8 + int.from_bytes(xorb[start + 1 : start + 4], "little")
        assert xorb[start + 4] == 0, "a compressed chunk cannot lose a bit unnoticed: use random content"
        xorb[start + 8 + int.from_bytes(xorb[start + 1 : start + 4], "little") // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(xorb)

    def _files(self) -> Iterator[XetFile]:
        for path in sorted((self.folder / "xet" / "xorbs" / "shards").glob("*.mdb")):
            yield from _read_shard(path.read_bytes())


def _read_shard(data: bytes) -> Iterator[XetFile]:
    place = RECORD_SIZE
    while data[place : place + 32] != END:
        file_hash = data[place : place + 32]
        flags, count = struct.unpack_from("<II", data, place + 32)
        place += RECORD_SIZE
        segments = tuple(_read_segment(data, place + index * RECORD_SIZE) for index in range(count))
        place += RECORD_SIZE * count * (2 if flags & WITH_VERIFICATION else 1)
        sha256 = None
        if flags & WITH_SHA256:
            sha256 = _hex(data[place : place + 32])
            place += RECORD_SIZE
        yield XetFile(hash=_hex(file_hash), sha256=sha256, segments=segments)


def _read_segment(data: bytes, place: int) -> Segment:
    _, size, first, last = struct.unpack_from("<IIII", data, place + 32)
    return Segment(xorb=_hex(data[place : place + 32]), size=size, first=first, last=last)


def _hex(raw: bytes) -> str:
    """Return a hash as xet writes it: four 64-bit numbers, each stored with its low byte first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))

"""The memory backend behind a server that counts what it sends and misbehaves on demand."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyEntry
from ritual_artifacts.backends.memory import (
    MemoryBackend,
    MemoryOptions,
    MemoryRevision,
    MemorySpace,
    MemoryStorage,
    StoredArtifact,
    StoredRepository,
)
from ritual_artifacts.context import Context
from ritual_artifacts.errors import TransferError
from ritual_artifacts.repo_id import RitualRepoId

BLOCK_SIZE = 4096
PLANTED = "planted"


def flip_one_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@dataclass
class Server(MemorySpace):
    """What is stored, what was requested, and what goes wrong; file names are those inside the artifact."""

    requests: list[tuple[str, int]] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)

    flipped: set[str] = field(default_factory=set)
    swapped: dict[str, str] = field(default_factory=dict)
    cut_after: dict[str, int] = field(default_factory=dict)
    cut_with_error: bool = False
    appended: dict[str, bytes] = field(default_factory=dict)
    ignores_offset: bool = False
    lie: Callable[[bytes], bytes] = bytes
    on_block: Callable[[str], object] = len

    def plant(self, repo_id: RitualRepoId, manifest: bytes, files: dict[str, bytes]) -> None:
        """Store a version without checking it, whose digest the storage does not know."""
        stored = StoredArtifact(Digest(), manifest, files)
        self.repositories[str(repo_id)] = StoredRepository({PLANTED: stored}, newest=PLANTED)

    def behave(self) -> None:
        self.flipped.clear()
        self.swapped.clear()
        self.cut_after.clear()
        self.appended.clear()
        self.ignores_offset = False
        self.lie = bytes

    def forget_requests(self) -> None:
        self.requests.clear()
        self.served.clear()

    def serve(self, data: bytes, name: str, offset: int) -> Iterator[bytes]:
        self.requests.append((name, offset))
        if name in self.flipped:
            data = flip_one_bit(data)
        data += self.appended.get(name, b"")
        end = min(len(data), self.cut_after.get(name, len(data)))
        for start in range(0 if self.ignores_offset else offset, end, BLOCK_SIZE):
            block = data[start : min(start + BLOCK_SIZE, end)]
            self.served[name] += len(block)
            self.on_block(name)
            yield block
        if self.cut_with_error and name in self.cut_after:
            message = f"the connection was lost after {end} bytes of {name}"
            raise TransferError(message, retryable=True)


class StreamingStorage(MemoryStorage):
    name: ClassVar[str] = "streaming"
    title: ClassVar[str] = "a faulty server"

    def connect(self, options: Mapping[str, Any], context: Context) -> "StreamingBackend":
        del context
        server = MemoryOptions.parse(options).space
        assert isinstance(server, Server)
        return StreamingBackend(server)


class StreamingBackend(MemoryBackend):
    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.server = server

    def open(self, repo_id: RitualRepoId) -> MemoryRevision:
        return StreamingRevision(self.server, super().open(repo_id))


class StreamingRevision(MemoryRevision):
    def __init__(self, server: Server, honest: MemoryRevision) -> None:
        super().__init__(honest.repo_id, honest.name, honest.stored)
        self._server = server

    @property
    def digest(self) -> Digest | None:  # type: ignore[override]  # a planted version has none
        return None if self.name == PLANTED else super().digest

    def manifest_bytes(self) -> bytes:
        return self._server.lie(super().manifest_bytes())

    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        name = self._server.swapped.get(entry.path, entry.path)
        return self._server.serve(self.stored.files.get(name, b"whatever"), entry.path, offset)

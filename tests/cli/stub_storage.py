"""A storage of another package, for commands in a process of their own: one artifact, and one fault.

The environment says where the artifact is and what goes wrong, because the process shares nothing else with
the test.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from ritual_artifacts import workers
from ritual_artifacts.backends import (
    MANIFEST_FILENAME,
    AnyEntry,
    Backend,
    Context,
    Options,
    Revision,
    RitualRepoId,
    Storage,
)
from ritual_artifacts.errors import AuthenticationError, TransferError


class StubOptions(Options):
    title: ClassVar[str] = "the stub"


class StubStorage(Storage):
    name: ClassVar[str] = "stub"
    title: ClassVar[str] = "a stub"
    connection_options: ClassVar[type[Options]] = StubOptions
    upload_options: ClassVar[type[Options]] = StubOptions

    def connect(self, options: Mapping[str, Any], context: Context) -> "StubBackend":
        del context
        StubOptions.parse(options)
        return StubBackend()


class StubBackend(Backend[StubOptions]):
    def open(self, repo_id: RitualRepoId) -> "StubRevision":
        match os.environ.get("STUB_FAULT"):
            case "refused":
                message = "the storage does not know this token; log in again"
                raise AuthenticationError(message)
            case "reset":
                raise ConnectionResetError(104, "Connection reset by peer")
            case "slow":
                message = "timed out"
                raise TimeoutError(message)
        return StubRevision(repo_id, "revision")

    def start_upload(self, *_: object) -> NoReturn:
        raise NotImplementedError

    def upload_options(self, given: Mapping[str, Any]) -> StubOptions:
        return StubOptions.parse(given)


class StubRevision(Revision):
    """Streams the files of a folder, writes down what was requested, and stops half way if it is told to."""

    @property
    def folder(self) -> Path:
        return Path(os.environ["STUB_FOLDER"])

    def manifest_bytes(self) -> bytes:
        return (self.folder / MANIFEST_FILENAME).read_bytes()

    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        with Path(os.environ["STUB_LOG"]).open("a") as log:
            log.write(f"{entry.path} {offset}\n")
        data = (self.folder / entry.path).read_bytes()
        half = len(data) // 2
        yield data[offset:half]
        match os.environ.get("STUB_FAULT"):
            case "cut":
                message = "the connection was cut"
                raise TransferError(message, retryable=True)
            case "hang":
                os.write(int(os.environ["STUB_READY"]), b"x")
                workers.sleep(600)
        yield data[max(offset, half) :]

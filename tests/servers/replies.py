"""Requests as a loopback hub reads them, and its answers before they go onto the wire."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

BLOCK_SIZE = 1 << 20


@dataclass(frozen=True)
class Slice:
    """A part of a file on disk, which is sent in pieces."""

    path: Path
    start: int
    stop: int


@dataclass(frozen=True)
class Stream:
    """A body that is made while it is sent; one without a length never ends."""

    length: int | None
    blocks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer.

    `offset` is where in the file its body begins, `whole` the file that a range was cut from. The connection
    is cut after `cut_after` bytes of the body, or before the first byte of the answer where that is negative.
    After `stall_after` bytes nothing more is sent, and the connection stays open. `pace` is bytes per second.
    A chunked answer tells no length.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Slice | Stream = b""
    offset: int = 0
    whole: bytes | Slice | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    pace: int | None = None
    chunked: bool = False

    @property
    def length(self) -> int:
        """The bytes of the body; 0 where it never ends."""
        if isinstance(self.body, Stream):
            return self.body.length or 0
        return len(self.body) if isinstance(self.body, bytes) else self.body.stop - self.body.start

    def data(self) -> bytes:
        """Return the body; one from disk is read at once."""
        return b"".join(self.blocks())

    def blocks(self, limit: int | None = None) -> Iterator[bytes]:
        """Yield the body, or its first `limit` bytes, in pieces that fit into memory."""
        for block in self._blocks():
            if limit is None:
                yield block
            else:
                yield block[:limit]
                limit -= min(limit, len(block))
                if not limit:
                    return

    def _blocks(self) -> Iterator[bytes]:
        if isinstance(self.body, bytes):
            yield self.body
        elif isinstance(self.body, Stream):
            yield from self.body.blocks()
        else:
            with self.body.path.open("rb") as file:
                file.seek(self.body.start)
                rest = self.length
                while rest and (block := file.read(min(rest, BLOCK_SIZE))):
                    rest -= len(block)
                    yield block

    def with_headers(self, headers: Mapping[str, str | None]) -> "Reply":
        """Return this reply with headers replaced, added, or (`None`) removed."""
        names = {name.lower() for name in headers}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in names}
        added = {name: value for name, value in headers.items() if value is not None}
        return replace(self, headers={**kept, **added})


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request: its path still percent-encoded, its body in memory, or on disk where it is an upload."""

    origin: str
    method: str
    raw_path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    upload: Path | None = None

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())

    def flag(self, name: str) -> bool:
        return self.query.get(name, ["false"])[-1].lower() in {"1", "true"}

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line]

    def form(self) -> Mapping[str, list[str]]:
        return parse_qs(self.body.decode(), keep_blank_values=True)


class ProtocolViolation(Exception):  # noqa: N818 - not an error of the server: the client's
    """The request is none that a correct client sends."""


class Refused(Exception):  # noqa: N818 - an answer, raised where the rest of a handler is moot
    """The hub answers with an error."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.reply = refusal(status, message, code)


def refusal(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return an error as the Hub words it: JSON, and the same in headers."""
    told = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}) | dict(headers or {})
    return answer({"error": message}, status=status, headers=told)


def answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return JSON."""
    told = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Reply(status=status, headers=told, body=json.dumps(value).encode())


def serve_file(content: bytes | Path | Slice, headers: Mapping[str, str], wanted: str | None) -> Reply:
    """Return a file or the part of it that a Range header names: 200, 206 or 416."""
    if isinstance(content, Path):
        content = Slice(content, 0, content.stat().st_size)
    size = len(content) if isinstance(content, bytes) else content.stop - content.start
    told = {"Accept-Ranges": "bytes", **headers}
    if wanted is None:
        return Reply(headers=told, body=cut(content, 0, size), whole=content)
    start, stop = parse_range(wanted, size)
    if start >= stop:
        return Reply(status=416, headers={**told, "Content-Range": f"bytes */{size}"})
    told["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Reply(status=206, headers=told, body=cut(content, start, stop), offset=start, whole=content)


def cut(content: bytes | Slice, start: int, stop: int) -> bytes | Slice:
    if isinstance(content, bytes):
        return content[start:stop]
    return Slice(content.path, content.start + start, content.start + stop)


def parse_range(value: str, size: int) -> tuple[int, int]:
    """Return where one range of bytes starts and stops; equal where it cannot be satisfied.

    Raises:
        ProtocolViolation: the header names no single range of bytes.
    """
    unit, _, span = value.partition("=")
    first, dash, last = span.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not (first + last).isdigit():
        message = f"malformed Range: {value!r}"
        raise ProtocolViolation(message)
    if not first:
        return max(0, size - int(last)), size
    return min(int(first), size), min(int(last) + 1, size) if last else size

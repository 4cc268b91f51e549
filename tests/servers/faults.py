"""What goes wrong on demand: `hub.faults.add("*/weights.bin", flip_bit(), times=1)`."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from tests.servers.replies import Call, Reply, Stream, refusal, serve_file


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A misbehaviour: something done first, an answer instead of the hub's, or a change of the hub's answer.

    A change that returns `None` leaves the answer alone and does not count: a flipped bit waits for a body.
    """

    act: Callable[[Call], object] | None = None
    instead: Callable[[Call], Reply] | None = None
    change: Callable[[Call, Reply], Reply | None] | None = None


@dataclass
class Rule:
    """A fault and the requests that meet it."""

    pattern: str
    fault: Fault
    kind: str | None
    method: str | None
    skip: int
    times: int | None
    hits: int = 0
    passed: int = 0

    def concerns(self, call: Call, kind: str) -> bool:
        return (
            fnmatchcase(call.path, self.pattern)
            and self.kind in {None, kind}
            and self.method in {None, call.method}
            and (self.times is None or self.hits < self.times)
        )

    def take(self) -> bool:
        """Count a request that meets the fault and tell whether it is its turn."""
        if self.passed < self.skip:
            self.passed += 1
            return False
        self.hits += 1
        return True


@dataclass
class FaultBook:
    """The faults of a hub, in the order in which they were added."""

    rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        pattern: str,
        fault: Fault,
        *,
        kind: str | None = None,
        method: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> Rule:
        """Let requests whose decoded path matches a shell pattern (`*` also matches slashes) meet a fault.

        Args:
            pattern: for example `*/commit/*`, or `*weights.bin` for a file on the hub and on its storage.
            fault: what goes wrong.
            kind: only requests of this kind, as the ledger names it.
            method: only requests with this method.
            skip: so many requests pass unharmed first.
            times: so many requests meet the fault; without a number, all.
        """
        rule = Rule(pattern, fault, kind, method, skip, times)
        with self._lock:
            self.rules.append(rule)
        return rule

    def clear(self) -> None:
        with self._lock:
            self.rules.clear()

    def unmet(self) -> list[str]:
        """Return the patterns of faults that no request has met: their tests would show nothing."""
        with self._lock:
            return [rule.pattern for rule in self.rules if not rule.hits]

    def interfere(self, call: Call, kind: str, handle: Callable[[], Reply]) -> Reply:
        """Answer a request, with every fault that concerns it."""
        with self._lock:
            rules = [rule for rule in self.rules if rule.concerns(call, kind)]
            early = [rule for rule in rules if rule.fault.change is None and rule.take()]
        for rule in early:
            if rule.fault.act:
                rule.fault.act(call)
        substitutes = [rule.fault.instead for rule in early if rule.fault.instead]
        reply = substitutes[0](call) if substitutes else handle()
        for rule in rules:
            changed = rule.fault.change(call, reply) if rule.fault.change else None
            if changed is not None:
                with self._lock:
                    reply = changed if rule.take() else reply
        return reply


# --- answers that are no success ---


def fail(
    status: int,
    message: str = "the server does not feel well",
    *,
    code: str | None = None,
    applied: bool = False,
    retry_after: int | None = None,
) -> Fault:
    """Answer with an error, before the request takes effect or after it did."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    reply = refusal(status, message, code, headers)
    return Fault(change=lambda _, __: reply) if applied else Fault(instead=lambda _: reply)


def rate_limit(seconds: int = 0) -> Fault:
    return fail(429, "We had to rate limit you", retry_after=seconds)


def unavailable() -> Fault:
    return fail(503, "Service Unavailable")


def expired_token() -> Fault:
    return fail(401, "Invalid credentials in Authorization header")


def forbidden() -> Fault:
    return fail(403, "Forbidden: you must use a write token")


def gated() -> Fault:
    return fail(403, "Access to this repository is restricted", code="GatedRepo")


def repo_not_found() -> Fault:
    return fail(404, "Repository not found", code="RepoNotFound")


def revision_not_found() -> Fault:
    return fail(404, "Invalid rev id", code="RevisionNotFound")


def entry_not_found() -> Fault:
    return fail(404, "Entry not found", code="EntryNotFound")


def drop(*, applied: bool = False) -> Fault:
    """Cut the connection instead of answering, before the request takes effect or after it did."""
    reply = Reply(cut_after=-1)
    return Fault(change=lambda _, __: reply) if applied else Fault(instead=lambda _: reply)


def redirect(url: str) -> Fault:
    return Fault(instead=lambda _: Reply(status=302, headers={"Location": url}))


# --- wrong bodies ---


def _of_bodies(change: Callable[[Call, Reply], Reply | None]) -> Fault:
    """Return a fault for answers that carry a file; redirects, errors and HEAD have nothing to spoil."""

    def spoil(call: Call, reply: Reply) -> Reply | None:
        carries = call.method == "GET" and reply.status in {200, 206} and reply.length > 0
        return change(call, reply) if carries else None

    return Fault(change=spoil)


def flip_bit(at: int | None = None) -> Fault:
    """Flip the lowest bit of one byte, `at` bytes into the file (default: in the middle of the answer)."""

    def flip(_: Call, reply: Reply) -> Reply | None:
        place = reply.length // 2 if at is None else at - reply.offset
        if not 0 <= place < reply.length:
            return None
        return replace(reply, body=Stream(reply.length, lambda: _flipped(reply.blocks(), place)))

    return _of_bodies(flip)


def _flipped(blocks: Iterator[bytes], place: int) -> Iterator[bytes]:
    for block in blocks:
        if 0 <= place < len(block):
            yield block[:place] + bytes([block[place] ^ 1]) + block[place + 1 :]
        else:
            yield block
        place -= len(block)


def short_body(missing: int = 1) -> Fault:
    """Send less than the file, with a Content-Length that agrees."""

    def shorten(_: Call, reply: Reply) -> Reply:
        kept = max(0, reply.length - missing)
        return replace(reply, body=Stream(kept, lambda: reply.blocks(kept)))

    return _of_bodies(shorten)


def long_body(extra: int = 1) -> Fault:
    """Send more than the file, with a Content-Length that agrees."""

    def lengthen(_: Call, reply: Reply) -> Reply:
        padding = b"\0" * extra
        return replace(
            reply, body=Stream(reply.length + extra, lambda: itertools.chain(reply.blocks(), [padding]))
        )

    return _of_bodies(lengthen)


def endless_body() -> Fault:
    """Send the file over and over, without a Content-Length."""

    def repeat(_: Call, reply: Reply) -> Reply:
        def blocks() -> Iterator[bytes]:
            while True:
                yield from reply.blocks()

        return replace(reply, body=Stream(None, blocks), chunked=True)

    return _of_bodies(repeat)


def endless_answer(status: int, size: int) -> Fault:
    """Answer with so many bytes, made while they are sent, without a Content-Length."""

    def blocks() -> Iterator[bytes]:
        for _ in range(size >> 20):
            yield b"x" * (1 << 20)

    return Fault(change=lambda _, __: Reply(status=status, body=Stream(None, blocks), chunked=True))


def cut_after(size: int) -> Fault:
    """Cut the connection after so many bytes of the body; the Content-Length promised all of it."""
    return _of_bodies(lambda _, reply: replace(reply, cut_after=size) if reply.length > size else None)


def stall(after: int = 0) -> Fault:
    """Send so many bytes of the body, then nothing, and leave the connection open."""
    return _of_bodies(lambda _, reply: replace(reply, stall_after=after) if reply.length > after else None)


def slow(bytes_per_second: int) -> Fault:
    """Send the body slowly."""
    return _of_bodies(lambda _, reply: replace(reply, pace=bytes_per_second))


def ignore_range() -> Fault:
    """Answer a request for a part with the whole file."""

    def widen(call: Call, reply: Reply) -> Reply | None:
        if call.header("range") is None or reply.whole is None:
            return None
        headers = {name: value for name, value in reply.headers.items() if name != "Content-Range"}
        return serve_file(reply.whole, headers, None)

    return Fault(change=widen)


# --- wrong words ---


def set_headers(headers: dict[str, str | None]) -> Fault:
    """Replace, add or (`None`) remove headers of answers that are no error, hostile ETags for example."""
    return Fault(change=lambda _, reply: reply.with_headers(headers) if reply.status < 400 else None)


def set_body(body: bytes) -> Fault:
    """Answer with another body, which need not be JSON."""
    return Fault(change=lambda _, reply: replace(reply, body=body) if reply.status < 400 else None)


def change_json(change: Callable[[Any], object]) -> Fault:
    """Let a function change, or return anew, the JSON of answers that are no error."""

    def apply(_: Call, reply: Reply) -> Reply | None:
        if reply.status >= 400:
            return None
        value = json.loads(reply.data())
        changed = change(value)
        return replace(reply, body=json.dumps(value if changed is None else changed).encode())

    return Fault(change=apply)


def replace_content(content: bytes) -> Fault:
    """Serve another file in place of the real one, and its parts to those who ask for a part."""

    def serve(call: Call, reply: Reply) -> Reply | None:
        if reply.status >= 300:
            return None
        headers = {name: value for name, value in reply.headers.items() if name != "Content-Range"}
        return serve_file(content, headers, call.header("range"))

    return Fault(change=serve)


def hang() -> Fault:
    """Take the request, answer nothing, and leave the connection open."""
    return Fault(instead=lambda _: Reply(stall_after=-1))


def replace_text(old: str, new: str) -> Fault:
    """Answer with a body in which a text is another one; answers without it do not count."""

    def change(_: Call, reply: Reply) -> Reply | None:
        body = reply.data().replace(old.encode(), new.encode())
        return None if body == reply.data() else replace(reply, body=body)

    return Fault(change=change)


# --- wrong time ---


def run(action: Callable[[], object]) -> Fault:
    """Do something just before the request is handled: remove a branch, revoke a token, commit."""
    return Fault(act=lambda _: action())


def delay(seconds: float) -> Fault:
    return Fault(act=lambda _: time.sleep(seconds))

"""A Hub, a CDN or the target of a redirect that sends too much, too slowly, or without end."""

import gzip
import json
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from ritual_artifacts import RitualRepoId
from ritual_artifacts.artifact.manifest import LegacyEntry, ManifestEntry
from ritual_artifacts.backends.huggingface.backend import HuggingFaceBackend
from ritual_artifacts.backends.registry import connect
from ritual_artifacts.context import Bounds, Context, RetryPolicy
from ritual_artifacts.errors import ArtifactError, ArtifactNotFoundError, BackendError, TransferError
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample
from tests.servers import faults
from tests.servers.raw import RawServer, raw_server, trickle

MIB = 1 << 20
BOUNDS = Bounds(
    answer_bytes=2 * MIB,
    answer_seconds=1.0,
    error_bytes=64 << 10,
    error_seconds=1.0,
    slow_bytes=1000,
    slow_seconds=1.0,
    unsized_bytes=3 * MIB,
)
COMMIT = "1" * 40
ENDLESS = 200  # MiB; what reads more than this is not bounded
ENTRY = ManifestEntry(path="weights.bin", size=10 * MIB, sha256="0" * 64)
LEGACY = LegacyEntry(path="weights.bin", sha256="0" * 64)

Read = Callable[[HuggingFaceBackend], object]


@pytest.fixture
def bounded(context: Context) -> Context:
    return replace(context, bounds=BOUNDS, retry=RetryPolicy(max_attempts=2))


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Return a small body that becomes a large one."""
    return gzip.compress(bytes(ENDLESS * MIB), 1)


def hub_at(url: str, context: Context) -> HuggingFaceBackend:
    backend = connect(RitualRepoId.from_unique_id(REPO), {"endpoint": url, "timeout": 1.0}, context)
    assert isinstance(backend, HuggingFaceBackend)
    return backend


def read_commit(hub: HuggingFaceBackend) -> object:
    return hub.open(RitualRepoId.from_unique_id(REPO))


def read_listing(hub: HuggingFaceBackend) -> object:
    return hub.open(RitualRepoId.from_unique_id(f"{REPO}/{COMMIT}")).listing()


def read_manifest(hub: HuggingFaceBackend) -> object:
    return hub.open(RitualRepoId.from_unique_id(f"{REPO}/{COMMIT}")).manifest_bytes()


def read_file(hub: HuggingFaceBackend) -> object:
    revision = hub.open(RitualRepoId.from_unique_id(f"{REPO}/{COMMIT}"))
    return sum(len(block) for block in revision.read(ENTRY))


def read_legacy_file(hub: HuggingFaceBackend) -> object:
    revision = hub.open(RitualRepoId.from_unique_id(f"{REPO}/{COMMIT}"))
    return sum(len(block) for block in revision.read(LEGACY))


READS = [read_commit, read_listing, read_manifest, read_file]


def head(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "", ""]).encode()


def endless(status: int, *headers: str) -> Iterator[bytes]:
    yield head(status, *headers)
    for _ in range(ENDLESS):
        yield b"x" * MIB


@contextmanager
def behind_a_redirect(script: Callable[[str], Iterable[bytes]]) -> Iterator[tuple[RawServer, str]]:
    """Serve a script at an origin to which another one redirects; yield it and the address of the other."""
    with (
        raw_server(script) as target,
        raw_server(lambda path: [head(302, f"Location: {target.url}{path}")]) as first,
    ):
        yield target, first.url


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 451])
def test_an_error_without_end_is_known_by_its_status(status: int, read: Read, bounded: Context) -> None:
    with raw_server(lambda _: endless(status)) as server, pytest.raises(BackendError) as caught:
        read(hub_at(server.url, bounded))

    assert "x" * 400 not in str(caught.value)
    assert server.sent < ENDLESS / 4 * MIB


@pytest.mark.parametrize("read", READS)
def test_an_error_behind_a_redirect_is_bounded_too(read: Read, bounded: Context) -> None:
    with behind_a_redirect(lambda _: endless(404)) as (server, url), pytest.raises(ArtifactNotFoundError):
        read(hub_at(url, bounded))

    assert server.sent < ENDLESS / 4 * MIB


@pytest.mark.parametrize("read", [read_commit, read_listing])
def test_an_answer_without_end_is_refused(read: Read, bounded: Context) -> None:
    with raw_server(lambda _: endless(200)) as server:
        with pytest.raises(BackendError, match=f"larger than {2 * MIB} bytes"):
            read(hub_at(server.url, bounded))

        assert server.sent < ENDLESS / 4 * MIB


@pytest.mark.parametrize(
    ("encoding", "status", "read"),
    [(name, 200, read_commit) for name in ("gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip", "x")]
    + [("gzip", status, read) for status in (400, 404) for read in READS]
    + [("gzip", 200, read_listing), ("br", 404, read_listing)],
)
def test_a_compressed_answer_takes_no_more_memory_than_a_plain_one(
    encoding: str, status: int, read: Read, bounded: Context, bomb: bytes
) -> None:
    headers = [f"Content-Encoding: {encoding}", "Content-Type: application/json"]

    with raw_server(lambda _: [head(status, *headers), bomb]) as server:
        tracemalloc.start()
        try:
            with pytest.raises(BackendError):
                read(hub_at(server.url, bounded))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < ENDLESS / 4 * MIB


ANSWER = json.dumps({"sha": COMMIT, "padding": "x" * 4000}).encode()
SLOW = {
    "a head byte by byte": lambda _: trickle(head(200, f"Content-Length: {len(ANSWER)}", "X: " + "y" * 4000)),
    "a body byte by byte": lambda _: slow_after(head(200, f"Content-Length: {len(ANSWER)}"), ANSWER),
    "informational answers": lambda _: forever(head(100)),
    "informational answers with headers": lambda _: forever(head(103, "Link: </x>; rel=preload")),
    "a chunk's extension byte by byte": lambda _: slow_after(
        head(200, "Transfer-Encoding: chunked") + b"1;", b"x" * 4000
    ),
    "a trailer byte by byte": lambda _: slow_after(
        head(200, "Transfer-Encoding: chunked") + b"1\r\n{\r\n0\r\nX: ", b"x" * 4000
    ),
}


def slow_after(start: bytes, rest: bytes) -> Iterator[bytes]:
    yield start
    yield from trickle(rest)


def forever(piece: bytes) -> Iterator[bytes]:
    for _ in range(4000):
        yield piece
        yield b""


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", SLOW)
def test_a_server_that_keeps_sending_a_little_ends_in_an_error(
    name: str, read: Read, bounded: Context
) -> None:
    started = time.monotonic()
    with raw_server(SLOW[name]) as server, pytest.raises(TransferError) as caught:
        read(hub_at(server.url, bounded))

    assert "2 times in a row" in str(caught.value)
    assert time.monotonic() - started < 30


def test_a_slow_server_behind_a_redirect_ends_in_an_error(bounded: Context) -> None:
    with (
        behind_a_redirect(SLOW["a body byte by byte"]) as (_, url),
        pytest.raises(TransferError, match="less than 1000 bytes in 1 seconds"),
    ):
        read_file(hub_at(url, bounded))


def test_an_error_whose_body_arrives_slowly_is_known_by_its_status(bounded: Context) -> None:
    started = time.monotonic()
    with (
        raw_server(lambda _: slow_after(head(404), b"x" * 4000)) as server,
        pytest.raises(ArtifactNotFoundError),
    ):
        read_commit(hub_at(server.url, bounded))

    assert time.monotonic() - started < 30


def test_a_file_may_take_longer_than_an_answer(bounded: Context) -> None:
    def script(_: str) -> Iterator[bytes]:
        yield head(200, "Content-Length: 90000")
        for _piece in range(30):
            yield b"x" * 3000
            yield b""

    with raw_server(script) as server:
        assert read_file(hub_at(server.url, bounded)) == 90_000


def test_a_reader_that_takes_its_time_does_not_make_the_server_slow(bounded: Context) -> None:
    body = bytes(3 * MIB)
    with raw_server(lambda _: [head(200, f"Content-Length: {len(body)}"), body]) as server:
        revision = hub_at(server.url, bounded).open(RitualRepoId.from_unique_id(f"{REPO}/{COMMIT}"))
        blocks = revision.read(ENTRY)
        received = len(next(blocks))
        time.sleep(BOUNDS.slow_seconds * 1.5)
        received += sum(len(block) for block in blocks)

    assert received == len(body)


@pytest.mark.parametrize("headers", [[], [f"Content-Length: {ENDLESS * MIB}"]])
def test_a_file_of_unknown_size_has_a_bound(headers: list[str], bounded: Context) -> None:
    with (
        raw_server(lambda _: endless(200, *headers)) as server,
        pytest.raises(BackendError, match=f"more than {3 * MIB} bytes"),
    ):
        read_legacy_file(hub_at(server.url, bounded))

    assert server.sent < ENDLESS / 4 * MIB


def test_one_byte_with_each_attempt_is_no_progress(bounded: Context) -> None:
    positions = iter(range(100))

    def script(_: str) -> list[bytes]:
        position = next(positions)
        return [head(206, f"Content-Range: bytes {position}-99/100", "Content-Length: 100"), b"x"]

    with raw_server(script) as server, pytest.raises(TransferError, match="2 times in a row"):
        read_file(hub_at(server.url, bounded))

    assert len(server.requests) == 2


LOCATIONS = [
    "http://\u202e/",
    "http://[/",
    "http://[::1/x",
    "http://a:99999/",
    "http://a:b/",
    "http://" + "a" * 70 + ".example/",
    "http://xn--/",
    "http:///x",
    "//",
    "http://a b/",
    "http://%00/",
    "http://\x7f/",
    "http://\u2024\u2024/",
    "http://" + "a." * 5000,
    "file:///etc/passwd",
    "http://user:secret-password@[/",
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_to_an_invalid_address_is_an_error_of_this_package(
    location: str, read: Read, bounded: Context
) -> None:
    with (
        raw_server(lambda _: [head(302)[:-2] + b"Location: " + location.encode() + b"\r\n\r\n"]) as server,
        pytest.raises(BackendError) as caught,
    ):
        read(hub_at(server.url, bounded))

    assert "secret-password" not in str(caught.value)
    assert str(caught.value).isprintable()


BODIES = {
    "deep": b"[" * 200_000,
    "deep object": b'{"error":' * 100_000,
    "a list": b"[1]",
    "a number": b"1",
    "nothing": b"",
    "no text": b"\xff\xfe",
    "an error that is an object": b'{"error": {"a": 1}}',
    "errors that are no list": b'{"errors": 1}',
    "errors without a message": b'{"errors": [1, null, {"message": 2}]}',
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("kind", ["text/plain; charset=zlib", "text/plain; charset=hex", "application/json"])
@pytest.mark.parametrize("name", BODIES)
def test_an_odd_body_does_not_change_what_an_error_means(
    name: str, kind: str, read: Read, bounded: Context
) -> None:
    with (
        raw_server(lambda _: [head(404, f"Content-Type: {kind}"), BODIES[name]]) as server,
        pytest.raises(ArtifactNotFoundError),
    ):
        read(hub_at(server.url, bounded))


@pytest.mark.parametrize("read", [read_commit, read_listing])
@pytest.mark.parametrize("name", ["deep", "deep object"])
def test_deep_json_is_an_invalid_answer(name: str, read: Read, bounded: Context) -> None:
    with (
        raw_server(lambda _: [head(200), BODIES[name]]) as server,
        pytest.raises(BackendError, match="invalid answer") as caught,
    ):
        read(hub_at(server.url, bounded))

    assert "try again" not in str(caught.value)


@pytest.mark.parametrize("kind", ["refs", "preupload", "lfs-batch", "lfs-put", "lfs-verify", "commit"])
@pytest.mark.parametrize("status", [200, 400])
def test_what_the_library_reads_during_an_upload_is_bounded_too(
    status: int, kind: str, client: Client, sample: Sample, bounded: Context
) -> None:
    client.hub.faults.add("*", faults.endless_answer(status, 500 * MIB), kind=kind)
    is_made = (status, kind) == (200, "commit")  # the next look at the repository finds the commit
    tracemalloc.start()
    try:
        with nullcontext() if is_made else pytest.raises(ArtifactError):
            client.publish_in(bounded, sample)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100 * MIB


def test_a_download_is_whole_after_a_slow_start(
    client: Client, sample: Sample, bounded: Context, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.slow(50), kind="bytes", times=1)

    client.fetch_in(bounded, tmp_path / "out")

    assert (tmp_path / "out" / "weights.bin").stat().st_size == 300_000

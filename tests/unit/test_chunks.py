"""The door to chunks: trees, proofs, chunks from files and strangers, and which bytes of a file are right."""

import base64
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ritual_artifacts.core.chunks import (
    CHUNK_BYTES,
    MAX_PROOFS,
    SplitRule,
    check_chunk,
    chunk_spans,
    chunk_starts,
    deep_hash,
    find_data_root,
    find_valid_prefix,
    has_data_root,
    open_tree,
)
from ritual_artifacts.errors import ArtifactModelError, BackendError, SourceChangedError
from tests.merkle_oracle import CHUNK, RULES, Rule, leaf, pair_up, root, split, tree

KIB = 1024
SPLIT_RULES: tuple[SplitRule, ...] = ("arweave-js", "naive")
BORDERS = sorted(
    {
        0,
        1,
        *(
            chunks * CHUNK + more + off
            for chunks in (0, 1, 2, 5)
            for more in (0, 32 * KIB, CHUNK)
            for off in (-1, 0, 1)
            if chunks * CHUNK + more + off > 0
        ),
    }
)


def sample(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 - test data


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("size", BORDERS)
def test_trees_are_those_of_the_description_at_every_border(size: int, write: Callable[..., Path]) -> None:
    data = sample(size)
    path = write("data", content=data)
    base = open_tree(path)

    for rule in SPLIT_RULES:
        expected = tree(data, rule)
        chunks = [node for node in expected.leaves() if node.start < node.end] if expected else []
        for found in (open_tree(path, rule=rule), base.split_as(rule)):
            assert (found.size, len(found)) == (size, len(chunks))
            assert found.data_root == encode(root(data, rule))
            for index, chunk in enumerate(chunks):
                assert expected is not None
                assert found.span(index) == (chunk.start, chunk.end)
                assert found.proof(index) == expected.proof(chunk.start)
                assert found.read(index) == data[chunk.start : chunk.end]
    assert chunk_spans(size) == [base.span(index) for index in range(len(base))]
    assert list(chunk_starts(size)) == [start for start, _ in chunk_spans(size)]
    assert find_data_root(data) == root(data, "arweave-js")


@pytest.mark.parametrize("size", BORDERS)
def test_a_root_is_recognised_whoever_has_split_the_data(size: int, write: Callable[..., Path]) -> None:
    data = sample(size)
    path = write("data", content=data)

    for rule in RULES:
        assert has_data_root(data, root(data, rule))
        assert has_data_root(path, root(data, rule))
    for other in (bytes(32), root(data + b"x", "arweave-js"), b"" if size else bytes(32)):
        assert not has_data_root(data, other)
        assert not has_data_root(path, other)


@pytest.mark.parametrize("rule", SPLIT_RULES)
def test_a_tree_has_the_ids_of_all_its_nodes(rule: SplitRule, write: Callable[..., Path]) -> None:
    data = sample(6 * CHUNK)
    found = open_tree(write("data", content=data), rule=rule)
    top = tree(data, rule)
    assert top is not None

    nodes = [top]
    for node in nodes:
        nodes += node.children
        # Of two nodes that span the same bytes, the one with the empty leaf is meant.
        if not (node.end == len(data) and rule != "naive" and node is not top):
            assert found.id_between(node.start, node.end) == node.id
    for start, end in [(1, CHUNK), (0, CHUNK + 1), (CHUNK, CHUNK), (0, 7 * CHUNK), (7 * CHUNK, 8 * CHUNK)]:
        assert found.id_between(start, end) is None


def test_an_empty_file_has_no_nodes_and_no_chunks(write: Callable[..., Path]) -> None:
    found = open_tree(write("data", 0))

    assert (len(found), found.data_root, found.id_between(0, 0)) == (0, "", None)
    assert found.split_as("naive").data_root == ""
    with pytest.raises(IndexError):
        found.read(0)


def test_chunks_are_read_by_many_threads_at_once(write: Callable[..., Path]) -> None:
    data = sample(9 * CHUNK + 5)
    found = open_tree(write("data", content=data))
    barrier = threading.Barrier(4)

    def read_all(_: int) -> bytes:
        barrier.wait()
        return b"".join(found.read(index) for index in range(len(found)))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read_all, range(4))) == [data] * 4


@pytest.mark.parametrize("rule", SPLIT_RULES)
def test_a_file_that_changed_since_gives_no_chunk(rule: SplitRule, write: Callable[..., Path]) -> None:
    data = bytearray(sample(3 * CHUNK + 5))
    path = write("data", content=data)
    found = open_tree(path, rule=rule)
    times = path.stat()

    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert found.read(0) == data[:CHUNK]
    last = len(found) - 1
    with pytest.raises(SourceChangedError, match="data changed while it was read"):
        found.read(last)
    with pytest.raises(SourceChangedError, match=f"the bytes at offset {found.span(last - 1)[0]} "):
        found.split_as("naive" if rule == "arweave-js" else "arweave-js")
    path.write_bytes(data[: CHUNK + 1])
    with pytest.raises(SourceChangedError):
        found.read(1)
    path.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        found.read(0)
    assert caught.value.filename == str(path)


def test_a_link_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(write("data", 1000))

    with pytest.raises(ArtifactModelError, match="symbolic link"):
        open_tree(link)


def test_progress_adds_up_to_the_size(write: Callable[..., Path]) -> None:
    seen: list[int] = []

    open_tree(write("data", 5 * CHUNK + 1), progress=seen.append)

    assert sum(seen) == 5 * CHUNK + 1


@pytest.mark.parametrize("index", [-1, 3, 1 << 70])
def test_a_chunk_that_is_not_there_is_an_index_error(index: int, write: Callable[..., Path]) -> None:
    found = open_tree(write("data", 3 * CHUNK))

    for call in (found.span, found.proof, found.read):
        with pytest.raises((IndexError, OverflowError)):
            call(index)


# --- chunks from strangers ---


def test_a_true_chunk_is_placed_and_a_false_one_refused() -> None:
    data = sample(3 * CHUNK + 40_000)
    for rule in RULES:
        top = tree(data, rule)
        assert top is not None
        for chunk in (node for node in top.leaves() if node.start < node.end):
            proof, content = top.proof(chunk.start), data[chunk.start : chunk.end]
            for offset in (chunk.start, chunk.end - 1):
                place = check_chunk(top.id, len(data), offset, proof, content)
                assert place == (chunk.start, chunk.end)

            problem = f"the chunk at offset {chunk.start} does not match its proof"
            for wrong in (content[:-1], content + b"x", b"", bytes([content[0] ^ 1]) + content[1:]):
                with pytest.raises(BackendError, match=problem):
                    check_chunk(top.id, len(data), chunk.start, proof, wrong)
            for data_root, offset, path in (
                (bytes(32), chunk.start, proof),
                (top.id, chunk.end, proof),
                (top.id, chunk.start, proof[:-1]),
                (top.id, chunk.start, b""),
            ):
                with pytest.raises(BackendError, match=f"invalid proof for the chunk at offset {offset}"):
                    check_chunk(data_root, len(data), offset, path, content)


# --- which bytes are right ---


class Witness:
    """Knows the true tree, and counts how often it is asked."""

    def __init__(self, data: bytes, rule: Rule) -> None:
        top = tree(data, rule)
        assert top is not None
        self.top, self.size, self.asked = top, len(data), 0

    def find_valid_prefix(self, path: Path) -> tuple[int, bool]:
        self.asked = 0
        return find_valid_prefix(path, self.top.id, self.size, self.fetch)

    def fetch(self, offset: int) -> bytes:
        self.asked += 1
        return self.top.proof(offset)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("more", [0, 1, 40_000])
def test_few_proofs_tell_which_chunk_is_wrong(rule: Rule, more: int, write: Callable[..., Path]) -> None:
    data = sample(12 * CHUNK + more)
    witness = Witness(data, rule)
    starts = [node.start for node in witness.top.leaves() if node.start < node.end]

    for start in starts:
        damaged = bytearray(data)
        damaged[start] = data[start] ^ 1
        damaged[-1] = data[-1] ^ 1
        assert witness.find_valid_prefix(write("data", content=damaged)) == (start, True)
        assert witness.asked <= 5  # of 12 to 14 chunks: a proof for each layer, and the wrong one's


def test_a_right_file_is_right_to_its_end(write: Callable[..., Path]) -> None:
    data = sample(5 * CHUNK)
    witness = Witness(data, "node")

    assert witness.find_valid_prefix(write("data", content=data)) == (len(data), False)
    assert witness.asked == 1


@pytest.mark.parametrize("size", [0, 1, CHUNK, 2 * CHUNK + 1, 5 * CHUNK + 6])
def test_a_file_that_is_too_short_or_too_long_is_right_as_far_as_it_goes(
    size: int, write: Callable[..., Path]
) -> None:
    data = sample(5 * CHUNK + 5)
    witness = Witness(data, "naive")

    good = witness.find_valid_prefix(write("data", content=(data + b"x")[:size]))

    assert good == ((len(data), False) if size > len(data) else (size // CHUNK * CHUNK, True))


def test_a_tree_that_nobody_here_builds_is_not_followed_for_long(write: Callable[..., Path]) -> None:
    data = sample(3 * MAX_PROOFS * 1000)
    top = pair_up([leaf(data, start, start + 1000) for start in range(0, len(data), 1000)])
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    asked: list[int] = []

    def fetch(offset: int) -> bytes:
        asked.append(offset)
        return top.proof(offset)

    good = find_valid_prefix(write("data", content=damaged), top.id, len(data), fetch)

    assert good == (MAX_PROOFS * 1000, False)
    assert len(asked) == MAX_PROOFS


def test_a_stranger_that_proves_nothing_is_named(write: Callable[..., Path]) -> None:
    data = sample(2 * CHUNK)
    other = Witness(data[::-1], "arweave-js")

    with pytest.raises(BackendError, match="invalid proof for the chunk at offset 0"):
        find_valid_prefix(write("data", content=data), root(data, "arweave-js"), len(data), other.fetch)


def test_what_the_caller_raises_passes_through(write: Callable[..., Path]) -> None:
    def fetch(_: int) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        find_valid_prefix(write("data"), bytes(32), 1000, fetch)


# --- deep hashes ---


def test_tuples_and_lists_have_one_deep_hash() -> None:
    assert deep_hash([b"a", [b"b", b""]]) == deep_hash((b"a", (b"b", b"")))
    assert deep_hash([]) != deep_hash(b"") != deep_hash([b""])
    assert len(deep_hash(b"")) == 48


@pytest.mark.parametrize("value", ["text", 1, None, [b"a", "b"], {b"a": b"b"}, bytearray(b"a"), iter([b"a"])])
def test_other_values_have_no_deep_hash(value: object) -> None:
    with pytest.raises(TypeError, match="expected bytes, or a list"):
        deep_hash(value)


def test_lists_without_an_end_are_refused() -> None:
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(RecursionError, match="nested deeper"):
        deep_hash(endless)


def test_a_chunk_is_what_the_network_says() -> None:
    assert CHUNK_BYTES == CHUNK
    assert split(CHUNK, "naive") == [CHUNK]

"""Whatever is wrong with a file, and however its signed tree looks: the first bad chunk is found."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ritual_artifacts.core.chunks import find_valid_prefix, has_data_root
from tests.merkle_oracle import CHUNK, RULES, Node, Rule, branch, leaf, tree

sizes = st.one_of(
    st.integers(1, 6 * CHUNK),
    st.builds(
        lambda chunks, more, off: chunks * CHUNK + more + off,
        st.integers(1, 5),
        st.sampled_from([0, 32 * 1024]),
        st.integers(-1, 1),
    ),
)
shapes = st.recursive(
    st.sampled_from([0, 1, 1000, CHUNK - 1, CHUNK, CHUNK]),
    lambda below: st.tuples(below, below, st.sampled_from([False, False, True])),
    max_leaves=12,
)


def content(size: int, seed: int) -> bytes:
    """Bytes that do not repeat from chunk to chunk, quickly made."""
    block = bytes((seed + 31 * index) % 256 for index in range(251))
    return (block * (size // len(block) + 1))[:size]


def length_of(shape: Any) -> int:
    return shape if isinstance(shape, int) else length_of(shape[0]) + length_of(shape[1])


def grow(shape: Any, data: bytes, start: int = 0, frame: int = 0) -> Node:
    """Make a tree of any shape; below a marked branch, offsets count from the beginning of each side."""
    if isinstance(shape, int):
        return leaf(data, start, start + shape, frame)
    left_shape, right_shape, marked = shape
    middle = start + length_of(left_shape)
    left = grow(left_shape, data, start, start if marked else frame)
    right = grow(right_shape, data, middle, middle if marked else frame)
    return branch(left, right, frame, marked=marked)


def check(top: Node, data: bytes, damage: list[int], cut: int) -> None:
    damaged = bytearray(data)
    for place in damage:
        damaged[place % len(data)] ^= 1
    damaged = damaged[: len(data) - cut % len(data)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(damaged)

        good, is_next_wrong = find_valid_prefix(path, top.id, len(data), top.proof)
        is_whole = has_data_root(path, top.id)

    bad = [
        node.start for node in top.leaves() if damaged[node.start : node.end] != data[node.start : node.end]
    ]
    assert (good, is_next_wrong) == ((bad[0], True) if bad else (len(data), False))
    if is_whole:
        assert bytes(damaged) == data


places = st.lists(st.integers(0, 6 * CHUNK), max_size=3)
cuts = st.one_of(st.just(0), st.integers(0, 6 * CHUNK))


@settings(max_examples=60)
@given(size=sizes, seed=st.integers(0, 255), rule=st.sampled_from(RULES), damage=places, cut=cuts)
def test_the_first_bad_chunk_is_found(size: int, seed: int, rule: Rule, damage: list[int], cut: int) -> None:
    data = content(size, seed)
    top = tree(data, rule)
    assert top is not None

    check(top, data, damage, cut)


@settings(max_examples=60)
@given(shape=shapes, seed=st.integers(0, 255), damage=places, cut=cuts)
def test_it_is_found_in_trees_of_any_shape(shape: Any, seed: int, damage: list[int], cut: int) -> None:
    size = length_of(shape)
    if size:
        data = content(size, seed)
        check(grow(shape, data), data, damage, cut)

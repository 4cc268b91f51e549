"""Properties of names and collisions, against slow and plain oracles."""

import unicodedata
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ritual_artifacts.names import collision_key, component_problem, find_collisions, path_problem

PARTS = st.sampled_from(["a", "A", "b", "caf\u00e9", "cafe\u0301", "ss", "\u00df", "a-", "a.b", "!"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


def collide(first: str, second: str) -> bool:
    """Say by the definition whether two paths are one file, or file and folder, or differ in a folder."""
    one, other = first.split("/"), second.split("/")
    for index in range(min(len(one), len(other))):
        if collision_key(one[index]) != collision_key(other[index]):
            return False
        if index == min(len(one), len(other)) - 1:
            return len(one) != len(other) or index == len(one) - 1
        if one[index] != other[index]:
            return True
    return False


@given(st.lists(PATHS, max_size=12))
def test_collisions_are_those_of_the_definition(paths: list[str]) -> None:
    expected = any(collide(one, other) for one, other in combinations(paths, 2))

    found = find_collisions(paths)

    assert bool(found) == expected
    assert all(collide(one, other) for one, other in found)


@given(st.lists(PATHS, max_size=12), st.randoms(use_true_random=False))
def test_collisions_do_not_depend_on_the_order(paths: list[str], random: object) -> None:
    shuffled = list(paths)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types it as an object of its own

    assert find_collisions(shuffled) == find_collisions(paths)


@given(st.lists(PATHS, max_size=12))
def test_without_the_second_of_each_pair_nothing_equal_is_left(paths: list[str]) -> None:
    second = {path for _, path in find_collisions(paths)}
    left = [path for path in paths if path not in second]

    keys = [collision_key(path) for path in left]
    assert len(set(keys)) == len(keys)


@given(st.text())
def test_a_key_is_the_key_of_itself(name: str) -> None:
    key = collision_key(name)

    assert collision_key(key) == key
    assert collision_key(unicodedata.normalize("NFD", name)) == key


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_portable_name_stays_in_its_folder(name: str) -> None:
    if component_problem(name) is None:
        assert name not in {"", ".", ".."}
        assert not set(name) & {"/", "\\", "\0", "\n"}
        assert len(name.encode()) <= 255


@given(st.text(alphabet=st.sampled_from("ab./\\: \0C"), max_size=12))
def test_a_portable_path_is_relative_and_has_no_parents(path: str) -> None:
    if path_problem(path) is None:
        assert not path.startswith("/")
        assert all(part not in {"", ".", ".."} for part in path.split("/"))
        assert "\\" not in path


@given(st.text())
def test_any_text_is_judged_without_an_error(name: str) -> None:
    component_problem(name)
    path_problem(name)
    find_collisions([name, name.swapcase()])

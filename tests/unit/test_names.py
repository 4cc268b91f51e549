"""Portable names, and names that cannot exist side by side."""

import time

import pytest

from ritual_artifacts.names import collision_key, component_problem, find_collisions, path_problem


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "model.safetensors",
        ".hidden",
        "a b",
        "größe",
        "モデル",
        "a..b",
        "console",
        "com10",
        "nullable",
        "-x",
    ],
)
def test_ordinary_names_are_portable(name: str) -> None:
    assert component_problem(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (".", "empty"),
        ("..", "empty"),
        ("a/b", "separator"),
        ("a\\b", "separator"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x1b[2J", "control"),
        ("a\x7f", "control"),
        ("a\x85", "control"),
        ("a\u2028b", "control"),
        ("a\u202egnp.exe", "control"),
        ("a\u2066b", "control"),
        ("a\u200eb", "control"),
        ("a\u200fb", "control"),
        ("a\u061cb", "control"),
        ("a\ud800", "not valid Unicode"),
        ("a.", "dot or a space"),
        ("a ", "dot or a space"),
        ("con", "device"),
        ("NUL.txt", "device"),
        ("Aux.tar.gz", "device"),
        ("com1", "device"),
        ("LPT¹.bin", "device"),
        ("nul .txt", "device"),
        ("conin$", "device"),
        ("C:", "drive"),
        ("c:file", "drive"),
        ("x" * 256, "255 bytes"),
        ("ü" * 128, "255 bytes"),
    ],
)
def test_names_that_some_system_cannot_hold_are_refused(name: str, reason: str) -> None:
    problem = component_problem(name)

    assert problem is not None
    assert reason in problem


def test_a_name_of_exactly_255_bytes_is_portable() -> None:
    assert component_problem("x" * 255) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("//server/share/x", "absolute"),
        ("\\\\server\\share", "separator"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("a/../b", "'..'"),
        ("./a", "'.'"),
        ("C:/x", "drive"),
        ("a/nul", "device"),
        ("/".join("a" * 65), "64 parts"),
        ("/".join(["x" * 255] * 5), "1024 bytes"),
    ],
)
def test_paths_that_leave_the_folder_or_are_not_portable_are_refused(path: str, reason: str) -> None:
    problem = path_problem(path)

    assert problem is not None
    assert reason in problem


def test_a_refused_part_is_named() -> None:
    assert (
        path_problem("weights/aux.bin/x") == "has a part 'aux.bin' that is a reserved device name on Windows"
    )


@pytest.mark.parametrize("path", ["a", "a/b", "weights/model-00001.safetensors", "/".join("a" * 64)])
def test_ordinary_relative_paths_are_portable(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [("A", "a"), ("Straße", "STRASSE"), ("\u00e9", "e\u0301"), ("\u1e9e", "ss"), ("\u212b", "\u00e5")],
)
def test_names_that_differ_in_case_or_normalization_are_one(first: str, second: str) -> None:
    assert collision_key(first) == collision_key(second)


@pytest.mark.parametrize(
    "paths",
    [
        ("a", "a"),
        ("a", "A"),
        ("caf\u00e9", "cafe\u0301"),
        ("weights", "weights/a"),
        ("Weights", "weights/a/b"),
        ("weights/a", "Weights/b"),
        ("x/caf\u00e9/a", "x/cafe\u0301/b"),
    ],
)
def test_paths_that_are_one_on_some_file_system_collide(paths: tuple[str, str]) -> None:
    found = [set(pair) for pair in find_collisions(paths)]
    reverse = [set(pair) for pair in find_collisions(paths[::-1])]

    assert found == [set(paths)]
    assert reverse == found


@pytest.mark.parametrize(
    "paths", [("a", "b"), ("a/x", "b/x"), ("a", "ab", "a-b", "a.b/c", "a b"), ("a/b/c", "a/b/d", "a/bc")]
)
def test_different_paths_do_not_collide(paths: tuple[str, ...]) -> None:
    assert find_collisions(paths) == []


def test_every_path_below_a_file_is_found() -> None:
    found = find_collisions(["a/y", "a", "a/x", "a-b", "a/x/z"])

    assert {name for pair in found for name in pair} == {"a", "a/x", "a/x/z", "a/y"}


def test_no_paths_do_not_collide() -> None:
    assert find_collisions([]) == []


def test_many_deep_hostile_paths_take_little_time() -> None:
    paths = [f"x{i}{'/a' * 2000}" for i in range(500)]

    started = time.monotonic()
    find_collisions(paths)

    assert time.monotonic() - started < 5

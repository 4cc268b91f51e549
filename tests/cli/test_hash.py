"""`hash`: the format of coreutils' `sha256sum`, checked against it where it is there."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

NAMES = [
    "plain",
    "with space",
    "größe 模型",
    "[red]markup",
    ":smile:",
    "two\nlines",
    "back\\slash",
    "*star",
]

needs_sha256sum = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum here")
needs_posix_names = pytest.mark.skipif(os.name == "nt", reason="Windows has no such file names")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write files with all kinds of names into the current folder and return the names."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        Path(name).write_text(f"content of {name}")
    return NAMES


@needs_sha256sum
@needs_posix_names
def test_the_output_is_that_of_sha256sum(run: Run, files: list[str]) -> None:
    theirs = subprocess.run(  # noqa: S603 - coreutils
        ["sha256sum", *files],  # noqa: S607 - wherever it is
        capture_output=True,
        check=True,
    )

    ours = run("hash", *files)

    assert ours.code == 0
    assert ours.out.encode() == theirs.stdout


@needs_sha256sum
@needs_posix_names
def test_sha256sum_accepts_our_output(run: Run, files: list[str], tmp_path: Path) -> None:
    (tmp_path / "sums").write_bytes(run("hash", *files).out.encode())

    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "sums"],  # noqa: S607 - wherever it is
        capture_output=True,
        check=False,
    )

    assert checked.returncode == 0
    assert checked.stdout.count(b": OK") == len(files)


@needs_posix_names
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("two\nlines", "\\{}  two\\nlines"),
        ("a\rb", "\\{}  a\\rb"),
        ("back\\slash", "\\{}  back\\\\slash"),
        ("two  spaces", "{}  two  spaces"),
    ],
)
def test_special_names_are_escaped(
    name: str, line: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"x")

    assert run("hash", name).out == line.format(hashlib.sha256(b"x").hexdigest()) + "\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep only names that are valid Unicode")
def test_a_name_that_is_not_unicode_is_printed_as_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9")
    Path(name).write_bytes(b"x")

    outcome = run("hash", name)
    printed = run("hash", name, "--json")

    assert outcome.out == f"{hashlib.sha256(b'x').hexdigest()}  {name}\n"
    assert json.loads(printed.out)[0]["path"] == name


def test_a_file_that_cannot_be_read_does_not_hide_the_others(run: Run, files: list[str]) -> None:
    Path("folder").mkdir()

    outcome = run("hash", "plain", "missing", "folder", files[1])

    assert outcome.code == 1
    assert [line.partition("  ")[2] for line in outcome.out.splitlines()] == ["plain", files[1]]
    errors = outcome.err.splitlines()
    assert errors[0] == "error: missing: No such file or directory"
    assert errors[1].startswith("error: folder: ")


def test_the_digests_are_printed_as_json(run: Run, files: list[str]) -> None:
    outcome = run("hash", "--json", "missing", *files)

    assert outcome.code == 1
    assert json.loads(outcome.out) == [
        {
            "path": name,
            "size": len(f"content of {name}".encode()),
            "sha256": hashlib.sha256(f"content of {name}".encode()).hexdigest(),
        }
        for name in files
    ]
    assert outcome.err == "error: missing: No such file or directory\n"


def test_a_path_is_needed(run: Run) -> None:
    assert run("hash").code == 2

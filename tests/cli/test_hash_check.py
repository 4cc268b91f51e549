"""`hash --check` reads what `sha256sum --check` reads, and says and returns the same."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritual_artifacts.cli.hash import reading
from ritual_artifacts.cli.hash.lines import LineFormat, LineParser, ListedFile
from ritual_artifacts.core.hashing import hash_files
from tests.cli.sha256sum import needs_sha256sum, sha256sum

Run = Callable[..., Any]
Feed = Callable[[bytes], None]

H = hashlib.sha256(b"x").hexdigest()
WRONG = "0" * 64
NAMES = ["a", "with space", "two\nlines", "-dash", "*star", "q'uote", "größe", os.fsdecode(b"caf\xe9")]
"""Files that are there; each holds one `x`."""
BACKSLASHES = ["back\\slash", "cr\rx", "back\\and\nline"]
"""The same, with names that later versions of coreutils show in another way."""

LISTS = {
    "GNU's style": f"{H}  a\n{H} *with space\n{H}  -dash\n{H}  *star\n{H} **star\n",
    "BSD's style": f"SHA256 (a) = {H}\nSHA256(with space)= {H}\nSHA256 (-dash)={H}\nSHA256 (q) = (a) = {H}\n",
    "the style of -r": f"{H} a\n{H} with space\n{H}  a\n",
    "styles that exclude each other": f"{H}  a\n{H} a\n",
    "a tab": f"{H}\ta\n{H}\t*a\n",
    "space in front": f" {H}  a\n\t {H}  a\n SHA256 (a) = {H}\n",
    "space behind": f"{H}  a \nSHA256 (a) = {H} \n",
    "escaped names": f"\\{H}  two\\nlines\n\\SHA256 (two\\nlines) = {H}\n \\{H} *a\n",
    "wrong escapes": f"\\{H}  a\\x\n\\{H}  a\\\n\\ {H}  a\n{H}  a\n",
    "upper case": f"{H.upper()}  a\nSHA256 (a) = {H.upper()}\n",
    "no newline at the end": f"{H}  a\n{H}  -dash",
    "Windows' line ends": f"{H}  a\r\nSHA256 (a) = {H}\r\n\r\n{H}  -dash\r",
    "comments and empty lines": f"#{H}  a\n\n# x\n{H}  a\n #x\n",
    "lengths": f"{H[1:]}  a\n{H}0  a\nSHA256 (a) = {H[1:]}\nSHA256 (a) = {H}0\n{H}  a\n",
    "no hex": f"z{H[1:]}  a\nSHA256 (a) = z{H[1:]}\n{H}  a\n",
    "no name": f"{H}\n{H} \nSHA256 () = {H}\n",
    "a name of one space": f"{H}  \n",
    "brackets": f"SHA256 (a = {H}\nSHA256 a) = {H}\nSHA256 (a)(b) = {H}\nSHA256  (a) = {H}\n{H}  a\n",
    "other algorithms": f"MD5 (a) = {H}\nsha256 (a) = {H}\n{H}  a\n",
    "a mismatch": f"{WRONG}  a\n{H}  -dash\n",
    "only mismatches": f"{WRONG}  a\n\\{WRONG}  two\\nlines\n",
    "a missing file": f"{H}  nope\n{H}  no pe\n{H}  a\n",
    "only missing files": f"{H}  nope\n",
    "a folder": f"{H}  folder\n{H}  a\n",
    "everything": f"x\n{WRONG}  a\n{H}  nope\n{H}  a\ny\n{WRONG}  a\n{H}  it's nope\n",
    "other names": f"{H}  q'uote\n{H}  größe\n{H}  caf\udce9\n{WRONG}  caf\udce9\n{H}  nope\udce9\n",
    "standard input": f"{H}  -\n",
    "nothing": "",
    "an empty line": "\n",
    "only comments": "# x\n#\n",
    "no line of a list": "x\n\ny\n",
    "binary": "\x7fELF\x01\x02\n\udcff\udcfe\n",
}
OPTIONS = [
    [],
    ["--quiet"],
    ["--status"],
    ["--strict"],
    ["--warn"],
    ["--ignore-missing"],
    ["--ignore-missing", "--strict", "--quiet"],
    ["--ignore-missing", "--status"],
]

needs_odd_names = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such file names")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the files that lists name into the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in [*NAMES, *BACKSLASHES] if sys.platform == "linux" else ["a", "with space"]:
        Path(name).write_bytes(b"x")
    Path("folder").mkdir()


# --- the same as sha256sum ---------------------------------------------------------------------------------


@needs_sha256sum
@needs_odd_names
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("lines", LISTS.values(), ids=LISTS)
def test_a_list_is_checked_as_sha256sum_checks_it(
    lines: str, options: list[str], run: Run, feed: Feed
) -> None:
    expected = sha256sum("--check", *options, stdin=os.fsencode(lines))
    feed(os.fsencode(lines))

    ours = run("hash", "--check", *options)

    assert (ours.code, ours.out, ours.err) == expected


@needs_sha256sum
@needs_odd_names
@pytest.mark.parametrize("style", [[], ["--tag"], ["--binary"]], ids=" ".join)
def test_lists_of_sha256sum_are_accepted(style: list[str], run: Run, feed: Feed) -> None:
    names = [*NAMES, *BACKSLASHES]
    feed(os.fsencode(sha256sum(*style, "--", *names)[1]))

    ours = run("hash", "--check", "--strict", "--json")

    assert (ours.code, ours.err) == (0, "")
    assert [file["path"] for file in json.loads(ours.out)["files"]] == names


@needs_sha256sum
@needs_odd_names
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_several_lists_are_checked_one_by_one(options: list[str], run: Run, feed: Feed) -> None:
    Path("first").write_text(f"{H}  a\nx\n{H}  nope\n")
    Path("second list").write_text(f"{H}  nope\nx\ny\n")
    Path("empty").write_text("")
    lists = ["first", "no list", "empty", "-", "second list", "first"]
    stdin = f"{WRONG}  a\n".encode()
    expected = sha256sum("--check", *options, *lists, stdin=stdin)
    feed(stdin)

    ours = run("hash", "--check", *options, *lists)

    assert (ours.code, ours.out, ours.err) == expected
    assert expected[0] == 1


@needs_sha256sum
@needs_odd_names
def test_a_list_can_name_standard_input(run: Run, feed: Feed) -> None:
    Path("list").write_text(f"{H}  -\n")
    expected = sha256sum("--check", "list", stdin=b"x")
    feed(b"x")

    ours = run("hash", "--check", "list")

    assert (ours.code, ours.out, ours.err) == expected == (0, "-: OK\n", "")


# --- on its own --------------------------------------------------------------------------------------------


def test_our_own_lists_are_accepted_until_a_file_changes(run: Run) -> None:
    Path("list").write_text(run("hash", "a", "with space").out)
    before = run("hash", "-c", "list")
    Path("a").write_bytes(b"y")
    after = run("hash", "-c", "list")

    assert (before.code, before.out, before.err) == (0, "a: OK\nwith space: OK\n", "")
    assert (after.code, after.out) == (1, "a: FAILED\nwith space: OK\n")
    assert after.err == "warning: 1 computed checksum did NOT match\n"


def test_a_folder_is_not_a_list(run: Run) -> None:
    outcome = run("hash", "-c", "folder")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: folder: ")


def test_a_nul_does_not_end_a_name(run: Run) -> None:
    Path("list").write_text(f"{H}  a\0b\nSHA256 (a\0) = {H}\n")

    outcome = run("hash", "-c", "list")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "error: list: no properly formatted checksum lines found\n"


@needs_odd_names
def test_pipes_and_devices_in_a_list_are_not_read(run: Run) -> None:
    os.mkfifo("pipe")
    Path("list").write_text(f"{H}  pipe\n{H}  /dev/zero\n{H}  a\n")

    outcome = run("hash", "-c", "list")

    assert outcome.code == 1
    assert outcome.out == "pipe: FAILED open or read\n/dev/zero: FAILED open or read\na: OK\n"
    assert "pipe is a named pipe" in outcome.err


def test_the_files_of_all_lists_are_hashed_in_one_call(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def count(paths: list[str], **options: Any) -> Any:
        calls.append(list(paths))
        return hash_files(paths, **options)

    monkeypatch.setattr(reading, "hash_files", count)
    Path("first").write_text(f"{H}  a\n{H}  with space\n")
    Path("second").write_text(f"{H}  a\n")

    outcome = run("hash", "-c", "first", "second")

    assert outcome.code == 0
    assert calls == [["a", "with space", "a"]]


def test_verdicts_are_printed_as_json(run: Run) -> None:
    Path("list").write_text(f"{H}  a\n{WRONG}  with space\n{H}  nope\n{H}  folder\n")

    whole = run("hash", "-c", "--json", "list")
    quiet = run("hash", "-c", "--json", "--quiet", "--ignore-missing", "list")
    status = run("hash", "-c", "--json", "--status", "list")

    verdicts = [
        {"path": "a", "status": "ok", "expected": H, "actual": H},
        {"path": "with space", "status": "mismatch", "expected": WRONG, "actual": H},
        {"path": "nope", "status": "missing", "expected": H, "actual": None},
        {"path": "folder", "status": "unreadable", "expected": H, "actual": None},
    ]
    assert (whole.code, json.loads(whole.out)) == (1, {"ok": False, "files": verdicts})
    assert json.loads(quiet.out)["files"] == [verdicts[1], verdicts[3]]
    assert (status.code, status.out) == (1, "")


@given(
    name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    tag=st.booleans(),
    binary=st.booleans(),
)
def test_every_name_that_is_written_is_read_back(name: str, tag: bool, binary: bool) -> None:  # noqa: FBT001 - drawn
    line = LineFormat(tag=tag, binary=binary).format(name, H)

    listed = LineParser().parse(os.fsencode(line).removesuffix(b"\n"))

    assert listed == ListedFile(name, H)
    assert line.count("\n") == 1


@given(line=st.binary())
def test_any_bytes_are_a_line_or_malformed(line: bytes) -> None:
    parser = LineParser()

    for candidate in (line, b"%s  %s" % (H.encode(), line), b"\\SHA256 (%s) = %s" % (line, H.encode())):
        listed = parser.parse(candidate)

        assert listed is None or (listed.sha256 == H and "\0" not in listed.name)

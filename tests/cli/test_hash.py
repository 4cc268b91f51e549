"""`hash` prints digests: the format of coreutils' `sha256sum`, checked against it where it is there."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.cli.hash import reading
from ritual_artifacts.core.hashing import hash_files
from tests.cli.sha256sum import needs_sha256sum, sha256sum

Run = Callable[..., Any]
Feed = Callable[[bytes], None]

NAMES = [
    "plain",
    "with space",
    "größe 模型",
    "[red]markup",
    ":smile:",
    "two\nlines",
    "carriage\rreturn",
    "back\\slash",
    "*star",
    "-dash",
    "it's",
    "$dollar's",
    "tab\tand\x1b[31m",
    *([os.fsdecode(b"caf\xe9")] if sys.platform == "linux" else []),  # others keep valid Unicode only
]
EMPTY = hashlib.sha256().hexdigest()
MAX_MEMORY = 150_000
"""KiB of a process that hashes a stream of any length; the interpreter and its modules are most of it."""

needs_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files or names")
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such files in /proc")


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write files with all kinds of names into the current folder and return the names."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        Path(name).write_bytes(os.fsencode(f"content of {name}"))
    return NAMES


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with folders, and links to a file, to a folder and to the folder itself."""
    monkeypatch.chdir(tmp_path)
    for name in ("tree/b", "tree/a.txt", "tree/a/z", "tree/a/b/c", "tree/B", "elsewhere/file"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "tree" / "empty").mkdir()
    (tmp_path / "tree" / "linked-file").symlink_to(tmp_path / "elsewhere" / "file")
    (tmp_path / "tree" / "linked-folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "tree" / "loop").symlink_to(tmp_path / "tree")
    return tmp_path / "tree"


# --- the format of sha256sum -------------------------------------------------------------------------------


@needs_sha256sum
@needs_posix
@pytest.mark.parametrize(
    "options", [[], ["--tag"], ["--zero"], ["--tag", "-z"], ["-b"], ["-t"], ["-b", "--tag"]], ids=" ".join
)
def test_the_output_is_that_of_sha256sum(options: list[str], run: Run, files: list[str]) -> None:
    expected = sha256sum(*options, "--", *files)

    ours = run("hash", *options, "--", *files)

    assert (ours.code, ours.out, ours.err) == expected
    assert expected[0] == 0


@needs_sha256sum
@needs_posix
def test_an_unreadable_file_is_reported_like_sha256sum(run: Run, files: list[str]) -> None:
    Path("folder").mkdir()
    Path("closed").write_text("x")
    Path("closed").chmod(0)  # which does not keep root out of it
    Path("dangling").symlink_to("nowhere")
    missing = [f"no {name}" for name in files]
    arguments = ["plain", "folder", "closed", "dangling", "", "~x", "a:b", "{", "a{", *missing, "with space"]
    expected = sha256sum(*arguments)

    ours = run("hash", *arguments)

    assert (ours.code, ours.out, ours.err) == expected
    assert expected[0] == 1


@needs_sha256sum
@needs_proc
def test_a_read_error_is_reported_like_sha256sum(run: Run) -> None:
    expected = sha256sum("/proc/self/mem")

    ours = run("hash", "/proc/self/mem")

    assert (ours.code, ours.out, ours.err) == expected
    assert expected[0] == 1


@needs_sha256sum
@needs_posix
@pytest.mark.parametrize("option", ["--text", "--binary", "--tag"])
def test_sha256sum_accepts_our_output(option: str, run: Run, files: list[str]) -> None:
    lines = run("hash", option, "--", *files).out

    code, out, _ = sha256sum("--check", "--strict", stdin=os.fsencode(lines))

    assert code == 0
    assert out.count(": OK") == len(files)


@needs_posix
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

    assert run("hash", name).out == line.format(sha256("x")) + "\n"


@pytest.mark.parametrize("name", ["./plain", ".//plain", "../{}/plain"])
def test_a_name_is_printed_as_it_was_given(name: str, run: Run, files: list[str], tmp_path: Path) -> None:
    given = name.format(tmp_path.name)

    outcome = run("hash", given)

    assert files[0] == "plain"
    assert outcome.out == f"{sha256('content of plain')}  {given}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep only names that are valid Unicode")
def test_a_name_that_is_not_unicode_is_printed_as_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9")
    Path(name).write_bytes(b"x")

    outcome = run("hash", name)
    printed = run("hash", name, "--json")

    assert outcome.out == f"{sha256('x')}  {name}\n"
    assert json.loads(printed.out)[0]["path"] == name


def test_all_files_are_hashed_in_one_call(
    run: Run, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def count(paths: list[str], **options: Any) -> Any:
        calls.append(list(paths))
        return hash_files(paths, **options)

    monkeypatch.setattr(reading, "hash_files", count)

    run("hash", "--", *files)

    assert calls == [files]


# --- JSON --------------------------------------------------------------------------------------------------


def test_the_digests_are_printed_as_json(run: Run, files: list[str]) -> None:
    outcome = run("hash", "--json", "missing", "--", *files)

    assert outcome.code == 1
    assert json.loads(outcome.out) == [
        {
            "path": name,
            "size": len(os.fsencode(f"content of {name}")),
            "sha256": sha256(os.fsencode(f"content of {name}")),
        }
        for name in files
    ]
    assert outcome.err == "error: missing: No such file or directory\n"


# --- folders -----------------------------------------------------------------------------------------------


@needs_posix
@pytest.mark.parametrize("given", ["tree", "tree/", "./tree", "tree/loop"])
def test_a_folder_is_its_files_sorted_under_the_name_that_was_given(given: str, run: Run, tree: Path) -> None:
    names = ["B", "a.txt", "a/b/c", "a/z", "b", "linked-file"]

    outcome = run("hash", "-r", given)

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "".join(
        f"{sha256((tree / name).read_bytes())}  {given.rstrip('/')}/{name}\n" for name in names
    )


def test_files_and_folders_keep_the_order_in_which_they_were_given(run: Run, tree: Path) -> None:
    outcome = run("hash", "-r", "tree/b", "elsewhere", "missing", "tree/a", "tree/empty", "--json")

    names = [str(Path(name)) for name in ("elsewhere/file", "tree/a/b/c", "tree/a/z")]
    assert tree.is_dir()
    assert outcome.code == 1
    assert [item["path"] for item in json.loads(outcome.out)] == ["tree/b", *names]
    assert outcome.err == "error: missing: No such file or directory\n"


@needs_posix
def test_a_folder_that_cannot_be_listed_is_an_error(run: Run, tree: Path) -> None:
    (tree / "a").chmod(0)
    try:
        if os.access(tree / "a", os.R_OK):
            pytest.skip("this user may list any folder")
        outcome = run("hash", "-r", "tree")
    finally:
        (tree / "a").chmod(0o700)

    assert outcome.code == 1
    assert "tree/b" in outcome.out
    assert outcome.err == "error: tree/a: Permission denied\n"


@needs_posix
def test_a_pipe_in_a_folder_is_refused_at_once(run: Run, tree: Path) -> None:
    os.mkfifo(tree / "pipe")

    outcome = run("hash", "-r", "tree")

    assert outcome.code == 1
    assert len(outcome.out.splitlines()) == 6
    assert outcome.err.startswith("error: tree/pipe is a named pipe")


# --- streams -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["-"]], ids=["no name", "-"])
def test_standard_input_is_hashed(arguments: list[str], run: Run, feed: Feed) -> None:
    feed(b"abc")

    outcome = run("hash", *arguments)

    assert (outcome.code, outcome.out, outcome.err) == (0, f"{sha256('abc')}  -\n", "")


def test_standard_input_has_its_place_among_the_files(run: Run, files: list[str], feed: Feed) -> None:
    feed(b"abc" * 1_000_000)

    outcome = run("hash", "--json", "plain", "-", "*star", "-")

    assert files[0] == "plain"
    assert [(item["path"], item["size"], item["sha256"]) for item in json.loads(outcome.out)] == [
        ("plain", 16, sha256("content of plain")),
        ("-", 3_000_000, sha256(b"abc" * 1_000_000)),
        ("*star", 16, sha256("content of *star")),
        ("-", 0, EMPTY),
    ]


@needs_posix
def test_a_closed_standard_input_is_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m ritual_artifacts hash <&-', sys.executable],
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )

    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"error: -: Bad file descriptor\n")


@needs_proc
def test_an_endless_standard_input_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    block = bytes(1 << 20)
    with (
        (tmp_path / "out").open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "ritual_artifacts", "hash"], stdin=subprocess.PIPE, stdout=out
        ) as process,
    ):
        assert process.stdin is not None
        for _ in range(512):
            process.stdin.write(block)
        status = Path("/proc", str(process.pid), "status").read_text()
        process.stdin.close()

    assert process.returncode == 0
    assert (tmp_path / "out").read_text() == f"{sha256(block * 512)}  -\n"
    # What is said of a child that has ended counts the memory of these tests, which it was forked from.
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    assert int(peak) < MAX_MEMORY


@needs_posix
def test_pipes_that_are_named_are_read(run: Run, files: list[str]) -> None:
    os.mkfifo("pipe")
    reader, writer = os.pipe()  # how a shell makes <(command)
    os.write(writer, b"of a shell")
    os.close(writer)
    thread = threading.Thread(target=Path("pipe").write_text, args=["of a name"])
    thread.start()

    outcome = run("hash", "pipe", files[0], f"/dev/fd/{reader}", "/dev/null")

    thread.join()
    os.close(reader)
    assert (outcome.code, outcome.err) == (0, "")
    assert [line.split("  ") for line in outcome.out.splitlines()] == [
        [sha256("of a name"), "pipe"],
        [sha256("content of plain"), "plain"],
        [sha256("of a shell"), f"/dev/fd/{reader}"],
        [EMPTY, "/dev/null"],
    ]


@needs_proc
def test_files_of_proc_are_read_though_their_size_is_0(run: Run) -> None:
    outcome = run("hash", "/proc/version")

    assert outcome.out == f"{sha256(Path('/proc/version').read_bytes())}  /proc/version\n"


# --- usage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--ignore-missing", "--quiet", "--status", "--strict", "--warn"])
def test_options_of_a_check_need_a_check(option: str, run: Run) -> None:
    outcome = run("hash", option, "file")

    assert (outcome.code, outcome.out) == (2, "")
    assert f"the {option} option is meaningful only when verifying checksums" in outcome.err


@pytest.mark.parametrize("option", ["--tag", "--zero", "--binary", "--text", "--recursive"])
def test_options_of_printing_are_refused_by_a_check(option: str, run: Run) -> None:
    outcome = run("hash", "--check", option, "file")

    assert (outcome.code, outcome.out) == (2, "")
    assert f"the {option} option is meaningless when verifying checksums" in outcome.err


@pytest.mark.parametrize("options", [["--json", "--tag"], ["--json", "-z"], ["-b", "-t"]], ids=" ".join)
def test_formats_exclude_each_other(options: list[str], run: Run) -> None:
    assert run("hash", *options, "file").code == 2

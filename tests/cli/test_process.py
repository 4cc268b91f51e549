"""The command as a process: exit codes, streams, interrupts, and what a terminal shows."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import StorageId
from ritual_artifacts.backends import registry

MANIFEST = "ritual_manifest.json"
REMOTE = "huggingface/me/model"
SIZE = 3_000_000

Run = Callable[..., Any]

# A storage as another package installs it: a module, and metadata with an entry point.
STUB = """
import os
import threading
from pathlib import Path

from ritual_artifacts import workers
from ritual_artifacts.backends import Options, Revision
from ritual_artifacts.backends.memory import MemoryBackend, MemorySpace, MemoryStorage
from ritual_artifacts.errors import AuthenticationError, TransferError

folder = Path(os.environ.get("STUB_FOLDER", "."))
mode = os.environ.get("STUB_MODE", "")


class NoOptions(Options):
    title = "the stub"


class Stub(MemoryStorage):
    name = "huggingface"
    title = "the stub"
    connection_options = NoOptions

    def connect(self, options, context):
        return Connection(MemorySpace())


class Connection(MemoryBackend):
    def open(self, repo_id):
        if mode == "refused":
            raise AuthenticationError("the storage does not know this token; log in again")
        if mode == "reset":
            raise ConnectionResetError(104, "Connection reset by peer")
        if mode == "slow":
            raise TimeoutError("timed out")
        return Opened(repo_id, "revision")


class Opened(Revision):
    def manifest_bytes(self):
        return (folder / "ritual_manifest.json").read_bytes()

    def read(self, entry, offset=0):
        with open(os.environ["STUB_LOG"], "a") as log:
            log.write(f"{entry.path} {offset}\\n")
        data = (folder / entry.path).read_bytes()
        half = len(data) // 2
        yield data[offset:half]
        if mode == "cut":
            raise TransferError("the connection was cut", retryable=True)
        if mode in {"hang", "deaf"}:
            os.write(int(os.environ["STUB_READY"]), b"x")
            while mode == "hang":
                workers.sleep(0.1)
            threading.Event().wait()
        yield data[max(offset, half):]
"""


@pytest.fixture
def stub(tmp_path: Path, run: Run) -> dict[str, str]:
    """Install a storage that has one artifact, and return the environment to use it."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights.bin").write_bytes(bytes(range(250)) * (SIZE // 250))
    run("upload", source, "local/me/model")
    run("download", "local/me/model", tmp_path / "remote")
    site = tmp_path / "site"
    info = site / "stub_backend-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "stub_backend.py").write_text(STUB)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stub-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ritual_artifacts.backends]\nhuggingface = stub_backend:Stub\n")
    return {
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "STUB_FOLDER": str(tmp_path / "remote"),
        "STUB_LOG": str(tmp_path / "log"),
    }


# --- exit codes --------------------------------------------------------------------------------------------


def test_the_version_is_printed(run_process: Run) -> None:
    outcome = run_process("--version")

    assert (outcome.code, outcome.out) == (0, f"ritual-artifacts {version('ritual-artifacts')}\n")


def test_the_installed_command_is_the_same(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("ritual-artifacts")

    done = subprocess.run([command, "--version"], capture_output=True, check=True, cwd=tmp_path)  # noqa: S603 - our own command

    assert done.stdout.decode() == f"ritual-artifacts {version('ritual-artifacts')}\n"


COMMANDS = [
    "demo",
    "upload",
    "download",
    "verify",
    "inspect",
    "hash",
    "ls",
    "diff",
    "copy",
    "cache",
    "doctor",
]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(flag: str, run: Run) -> None:
    outcome = run(flag)

    assert outcome.code == 0
    assert all(re.search(rf"\b{command}\b", outcome.out) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, run: Run) -> None:
    outcome = run(command, "--help")

    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["ls", "--no-such-option"],
        ["upload"],
        ["upload", "."],
        ["download", "not-an-id"],
        ["download", "ftp/me/x"],
        ["download", "local/../x"],
        ["verify", "huggingface"],
        ["diff", "local/a"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str], run: Run) -> None:
    outcome = run(*arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("mode", "code", "message"),
    [
        ("", 0, "1 file, 3.0 MB, verified"),
        ("cut", 3, "error: the connection was cut\n"),
        ("reset", 3, "Connection reset by peer"),
        ("slow", 3, "error: timed out\n"),
        ("refused", 4, "error: the storage does not know this token; log in again\n"),
    ],
)
def test_network_is_3_and_authentication_4(
    mode: str, code: int, message: str, run_process: Run, stub: Mapping[str, str]
) -> None:
    outcome = run_process("download", REMOTE, "out", "--json", environment={**stub, "STUB_MODE": mode})
    text = run_process("download", REMOTE, "out", environment={**stub, "STUB_MODE": mode})

    assert (outcome.code, text.code) == (code, code)
    assert bool(outcome.out) is (code == 0)
    assert message in text.err
    assert "Traceback" not in outcome.err + text.err


def test_a_storage_without_backend_is_a_failure_that_says_so(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry._OWN, StorageId.Arweave)
    repo = "arweave/me/model"
    for arguments in (["upload", model, repo], ["download", repo], ["copy", model, repo]):
        outcome = run(*arguments)

        assert (outcome.code, outcome.out) == (1, "")
    assert "no backend for 'arweave' is installed" in run("download", repo).err


def test_a_storage_that_cannot_list_its_files_is_verified_by_reading_them(
    run_process: Run, stub: Mapping[str, str]
) -> None:
    listed = run_process("verify", REMOTE, environment=stub)
    read = run_process("verify", REMOTE, "--deep", environment=stub)

    assert listed.code == 1
    assert "--deep" in listed.err
    assert (read.code, read.out) == (
        0,
        f"OK {REMOTE}: 1 file, 3.0 MB, all match the manifest (all of them read)\n",
    )


def test_a_remote_artifact_is_copied_from_the_cache(run_process: Run, stub: Mapping[str, str]) -> None:
    before = run_process("copy", REMOTE, "out", environment=stub)
    run_process("download", REMOTE, environment=stub)
    after = run_process("copy", REMOTE, "out", environment=stub)

    assert before.code == 1
    assert f"first 'ritual-artifacts download {REMOTE}'" in before.err
    assert after.code == 0


def test_another_version_in_the_cache_is_not_taken_for_the_remote_one(
    run_process: Run, stub: Mapping[str, str], tmp_path: Path, run: Run
) -> None:
    run_process("download", REMOTE, environment=stub)
    (tmp_path / "source" / "weights.bin").write_bytes(b"newer")
    run("upload", tmp_path / "source", "local/me/newer")
    run("download", "local/me/newer", tmp_path / "newer")

    outcome = run_process("copy", REMOTE, "out", environment={**stub, "STUB_FOLDER": str(tmp_path / "newer")})

    assert (outcome.code, outcome.out) == (1, "")
    assert "are not on this machine" in outcome.err


# --- Ctrl-C ------------------------------------------------------------------------------------------------


@contextmanager
def reading(mode: str, stub: Mapping[str, str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a download, and wait until half of its file has arrived."""
    ready, told = os.pipe()
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "ritual_artifacts", "download", REMOTE, "out"],
        env={**os.environ, **stub, "STUB_MODE": mode, "STUB_READY": str(told)},
        pass_fds=[told],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(told)
        try:
            assert os.read(ready, 1) == b"x"
            yield process
        finally:
            os.close(ready)
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that only this process gets")
def test_an_interrupted_download_continues_where_it_stopped(
    run_process: Run, stub: Mapping[str, str], tmp_path: Path
) -> None:
    with reading("hang", stub, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, b"")
    assert err.decode().startswith("interrupted; ")
    assert not (tmp_path / "out" / "weights.bin").exists()

    again = run_process("download", REMOTE, "out", environment=stub)

    assert again.code == 0
    assert (tmp_path / "log").read_text().splitlines() == ["weights.bin 0", f"weights.bin {SIZE // 2}"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [MANIFEST, "weights.bin"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that only this process gets")
def test_a_second_interrupt_ends_a_command_whose_storage_does_not_stop(
    stub: Mapping[str, str], tmp_path: Path
) -> None:
    with reading("deaf", stub, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, b"")
    assert err.decode().startswith("interrupted; ")


# --- streams -----------------------------------------------------------------------------------------------


def test_a_pipe_gets_data_alone_and_no_bar(run_process: Run, model: Path) -> None:
    colourful = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color", "COLUMNS": "20"}
    uploaded = run_process("upload", model, "local/me/model", environment=colourful)
    listed = run_process("hash", model / "weights.bin", environment=colourful)

    assert re.fullmatch(r"local/me/model sha256:[0-9a-f]{64}\n", uploaded.out)
    assert "published" in uploaded.err
    assert "%" not in uploaded.err
    assert "\r" not in uploaded.err
    assert "\x1b[?25l" not in uploaded.err
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.endswith("weights.bin\n")


def test_a_pipe_gets_long_names_in_one_piece(run_process: Run, tmp_path: Path) -> None:
    name = f"{'long-' * 40}.bin"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_bytes(b"x")
    run_process("upload", "folder", f"local/{'o' * 100}/{'n' * 100}")

    listed = run_process("ls", environment={"COLUMNS": "40"})
    shown = run_process("inspect", f"local/{'o' * 100}/{'n' * 100}", environment={"COLUMNS": "40"})

    assert f"local/{'o' * 100}/{'n' * 100} " in listed.out
    assert name in shown.out


def without(streams: str, arguments: list[str | Path], folder: Path) -> "subprocess.CompletedProcess[bytes]":
    """Run a command whose shell closed some of its streams."""
    command = [sys.executable, "-m", "ritual_artifacts", *map(str, arguments)]
    shell = ["/bin/sh", "-c", f'exec "$@" {streams}', "sh"]
    return subprocess.run([*shell, *command], capture_output=True, check=False, cwd=folder)  # noqa: S603 - our own command


@pytest.mark.skipif(os.name == "nt", reason="there is no POSIX shell")
@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_stop_the_work(streams: str, model: Path, tmp_path: Path, run: Run) -> None:
    uploaded = without(streams, ["upload", model, "local/me/model"], tmp_path)
    listed = without(streams, ["ls"], tmp_path)
    hashed = without(streams, ["hash", model / "config.json"], tmp_path)
    missing = without(streams, ["inspect", "local/me/missing"], tmp_path)

    assert [done.returncode for done in (uploaded, listed, hashed, missing)] == [0, 0, 0, 1]
    assert not any(b"Traceback" in done.stderr for done in (uploaded, listed, hashed, missing))
    assert bool(uploaded.stdout) is (streams == "2>&-")
    assert bool(uploaded.stderr) is (streams == ">&-")
    assert run("verify", "local/me/model").code == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_what_the_output_cannot_say_is_escaped(encoding: str, run_process: Run, model: Path) -> None:
    environment = {"PYTHONIOENCODING": encoding}
    run_process("upload", model, "local/größe☃/model", environment=environment)

    outcomes = [
        run_process(*arguments, environment=environment)
        for arguments in (
            ["ls"],
            ["inspect", "local/größe☃/model"],
            ["verify", "local/größe☃/model"],
            ["hash", "--recursive", model],
            ["download", "local/größe☃/model", "☃"],
            ["inspect", "☃"],
        )
    ]
    missing = run_process("inspect", "☃☃", environment=environment)

    assert [(outcome.code, "Traceback" in outcome.err) for outcome in outcomes] == [(0, False)] * 6
    assert "\\u2603" in outcomes[0].out
    assert (missing.code, "\\u2603" in missing.err) == (1, True)


def on_a_terminal(
    arguments: list[str | Path], folder: Path, columns: int, environment: Mapping[str, str] | None = None
) -> tuple[str, int]:
    """Run a command on a terminal of its own and return what it showed there."""
    fcntl, pty, struct, termios = (pytest.importorskip(m) for m in ("fcntl", "pty", "struct", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    outside = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "ritual_artifacts", *arguments],
        env={**outside, "TERM": "xterm", **(environment or {})},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while select.select([ours], [], [], 60)[0] and (block := os.read(ours, 1 << 16)):
            shown += block
    except OSError:  # how Linux says that the other side is gone
        pass
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), process.wait(60)


def test_a_terminal_gets_a_bar(model: Path, tmp_path: Path) -> None:
    shown, code = on_a_terminal(["upload", model, "local/me/model"], tmp_path, 80)

    assert code == 0
    assert "upload ━" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "4 files published" in shown


def test_a_dumb_terminal_gets_no_bar(model: Path, tmp_path: Path) -> None:
    shown, code = on_a_terminal(["upload", model, "local/me/model"], tmp_path, 80, {"TERM": "dumb"})

    assert code == 0
    assert "━" not in shown
    assert "\x1b" not in shown


def test_no_color_means_no_colour(model: Path, tmp_path: Path) -> None:
    colourful, _ = on_a_terminal(["upload", model, "local/me/model"], tmp_path, 80)
    plain, _ = on_a_terminal(["upload", model, "local/me/again"], tmp_path, 80, {"NO_COLOR": "1"})

    colour = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d)(?:;\d+)*m")
    assert colour.search(colourful)
    assert not colour.search(plain)


@pytest.mark.usefixtures("uploaded")
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "command", [["ls"], ["inspect", "local/me/model"], ["--help"], ["upload", "--help"]], ids=" ".join
)
def test_what_is_shown_fits_the_terminal(command: list[str | Path], columns: int, tmp_path: Path) -> None:
    shown, code = on_a_terminal(command, tmp_path, columns)

    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    assert code == 0
    assert [line for line in lines if len(line) > columns] == []


@pytest.fixture
def uploaded(run: Run, model: Path) -> None:
    run("upload", model, "local/me/model")
    run("download", "local/me/model")


# --- hostile names -----------------------------------------------------------------------------------------


def test_markup_in_a_name_is_only_text(run: Run, model: Path) -> None:
    run("upload", model, "local/me/model")

    shown = run("inspect", "local/me/model")

    assert "tokenizer/[red]größe[bold] :smile:.txt" in shown.out


def test_a_strangers_manifest_cannot_act_on_the_terminal(run: Run, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e[red]\r\nOK"
    document = {"artifact_type": "T", "file_hashes": {}, evil: evil}
    (tmp_path / MANIFEST).write_text(json.dumps(document))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).write_text(json.dumps({"artifact_type": "T", "file_hashes": {}}))

    for outcome in (run("inspect", tmp_path), run("diff", tmp_path, tmp_path / "other")):
        assert all(line.isprintable() for line in outcome.out.splitlines())
        assert not any(line.startswith("OK") for line in outcome.out.splitlines())
        assert "[red]" in outcome.out


def test_a_hostile_argument_cannot_act_on_the_terminal(run: Run) -> None:
    for arguments in (["inspect", "\x1b[2Jx"], ["hash", "\x1b[2Jx"], ["download", "local/\x1b[2J/x"]):
        outcome = run(*arguments)

        assert outcome.code in {1, 2}
        assert "\x1b[2J" not in outcome.err
        assert "[2J" in outcome.err

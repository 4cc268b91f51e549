"""The command as a process: exit codes, streams, interruption, and the output on a terminal."""

import hashlib
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import MANIFEST, Run

REMOTE = "stub/me/model"
SIZE = 3_000_000
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stub(tmp_path: Path, run: Run) -> dict[str, str]:
    """Install a storage that has one artifact, and return the environment to use it."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights.bin").write_bytes(bytes(range(250)) * (SIZE // 250))
    run("upload", source, "local/me/model")
    run("download", "local/me/model", tmp_path / "remote")
    return {
        **install(tmp_path / "site", "stub", "tests.cli.stub_storage:StubStorage"),
        "STUB_FOLDER": str(tmp_path / "remote"),
        "STUB_LOG": str(tmp_path / "log"),
    }


def install(site: Path, storage: str, target: str) -> dict[str, str]:
    """Make the metadata of a package with a storage, and return the environment that finds it."""
    info = site / "plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ritual_artifacts.backends]\n{storage} = {target}\n")
    paths = [str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


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
    ("fault", "code", "message"),
    [
        ("", 0, "1 file, 3.0 MB, verified"),
        ("cut", 3, "error: the connection was cut\n"),
        ("reset", 3, "Connection reset by peer"),
        ("slow", 3, "error: timed out\n"),
        ("refused", 4, "error: the storage does not know this token; log in again\n"),
    ],
)
def test_network_is_3_and_authentication_4(
    fault: str, code: int, message: str, run_process: Run, stub: Mapping[str, str]
) -> None:
    outcome = run_process("download", REMOTE, "out", "--json", environment={**stub, "STUB_FAULT": fault})
    text = run_process("download", REMOTE, "out", environment={**stub, "STUB_FAULT": fault})

    assert (outcome.code, text.code) == (code, code)
    assert bool(outcome.out) is (code == 0)
    assert message in text.err
    assert "Traceback" not in outcome.err + text.err


def test_a_storage_that_cannot_be_imported_is_named(run_process: Run, model: Path, tmp_path: Path) -> None:
    broken = install(tmp_path / "site", "arweave", "no_such_module:Storage")
    repo = "arweave/me/model"
    outcomes = [
        run_process(*arguments, environment=broken)
        for arguments in (["upload", model, repo], ["download", repo], ["copy", model, repo])
    ]

    assert [(outcome.code, outcome.out) for outcome in outcomes] == [(1, "")] * 3
    for outcome in outcomes:
        assert "the backend for 'arweave', no_such_module:Storage, cannot be imported" in outcome.err
        assert "Traceback" not in outcome.err
    assert run_process("upload", model, "local/me/model", environment=broken).code == 0


# --- a storage that does not list its files ----------------------------------------------------------------


def test_a_remote_artifact_is_verified_by_a_download_of_every_byte(
    run_process: Run, stub: Mapping[str, str], tmp_path: Path
) -> None:
    shallow = run_process("verify", REMOTE, environment=stub)
    deep = run_process("verify", REMOTE, "--deep", environment=stub)
    (tmp_path / "remote" / "weights.bin").write_bytes(bytes(SIZE))
    damaged = run_process("verify", REMOTE, "--deep", environment=stub)

    assert (shallow.code, shallow.out) == (1, "")
    assert "--deep" in shallow.err
    assert (deep.code, deep.out) == (
        0,
        f"OK {REMOTE}: 1 file, 3.0 MB, all match the manifest (all files read)\n",
    )
    assert damaged.code == 1
    assert damaged.out.startswith(f"MISMATCH 'weights.bin' from {REMOTE}")
    assert not (tmp_path / "ritual" / "cache" / "stub").exists()


def test_a_copy_of_a_remote_artifact_needs_a_download_of_the_same_version(
    run_process: Run, stub: Mapping[str, str], tmp_path: Path, run: Run
) -> None:
    before = run_process("copy", REMOTE, "out", environment=stub)
    run_process("download", REMOTE, environment=stub)
    copied = run_process("copy", REMOTE, "out", environment=stub)
    (tmp_path / "source" / "weights.bin").write_bytes(b"newer")
    run("upload", tmp_path / "source", "local/me/newer")
    run("download", "local/me/newer", tmp_path / "newer")
    newer = run_process("copy", REMOTE, "new", environment={**stub, "STUB_FOLDER": str(tmp_path / "newer")})

    assert (before.code, before.out) == (1, "")
    assert f"first 'ritual-artifacts download {REMOTE}'" in before.err
    assert copied.code == 0
    assert (tmp_path / "out" / "weights.bin").stat().st_size == SIZE
    assert (newer.code, newer.out) == (1, "")
    assert "are not on this machine" in newer.err


def test_an_artifact_of_infernet_ml_that_cannot_have_a_digest_is_downloaded(
    run_process: Run, stub: Mapping[str, str], tmp_path: Path
) -> None:
    data = (tmp_path / "remote" / "weights.bin").read_bytes()
    hashes = {"weights.bin": hashlib.sha256(data).hexdigest()}
    document = {"artifact_type": "T", "file_hashes": hashes, "file": "weights.bin", "seed": 2**60}
    (tmp_path / "remote" / MANIFEST).write_text(json.dumps(document))

    text = run_process("download", REMOTE, "out", environment=stub)
    printed = run_process("download", REMOTE, "out", "--json", environment=stub)
    verified = run_process("verify", "out")

    assert (text.code, text.err) == (0, "1 file, verified\n")
    assert json.loads(printed.out)["digest"] is None
    assert (verified.code, verified.out) == (0, "OK out: 1 file, 3.0 MB, all match the manifest\n")


# --- Ctrl-C ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that only this process gets")
def test_an_interrupted_download_is_resumed(
    run_process: Run, stub: Mapping[str, str], tmp_path: Path
) -> None:
    ready, told = os.pipe()
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "ritual_artifacts", "download", REMOTE, "out"],
        env={**os.environ, **stub, "STUB_FAULT": "hang", "STUB_READY": str(told)},
        pass_fds=[told],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(told)
    assert os.read(ready, 1) == b"x"
    os.close(ready)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, b"")
    assert err.decode().startswith("interrupted; ")
    assert not list((tmp_path / "out").glob("*.*[!l]"))
    assert sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file()) == SIZE // 2

    again = run_process("download", REMOTE, "out", environment=stub)

    assert again.code == 0
    assert (tmp_path / "log").read_text().splitlines() == ["weights.bin 0", f"weights.bin {SIZE // 2}"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [MANIFEST, "weights.bin"]


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
def test_characters_that_the_encoding_lacks_are_escaped(encoding: str, run_process: Run, model: Path) -> None:
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
    """Run a command on a terminal of its own and return its output."""
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
    except OSError:  # Linux: the other side was closed
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


def test_an_untrusted_manifest_cannot_control_the_terminal(run: Run, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e[red]\r\nOK"
    document = {"artifact_type": "T", "file_hashes": {}, evil: evil}
    (tmp_path / MANIFEST).write_text(json.dumps(document))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).write_text(json.dumps({"artifact_type": "T", "file_hashes": {}}))

    for outcome in (run("inspect", tmp_path), run("diff", tmp_path, tmp_path / "other")):
        assert all(line.isprintable() for line in outcome.out.splitlines())
        assert not any(line.startswith("OK") for line in outcome.out.splitlines())
        assert "[red]" in outcome.out


def test_a_hostile_argument_cannot_control_the_terminal(run: Run) -> None:
    for arguments in (["inspect", "\x1b[2Jx"], ["hash", "\x1b[2Jx"], ["download", "local/\x1b[2J/x"]):
        outcome = run(*arguments)

        assert outcome.code in {1, 2}
        assert "\x1b[2J" not in outcome.err
        assert "[2J" in outcome.err

"""Ctrl-C: no traceback at any moment, a notice where stopping takes long, and an end by a second one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that only this process gets")

NOTICE = b"stopping; press Ctrl-C again to end at once\n"
COMMAND = """
import ctypes, sys, time, types

def run():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopping", flush=True)
        {stuck}

sys.modules["ritual_artifacts.cli"] = types.SimpleNamespace(main=run)
from ritual_artifacts.__main__ import main
main()
"""
STUCK = {
    "a loop that ignores everything": (
        "while True:\n            try:\n                time.sleep(60)\n"
        "            except BaseException:\n                pass"
    ),
    "C code that keeps the interpreter's lock": "ctypes.PyDLL(None).sleep(60)",
    "a thread that does not end": (
        "import threading; threading.Thread(target=time.sleep, args=[60]).start(); sys.exit(130)"
    ),
}


def start(*command: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )


def read_line(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("module", ["typer", "pydantic", "rich"])
def test_an_interrupted_import_prints_one_line(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("import time; print('importing', flush=True); time.sleep(60)\n")
    search = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    process = start("-m", "ritual_artifacts", "ls", environment={"PYTHONPATH": search})
    assert read_line(process) == b"importing\n"

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")


@pytest.mark.parametrize("name", STUCK)
def test_a_second_interrupt_ends_at_once(name: str) -> None:
    process = start("-c", COMMAND.format(stuck=STUCK[name]))
    assert read_line(process) == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert read_line(process) == b"stopping\n"
    time.sleep(0.2)  # it is stuck now

    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert process.returncode == -signal.SIGINT  # 130 in a shell
    assert time.monotonic() - started < 10


def test_stopping_for_long_says_what_to_do() -> None:
    process = start("-c", COMMAND.format(stuck="time.sleep(2)"))
    assert read_line(process) == b"ready\n"

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert err == NOTICE


def test_stopping_at_once_says_nothing() -> None:
    process = start("-c", COMMAND.format(stuck="pass"))
    assert read_line(process) == b"ready\n"

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert err == b""


def test_a_process_that_ignores_interrupts_still_does() -> None:
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    process = start("-c", ignoring + COMMAND.format(stuck="pass").replace("time.sleep(60)", "time.sleep(1)"))
    assert read_line(process) == b"ready\n"

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, b"", b"")

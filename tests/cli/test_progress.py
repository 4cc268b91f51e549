"""The progress bar: bytes, files and rate on a terminal, nothing anywhere else."""

import io
import sys

import pytest

from ritual_artifacts import Progress
from ritual_artifacts.cli.output import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)  # not in a fixture: pytest puts its own there after these
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    return terminal


def test_bytes_files_and_rate_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)

    with progress_bar() as report:
        assert report is not None
        for done in range(4):
            report(Progress("download", done * 1_000_000, 4_000_000, done * 4, 16))

    shown = terminal.getvalue()
    assert "download" in shown
    assert "3.0/4.0 MB" in shown
    assert "12/16 files" in shown
    assert "/s" in shown


def test_files_that_are_not_counted_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)

    with progress_bar() as report:
        assert report is not None
        report(Progress("hash", 3_000_000, 4_000_000))

    assert "3.0/4.0 MB" in terminal.getvalue()
    assert "files" not in terminal.getvalue()


def test_there_is_no_bar_without_a_terminal() -> None:
    with progress_bar() as report:
        assert report is None

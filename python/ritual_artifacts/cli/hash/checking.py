"""Lists of digests, checked: every file of every list is hashed in one call."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ritual_artifacts.cli.hash.lines import LineParser, ListedFile, escape
from ritual_artifacts.cli.hash.printing import describe_failure, print_lines, print_messages, quote_name
from ritual_artifacts.cli.hash.reading import STDIN, Reading, read_digests
from ritual_artifacts.cli.output import show_json


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What a check says, and what it takes for a failure.

    Attributes:
        ignore_missing: A file that is not there is passed over; but one at least has to be right.
        quiet: No line for a file that is right.
        status: No line and no warning.
        strict: A malformed line is a failure.
        warn: A warning for each malformed line.
    """

    ignore_missing: bool = False
    quiet: bool = False
    status: bool = False
    strict: bool = False
    warn: bool = False


@dataclass(frozen=True, slots=True)
class DigestList:
    """A list of digests: its name in messages, its files, and the numbers of its malformed lines."""

    title: str
    files: tuple[tuple[int, ListedFile], ...]
    malformed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a line of a list has led to."""

    line: int
    file: ListedFile
    reading: Reading

    @property
    def actual(self) -> str | None:
        """The SHA-256 of the file; None where it could not be read."""
        return None if isinstance(self.reading, Exception) else self.reading.sha256

    @property
    def status(self) -> Literal["ok", "mismatch", "missing", "unreadable"]:
        """How the file compares with its line."""
        match self.reading:
            case FileNotFoundError():
                return "missing"
            case Exception():
                return "unreadable"
            case reading:
                return "ok" if reading.sha256 == self.file.sha256 else "mismatch"


_WORDS = {"ok": "OK", "mismatch": "FAILED", "missing": "FAILED open or read", "unreadable": "FAILED open or read"}


def check_files(names: Sequence[str], options: CheckOptions, *, as_json: bool) -> bool:
    """Check the files of the lists `names`, print what is found, and say whether all is well."""
    lists = [_read_list(name) for name in names]
    listed = [file.name for one in lists if isinstance(one, DigestList) for _, file in one.files]
    readings = iter(read_digests(listed))
    well = True
    shown: list[Verdict] = []
    messages: list[str] = []
    for name, one in zip(names, lists, strict=True):
        if isinstance(one, OSError):
            messages.append(describe_failure(name, one))
            well = False
            continue
        verdicts = [Verdict(line, file, next(readings)) for line, file in one.files]
        if options.ignore_missing:
            verdicts = [verdict for verdict in verdicts if verdict.status != "missing"]
        shown += [verdict for verdict in verdicts if not (options.quiet and verdict.status == "ok")]
        messages += _describe_lines(one, verdicts, options)
        problems = _find_problems(one, verdicts, options)
    return well

"""Lists of digests, checked: every file of every list is hashed in one call."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ritual_artifacts.cli.hash.lines import LineParser, ListedFile, escape
from ritual_artifacts.cli.hash.printing import describe_failure, print_lines, print_messages, quote_name
from ritual_artifacts.cli.hash.reading import STDIN, Reading, open_stdin, read_digests
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


_WORDS = {
    "ok": "OK",
    "mismatch": "FAILED",
    "missing": "FAILED open or read",
    "unreadable": "FAILED open or read",
}


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
            well = False
            messages.append(describe_failure(name, one))
            continue
        verdicts = [Verdict(line, file, next(readings)) for line, file in one.files]
        if options.ignore_missing:
            verdicts = [verdict for verdict in verdicts if verdict.status != "missing"]
        is_well, summary = _summarize(one, verdicts, options)
        well = well and is_well
        shown += [verdict for verdict in verdicts if not (options.quiet and verdict.status == "ok")]
        messages += [*_describe_lines(one, verdicts, options), *summary]
    if as_json and not options.status:
        show_json({"ok": well, "files": [_verdict_json(verdict) for verdict in shown]})
    elif not options.status:
        print_lines(_format_verdict(verdict) for verdict in shown)
    print_messages(messages)
    return well


def _read_list(name: str) -> DigestList | OSError:
    try:
        if name != STDIN:
            with open(name, "rb") as stream:  # noqa: PTH123 - a Path would change the name
                return _parse_list(name, stream)
        return _parse_list("standard input", open_stdin(), is_stdin=True)
    except OSError as error:
        return error


def _parse_list(title: str, lines: Iterable[bytes], *, is_stdin: bool = False) -> DigestList:
    """Read a list; empty lines and those that begin with `#` do not count, and CRLF ends a line too."""
    parser = LineParser()
    files, malformed = [], []
    for number, whole_line in enumerate(lines, start=1):
        line = whole_line.removesuffix(b"\n").removesuffix(b"\r")
        if not line or line.startswith(b"#"):
            continue
        file = parser.parse(line)
        if file is None or (is_stdin and file.name == STDIN):  # which has been read
            malformed.append(number)
        else:
            files.append((number, file))
    return DigestList(title, tuple(files), tuple(malformed))


def _describe_lines(one: DigestList, verdicts: Iterable[Verdict], options: CheckOptions) -> list[str]:
    """Describe the lines that are malformed or whose file cannot be read, in their order."""
    messages = [
        (verdict.line, describe_failure(verdict.file.name, verdict.reading))
        for verdict in verdicts
        if isinstance(verdict.reading, Exception)
    ]
    if options.warn and not options.status:
        title = quote_name(one.title)
        messages += [
            (line, f"warning: {title}: {line}: improperly formatted SHA256 checksum line")
            for line in one.malformed
        ]
    return [message for _, message in sorted(messages)]


def _summarize(one: DigestList, verdicts: Iterable[Verdict], options: CheckOptions) -> tuple[bool, list[str]]:
    """Say whether a list is well, and what there is to say about all of it."""
    title = quote_name(one.title)
    if not one.files:
        return False, [f"error: {title}: no properly formatted checksum lines found"]
    count = Counter(verdict.status for verdict in verdicts)
    unreadable = count["missing"] + count["unreadable"]
    nothing_verified = options.ignore_missing and not count["ok"]
    failed = unreadable or count["mismatch"] or nothing_verified or (options.strict and one.malformed)
    if options.status:
        return not failed, []
    messages = [
        f"warning: {number} {singular if number == 1 else plural}"
        for number, singular, plural in (
            (len(one.malformed), "line is improperly formatted", "lines are improperly formatted"),
            (unreadable, "listed file could not be read", "listed files could not be read"),
            (count["mismatch"], "computed checksum did NOT match", "computed checksums did NOT match"),
        )
        if number
    ]
    if nothing_verified:
        messages.append(f"error: {title}: no file was verified")
    return not failed, messages


def _format_verdict(verdict: Verdict) -> str:
    """Format a line of text; a name that has several lines is escaped, as coreutils does here."""
    name = verdict.file.name
    shown = f"\\{escape(name)}" if "\n" in name else name
    return f"{shown}: {_WORDS[verdict.status]}\n"


def _verdict_json(verdict: Verdict) -> dict[str, str | None]:
    return {
        "path": verdict.file.name,
        "status": verdict.status,
        "expected": verdict.file.sha256,
        "actual": verdict.actual,
    }

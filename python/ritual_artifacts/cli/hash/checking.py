"""`hash --check`: checks the files in lists of digests. All files of all lists are hashed in one call."""

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
    """What a check prints, and what it treats as a failure.

    Attributes:
        ignore_missing: Skip missing files; but at least one file must match.
        quiet: Print no line for a file that matches.
        status: Print no lines and no warnings.
        strict: Treat a malformed line as a failure.
        warn: Print a warning for each malformed line.
    """

    ignore_missing: bool = False
    quiet: bool = False
    status: bool = False
    strict: bool = False
    warn: bool = False


@dataclass(frozen=True, slots=True)
class DigestList:
    """A list of digests: its name in messages, its files with line numbers, and its malformed lines."""

    title: str
    files: tuple[tuple[int, ListedFile], ...]
    malformed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one line of a list."""

    line: int
    file: ListedFile
    reading: Reading

    @property
    def actual(self) -> str | None:
        """The SHA-256 of the file; None if it could not be read."""
        return None if isinstance(self.reading, Exception) else self.reading.sha256

    @property
    def status(self) -> Literal["ok", "mismatch", "missing", "unreadable"]:
        """The result of comparing the file with its line."""
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
    """Check the files of the lists `names`, print the results, and return whether all checks passed."""
    lists = [_read_list(name) for name in names]
    found = [digests for digests in lists if isinstance(digests, DigestList)]
    readings = iter(read_digests([file.name for digests in found for _, file in digests.files]))
    ok = True
    shown: list[Verdict] = []
    messages: list[str] = []
    for name, digests in zip(names, lists, strict=True):
        if isinstance(digests, OSError):
            ok = False
            messages.append(describe_failure(name, digests))
            continue
        verdicts = [Verdict(line, file, next(readings)) for line, file in digests.files]
        if options.ignore_missing:
            verdicts = [verdict for verdict in verdicts if verdict.status != "missing"]
        passed, summary = _summarize(digests, verdicts, options)
        ok = ok and passed
        shown += [verdict for verdict in verdicts if not (options.quiet and verdict.status == "ok")]
        messages += [*_describe_lines(digests, verdicts, options), *summary]
    if as_json and not options.status:
        show_json({"ok": ok, "files": [_verdict_json(verdict) for verdict in shown]})
    elif not options.status:
        print_lines(_format_verdict(verdict) for verdict in shown)
    print_messages(messages)
    return ok


def _read_list(name: str) -> DigestList | OSError:
    try:
        if name != STDIN:
            with open(name, "rb") as stream:  # noqa: PTH123 - a Path would change the name
                return _parse_list(name, stream)
        return _parse_list("standard input", open_stdin(), is_stdin=True)
    except OSError as error:
        return error


def _parse_list(title: str, lines: Iterable[bytes], *, is_stdin: bool = False) -> DigestList:
    """Parse a list. Empty lines and lines that begin with `#` are skipped; lines may end with CRLF."""
    parser = LineParser()
    files, malformed = [], []
    for number, whole_line in enumerate(lines, start=1):
        line = whole_line.removesuffix(b"\n").removesuffix(b"\r")
        if not line or line.startswith(b"#"):
            continue
        file = parser.parse(line)
        if file is None or (is_stdin and file.name == STDIN):  # already read as the list
            malformed.append(number)
        else:
            files.append((number, file))
    return DigestList(title, tuple(files), tuple(malformed))


def _describe_lines(digests: DigestList, verdicts: Iterable[Verdict], options: CheckOptions) -> list[str]:
    """Describe the lines that are malformed or whose file cannot be read, in order."""
    messages = [
        (verdict.line, describe_failure(verdict.file.name, verdict.reading))
        for verdict in verdicts
        if isinstance(verdict.reading, Exception)
    ]
    if options.warn and not options.status:
        title = quote_name(digests.title)
        messages += [
            (line, f"warning: {title}: {line}: improperly formatted SHA256 checksum line")
            for line in digests.malformed
        ]
    return [message for _, message in sorted(messages)]


def _summarize(
    digests: DigestList, verdicts: Iterable[Verdict], options: CheckOptions
) -> tuple[bool, list[str]]:
    """Return whether a list passed, and the messages about the list as a whole."""
    title = quote_name(digests.title)
    if not digests.files:
        return False, [f"error: {title}: no properly formatted checksum lines found"]
    count = Counter(verdict.status for verdict in verdicts)
    unreadable = count["missing"] + count["unreadable"]
    nothing_verified = options.ignore_missing and not count["ok"]
    failed = unreadable or count["mismatch"] or nothing_verified or (options.strict and digests.malformed)
    if options.status:
        return not failed, []
    messages = [
        f"warning: {number} {singular if number == 1 else plural}"
        for number, singular, plural in (
            (len(digests.malformed), "line is improperly formatted", "lines are improperly formatted"),
            (unreadable, "listed file could not be read", "listed files could not be read"),
            (count["mismatch"], "computed checksum did NOT match", "computed checksums did NOT match"),
        )
        if number
    ]
    if nothing_verified:
        messages.append(f"error: {title}: no file was verified")
    return not failed, messages


def _format_verdict(verdict: Verdict) -> str:
    """Format the line of a file; a name with a line feed is escaped, as in coreutils."""
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

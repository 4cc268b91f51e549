"""The output of `hash`: lines on standard output, and messages with coreutils' quoting on standard error."""

import os
import re
import sys
from collections.abc import Iterable
from itertools import groupby

import typer

from ritual_artifacts.cli.output import printable

_SPECIAL = re.compile(r"""[!"$&()*:;<=>?[\\^`|]|^[#~]|^[{}]?$""")
"""Characters with a meaning for a shell, except spaces and apostrophes; and `:`, which ends a name."""
_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}


def print_lines(lines: Iterable[str]) -> None:
    """Print lines with their line endings on standard output; on a terminal, control characters are escaped.

    The lines are written as bytes in one piece: a name may be invalid Unicode, and there may be thousands.
    """
    if sys.stdout.isatty():
        lines = (printable(line.rstrip("\n\0")) + "\n" for line in lines)
    typer.echo(os.fsencode("".join(lines)), nl=False)


def print_messages(messages: Iterable[str]) -> None:
    """Print lines on standard error."""
    text = "".join(f"{message}\n" for message in messages)
    if text:
        typer.echo(text, nl=False, err=True)


def describe_failure(name: str, error: Exception) -> str:
    """Return the message about a file that could not be read."""
    if isinstance(error, OSError) and error.strerror:
        return f"error: {quote_name(name)}: {error.strerror}"
    return f"error: {printable(str(error))}"


def quote_name(name: str) -> str:
    """Quote a name if necessary, so that it is valid in a shell, and has no control characters."""
    if name.isprintable() and not _SPECIAL.search(name):
        if "'" in name:
            return f'"{name}"'
        return f"'{name}'" if " " in name else name
    parts = []
    for is_printable, run in groupby(name, str.isprintable):
        text = "".join(run)
        parts.append(text.replace("'", "'\\''") if is_printable else f"'$'{_escape(text)}''")
    quoted = f"'{''.join(parts)}'"
    return quoted if not name or name[-1].isprintable() else quoted.removesuffix("''")


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(byte, f"\\{byte:03o}") for byte in os.fsencode(text))

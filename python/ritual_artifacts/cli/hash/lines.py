r"""The line formats of `sha256sum`: formatting a line, and parsing the lines of a list.

There are three styles: GNU's `<hex>  name` or `<hex> *name`, BSD's `SHA256 (name) = <hex>`, and the
`<hex> name` of BSD's `-r` option. A line that begins with a backslash has an escaped name. Hex digits may be
upper or lower case.
"""

import os
import re
from dataclasses import dataclass

_HEX = rb"(?P<sha256>[0-9a-fA-F]{64})"
_BSD_LINE = re.compile(rb"[ \t]*(?P<mark>\\?)SHA256 ?\((?P<name>.*)\)[ \t]*=[ \t]*" + _HEX, re.DOTALL)
_GNU_LINE = re.compile(rb"[ \t]*(?P<mark>\\?)" + _HEX + rb"[ \t](?P<name>.+)", re.DOTALL)
_ESCAPES = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}


@dataclass(frozen=True, slots=True)
class LineFormat:
    """The format of a file's line.

    Attributes:
        tag: Use BSD style.
        zero: End lines with NUL, so that names are not escaped.
        binary: In GNU style, put `*` before the name.
    """

    tag: bool = False
    zero: bool = False
    binary: bool = False

    def format(self, name: str, sha256: str) -> str:
        """Return the line of the file `name`, with its line ending."""
        shown = name if self.zero else escape(name)
        mark = "" if shown == name else "\\"
        end = "\0" if self.zero else "\n"
        if self.tag:
            return f"{mark}SHA256 ({shown}) = {sha256}{end}"
        return f"{mark}{sha256} {'*' if self.binary else ' '}{shown}{end}"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One line of a list of digests: a name, and the expected SHA-256 in lower-case hex."""

    name: str
    sha256: str


class LineParser:
    """Parses the lines of one list.

    `<hex>  name` is the file `name` in GNU style, and the file ` name` in the style of BSD's `-r`. The first
    line in one of these styles decides for the whole list, so that a later line cannot change its meaning.
    """

    def __init__(self) -> None:
        """Create the parser of a new list."""
        self._has_markers: bool | None = None

    def parse(self, line: bytes) -> ListedFile | None:
        """Parse a line without its line ending; None if it is malformed."""
        match = _BSD_LINE.fullmatch(line) or _GNU_LINE.fullmatch(line)
        if match is None:
            return None
        name: bytes | None = match["name"]
        if match.re is _GNU_LINE:
            name = self._strip_marker(match["name"])
        if name is not None and match["mark"]:
            name = _unescape(name)
        if name is None or b"\0" in name:
            return None
        return ListedFile(os.fsdecode(name), match["sha256"].decode().lower())

    def _strip_marker(self, name: bytes) -> bytes | None:
        """Return the name without GNU's marker for text or binary; None if the list has the other style."""
        if len(name) == 1 or name[:1] not in {b" ", b"*"}:
            if self._has_markers:
                return None
            self._has_markers = False
            return name
        if self._has_markers is False:
            return name
        self._has_markers = True
        return name[1:]


def escape(name: str) -> str:
    """Escape a name for one line: backslashes, line feeds and carriage returns become two characters."""
    return name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(name: bytes) -> bytes | None:
    """Reverse `escape`; None for a backslash that is not part of a valid escape sequence."""
    parts = re.split(rb"(\\.?)", name, flags=re.DOTALL)
    if not all(part in _ESCAPES for part in parts[1::2]):
        return None
    return b"".join(_ESCAPES.get(part, part) for part in parts)

"""Untrusted JSON: a manifest's text is checked while it is parsed, so that refusing it costs little.

Only the text and its form are checked here. `shape` checks what the format says about the values, and
`manifest` builds the model.
"""

import json
import re
from itertools import pairwise
from typing import Any, Final, NoReturn

from ritual_artifacts.artifact.canonical import MAX_DEPTH, is_too_deep

MAX_MANIFEST_BYTES: Final = 64 << 20
"""A larger manifest is refused before it is parsed."""
MAX_ENTRIES: Final = 200_000
"""Files of one artifact."""
MAX_NODES: Final = 16 * MAX_ENTRIES
"""Keys and items in the whole document. A file needs 9 of them, and 1 or 2 in the field that holds it."""

_MAX_SHOWN: Final = 100
"""Characters of an untrusted key that an error message shows."""

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def parse_strictly(data: bytes) -> dict[str, Any]:
    """Parse an untrusted JSON object.

    Raises:
        ValueError: it is too large or too deep, has too many keys and items, is not strict JSON, or has
            duplicate keys.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        message = f"it is larger than {MAX_MANIFEST_BYTES} bytes"
        raise ValueError(message)
    if has_too_many_nodes(data):
        message = f"it has more than {MAX_NODES} keys and items"
        raise ValueError(message)
    try:
        values = json.loads(
            data.decode("utf-8"), object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant
        )
    except RecursionError:
        message = f"it is nested deeper than {MAX_DEPTH} levels"
        raise ValueError(message) from None
    if not isinstance(values, dict):
        message = "it is not a JSON object"
        raise ValueError(message)  # noqa: TRY004 - the content is wrong, not a type in a program
    if is_too_deep(values):
        message = f"it is nested deeper than {MAX_DEPTH} levels"
        raise ValueError(message)
    return values


def has_too_many_nodes(data: bytes) -> bool:
    """Return whether JSON text has more than `MAX_NODES` keys and items, each of which becomes an object.

    The punctuation between them is counted. Strings may contain the same characters; only if that could
    matter, strings are left out, which takes longer.
    """
    if _count_punctuation(data, 0, len(data)) <= MAX_NODES:
        return False
    count, end = 0, 0
    for string in _STRING.finditer(data):
        count += _count_punctuation(data, end, string.start())
        end = string.end()
        if count > MAX_NODES:
            return True
    return count + _count_punctuation(data, end, len(data)) > MAX_NODES


def _count_punctuation(data: bytes, start: int, end: int) -> int:
    return sum(data.count(mark, start, end) for mark in (b",", b":", b"[", b"{"))


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = sorted(key for key, _ in pairs)
        duplicate = next(key for key, following in pairwise(keys) if key == following)
        message = f"duplicate key {duplicate[:_MAX_SHOWN]!a} in one object"
        raise ValueError(message)
    return values


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not valid JSON"
    raise ValueError(message)

"""Canonical JSON (RFC 8785): each value has exactly one encoding."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import rfc8785

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None

MAX_DEPTH: Final = 64
"""Maximum nesting of objects and arrays in a manifest."""


def canonical_bytes(value: Json) -> bytes:
    """Serialize `value` according to RFC 8785 (JSON Canonicalization Scheme).

    Raises:
        ValueError: JSON cannot represent the value: NaN, an infinity, an integer beyond ±(2^53 − 1), which
            RFC 7493 (I-JSON) excludes, or a string that is not valid Unicode.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError as error:
        message = f"{error}; JSON integers are exact only up to 2^53 - 1: declare the field as str"
        raise ValueError(message) from None
    except rfc8785.FloatDomainError as error:
        message = f"{str(error).partition(' ')[0]} is not a JSON number"
        raise ValueError(message) from None
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def is_too_deep(value: Json) -> bool:
    """Return whether objects and arrays in `value` are nested deeper than `MAX_DEPTH`."""
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        level = [part for node in level if isinstance(node, dict | list) for part in _parts(node)]
        if not level:
            return False
    return any(isinstance(node, dict | list) for node in level)


def _parts(node: dict[str, Json] | list[Json]) -> Iterable[Json]:
    return node.values() if isinstance(node, dict) else node

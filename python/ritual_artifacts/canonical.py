"""Canonical JSON (RFC 8785): one value, one sequence of bytes."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, Union

import rfc8785

Json: TypeAlias = Union[None, bool, int, float, str, Sequence["Json"], Mapping[str, "Json"]]


def canonical_bytes(value: Json) -> bytes:
    """Serialize `value` by RFC 8785 (JSON Canonicalization Scheme).

    Raises:
        ValueError: JSON cannot hold the value: NaN, an infinity, an integer beyond ±(2^53 − 1), which
            RFC 7493 (I-JSON) excludes, or a string that is not valid Unicode.
    """
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # its own alias asks for list and dict
    except rfc8785.IntegerDomainError as error:
        message = f"{error}; JSON keeps integers only up to 2^53 - 1: declare the field as str"
        raise ValueError(message) from None
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(str(error)) from None

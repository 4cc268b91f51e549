"""Explanation of Pydantic's validation errors, on one line."""

from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MAX_PROBLEMS: Final = 5
_MAX_EXPLANATION: Final = 2000
_MAX_LISTED: Final = 1000
"""Of more problems than this, only the number is given: pydantic could only list all of them."""


def explain(error: ValidationError, whole: str) -> str:
    """Describe on one line why untrusted values are invalid.

    Args:
        error: Pydantic's error.
        whole: The name of the values, for an error that is not in a single field.
    """
    if error.error_count() > _MAX_LISTED:
        return f"{whole}: {error.error_count()} values are invalid"
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [_describe(details, whole) for details in found[:_MAX_PROBLEMS]]
    if len(found) > len(problems):
        problems.append(f"and {len(found) - len(problems)} more")
    # control characters are shown as escape sequences, so that a terminal does not interpret them
    start = "; ".join(problems)[: _MAX_EXPLANATION + 1]
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in start)
    return shown if len(shown) <= _MAX_EXPLANATION else f"{shown[:_MAX_EXPLANATION]}…"


def _describe(details: ErrorDetails, whole: str) -> str:
    text = details["msg"].removeprefix("Value error, ")
    place = ".".join(map(str, details["loc"]))
    if not place and details["type"] == "value_error":
        return text  # the message of a validator of the whole model names the place itself
    return f"{place or whole}: {text}"

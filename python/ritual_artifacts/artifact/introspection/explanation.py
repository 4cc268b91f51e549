"""Explanation of what Pydantic refuses, in one line."""

from typing import Final

from pydantic import ValidationError

_MAX_PROBLEMS: Final = 5
_MAX_EXPLANATION: Final = 2000


def explain(error: ValidationError, whole: str) -> str:
    """Say on one line what is wrong with values that come from a stranger.

    Args:
        error: What Pydantic says about them.
        whole: What to call the place of an error that is not in one field.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [f"{'.'.join(map(str, e['loc'])) or whole}: {e['msg']}" for e in found[:_MAX_PROBLEMS]]
    if len(found) > len(problems):
        problems.append(f"and {len(found) - len(problems)} more")
    # what a terminal would obey is shown as an escape sequence
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in "; ".join(problems))
    return shown if len(shown) <= _MAX_EXPLANATION else f"{shown[:_MAX_EXPLANATION]}…"

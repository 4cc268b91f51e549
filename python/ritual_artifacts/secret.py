"""Values that are secret: text whose `repr` hides it, and a decorator for the calls that take it.

Tools that show or collect the local variables of a failing call show their `repr`.
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_SECRET: Final = re.compile(
    r"token|secret|passw|passphrase|credential|authorization|cookie|(api|access|account|private)_?key",
    re.IGNORECASE,
)
"""Names of arguments and options that hold a secret."""
_OPTIONS: Final = re.compile(r"kwargs|options|headers", re.IGNORECASE)
"""Names of arguments and options that hold others."""
_HEADERS: Final = "headers"


class Secret(str):
    """Text that is a secret. It is the text wherever it is used, and nothing where it is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return a placeholder."""
        return "'…'"


def hide_secrets(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a public call: a secret among its arguments, or among their options, becomes a `Secret`."""
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        # Assigned to the same names, so that no other variable of this frame has the secret.
        args = tuple(map(hide, names, args)) if len(args) <= len(names) else args  # type: ignore[assignment]
        kwargs = {name: hide(name, value) for name, value in kwargs.items()}  # type: ignore[assignment]
        return function(*args, **kwargs)

    return call


def hide(name: str, value: Any) -> Any:  # noqa: ANN401 - any argument
    """Return an argument or option, as a `Secret` if its name says that it is one.

    Args:
        name: Its name.
        value: Its value; a mapping of options is copied, with the secrets in it hidden.
    """
    if isinstance(value, str):
        return Secret(value) if _SECRET.search(name) else value
    if isinstance(value, Mapping) and _OPTIONS.search(name):
        if name == _HEADERS:
            return {key: Secret(each) if isinstance(each, str) else each for key, each in value.items()}
        return {key: hide(key, each) if isinstance(key, str) else each for key, each in value.items()}
    return value

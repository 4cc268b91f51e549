"""Typed options of a backend: the one source of the Python checks, `--help` and the reference page."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from ritual_artifacts.errors import AuthenticationError, BackendError


@dataclass(frozen=True)
class Flag:
    """How the command line spells an option; part of a field's `Annotated`.

    Attributes:
        names: Such as `("--message", "-m")`, or `("--private/--public",)` for a switch with two sides.
        metavar: The word for the value in `--help`; default made from the type.
        parse: Converts the text on the command line to the value; raises `ValueError` if it is invalid.
        inverted: Whether the flag, a switch, means False.
    """

    names: tuple[str, ...]
    metavar: str | None = None
    parse: Callable[[str], object] | None = None
    inverted: bool = False


class Options(BaseModel):
    """Options of one kind; subclass it, and give each field a description and, where wanted, a `Flag`.

    Values are not converted, and no error repeats a value, which may be a secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    title: ClassVar[str]
    """Whose options these are, for messages: `"the Hugging Face backend"`."""
    ignored: ClassVar[frozenset[str]] = frozenset()
    """Options of other libraries that are accepted and have no effect."""
    refused: ClassVar[Mapping[str, str]] = {}
    """Options of other libraries that are refused, with what to do instead."""
    credential: ClassVar[str | None] = None
    """The option that holds a credential; an invalid one is an `AuthenticationError`."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Build the options from those that the user passed; None means "not passed".

        Raises:
            AuthenticationError: the credential cannot be valid.
            BackendError: an option does not exist, or has an invalid value.
        """
        cls.refuse_unknown(given, cls.model_fields.keys())
        values = {
            name: value for name, value in given.items() if name in cls.model_fields and value is not None
        }
        try:
            return cls(**values)
        except ValidationError as error:
            errors = error.errors(include_input=False, include_url=False, include_context=False)
            worst = min(errors, key=lambda each: each["type"] != "value_error")  # the most helpful one
            name = str(worst["loc"][0]) if worst["loc"] else "?"
            problem = worst["msg"].removeprefix("Value error, ")
            message = f"the option {name!r} of {cls.title}: {problem[:1].lower()}{problem[1:]}"
        raise AuthenticationError(message) if name == cls.credential else BackendError(message)

    @classmethod
    def refuse_unknown(cls, given: Mapping[str, Any], known: Collection[str]) -> None:
        """Refuse an option that does not exist, with the names of those that do.

        Raises:
            BackendError: there is no such option.
        """
        for name, value in given.items():
            if name in known or name in cls.ignored or (name in cls.refused and not value):
                continue
            problem = cls.refused.get(name, f"its options are: {', '.join(sorted(known)) or 'none'}")
            message = f"{cls.title} does not take the option {name!r}; {problem}"
            raise BackendError(message)

    @classmethod
    def flags(cls) -> Iterator[tuple[str, Flag, FieldInfo]]:
        """Yield the options that the command line has: name, spelling and field."""
        for name, info in cls.model_fields.items():
            for mark in info.metadata:
                if isinstance(mark, Flag):
                    yield name, mark, info

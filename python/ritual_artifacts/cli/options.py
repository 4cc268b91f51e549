"""Options of commands that come from the storages: each storage's option models are their only source.

There is no option for a token or a key: every process on a machine can read the command lines of all others.
"""

import functools
import inspect
import logging
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from typer.models import OptionInfo

from ritual_artifacts.backends import Flag, Storage, available_storages, find_storage
from ritual_artifacts.errors import BackendError

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["connection", "upload"]
_UNIONS: Final = frozenset({Union, types.UnionType})
_FLAG: Final = re.compile(r"(-[A-Za-z]|--[a-z][a-z0-9-]*)(/--[a-z][a-z0-9-]*)?")
_HELP: Final = frozenset({"--help", "-h"})


@dataclass(frozen=True)
class _Declared:
    """One option of one storage."""

    storage: Storage
    kind: Kind
    name: str
    flag: Flag
    info: FieldInfo

    @property
    def spelling(self) -> str:
        return self.flag.names[0]

    @property
    def spellings(self) -> frozenset[str]:
        """All spellings, with the two sides of a switch apart."""
        return frozenset(side for name in self.flag.names for side in name.split("/"))

    @property
    def value_type(self) -> Any:  # noqa: ANN401 - a type
        """The type that the command line reads."""
        return str if self.flag.parse is not None else _type_of(self.info.annotation)

    def can_share(self, other: "_Declared") -> bool:
        """Return whether this and another option can be one option of a command."""
        return (self.flag.names, self.value_type) == (other.flag.names, other.value_type)


@dataclass(frozen=True)
class Given:
    """What the user gave of the storages' options, by spelling.

    Attributes:
        values: Parsed values of the options that were given.
        declared: All options that the command has.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    declared: Sequence[_Declared] = ()

    def connection(self, storage: Storage) -> dict[str, Any]:
        """Return the connection options for a storage, by name."""
        return self._select(storage, "connection")

    def upload(self, storage: Storage) -> dict[str, Any]:
        """Return the upload options for a storage, by name."""
        return self._select(storage, "upload")

    def _select(self, storage: Storage, kind: Kind) -> dict[str, Any]:
        chosen = {}
        for option in self.declared:
            if option.storage.name == storage.name and option.kind == kind and option.spelling in self.values:
                value = self.values[option.spelling]
                chosen[option.name] = _parse(option, value)
        return chosen

    def refuse_foreign(self, *storages: Storage | None, upload: Storage | None = None) -> None:
        """Refuse options that none of these storages takes.

        Args:
            storages: The storages that the command connects to; None stands for a folder.
            upload: The one of them that it uploads to.

        Raises:
            BadParameter: an option was given that would change nothing.
        """
        names = {storage.name for storage in storages if storage is not None}
        uploads = {upload.name} if upload is not None else set()
        known = {
            option.spelling
            for option in self.declared
            if option.storage.name in (uploads if option.kind == "upload" else names)
        }
        for spelling in self.values:
            if spelling not in known:
                where = " and ".join(sorted(names)) or "a folder"
                message = f"{spelling} does not apply to {where}"
                raise typer.BadParameter(message)


def takes_storage_options(*, upload: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of all storages; it gets what was given as `given`.

    Args:
        upload: Also the options of uploads.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        wanted = [option for option in _declared_options() if upload or option.kind == "connection"]
        own_spellings = _own_spellings(signature)
        declared = [option for option in wanted if option.spellings.isdisjoint(own_spellings)]
        parameters: dict[str, _Declared] = {}
        for option in declared:
            parameters.setdefault(_identifier(option.spelling), option)

        @functools.wraps(command)
        def run(**arguments: Any) -> None:  # noqa: ANN401 - each option has a type of its own
            values = {
                option.spelling: value
                for name, option in parameters.items()
                if (value := arguments.pop(name)) is not None and value != []
            }
            command(**arguments, given=Given(values, declared))

        own = [parameter for parameter in signature.parameters.values() if parameter.name != "given"]
        last = [parameter for parameter in own if parameter.name == "as_json"]
        first = [parameter for parameter in own if parameter.name != "as_json"]
        added = [_make_parameter(name, parameters[name], declared) for name in parameters]
        both = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*first, *added, *last]
        ]
        run.__signature__ = signature.replace(parameters=both)  # type: ignore[attr-defined] # typer reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in both}
        return run

    return decorate


@functools.cache  # what is installed does not change while a command runs
def _declared_options() -> tuple[_Declared, ...]:
    return tuple(_without_clashes(_declare()))


def _declare() -> Iterator[_Declared]:
    for name in available_storages():
        try:
            storage = find_storage(name)
        except BackendError as error:  # a broken package must not break every command
            log.warning("%s", error)
            continue
        for option, flag, info in storage.connection_options.flags():
            yield _Declared(storage, "connection", option, flag, info)
        for option, flag, info in storage.upload_options.flags():
            yield _Declared(storage, "upload", option, flag, info)


def _own_spellings(signature: inspect.Signature) -> frozenset[str]:
    """Return the options that a command has itself; they win over those of the storages."""
    marks = (mark for each in signature.parameters.values() for mark in get_args(each.annotation)[1:])
    options = [mark for mark in marks if isinstance(mark, OptionInfo)]
    # In an annotation, the first spelling takes the place of typer's argument `default`.
    names = {name for mark in options for name in (str(mark.default), *(mark.param_decls or ()))}
    unnamed = {f"--{name.replace('_', '-')}" for name in signature.parameters}
    return _HELP | unnamed | {side for name in names for side in name.split("/")}


def _without_clashes(options: Iterable[_Declared]) -> Iterator[_Declared]:
    """Yield the options without those that would change what an option of an earlier storage means.

    Options of several storages are one option of a command if they have the same spellings and type.
    """
    first: dict[str, _Declared] = {}
    for option in options:
        others = [first[name] for name in option.spellings if name in first]
        if not (option.flag.names and all(map(_FLAG.fullmatch, option.flag.names))):
            problem = "it is not a valid option"
        elif any(not option.can_share(other) for other in others):
            problem = f"it means something else for {others[0].storage.title}"
        else:
            first |= dict.fromkeys(option.spellings, option)
            yield option
            continue
        names = ", ".join(option.flag.names)
        log.warning("the option %r of %s is left out: %s", names, option.storage.title, problem)


def _make_parameter(name: str, option: _Declared, declared: Sequence[_Declared]) -> inspect.Parameter:
    others = [each for each in declared if each.spelling == option.spelling]
    texts = dict.fromkeys(f"{each.storage.title}: {each.info.description or ''}".strip() for each in others)
    mark = typer.Option(*option.flag.names, metavar=option.flag.metavar, help=" ".join(texts))
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[option.value_type | None, mark],
    )


def _type_of(annotation: Any) -> Any:  # noqa: ANN401 - types are values here; one return per type
    """Return the type that the command line reads for an option's type."""
    parts = _flatten(annotation)
    if any(get_origin(part) in {list, tuple, set, frozenset} or _is_sequence(part) for part in parts):
        return list[str]
    if any(part is Path for part in parts):
        return Path
    for kind in (bool, int, float):
        if kind in parts:
            return kind
    return str


def _is_sequence(part: Any) -> bool:  # noqa: ANN401 - a type
    origin = get_origin(part)
    return isinstance(origin, type) and issubclass(origin, Sequence) and origin is not str


def _flatten(annotation: Any) -> list[Any]:  # noqa: ANN401 - a type
    if get_origin(annotation) is Annotated:
        return _flatten(get_args(annotation)[0])
    if get_origin(annotation) in _UNIONS:
        return [part for each in get_args(annotation) for part in _flatten(each)]
    return [] if annotation is type(None) else [annotation]


def _parse(option: _Declared, value: Any) -> Any:  # noqa: ANN401 - each option has a type of its own
    flag = option.flag
    if flag.parse is not None:
        try:
            return flag.parse(value)
        except ValueError as error:
            message = f"{option.spelling}: {error}"
            raise typer.BadParameter(message) from None
    return not value if flag.inverted else value


def _identifier(spelling: str) -> str:
    return f"storage_option{spelling.split('/', maxsplit=1)[0].replace('-', '_')}"

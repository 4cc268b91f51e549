"""Annotations: the types behind aliases and wrappers, and their JSON kinds."""

import sys
import types
import typing
from collections import abc
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import typing_extensions
from pydantic import RootModel

from ritual_artifacts.artifact.introspection.records import is_record

_WRAPPERS: Final = (
    typing.Annotated,
    typing.Final,
    typing.Required,
    typing.NotRequired,
    typing_extensions.Required,
    typing_extensions.NotRequired,
    typing_extensions.ReadOnly,
)
_ALIAS_TYPES: Final = (
    typing_extensions.TypeAliasType,
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),  # a different class since Python 3.12
)
# The JSON kind of each type. Two members of a union are distinct in a manifest if their kinds differ.
_JSON_KINDS: Final[dict[type, str]] = {
    types.NoneType: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    **dict.fromkeys((str, bytes, date, time, timedelta, Decimal, UUID), "string"),
    abc.Mapping: "object",
    abc.Iterable: "array",
}


def alias_value(annotation: object) -> object:
    """Return the value of a type alias; any other annotation is returned unchanged."""
    if isinstance(annotation, _ALIAS_TYPES):
        return _resolve_names(annotation)
    origin = get_origin(annotation)
    return (
        _resolve_names(origin)[get_args(annotation)] if isinstance(origin, _ALIAS_TYPES) else annotation  # type: ignore[index]  # an alias with parameters
    )


def _resolve_names(alias: typing_extensions.TypeAliasType) -> object:
    """Return the value of an alias, with the types that it names in strings, such as itself."""
    holder = type("Holder", (), {"__annotations__": {"value": alias.__value__}})
    module = sys.modules.get(alias.__module__ or "")
    names = {**vars(module)} if module is not None else {}
    try:
        hints = typing_extensions.get_type_hints(
            holder, globalns=names, localns={alias.__name__: alias}, include_extras=True
        )
    except NameError:  # a name inside a function; `_compile` refuses what is left of it
        return alias.__value__
    return hints["value"]


def underlying_type(annotation: object) -> object:
    """Return the type behind a type variable, a NewType or a wrapper; any other annotation unchanged."""
    if isinstance(annotation, TypeVar | typing_extensions.TypeVar):
        default = getattr(annotation, "__default__", typing_extensions.NoDefault)
        if default is not typing_extensions.NoDefault:
            return default
        return Union[annotation.__constraints__] if annotation.__constraints__ else annotation.__bound__  # noqa: UP007 - built from a tuple
    if hasattr(annotation, "__supertype__"):  # NewType
        return annotation.__supertype__
    return get_args(annotation)[0] if get_origin(annotation) in _WRAPPERS else annotation


def unwrap(annotation: object) -> object:
    """Strip aliases, wrappers and type variables, which do not affect the JSON."""
    while (inner := alias_value(underlying_type(annotation))) is not annotation:
        annotation = inner
    return annotation


def json_kinds(annotation: object) -> frozenset[str]:
    """Return the JSON kinds of a type without files; all records have one kind, and differ by fields."""
    annotation = unwrap(annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return frozenset[str]().union(*map(json_kinds, args))
    if origin is Literal:
        return frozenset[str]().union(*(json_kinds(type(value)) for value in args))
    cls = types.NoneType if annotation is None else origin or annotation
    if not isinstance(cls, type):
        return frozenset({"any"})
    if issubclass(cls, RootModel):
        return json_kinds(cls.model_fields["root"].annotation)
    if is_record(cls):
        return frozenset({"record"})
    kind = next((kind for base, kind in _JSON_KINDS.items() if issubclass(cls, base)), "any")
    return frozenset({kind})

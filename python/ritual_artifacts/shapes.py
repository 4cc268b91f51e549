"""Which positions of a Pydantic model's type are files.

An annotation is compiled once into a `Shape`, a tree that follows only the branches in which files are; all
the rest is `METADATA`. The type alone decides, never a value and never a manifest.
"""

import collections.abc as abc
import dataclasses
import functools
import os
import types
import typing
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin
from uuid import UUID

import typing_extensions
from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.types import PathType

from ritual_artifacts.errors import ArtifactModelError

FileKind: TypeAlias = Literal["file", "directory", "new"]


@dataclass(frozen=True)
class Metadata:
    """Anything that is not a file."""


@dataclass(frozen=True)
class File:
    """One `Path`: a file, a directory that is walked, or a file that need not exist when validated."""

    kind: FileKind


@dataclass(frozen=True)
class Items:
    """A list, set or other collection with files in each item."""

    item: "Shape"


@dataclass(frozen=True)
class FixedItems:
    """A tuple of fixed length with files in some items."""

    items: tuple["Shape", ...]


@dataclass(frozen=True)
class Values:
    """A mapping with files in its values."""

    value: "Shape"


@dataclass(frozen=True)
class Record:
    """A model, dataclass or typed dictionary with files in its fields; see `record_fields`."""

    cls: type


@dataclass(frozen=True)
class Choice:
    """A union in which at least one member has files."""

    members: tuple["Shape", ...]


Shape: TypeAlias = Metadata | File | Items | FixedItems | Values | Record | Choice

METADATA: Final = Metadata()
_PATH_KINDS: Final[dict[str, FileKind]] = {"file": "file", "dir": "directory", "new": "new"}
_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_WRAPPERS: Final = (
    typing.Final,
    typing.Required,
    typing.NotRequired,
    typing_extensions.Required,
    typing_extensions.NotRequired,
    typing_extensions.ReadOnly,
)
# What JSON makes of a type. Two members of a union can be told apart in a manifest when these differ.
_JSON_KINDS: Final[dict[type, str]] = {
    types.NoneType: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    **dict.fromkeys((str, bytes, date, time, timedelta, Decimal, UUID), "string"),
}


def is_secret(value: object) -> bool:
    """Say whether `value` is one of Pydantic's secret types."""
    return isinstance(value, _SECRETS)


@functools.lru_cache(maxsize=1024)
def record_fields(cls: type) -> dict[str, Shape]:
    """Compile the fields of a model, dataclass or typed dictionary; excluded fields are left out.

    Raises:
        ArtifactModelError: a field has a type that an artifact cannot have.
    """
    return {
        name: _compile(annotation, metadata, f"{cls.__name__}.{name}", ())
        for name, annotation, metadata in _annotations(cls)
    }


def _annotations(cls: type) -> list[tuple[str, Any, tuple[Any, ...]]]:
    if issubclass(cls, BaseModel):
        if not cls.__pydantic_complete__:
            cls.model_rebuild(raise_errors=False)
        if not cls.__pydantic_complete__:
            message = f"{cls.__name__} has annotations that cannot be resolved; call model_rebuild() first"
            raise ArtifactModelError(message)
        fields = cls.model_fields.items()
        return [(name, f.annotation, tuple(f.metadata)) for name, f in fields if not f.exclude]
    try:
        hints = typing_extensions.get_type_hints(cls, include_extras=True)
    except NameError as error:
        message = f"{cls.__name__} has annotations that cannot be resolved: {error}"
        raise ArtifactModelError(message) from None
    names = [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else list(hints)
    return [(name, hints[name], ()) for name in names]


def _compile(annotation: Any, metadata: tuple[Any, ...], at: str, open_names: tuple[Any, ...]) -> Shape:  # noqa: ANN401, C901, PLR0911, PLR0912 - an annotation can be any object, and each form of it is one branch
    origin, args = get_origin(annotation), get_args(annotation)

    def inner(part: Any, *extra: Any) -> Shape:  # noqa: ANN401 - as above
        return _compile(part, extra, at, open_names)

    alias = annotation if _is_type_alias(annotation) else origin
    if _is_type_alias(alias):
        if alias in open_names:  # a recursive alias, such as JsonValue: the outer round sees the rest
            return METADATA
        value = alias.__value__[args] if args else alias.__value__
        return _compile(value, metadata, at, (*open_names, alias))
    if isinstance(annotation, TypeVar | typing_extensions.TypeVar):
        bound = annotation.__bound__
        return inner(Union[annotation.__constraints__] if annotation.__constraints__ else bound)  # noqa: UP007 - built from a tuple
    if hasattr(annotation, "__supertype__"):  # NewType
        return inner(annotation.__supertype__)
    if origin in {typing.Annotated, typing_extensions.Annotated}:
        return inner(args[0], *args[1:])
    if origin in _WRAPPERS:
        return inner(args[0])
    if origin in {Union, types.UnionType}:
        return _compile_union(args, at, open_names)

    cls = origin or annotation
    if not isinstance(cls, type):
        return METADATA
    if issubclass(cls, _SECRETS):
        message = (
            f"{at} is a secret, and an artifact is published in clear; "
            f"declare it as Field(exclude=True) to leave it out"
        )
        raise ArtifactModelError(message)
    if issubclass(cls, Path) or cls is os.PathLike:
        return File(next((_PATH_KINDS[m.path_type] for m in metadata if isinstance(m, PathType)), "file"))
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        hints = typing_extensions.get_type_hints(cls, include_extras=True).values()
        return _without_files(map(inner, hints), f"{at} is a NamedTuple with files; use a model", at)
    if issubclass(cls, BaseModel) or dataclasses.is_dataclass(cls) or typing_extensions.is_typeddict(cls):
        return _compile_record(cls, open_names)
    if not args:
        return METADATA
    if issubclass(cls, tuple) and args[-1] is not Ellipsis:
        shapes = tuple(map(inner, args))
        return METADATA if all(s == METADATA for s in shapes) else FixedItems(shapes)
    if issubclass(cls, abc.Mapping):
        _without_files([inner(args[0])], f"{at} has paths as keys; put them in the values", at)
        value = inner(args[-1])
        return METADATA if value == METADATA else Values(value)
    if issubclass(cls, abc.Iterable):
        item = inner(args[0])
        return METADATA if item == METADATA else Items(item)
    return METADATA


def _is_type_alias(annotation: object) -> bool:
    kinds = (
        typing_extensions.TypeAliasType,
        getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),
    )
    return isinstance(annotation, kinds)


def _without_files(shapes: abc.Iterable[Shape], message: str, at: str) -> Shape:
    if any(shape != METADATA for shape in shapes):
        raise ArtifactModelError(message)
    return METADATA


def _compile_record(cls: type, open_names: tuple[Any, ...]) -> Shape:
    """Compile a nested record; one that refers to itself is decided by its other fields."""
    if cls in open_names:
        return METADATA
    shapes = [
        _compile(annotation, metadata, f"{cls.__name__}.{name}", (*open_names, cls))
        for name, annotation, metadata in _annotations(cls)
    ]
    return METADATA if all(shape == METADATA for shape in shapes) else Record(cls)


def _compile_union(members: tuple[Any, ...], at: str, open_names: tuple[Any, ...]) -> Shape:
    shapes = [_compile(member, (), at, open_names) for member in members]
    if all(shape == METADATA for shape in shapes):
        return METADATA
    taken = {_json_kind_of(shape) for shape in shapes if shape != METADATA}
    for member, shape in zip(members, shapes, strict=True):
        kind = _json_kind(member)
        if shape == METADATA and (kind in taken or kind == "any") and not _are_records(member, shapes):
            message = (
                f"{at} is a union in which a manifest cannot tell a file from {member!r}; "
                f"use a type that is either files or metadata"
            )
            raise ArtifactModelError(message)
    return Choice(tuple(shapes))


def _are_records(member: Any, shapes: list[Shape]) -> bool:  # noqa: ANN401 - as above
    """Say whether a union's member without files is a model beside models, which validation tells apart."""
    models = isinstance(member, type) and issubclass(member, BaseModel)
    return models and not any(isinstance(shape, Values) for shape in shapes)


def _json_kind_of(shape: Shape) -> str:
    match shape:
        case File():
            return "string"
        case Items() | FixedItems():
            return "array"
        case Values() | Record():
            return "object"
        case Metadata() | Choice():
            return "any"


def _json_kind(annotation: Any) -> str:  # noqa: ANN401 - as above
    annotation = get_args(annotation)[0] if get_origin(annotation) is typing.Annotated else annotation
    if annotation is None:
        return "null"
    cls = get_origin(annotation) or annotation
    if not isinstance(cls, type):
        return "any"
    for base, kind in _JSON_KINDS.items():
        if issubclass(cls, base):
            return kind
    if issubclass(cls, abc.Mapping | BaseModel) or dataclasses.is_dataclass(cls):
        return "object"
    return "array" if issubclass(cls, abc.Iterable) and not issubclass(cls, Enum) else "any"

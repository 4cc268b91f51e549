"""Which positions of a Pydantic model's type are files.

An annotation is compiled once into a `Shape`, a tree that follows only the branches in which files are; all
the rest is `METADATA`. The type alone decides, never a value and never a manifest.
"""

import dataclasses
import functools
import os
import types
import typing
from collections import abc
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin
from uuid import UUID

import typing_extensions
from pydantic import BaseModel, RootModel, Secret, SecretBytes, SecretStr
from pydantic.dataclasses import is_pydantic_dataclass, rebuild_dataclass
from pydantic.fields import FieldInfo
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
    """A union in which at least one member has files.

    Attributes:
        members: The shapes of the members; records are `Record` here, even those without files.
        file_kinds: What JSON makes of the members with files.
        other_kinds: What JSON makes of the others.
    """

    members: tuple["Shape", ...]
    file_kinds: frozenset[str]
    other_kinds: frozenset[str]


Shape: TypeAlias = Metadata | File | Items | FixedItems | Values | Record | Choice

METADATA: Final = Metadata()
_PATH_KINDS: Final[dict[str, FileKind]] = {"file": "file", "dir": "directory", "new": "new"}
_SECRETS: Final = (SecretStr, SecretBytes, Secret)
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
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),  # another one from Python 3.12 on
)
# What JSON makes of a type. Two members of a union can be told apart in a manifest when these differ.
_JSON_KINDS: Final[dict[type, str]] = {
    types.NoneType: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    **dict.fromkeys((str, bytes, date, time, timedelta, Decimal, UUID), "string"),
    abc.Mapping: "object",
    abc.Iterable: "array",
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


@functools.lru_cache(maxsize=1024)
def required_fields(cls: type) -> frozenset[str]:
    """Return the fields that an object needs in a manifest to be a `cls`."""
    if _is_record(cls) and (infos := _field_infos(cls)) is not None:
        return frozenset(name for name, info in infos.items() if info.is_required() and not info.exclude)
    if dataclasses.is_dataclass(cls):
        unset = dataclasses.MISSING
        needed = (f for f in dataclasses.fields(cls) if f.default is unset and f.default_factory is unset)
        return frozenset(field.name for field in needed)
    return frozenset(getattr(cls, "__required_keys__", ()))


def _is_record(cls: type) -> bool:
    models = issubclass(cls, BaseModel) and not issubclass(cls, RootModel)
    return models or dataclasses.is_dataclass(cls) or typing_extensions.is_typeddict(cls)


def _field_infos(cls: type) -> dict[str, FieldInfo] | None:
    """Return Pydantic's own view of a model's or dataclass's fields, if there is one."""
    if issubclass(cls, BaseModel):
        if not cls.__pydantic_complete__:
            cls.model_rebuild(raise_errors=False)
    elif is_pydantic_dataclass(cls):
        if not cls.__pydantic_complete__:
            rebuild_dataclass(cls, raise_errors=False)
    else:
        return None
    if not cls.__pydantic_complete__:
        message = f"{cls.__name__} has annotations that cannot be resolved; call model_rebuild() first"
        raise ArtifactModelError(message)
    return cls.model_fields if issubclass(cls, BaseModel) else cls.__pydantic_fields__


def _annotations(cls: type) -> list[tuple[str, Any, tuple[Any, ...]]]:
    """List (name, annotation, metadata) of a record's fields, without the excluded ones."""
    if (infos := _field_infos(cls)) is not None:
        return [(name, i.annotation, tuple(i.metadata)) for name, i in infos.items() if not i.exclude]
    try:
        hints = typing_extensions.get_type_hints(cls, include_extras=True)
    except NameError as error:
        message = f"{cls.__name__} has annotations that cannot be resolved: {error}"
        raise ArtifactModelError(message) from None
    defaults: dict[str, object] = dict.fromkeys(hints)
    if dataclasses.is_dataclass(cls):
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    notes = {name: (*get_args(hints[name])[1:], default) for name, default in defaults.items()}
    excluded = {n for n, found in notes.items() if any(isinstance(f, FieldInfo) and f.exclude for f in found)}
    return [(name, hints[name], ()) for name in notes if name not in excluded]


def _compile(annotation: Any, metadata: tuple[Any, ...], at: str, open_names: tuple[Any, ...]) -> Shape:  # noqa: ANN401, C901, PLR0911, PLR0912 - an annotation can be any object, and each form of it is one branch
    origin, args = get_origin(annotation), get_args(annotation)

    def inner(part: Any, *extra: Any) -> Shape:  # noqa: ANN401 - as above
        return _compile(part, extra, at, open_names)

    if (value := _alias_value(annotation)) is not annotation:
        alias = origin or annotation
        if alias in open_names:  # a recursive alias, such as JsonValue: the outer round sees the rest
            return METADATA
        return _compile(value, metadata, at, (*open_names, alias))
    if (stands_for := _stands_for(annotation)) is not annotation:
        return inner(stands_for, *(args[1:] if origin is typing.Annotated else ()))
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
        return _compile_path(metadata, at)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        hints = typing_extensions.get_type_hints(cls, include_extras=True).values()
        return _without_files(map(inner, hints), f"{at} is a NamedTuple with files; use a model")
    if issubclass(cls, BaseModel) or dataclasses.is_dataclass(cls) or typing_extensions.is_typeddict(cls):
        return _compile_record(cls, open_names)
    if not args:
        return METADATA
    if issubclass(cls, tuple) and args[-1] is not Ellipsis:
        shapes = tuple(map(inner, args))
        return METADATA if all(s == METADATA for s in shapes) else FixedItems(shapes)
    if issubclass(cls, abc.Mapping):
        _without_files([inner(args[0])], f"{at} has paths as keys; put them in the values")
        value = inner(args[-1])
        return METADATA if value == METADATA else Values(value)
    if issubclass(cls, abc.Iterable):
        item = inner(args[0])
        return METADATA if item == METADATA else Items(item)
    return METADATA


def _stands_for(annotation: Any) -> Any:  # noqa: ANN401 - as above
    """Return the type that a type variable, a NewType, or a type with notes stands for; else itself."""
    if isinstance(annotation, TypeVar | typing_extensions.TypeVar):
        default = getattr(annotation, "__default__", typing_extensions.NoDefault)
        if default is not typing_extensions.NoDefault:
            return default
        return Union[annotation.__constraints__] if annotation.__constraints__ else annotation.__bound__  # noqa: UP007 - built from a tuple
    if hasattr(annotation, "__supertype__"):  # NewType
        return annotation.__supertype__
    return get_args(annotation)[0] if get_origin(annotation) in _WRAPPERS else annotation


def _compile_path(metadata: tuple[Any, ...], at: str) -> Shape:
    kind = next((note.path_type for note in metadata if isinstance(note, PathType)), "file")
    if kind not in _PATH_KINDS:
        message = f"{at} is the path of a {kind}, which cannot be an artifact file; leave it out with exclude"
        raise ArtifactModelError(message)
    return File(_PATH_KINDS[kind])


def _alias_value(annotation: Any) -> Any:  # noqa: ANN401 - as above
    """Return the type that a type alias stands for; else the annotation itself."""
    if isinstance(annotation, _ALIAS_TYPES):
        return annotation.__value__
    origin = get_origin(annotation)
    return origin.__value__[get_args(annotation)] if isinstance(origin, _ALIAS_TYPES) else annotation


def _without_files(shapes: abc.Iterable[Shape], message: str) -> Shape:
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
    classes = [_bare(member) for member in members]
    files = frozenset[str]().union(*map(_file_kinds, shapes))
    others = frozenset[str]()
    for member, cls, shape in zip(members, classes, shapes, strict=True):
        kinds = frozenset[str]() if cls in open_names else _other_kinds(cls, shape)
        if "any" in kinds or not files.isdisjoint(kinds):
            message = (
                f"{at} is a union in which a manifest cannot tell a file from {member!r}; "
                f"use a type that is either files or metadata"
            )
            raise ArtifactModelError(message)
        others |= kinds
    records = [Record(cls) if isinstance(cls, type) and _is_record(cls) else None for cls in classes]
    kept = (record or shape for record, shape in zip(records, shapes, strict=True))
    return Choice(tuple(kept), files, others)


def _bare(annotation: Any) -> Any:  # noqa: ANN401 - as above
    """Strip what does not change how JSON looks: notes, names of types, type variables."""
    while (inner := _alias_value(_stands_for(annotation))) is not annotation:
        annotation = inner
    return annotation


def _file_kinds(shape: Shape) -> frozenset[str]:  # noqa: PLR0911 - one return per shape
    """Return what JSON makes of a shape with files, and "record" where that hides what a record is."""
    match shape:
        case File():
            return frozenset({"string"})
        case Items() | FixedItems():
            return frozenset({"array"})
        case Values():
            return frozenset({"object", "record"})
        case Record(cls) if issubclass(cls, RootModel):
            return _file_kinds(record_fields(cls)["root"])
        case Record():
            return frozenset({"object"})
        case Choice():
            return shape.file_kinds
        case Metadata():
            return frozenset()


def _other_kinds(member: Any, shape: Shape) -> frozenset[str]:  # noqa: ANN401 - as above
    """Return what JSON makes of the parts of a union's member that have no files."""
    if shape == METADATA:
        return _json_kinds(member)
    if isinstance(shape, Record) and issubclass(shape.cls, RootModel):
        shape = record_fields(shape.cls)["root"]
    return shape.other_kinds if isinstance(shape, Choice) else frozenset()


def _json_kinds(annotation: Any) -> frozenset[str]:  # noqa: ANN401 - as above
    """Return what JSON makes of a type without files; records are told apart by their fields."""
    annotation = _bare(annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return frozenset[str]().union(*map(_json_kinds, args))
    if origin is Literal:
        return frozenset[str]().union(*(_json_kinds(type(value)) for value in args))
    cls = types.NoneType if annotation is None else origin or annotation
    if not isinstance(cls, type):
        return frozenset({"any"})
    if issubclass(cls, RootModel):
        return _json_kinds(cls.model_fields["root"].annotation)
    if _is_record(cls):
        return frozenset({"record"})
    kind = next((kind for base, kind in _JSON_KINDS.items() if issubclass(cls, base)), "any")
    return frozenset({kind})

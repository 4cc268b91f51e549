"""Shapes: which positions of a Pydantic model's type are files.

An annotation is compiled once into a `Shape`, a tree of the branches that have files; everything else is
`METADATA`. The type alone decides, never a value or a manifest.
"""

import functools
import os
import types
import typing
from collections import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, Union, get_args, get_origin

import typing_extensions
from pydantic import RootModel, Secret, SecretBytes, SecretStr
from pydantic.types import PathType

from ritual_artifacts.artifact.introspection.annotations import (
    alias_value,
    json_kinds,
    underlying_type,
    unwrap,
)
from ritual_artifacts.artifact.introspection.records import annotated_fields, is_record
from ritual_artifacts.errors import ArtifactModelError

FileKind: TypeAlias = Literal["file", "directory", "new"]


@dataclass(frozen=True)
class Metadata:
    """Anything that is not a file."""


@dataclass(frozen=True)
class File:
    """One `Path`: a file, a directory that is walked, or a file that need not exist at validation."""

    kind: FileKind


@dataclass(frozen=True)
class Items:
    """A list, set or other collection with files in each item."""

    item: "Shape"


@dataclass(frozen=True)
class FixedItems:
    """A tuple of fixed length with files in at least one item."""

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
        members: The shapes of the members; a record without files is also a `Record` here.
        file_kinds: JSON kinds of the members with files.
        other_kinds: JSON kinds of the others.
    """

    members: tuple["Shape", ...]
    file_kinds: frozenset[str]
    other_kinds: frozenset[str]


@dataclass(frozen=True)
class Recursive:
    """A type alias that contains itself and has files; see `expand`.

    Attributes:
        alias: The alias, with its parameters.
    """

    alias: object


Shape: TypeAlias = Metadata | File | Items | FixedItems | Values | Record | Choice | Recursive

METADATA: Final = Metadata()

SECRETS: Final = (SecretStr, SecretBytes, Secret)
"""Types that no published field may have."""

_PATH_KINDS: Final[dict[str, FileKind]] = {"file": "file", "dir": "directory", "new": "new"}


@functools.lru_cache(maxsize=1024)
def record_fields(cls: type) -> dict[str, Shape]:
    """Compile the fields of a model, dataclass or typed dictionary; excluded fields are left out.

    Raises:
        ArtifactModelError: a field has a type that an artifact cannot have.
    """
    return _compile_fields(cls, ())


@functools.lru_cache(maxsize=1024)
def _alias_shape(alias: object) -> Shape:
    return _compile(alias_value(alias), (), str(alias), ())


def expand(shape: Shape) -> Shape:
    """Return the shape of a recursive alias's value; any other shape is returned unchanged."""
    while isinstance(shape, Recursive):
        shape = _alias_shape(shape.alias)
    return shape


def _compile_fields(cls: type, open_names: tuple[object, ...]) -> dict[str, Shape]:
    return {
        name: _compile(annotation, metadata, f"{cls.__name__}.{name}", open_names)
        for name, annotation, metadata in annotated_fields(cls)
    }


def _compile(  # noqa: C901, PLR0911, PLR0912 - an annotation can be any object, and each form is one branch
    annotation: object, metadata: tuple[object, ...], at: str, open_names: tuple[object, ...]
) -> Shape:
    origin, args = get_origin(annotation), get_args(annotation)

    def inner(part: object, *extra: object) -> Shape:
        return _compile(part, extra, at, open_names)

    if (value := alias_value(annotation)) is not annotation:
        if annotation in open_names:  # a recursive alias, such as JsonValue: the outer call compiles the rest
            return METADATA
        shape = _compile(value, metadata, at, (*open_names, annotation))
        return Recursive(annotation) if shape != METADATA and _contains(value, annotation) else shape
    if isinstance(annotation, str | typing.ForwardRef):
        message = (
            f"{at} has a type alias that names {annotation!r}, which cannot be resolved; "
            f"define what it names at the top level of the alias's module"
        )
        raise ArtifactModelError(message)
    if (underlying := underlying_type(annotation)) is not annotation:
        return inner(underlying, *(args[1:] if origin is typing.Annotated else ()))
    if origin in {Union, types.UnionType}:
        return _compile_union(args, at, open_names)

    cls = origin or annotation
    if not isinstance(cls, type):
        return METADATA
    if issubclass(cls, SECRETS):
        message = (
            f"{at} is a secret, but artifacts are published unencrypted; "
            f"declare it with Field(exclude=True) to leave it out"
        )
        raise ArtifactModelError(message)
    if issubclass(cls, Path) or cls is os.PathLike:
        return _compile_path(metadata, at)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        hints = typing_extensions.get_type_hints(cls, include_extras=True).values()
        return _without_files(map(inner, hints), f"{at} is a NamedTuple with files; use a model")
    if is_record(cls) or issubclass(cls, RootModel):
        return _compile_record(cls, open_names)
    if not args:
        return METADATA
    if issubclass(cls, tuple) and args[-1] is not Ellipsis:
        shapes = tuple(map(inner, args))
        return METADATA if all(s == METADATA for s in shapes) else FixedItems(shapes)
    if issubclass(cls, abc.Mapping):
        _without_files([inner(args[0])], f"{at} has paths as keys; put them in the values")
        value_shape = inner(args[-1])
        return METADATA if value_shape == METADATA else Values(value_shape)
    if issubclass(cls, abc.Iterable):
        item = inner(args[0])
        return METADATA if item == METADATA else Items(item)
    return METADATA


def _compile_path(metadata: tuple[object, ...], at: str) -> Shape:
    kind = next((note.path_type for note in metadata if isinstance(note, PathType)), "file")
    if kind not in _PATH_KINDS:
        message = (
            f"{at} is the path of a {kind}, which cannot be an artifact file; "
            f"declare it with Field(exclude=True) to leave it out"
        )
        raise ArtifactModelError(message)
    return File(_PATH_KINDS[kind])


def _contains(annotation: object, alias: object, seen: tuple[object, ...] = ()) -> bool:
    """Return whether an annotation uses an alias, directly or through other aliases and records."""
    if annotation == alias:
        return True
    if annotation in seen:
        return False
    parts: tuple[object, ...] = get_args(annotation)
    if (value := alias_value(annotation)) is not annotation:
        parts = (*parts, value)
    elif isinstance(annotation, type) and (is_record(annotation) or issubclass(annotation, RootModel)):
        parts = (*parts, *(inner for _, inner, _ in annotated_fields(annotation)))
    return any(_contains(part, alias, (*seen, annotation)) for part in parts)


def _without_files(shapes: abc.Iterable[Shape], message: str) -> Shape:
    if any(shape != METADATA for shape in shapes):
        raise ArtifactModelError(message)
    return METADATA


def _compile_record(cls: type, open_names: tuple[object, ...]) -> Shape:
    """Compile a nested record. A field that refers to the record itself is ignored."""
    if cls in open_names:
        return METADATA
    shapes = _compile_fields(cls, (*open_names, cls)).values()
    return METADATA if all(shape == METADATA for shape in shapes) else Record(cls)


def _compile_union(members: tuple[object, ...], at: str, open_names: tuple[object, ...]) -> Shape:
    shapes = [_compile(member, (), at, open_names) for member in members]
    if all(shape == METADATA for shape in shapes):
        return METADATA
    classes = [unwrap(member) for member in members]
    files = frozenset[str]().union(*map(_file_kinds, shapes))
    others = frozenset[str]()
    for member, cls, shape in zip(members, classes, shapes, strict=True):
        kinds = frozenset[str]() if cls in open_names else _other_kinds(cls, shape)
        if "any" in kinds or not files.isdisjoint(kinds):
            message = (
                f"{at} is a union in which a file and {member!r} are not distinct in a manifest; "
                f"use a type that is either files or metadata"
            )
            raise ArtifactModelError(message)
        others |= kinds
    records = [Record(cls) if isinstance(cls, type) and is_record(cls) else None for cls in classes]
    kept = (record or shape for record, shape in zip(records, shapes, strict=True))
    return Choice(tuple(kept), files, others)


def _file_kinds(shape: Shape) -> frozenset[str]:  # noqa: PLR0911 - one return per shape
    """Return the JSON kinds of a shape with files, and "record" if it matches any record."""
    match expand(shape):
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
        case Choice(_, file_kinds):
            return file_kinds
        case _:
            return frozenset()


def _other_kinds(member: object, shape: Shape) -> frozenset[str]:
    """Return the JSON kinds of the parts of a union's member that have no files."""
    if shape == METADATA:
        return json_kinds(member)
    shape = expand(shape)
    if isinstance(shape, Record) and issubclass(shape.cls, RootModel):
        shape = record_fields(shape.cls)["root"]
    return shape.other_kinds if isinstance(shape, Choice) else frozenset()

"""Members of unions: which of them a value, or its JSON, belongs to."""

from collections.abc import Collection, Mapping
from enum import Enum
from itertools import chain
from pathlib import PurePath
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, RootModel
from typing_extensions import is_typeddict

from ritual_artifacts.artifact.canonical import Json
from ritual_artifacts.artifact.introspection.records import required_fields
from ritual_artifacts.artifact.introspection.shapes import (
    METADATA,
    Choice,
    File,
    FixedItems,
    Items,
    Metadata,
    Record,
    Shape,
    Values,
    expand,
    record_fields,
)


def choose_by_value(members: tuple[Shape, ...], value: object) -> Shape:
    """Return the member of a union that `value` is an instance of; `METADATA` if it has no files."""
    exact = (m for m in members if isinstance(m, Record) and type(value) is m.cls)
    fitting = (m for m in members if m != METADATA and _accepts(m, value))
    return next(chain(exact, fitting), METADATA)


def choose_by_json(members: tuple[Shape, ...], node: Json) -> Shape:
    """Return the member of a union that `node` was serialized from; `METADATA` if it has no files."""
    fitting = [m for m in members if m != METADATA and _fits(m, node)]
    return min(fitting, key=lambda member: _count_unknown(member, node), default=METADATA)


def has_files(shape: Shape, value: object) -> bool:  # noqa: PLR0911 - one return per shape
    """Return whether `value`, which belongs to a shape with files, names one now."""
    match expand(shape):
        case File():
            return isinstance(value, PurePath)
        case Choice(members):
            member = choose_by_value(members, value)
            return member != METADATA and has_files(member, value)
        case Items(item):
            return isinstance(value, Collection) and any(has_files(item, part) for part in value)
        case FixedItems(items):
            return isinstance(value, tuple) and any(map(has_files, items, value))
        case Values(item):
            return isinstance(value, Mapping) and any(has_files(item, part) for part in value.values())
        case Record(cls):
            fields = record_fields(cls).items()
            held = (
                value if isinstance(value, dict) else {name: getattr(value, name, None) for name, _ in fields}
            )
            return any(has_files(shape, held.get(name)) for name, shape in fields)
    return False


def _accepts(shape: Shape, value: object) -> bool:  # noqa: PLR0911 - one return per shape
    match expand(shape):
        case Metadata():
            return not isinstance(value, PurePath)
        case Choice(members):
            return any(_accepts(member, value) for member in members)
        case File():
            return isinstance(value, PurePath)
        case Items(item):
            if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
                return False
            return all(_accepts(item, part) for part in value)
        case FixedItems(items):
            return isinstance(value, tuple) and len(value) == len(items) and all(map(_accepts, items, value))
        case Values(item):
            return isinstance(value, Mapping) and all(_accepts(item, part) for part in value.values())
        case Record(cls) if is_typeddict(cls) and isinstance(value, dict):
            shapes = record_fields(cls)
            known = required_fields(cls) <= value.keys() <= shapes.keys()
            return known and all(_accepts(shapes[key], part) for key, part in value.items())
        case Record(cls):
            return not is_typeddict(cls) and isinstance(value, cls)
    return False


def _fits(shape: Shape, node: Json) -> bool:  # noqa: PLR0911 - one return per shape
    match expand(shape):
        case Metadata():
            return True
        case Choice(members):
            return any(_fits(member, node) for member in members)
        case File():
            return isinstance(node, str)
        case Items(item):
            return isinstance(node, list) and all(_fits(item, part) for part in node)
        case FixedItems(items):
            return isinstance(node, list) and len(node) == len(items) and all(map(_fits, items, node))
        case Values(item):
            return isinstance(node, dict) and all(_fits(item, part) for part in node.values())
        case Record(cls) if issubclass(cls, RootModel):
            return _fits(record_fields(cls)["root"], node)
        case Record(cls):
            return isinstance(node, dict) and _record_fits(cls, node)
    return False


def _record_fits(cls: type, node: Mapping[str, Json]) -> bool:
    """Return whether an object can be a `cls`: it has the required fields, and each tag has a valid value."""
    if not required_fields(cls) <= node.keys():
        return False
    if issubclass(cls, BaseModel):
        for name, field in cls.model_fields.items():
            if get_origin(field.annotation) is Literal and name in node:
                tags = [tag.value if isinstance(tag, Enum) else tag for tag in get_args(field.annotation)]
                if node[name] not in tags:
                    return False
    return all(_fits(shape, node[name]) for name, shape in record_fields(cls).items() if name in node)


def _count_unknown(shape: Shape, node: Json) -> int:
    shape = expand(shape)
    if isinstance(shape, Record) and isinstance(node, dict):
        return len(node.keys() - record_fields(shape.cls).keys())
    return 0

"""Comparison of a model with a rebuilt one, and of a model's fields with those of its manifest."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

from pydantic import BaseModel
from typing_extensions import TypeIs

from ritual_artifacts.artifact.canonical import Json, canonical_bytes
from ritual_artifacts.artifact.introspection.nodes import At, FileRef, Node, Unordered, dotted, fill
from ritual_artifacts.artifact.introspection.shapes import record_fields

_NUMBERS: Final = frozenset({bool, int, float})
_PLAIN: Final = (str, int, bytes, PurePath)


@dataclass(frozen=True)
class Change:
    """A value that a rebuilt model does not have as it was.

    Attributes:
        at: Where it is: field names, keys and indexes, with dots between them.
        before: The value.
        after: The value in the rebuilt model.
        is_equal: Whether the two are equal, and differ in their type only.
    """

    at: str
    before: object
    after: object
    is_equal: bool

    @property
    def cure(self) -> str:
        """What to do about a value that is not equal."""
        if isinstance(self.before, Enum) and self.before.value == self.after:
            return (
                "Pydantic does not convert defaults: set validate_default=True beside use_enum_values=True "
                "in model_config, or use the default's .value"
            )
        return (
            "declare a type that matches the value, let validators keep what they made before, or leave the "
            "field out with Field(default=…, exclude=True)"
        )


def find_changes(artifact: BaseModel, rebuilt: BaseModel) -> Iterator[Change]:
    """Yield each value that differs between two models. Excluded and private fields are ignored.

    A list and a tuple with equal items are equal but for their type: JSON has one kind of array, and a field
    declared as `Sequence` may hold either.
    """
    return _compare(artifact, rebuilt, ())


def _compare(first: object, second: object, at: At) -> Iterator[Change]:
    pairs = _pair(first, second)
    if pairs is None:
        yield Change(dotted(at), first, second, is_equal=False)
        return
    if type(first) is not type(second) and not {type(first), type(second)} <= _NUMBERS:
        yield Change(dotted(at), first, second, is_equal=True)
    if isinstance(second, Mapping):
        yield from _compare_keys(first, second, at)
    for key, part, other in pairs:
        if type(part) is type(other) and isinstance(part, _PLAIN) and part == other:
            continue  # most values: the loop is shorter than another call
        yield from _compare(part, other, (*at, key))


def _pair(first: object, second: object) -> Iterable[tuple[Any, object, object]] | None:
    """Return (key, part, other part) of two values that may be equal; None if they cannot be."""
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        same_length = len(first) == len(second)
        return zip(range(len(first)), first, second, strict=True) if same_length else None
    if _is_record(first) and type(first) is type(second):
        first, second = _fields(first), _fields(second)
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        other = second
        same_keys = first.keys() == second.keys()
        return ((key, part, other[key]) for key, part in first.items()) if same_keys else None
    return () if _equal(first, second) else None


def _compare_keys(first: Any, second: Mapping[Any, object], at: At) -> Iterator[Change]:  # noqa: ANN401 - a mapping
    keys = {key: key for key in second}
    for key in first:
        if type(keys[key]) is not type(key):
            yield Change(dotted((*at, key)), key, keys[key], is_equal=True)


def _is_record(value: object) -> bool:
    return isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type))


def _fields(record: object) -> dict[str, object]:
    """Return the fields to compare."""
    cls: Any = type(record)
    held = {name: getattr(record, name) for name in record_fields(cls)}
    return held | ((record.model_extra or {}) if isinstance(record, BaseModel) else {})


def _equal(first: object, second: object) -> bool:
    if first is second:
        return True
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    try:
        if first == second:
            return True
        if _are_aware(first, second):  # in the hours of a clock change, Python calls no two time zones equal
            return _instant(first) == _instant(second)
    except Exception:  # noqa: BLE001 - a user's class may not compare to a bool, such as an array
        return type(first) is type(second)
    return type(first) is type(second) and type(first).__eq__ is object.__eq__


def _are_aware(*values: object) -> bool:
    return all(isinstance(value, datetime) and value.utcoffset() is not None for value in values)


def _instant(value: Any) -> tuple[object, object]:  # noqa: ANN401 - an aware datetime
    return value.astimezone(UTC), value.utcoffset()


def find_contradiction(
    described: Mapping[str, Node], fields: Mapping[str, Json], name_of: Callable[[FileRef], str]
) -> str | None:
    """Return where a model's description contradicts a manifest's fields; None if it does not.

    Only what both have is compared, so that a class with fewer or more fields fits.

    Args:
        described: The output of `describe`.
        fields: The manifest's fields.
        name_of: Returns the name inside the artifact of a file that the model names.
    """
    return _contradiction(described, fields, name_of, ())


def _contradiction(node: Node, stated: Json, name_of: Callable[[FileRef], str], at: At) -> str | None:
    pairs: list[tuple[Any, Any, Any]]
    if isinstance(node, Mapping) and isinstance(stated, Mapping):
        pairs = [(key, part, stated[key]) for key, part in node.items() if key in stated]
    elif _is_array(node) and _is_array(stated) and len(node) == len(stated):
        parts: Any = node
        if isinstance(node, Unordered):
            parts, stated = fill(node, name_of), sorted(stated, key=canonical_bytes)
        pairs = list(zip(range(len(stated)), parts, stated, strict=True))
    else:
        value = name_of(node) if isinstance(node, FileRef) else node
        is_same = value == stated and isinstance(value, bool) is isinstance(stated, bool)
        return None if is_same else dotted(at)
    found = (_contradiction(part, other, name_of, (*at, key)) for key, part, other in pairs)
    return next((place for place in found if place is not None), None)


def _is_array(node: Node) -> TypeIs[Sequence[Any]]:
    return isinstance(node, Sequence) and not isinstance(node, str)

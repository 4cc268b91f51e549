"""Comparison of a model with the model that a download would rebuild."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ritual_artifacts.artifact.introspection.nodes import At, Node, dotted, file_refs, fill
from ritual_artifacts.artifact.introspection.reconstruction import rebuild
from ritual_artifacts.artifact.introspection.shapes import record_fields
from ritual_artifacts.errors import ArtifactModelError, ManifestError


def check_round_trip(artifact: BaseModel, described: Mapping[str, Node]) -> None:
    """Check that `rebuild` turns the output of `describe` into an equal model.

    Raises:
        ArtifactModelError: a download would change a value, or could not rebuild the model.
    """
    cls = type(artifact)
    published = Counter(str(ref.path) for ref in file_refs(described))
    placed: Counter[str] = Counter()

    def resolve(name: str) -> Path:
        placed[name] += 1
        return Path(name)

    try:
        rebuilt = rebuild(cls, {k: fill(n, lambda ref: str(ref.path)) for k, n in described.items()}, resolve)
    except ManifestError as error:
        message = f"{cls.__name__} could not be rebuilt from its manifest: {error}"
        raise ArtifactModelError(message) from None
    if (difference := _difference(artifact, rebuilt, ())) is not None:
        message = (
            f"{cls.__name__}.{difference} would have a different value after a download; "
            f"declare a type that matches the value, or exclude the field with Field(exclude=True)"
        )
        raise ArtifactModelError(message)
    if ambiguous := sorted((placed - published) + (published - placed)):
        message = (
            f"{cls.__name__} has a union in which {ambiguous[0]!r} may or may not be a file; "
            f"distinguish its members by a Literal field"
        )
        raise ArtifactModelError(message)


def _difference(first: object, second: object, at: At) -> str | None:
    """Return where two values differ, or None. Excluded and private fields are ignored.

    A list and a tuple with equal items are equal: JSON has one kind of array, and a field declared as
    `Sequence` may hold either.
    """
    (kind, parts), (other_kind, others) = _parts(first), _parts(second)
    if parts is None or others is None:
        return None if parts is others and _equal(first, second) else dotted(at)
    if kind is not other_kind or parts.keys() != others.keys():
        return dotted(at)
    differences = (_difference(part, others[key], (*at, key)) for key, part in parts.items())
    return next((difference for difference in differences if difference is not None), None)


def _parts(value: object) -> tuple[type, Mapping[Any, object] | None]:
    """Return the kind of a value and the parts to compare; None for a value that is compared as a whole."""
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        held = {name: getattr(value, name) for name in record_fields(type(value))}
        extra = (value.model_extra or {}) if isinstance(value, BaseModel) else {}
        return type(value), held | extra
    if isinstance(value, Mapping):
        return Mapping, value
    return (list, dict(enumerate(value))) if isinstance(value, list | tuple) else (type(value), None)


def _equal(first: object, second: object) -> bool:
    if first is second:
        return True
    try:
        equal = bool(first == second)
    except Exception:  # noqa: BLE001 - a user's class may not compare to a bool, such as an array
        return type(first) is type(second)
    return equal or (type(first) is type(second) and type(first).__eq__ is object.__eq__)

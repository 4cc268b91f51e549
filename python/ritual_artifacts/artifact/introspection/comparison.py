"""Comparison of a model with what would come back of it after a download."""

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


def check_comes_back(artifact: BaseModel, described: Mapping[str, Node]) -> None:
    """Check that `rebuild` turns what `describe` gave into an equal model.

    Raises:
        ArtifactModelError: a value would come back as another one, or not at all.
    """
    cls = type(artifact)
    published = Counter(str(ref.path) for ref in file_refs(described))
    placed: Counter[str] = Counter()

    def resolve(name: str) -> Path:
        placed[name] += 1
        return Path(name)

    try:
        again = rebuild(cls, {k: fill(n, lambda ref: str(ref.path)) for k, n in described.items()}, resolve)
    except ManifestError as error:
        message = f"{cls.__name__} could not be built again from what would be published: {error}"
        raise ArtifactModelError(message) from None
    if (difference := _difference(artifact, again, ())) is not None:
        message = (
            f"{cls.__name__}.{difference} would not come back equal after a download; "
            f"give the field a type that says what it holds, or exclude it with Field(exclude=True)"
        )
        raise ArtifactModelError(message)
    if mistaken := sorted((placed - published) + (published - placed)):
        message = (
            f"{cls.__name__} has a union in which {mistaken[0]!r} could be a file or not; "
            f"give its members a Literal field that tells them apart"
        )
        raise ArtifactModelError(message)


def _difference(first: object, second: object, at: At) -> str | None:
    """Return where two values differ, or None; excluded and private fields do not count.

    Lists and tuples with equal items are equal here: JSON has one kind of array, and a field declared as
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
    """Return what kind of value this is, and what is compared in it; None if it is compared whole."""
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
    except Exception:  # noqa: BLE001 - a class of the user's whose equality is not a yes or no, such as an array
        return type(first) is type(second)
    return equal or (type(first) is type(second) and type(first).__eq__ is object.__eq__)

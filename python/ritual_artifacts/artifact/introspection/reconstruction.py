"""Reconstruction of a model from a manifest's fields, with paths in place of file names."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from pathlib import Path, PurePath
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, RootModel, ValidationError
from typing_extensions import is_typeddict

from ritual_artifacts.artifact.canonical import Json
from ritual_artifacts.artifact.introspection.explanation import explain
from ritual_artifacts.artifact.introspection.nodes import At, dotted
from ritual_artifacts.artifact.introspection.requirements import check_model
from ritual_artifacts.artifact.introspection.schemas import can_fill_in, path_tolerant_validator
from ritual_artifacts.artifact.introspection.shapes import (
    METADATA,
    Choice,
    File,
    FileKind,
    FixedItems,
    Items,
    Metadata,
    Record,
    Shape,
    Values,
    expand,
    record_fields,
)
from ritual_artifacts.artifact.introspection.unions import choose_by_json, choose_by_value
from ritual_artifacts.errors import ArtifactModelError, ManifestError

ModelT = TypeVar("ModelT", bound=BaseModel)
Resolve: TypeAlias = Callable[[str], Path]
_Place: TypeAlias = Callable[[str, FileKind], str]


def rebuild(cls: type[ModelT], values: Mapping[str, Json], resolve: Resolve) -> ModelT:
    """Build the model that `describe` described, with `resolve(name)` in place of each file name.

    Args:
        cls: The model's class; its types decide which values are file names.
        values: The manifest's fields.
        resolve: Returns the path of a file or directory of the artifact; raises `ManifestError` for a name
            that the artifact does not have.

    Raises:
        ArtifactModelError: `cls` cannot be an artifact, or copies a `NewPath` into another value.
        ManifestError: the values do not fit `cls`.
    """
    check_model(cls)
    placeholders: dict[Path, Path] = {}
    mark = uuid.uuid4().hex

    def place(name: str, kind: FileKind) -> str:
        path = resolve(name)
        if kind == "new":  # pydantic refuses a NewPath that exists, and a downloaded file exists
            placeholder = path.with_name(f".{mark}-{len(placeholders)}{path.suffix}")
            placeholders[placeholder] = path
            path = placeholder
        return str(path)

    tree = _place_record(cls, values, place, ())
    try:
        artifact = _validate(cls, json.dumps(tree))
    except ValidationError as error:
        message = f"the manifest does not fit {cls.__name__}: {explain(error, 'the model')}"
        raise ManifestError(message) from None
    if placeholders:
        replace_paths(artifact, placeholders)
        if _mentions(artifact, mark):
            message = (
                f"{cls.__name__} copies the path of a NewPath field into a value that is not a file, such as "
                f"a private attribute or a string, which a download cannot restore; declare the field as Path"
            )
            raise ArtifactModelError(message)
    return artifact


def _validate(cls: type[ModelT], text: str) -> ModelT:
    try:
        return cls.model_validate_json(text, by_alias=False, by_name=True)
    except ValidationError as error:
        if not any(isinstance(problem["input"], PurePath) for problem in error.errors(include_url=False)):
            raise
    # A validator of the model made a path from the text, which pydantic does not expect in JSON.
    artifact: ModelT = path_tolerant_validator(cls).validate_json(text, by_alias=False, by_name=True)
    return artifact


def replace_paths(artifact: BaseModel, paths: Mapping[Path, Path]) -> None:
    """Replace the paths of files in an artifact; records change in place, even frozen ones."""
    _substitute(Record(type(artifact)), artifact, paths)


def file_names(cls: type[BaseModel], values: Mapping[str, Json]) -> dict[str, tuple[str, ...]]:
    """Return the file names in `values` for each top-level field of `cls` that has files.

    Raises:
        ManifestError: the values do not fit `cls`, or lack a field that it requires.
    """
    check_model(cls)
    required = () if can_fill_in(cls) else cls.model_fields.items()
    for name, info in required:
        if info.is_required() and not info.exclude and name not in values:
            message = f"the manifest has no field {name!r}, which {cls.__name__} requires"
            raise ManifestError(message)
    names: dict[str, tuple[str, ...]] = {}
    for field, shape in record_fields(cls).items():
        found: list[str] = []

        def note(name: str, _kind: FileKind, found: list[str] = found) -> str:
            found.append(name)
            return name

        if shape != METADATA:
            if field in values:
                _place(shape, values[field], note, (field,))
            names[field] = tuple(found)
    return names


def _place_record(cls: type, node: Mapping[str, Json], place: _Place, at: At) -> dict[str, Json]:
    shapes = record_fields(cls)
    return {name: _place(shapes.get(name, METADATA), part, place, (*at, name)) for name, part in node.items()}


def _place(shape: Shape, node: Json, place: _Place, at: At) -> Json:  # noqa: PLR0911 - one branch per shape
    match expand(shape):
        case Metadata():
            return node
        case Choice(members):
            return _place(choose_by_json(members, node), node, place, at)
        case File(kind) if isinstance(node, str):
            return place(node, kind)
        case Items(item) if isinstance(node, list):
            return [_place(item, part, place, (*at, i)) for i, part in enumerate(node)]
        case FixedItems(items) if isinstance(node, list) and len(node) == len(items):
            zipped = enumerate(zip(items, node, strict=True))
            return [_place(s, part, place, (*at, i)) for i, (s, part) in zipped]
        case Values(item) if isinstance(node, dict):
            return {key: _place(item, part, place, (*at, key)) for key, part in node.items()}
        case Record(cls) if issubclass(cls, RootModel):
            return _place(record_fields(cls)["root"], node, place, at)
        case Record(cls) if isinstance(node, dict):
            return _place_record(cls, node, place, at)
    message = f"expected file names at {dotted(at)}, got {type(node).__name__}"
    raise ManifestError(message)


def _substitute(shape: Shape, value: Any, paths: Mapping[Path, Path]) -> Any:  # noqa: ANN401, C901 - any value of a model; one branch per shape
    """Replace paths inside a validated value. Records change in place, even frozen ones."""
    match expand(shape):
        case File():
            return paths.get(value, value)
        case Choice(members):
            return _substitute(choose_by_value(members, value), value, paths)
        case Items(item):
            return type(value)(_substitute(item, part, paths) for part in value)
        case FixedItems(items):
            return tuple(_substitute(s, part, paths) for s, part in zip(items, value, strict=True))
        case Values(item):
            value.update({key: _substitute(item, part, paths) for key, part in value.items()})
        case Record(cls) if is_typeddict(cls):
            shapes = record_fields(cls)
            value.update({key: _substitute(shapes[key], part, paths) for key, part in value.items()})
        case Record(cls):
            for name, part_shape in record_fields(cls).items():
                if part_shape != METADATA:
                    object.__setattr__(value, name, _substitute(part_shape, getattr(value, name), paths))
        case Metadata():
            pass
    return value


def _mentions(value: object, mark: str) -> bool:
    """Return whether a path or string in `value`, even in a private or excluded field, contains `mark`."""
    pending, seen = [value], dict[int, object]()
    while pending:
        part = pending.pop()
        if isinstance(part, str | PurePath):
            if mark in str(part):
                return True
        elif id(part) not in seen:
            seen[id(part)] = part  # kept alive, so that its id is not reused
            if isinstance(part, Mapping):
                pending += [*part, *part.values()]
            elif isinstance(part, list | tuple | set | frozenset):
                pending += part
            elif isinstance(part, BaseModel) or (is_dataclass(part) and not isinstance(part, type)):
                pending.append(part.__getstate__())
    return False

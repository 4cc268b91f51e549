"""Description of a model: its fields as JSON, with a reference for each file."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePath

from pydantic import BaseModel, RootModel
from pydantic_core import PydanticSerializationError
from typing_extensions import TypeIs, is_typeddict

from ritual_artifacts.artifact.canonical import MAX_DEPTH, Json, canonical_bytes, is_too_deep
from ritual_artifacts.artifact.introspection.nodes import At, FileRef, Node, Unordered, dotted
from ritual_artifacts.artifact.introspection.requirements import check_model, refuse_reserved
from ritual_artifacts.artifact.introspection.shapes import (
    METADATA,
    SECRETS,
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
from ritual_artifacts.artifact.introspection.unions import choose_by_value, has_files
from ritual_artifacts.errors import ArtifactModelError


def describe(artifact: BaseModel) -> dict[str, Node]:
    """Turn `artifact` into JSON by field name, with a `FileRef` for each file.

    Metadata is the output of `model_dump(mode="json")`. Sets are sorted, so that the same artifact gives the
    same JSON on every run. Computed, private and excluded fields are left out.

    Raises:
        ArtifactModelError: a field is reserved or secret, or JSON cannot represent a value.
    """
    cls = type(artifact)
    check_model(cls)
    refuse_reserved(cls.__name__, artifact.model_extra or {})
    dumped = _dump(artifact)
    refuse_reserved(f"the serialized {cls.__name__}", dumped)
    return _describe_record(cls, artifact, dumped, ())


def _dump(artifact: BaseModel) -> dict[str, Json]:
    """Return the output of `model_dump(mode="json")`, checked field by field."""
    cls = type(artifact)
    try:
        whole: object = artifact.model_dump(mode="json", by_alias=False, round_trip=True, warnings="error")
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        for name in (*cls.model_fields, *(artifact.model_extra or {})):
            _dump_field(artifact, name)  # which raises for the field that is the cause
        raise _not_json(cls.__name__, error) from None
    if not isinstance(whole, dict):
        message = f"{cls.__name__} has a custom serializer that hides its files"
        raise ArtifactModelError(message)
    dumped: dict[str, Json] = {}
    for name, value in whole.items():
        part = value
        try:
            canonical_bytes(value)
        except ValueError as error:
            part = _with_written_infinities(artifact, name, value, error)
        if is_too_deep({name: part}):
            message = f"{cls.__name__}.{name} is nested deeper than {MAX_DEPTH}, the limit of a manifest"
            raise ArtifactModelError(message)
        dumped[name] = part
    return dumped


def _dump_field(artifact: BaseModel, name: str) -> None:
    try:
        artifact.model_dump(mode="json", include={name}, by_alias=False, round_trip=True, warnings="error")
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        at = f"{type(artifact).__name__}.{name}"
        raise _not_json(at, error) from None


def _not_json(at: str, error: Exception) -> ArtifactModelError:
    hint = ""
    if "codec can't decode" in str(error):
        hint = "; for binary data, set ser_json_bytes and val_json_bytes to 'base64' in model_config"
    message = f"{at} has a value that JSON cannot represent: {error}{hint}"
    return ArtifactModelError(message)


def _with_written_infinities(artifact: BaseModel, name: str, part: Json, problem: ValueError) -> Json:
    """Return a field's JSON with infinities and NaN as strings, where the model's configuration asks for it.

    Only `model_dump_json` regards `ser_json_inf_nan`; `model_dump` never does.
    """
    at = f"{type(artifact).__name__}.{name}"
    if not _loses_a_number(part, None):
        raise _not_json(at, problem) from None
    hint = "for a field of type float, set ser_json_inf_nan to 'strings' in the model_config of its model"
    error = _not_json(at, ValueError(f"{problem}; {hint}"))
    try:
        text = artifact.model_dump_json(by_alias=False, round_trip=True, warnings="error")
        written: Json = json.loads(text)[name]
        canonical_bytes(written)
    except (PydanticSerializationError, LookupError, ValueError, TypeError):
        raise error from None
    if _loses_a_number(part, written):
        raise error
    return written


def _loses_a_number(dumped: Json, written: Json) -> bool:
    """Return whether an infinity or NaN in `dumped` is not a string in `written`."""
    if isinstance(dumped, dict):
        others = written if isinstance(written, dict) else {}
        return any(_loses_a_number(part, others.get(key)) for key, part in dumped.items())
    if isinstance(dumped, list):
        items = written if isinstance(written, list) else [None] * len(dumped)
        return any(map(_loses_a_number, dumped, items))
    return isinstance(dumped, float) and not math.isfinite(dumped) and not isinstance(written, str)


def _describe_record(cls: type, value: object, dumped: Json, at: At) -> dict[str, Node]:
    if not isinstance(dumped, dict):
        message = f"{dotted(at) or cls.__name__} has a custom serializer that hides its files"
        raise ArtifactModelError(message)
    shapes = record_fields(cls)
    for name, shape in shapes.items():
        if name not in dumped and shape != METADATA and has_files(shape, _held(value, name)):
            message = (
                f"{dotted((*at, name)) if at else f'{cls.__name__}.{name}'} has files, but a custom "
                f"serializer renames it or leaves it out; keep its name, or exclude it with "
                f"Field(exclude=True)"
            )
            raise ArtifactModelError(message)
    return {
        name: _describe(shapes.get(name, METADATA), _held(value, name), part, (*at, name))
        for name, part in dumped.items()
    }


def _held(record: object, name: str) -> object:
    return record.get(name) if isinstance(record, dict) else getattr(record, name, None)


def _describe(shape: Shape, value: object, dumped: Json, at: At) -> Node:  # noqa: PLR0911 - one return per shape
    match expand(shape):
        case Metadata():
            return _describe_metadata(value, dumped, at)
        case Choice(members):
            return _describe(choose_by_value(members, value), value, dumped, at)
        case File(kind) if isinstance(value, PurePath):  # pydantic parses os.PathLike as PurePath
            return FileRef(str(at[0]), Path(value), kind)
        case Items(item) if isinstance(value, Collection) and _is_array_of(dumped, len(value)):
            parts = list(zip(value, dumped, strict=True))
            nodes = [_describe(item, held, part, (*at, i)) for i, (held, part) in enumerate(parts)]
            return Unordered(nodes) if isinstance(value, AbstractSet) else nodes
        case FixedItems(items) if isinstance(value, tuple) and _is_array_of(dumped, len(value), len(items)):
            zipped = zip(items, value, dumped, strict=True)
            return [_describe(s, held, part, (*at, i)) for i, (s, held, part) in enumerate(zipped)]
        case Values(item) if isinstance(value, Mapping) and _is_object_of(dumped, len(value)):
            pairs = zip(value.values(), dumped.items(), strict=True)
            return {key: _describe(item, held, part, (*at, key)) for held, (key, part) in pairs}
        case Record(cls) if issubclass(cls, RootModel) and isinstance(value, RootModel):
            return _describe(record_fields(cls)["root"], value.root, dumped, at)
        case Record(cls) if isinstance(value, dict if is_typeddict(cls) else cls):
            return _describe_record(cls, value, dumped, at)
    message = (
        f"{dotted(at)} does not match its declared type, or a custom serializer hides its files: "
        f"its value is a {type(value).__name__}, serialized as a {type(dumped).__name__}"
    )
    raise ArtifactModelError(message)


def _is_array_of(dumped: Json, *lengths: int) -> TypeIs[list[Json]]:
    return isinstance(dumped, list) and {len(dumped)} == set(lengths)


def _is_object_of(dumped: Json, length: int) -> TypeIs[dict[str, Json]]:
    return isinstance(dumped, dict) and len(dumped) == length


def _describe_metadata(value: object, dumped: Json, at: At) -> Node:
    """Refuse values that must not be published, and mark the arrays that are sets."""
    if isinstance(value, Path):
        message = f"{dotted(at)} has a path, but is not declared as Path; declare it as Path, or use str"
        raise ArtifactModelError(message)
    if isinstance(value, SECRETS):
        message = f"{dotted(at)} has a secret, but artifacts are published unencrypted"
        raise ArtifactModelError(message)
    node: Node = dumped
    if isinstance(dumped, dict):
        if isinstance(value, Mapping) and len(value) == len(dumped):
            held: Sequence[object] = list(value.values())
        else:
            held = [getattr(value, key, None) for key in dumped]
        pairs = zip(held, dumped.items(), strict=True)
        node = {key: _describe_metadata(part, d, (*at, key)) for part, (key, d) in pairs}
    elif isinstance(dumped, list) and isinstance(value, Collection) and len(value) == len(dumped):
        zipped = enumerate(zip(value, dumped, strict=True))
        parts = [_describe_metadata(part, d, (*at, i)) for i, (part, d) in zipped]
        node = Unordered(parts) if isinstance(value, AbstractSet) else parts
    elif isinstance(value, RootModel):
        node = _describe_metadata(value.root, dumped, at)
    return node

"""Description of a model: its fields as JSON, with a reference for each file."""

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
    record_fields,
)
from ritual_artifacts.artifact.introspection.unions import choose_by_value
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
    dumped: dict[str, Json] = {}
    for name in (*cls.model_fields, *(artifact.model_extra or {})):
        try:
            part = artifact.model_dump(
                mode="json", include={name}, by_alias=False, round_trip=True, warnings="error"
            )
            canonical_bytes(part)
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            hint = ""
            if "codec can't decode" in str(error):
                hint = "; for binary data, set ser_json_bytes and val_json_bytes to 'base64' in model_config"
            message = f"{cls.__name__}.{name} has a value that JSON cannot represent: {error}{hint}"
            raise ArtifactModelError(message) from None
        if is_too_deep(part):
            message = f"{cls.__name__}.{name} is nested deeper than {MAX_DEPTH}, the limit of a manifest"
            raise ArtifactModelError(message)
        dumped.update(part)
    refuse_reserved(f"the serialized {cls.__name__}", dumped)
    return _describe_record(cls, artifact, dumped, ())


def _describe_record(cls: type, value: object, dumped: Json, at: At) -> dict[str, Node]:
    if not isinstance(dumped, dict):
        message = f"{dotted(at) or cls.__name__} has a custom serializer that hides its files"
        raise ArtifactModelError(message)
    shapes = record_fields(cls)
    described: dict[str, Node] = {}
    for name, part in dumped.items():
        held = value[name] if isinstance(value, dict) else getattr(value, name, None)
        described[name] = _describe(shapes.get(name, METADATA), held, part, (*at, name))
    return described


def _describe(shape: Shape, value: object, dumped: Json, at: At) -> Node:  # noqa: PLR0911 - one return per shape
    match shape:
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

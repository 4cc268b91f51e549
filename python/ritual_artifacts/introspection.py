"""Typed artifact ↔ manifest fields, by type, in both directions. Reads no file.

`describe` turns a model into JSON in which every file is a `FileRef`; `rebuild` turns such JSON, with file
names in those places, into an equal model. Which places are files is decided by `shapes`.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, is_dataclass
from enum import Enum
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import PydanticSerializationError
from typing_extensions import TypeIs, is_typeddict

from ritual_artifacts.canonical import MAX_DEPTH, Json, canonical_bytes, is_too_deep
from ritual_artifacts.errors import ArtifactModelError, ManifestError
from ritual_artifacts.shapes import (
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
    is_secret,
    record_fields,
    required_fields,
)

RESERVED_FIELDS: Final = ("repo_id", "artifact_type", "file_hashes", "ritual_artifacts")
"""Keys that the manifest needs for itself."""

_MAX_PROBLEMS: Final = 5
_MAX_EXPLANATION: Final = 2000

ModelT = TypeVar("ModelT", bound=BaseModel)
Resolve: TypeAlias = Callable[[str], Path]
_Place: TypeAlias = Callable[[str, FileKind], str]
_At: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class FileRef:
    """A file or directory that the model names.

    Attributes:
        field: The top-level field it is in.
        path: Where it is.
        kind: What the type says it is.
    """

    field: str
    path: Path
    kind: FileKind


class Unordered(list["Node"]):
    """The items of a set."""


Node: TypeAlias = Json | FileRef | Sequence["Node"] | Mapping[str, "Node"]


def check_model(cls: type[BaseModel]) -> None:
    """Check that instances of `cls` can be artifacts at all, by type alone.

    Raises:
        ArtifactModelError: `cls` has a reserved, secret or ambiguous field, or is a root model.
    """
    given: object = cls
    if not (isinstance(given, type) and issubclass(given, BaseModel)):
        message = f"an artifact is a Pydantic model, not {getattr(given, '__name__', given)!r}"
        raise ArtifactModelError(message)
    if issubclass(cls, RootModel):
        message = f"{cls.__name__} is a root model, which has no named fields; wrap it in a model"
        raise ArtifactModelError(message)
    _refuse_reserved(cls.__name__, cls.model_fields)
    record_fields(cls)


def describe(artifact: BaseModel) -> dict[str, Node]:
    """Turn `artifact` into JSON by field name, with a `FileRef` wherever its type has a file.

    Metadata is what `model_dump(mode="json")` makes of it; sets are sorted, so that the same artifact gives
    the same JSON on every run. Computed, private and excluded fields are not part of it.

    Raises:
        ArtifactModelError: a field is reserved or secret, or JSON cannot hold a value.
    """
    cls = type(artifact)
    check_model(cls)
    _refuse_reserved(cls.__name__, artifact.model_extra or {})
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
                hint = "; for binary data set ser_json_bytes and val_json_bytes to 'base64' in model_config"
            message = f"{cls.__name__}.{name} holds a value that JSON cannot hold: {error}{hint}"
            raise ArtifactModelError(message) from None
        if is_too_deep(part):
            message = f"{cls.__name__}.{name} is nested deeper than {MAX_DEPTH}, the limit of a manifest"
            raise ArtifactModelError(message)
        dumped.update(part)
    _refuse_reserved(f"the serializer of {cls.__name__}", dumped)
    return _describe_record(cls, artifact, dumped, ())


def rebuild(cls: type[ModelT], values: Mapping[str, Json], resolve: Resolve) -> ModelT:
    """Build the model that `describe` described, with `resolve(name)` in place of each file name.

    Args:
        cls: The model's class; its types decide which values are file names.
        values: The manifest's fields.
        resolve: Gives the path of a file or directory of the artifact; raises `ManifestError` for a name
            that the artifact does not have.

    Raises:
        ManifestError: the values do not fit `cls`.
    """
    check_model(cls)
    placeholders: dict[Path, Path] = {}

    def place(name: str, kind: FileKind) -> str:
        path = resolve(name)
        if kind == "new":  # pydantic refuses a NewPath that exists, and after a download it does
            placeholder = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
            placeholders[placeholder] = path
            path = placeholder
        return str(path)

    tree = _place_record(cls, values, place, ())
    try:
        artifact = cls.model_validate_json(json.dumps(tree), by_alias=False, by_name=True)
    except ValidationError as error:
        message = f"the manifest does not fit {cls.__name__}: {explain(error, 'the model')}"
        raise ManifestError(message) from None
    if placeholders:
        _substitute(Record(cls), artifact, placeholders)
    return artifact


def explain(error: ValidationError, whole: str) -> str:
    """Say on one line what is wrong with values that come from a stranger.

    Args:
        error: What Pydantic says about them.
        whole: What to call the place of an error that is not in one field.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [f"{'.'.join(map(str, e['loc'])) or whole}: {e['msg']}" for e in found[:_MAX_PROBLEMS]]
    if len(found) > len(problems):
        problems.append(f"and {len(found) - len(problems)} more")
    # what a terminal would obey is shown as an escape sequence
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in "; ".join(problems))
    return shown if len(shown) <= _MAX_EXPLANATION else f"{shown[:_MAX_EXPLANATION]}…"


def file_names(cls: type[BaseModel], values: Mapping[str, Json]) -> dict[str, tuple[str, ...]]:
    """Return, for each top-level field of `cls` that has files, the names that `values` gives it.

    Raises:
        ManifestError: the values do not fit `cls`, or lack a field that it requires.
    """
    for name, info in cls.model_fields.items():
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


def _refuse_reserved(owner: str, names: Collection[str]) -> None:
    for name in RESERVED_FIELDS:
        if name in names:
            message = f"{owner} has a field {name!r}, a name that the manifest needs for itself; rename it"
            raise ArtifactModelError(message)


# --- model → JSON with file references ---------------------------------------------------------------------


def _dotted(at: _At) -> str:
    return ".".join(map(str, at))


def _describe_record(cls: type, value: object, dumped: Json, at: _At) -> dict[str, Node]:
    if not isinstance(dumped, dict):
        message = f"{_dotted(at) or cls.__name__} has a serializer of its own that hides its files"
        raise ArtifactModelError(message)
    shapes = record_fields(cls)
    described: dict[str, Node] = {}
    for name, part in dumped.items():
        held = value[name] if isinstance(value, dict) else getattr(value, name, None)
        described[name] = _describe(shapes.get(name, METADATA), held, part, (*at, name))
    return described


def _describe(shape: Shape, value: object, dumped: Json, at: _At) -> Node:  # noqa: PLR0911 - one return per shape
    match shape:
        case Metadata():
            return _describe_metadata(value, dumped, at)
        case Choice(members):
            return _describe(_choose(members, value), value, dumped, at)
        case File(kind) if isinstance(value, PurePath):  # what pydantic makes of os.PathLike is no Path
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
        f"{_dotted(at)} does not hold what its type says, or has a serializer of its own that hides "
        f"its files: it holds a {type(value).__name__} and is written as a {type(dumped).__name__}"
    )
    raise ArtifactModelError(message)


def _is_array_of(dumped: Json, *lengths: int) -> TypeIs[list[Json]]:
    return isinstance(dumped, list) and {len(dumped)} == set(lengths)


def _is_object_of(dumped: Json, length: int) -> TypeIs[dict[str, Json]]:
    return isinstance(dumped, dict) and len(dumped) == length


def _describe_metadata(value: object, dumped: Json, at: _At) -> Node:
    """Refuse what must not be published, and note which arrays are sets."""
    if isinstance(value, Path):
        message = f"{_dotted(at)} holds a path, but its type does not say so; declare it as Path, or use str"
        raise ArtifactModelError(message)
    if is_secret(value):
        message = f"{_dotted(at)} holds a secret, and an artifact is published in clear"
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


def fill(node: Node, name_of: Callable[[FileRef], str]) -> Json:
    """Replace each file reference in `node` by the name that `name_of` gives it, and sort the sets."""
    if isinstance(node, FileRef):
        return name_of(node)
    if isinstance(node, Mapping):
        return {key: fill(part, name_of) for key, part in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        filled = [fill(part, name_of) for part in node]
        return sorted(filled, key=canonical_bytes) if isinstance(node, Unordered) else filled
    return node


def file_refs(node: Node) -> list[FileRef]:
    """List the file references in `node`, in an order that equal models have in common."""
    if isinstance(node, FileRef):
        return [node]
    parts: Iterable[Node] = ()
    if isinstance(node, Mapping):
        parts = (part for _, part in sorted(node.items()))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        parts = sorted(node, key=_set_order) if isinstance(node, Unordered) else node
    return [ref for part in parts for ref in file_refs(part)]


def _set_order(node: Node) -> tuple[bytes, bytes]:
    """Order the items of a set by what is the same on every machine first: names before whole paths."""
    names = fill(node, lambda ref: ref.path.name)
    return canonical_bytes(names), canonical_bytes(fill(node, lambda ref: str(ref.path)))


def _choose(members: tuple[Shape, ...], value: object) -> Shape:
    exact = (m for m in members if isinstance(m, Record) and type(value) is m.cls)
    fitting = (m for m in members if m != METADATA and _accepts(m, value))
    return next(chain(exact, fitting), METADATA)


def _accepts(shape: Shape, value: object) -> bool:  # noqa: PLR0911 - one return per shape
    match shape:
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


# --- JSON with file names → model --------------------------------------------------------------------------


def _place_record(cls: type, node: Mapping[str, Json], place: _Place, at: _At) -> dict[str, Json]:
    shapes = record_fields(cls)
    return {name: _place(shapes.get(name, METADATA), part, place, (*at, name)) for name, part in node.items()}


def _place(shape: Shape, node: Json, place: _Place, at: _At) -> Json:  # noqa: PLR0911 - one branch per shape
    match shape:
        case Metadata():
            return node
        case Choice(members):
            return _place(_choose_by_json(members, node), node, place, at)
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
    message = f"{_dotted(at)} should name files, but the manifest has {type(node).__name__} there"
    raise ManifestError(message)


def _choose_by_json(members: tuple[Shape, ...], node: Json) -> Shape:
    fitting = [m for m in members if m != METADATA and _fits(m, node)]
    return min(fitting, key=lambda member: _count_unknown(member, node), default=METADATA)


def _fits(shape: Shape, node: Json) -> bool:  # noqa: PLR0911 - one branch per shape
    match shape:
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


def _record_fits(cls: type, node: Mapping[str, Json]) -> bool:
    """Say whether an object can be a `cls`: no field is missing, and tags have one of their values."""
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
    if isinstance(shape, Record) and isinstance(node, dict):
        return len(node.keys() - record_fields(shape.cls).keys())
    return 0


def _substitute(shape: Shape, value: Any, paths: Mapping[Path, Path]) -> Any:  # noqa: ANN401, C901 - any value of a model; one branch per shape
    """Replace paths inside a value that was just validated; records, frozen ones too, change in place."""
    match shape:
        case File():
            return paths.get(value, value)
        case Choice(members):
            return _substitute(_choose(members, value), value, paths)
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


# --- is it the same again? ---------------------------------------------------------------------------------


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


def _difference(first: object, second: object, at: _At) -> str | None:
    """Return where two values differ, or None; excluded and private fields do not count.

    Lists and tuples with equal items are equal here: JSON has one kind of array, and a field declared as
    `Sequence` may hold either.
    """
    parts, others = _parts(first), _parts(second)
    if parts is None or others is None:
        return None if parts is others and _equal(first, second) else _dotted(at)
    if parts.keys() != others.keys() or _comparable_type(first) is not _comparable_type(second):
        return _dotted(at)
    differences = (_difference(part, others[key], (*at, key)) for key, part in parts.items())
    return next((difference for difference in differences if difference is not None), None)


def _parts(value: object) -> Mapping[Any, object] | None:
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        held = {name: getattr(value, name) for name in record_fields(type(value))}
        return held | ((value.model_extra or {}) if isinstance(value, BaseModel) else {})
    if isinstance(value, Mapping):
        return value
    return dict(enumerate(value)) if isinstance(value, list | tuple) else None


def _comparable_type(value: object) -> type:
    if isinstance(value, Mapping):
        return Mapping
    return list if isinstance(value, list | tuple) else type(value)


def _equal(first: object, second: object) -> bool:
    if first is second:
        return True
    try:
        equal = bool(first == second)
    except Exception:  # noqa: BLE001 - a class of the user's whose equality is not a yes or no, such as an array
        return type(first) is type(second)
    return equal or (type(first) is type(second) and type(first).__eq__ is object.__eq__)

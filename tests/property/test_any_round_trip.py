"""Random model classes with random values come back equal through the bytes of a manifest."""

import enum
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    JsonValue,
    create_model,
)
from typing_extensions import TypeAliasType

from ritual_artifacts.artifact.introspection import describe, file_refs, rebuild
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.core.hashing import hash_files

FILES = [
    "x.bin",
    "1/x.bin",
    "2/X.bin",
    "2/y",
    "3/model",
    "4/caf\u00e9",
    "5/cafe\u0301",
    "6/.hidden",
    "7/shards",
]
FOLDERS = {"model": ["a", "sub/b"], "1/model": ["a"], "shards": ["0/x.bin", "x.bin"]}


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


@dataclass(frozen=True)
class Typed:
    """A type, and values of it; paths are relative to the folder of sources."""

    annotation: Any
    values: st.SearchStrategy[Any]
    hashable: bool = False


INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FileTree = TypeAliasType("FileTree", "Path | dict[str, FileTree]")

FILE = st.sampled_from(FILES).map(Path)
FILE_TREE = st.recursive(FILE, lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3))
FOLDER = st.sampled_from(sorted(FOLDERS)).map(Path)
LEAVES = [
    Typed(Path, FILE, hashable=True),
    Typed(FilePath, FILE, hashable=True),
    Typed(Annotated[Path, "note"], FILE, hashable=True),
    Typed(DirectoryPath, FOLDER, hashable=True),
    Typed(Annotated[Path, BeforeValidator(lambda path: Path(path).expanduser())], FILE, hashable=True),
    Typed(Annotated[FilePath, AfterValidator(Path.resolve)], FILE, hashable=True),
    Typed(FileTree, FILE_TREE),
    Typed(str, st.text(max_size=8), hashable=True),
    Typed(int, INTEGERS, hashable=True),
    Typed(bool, st.booleans(), hashable=True),
    Typed(float, FLOATS, hashable=True),
    Typed(bytes, st.text(max_size=4).map(str.encode), hashable=True),
    Typed(datetime, st.datetimes(timezones=st.sampled_from([None, UTC])), hashable=True),
    Typed(date, st.dates(), hashable=True),
    Typed(time, st.times(), hashable=True),
    Typed(timedelta, st.timedeltas(timedelta(days=-99_999), timedelta(days=99_999)), hashable=True),
    Typed(Decimal, st.decimals(allow_nan=False, allow_infinity=False), hashable=True),
    Typed(UUID, st.uuids(), hashable=True),
    Typed(Colour, st.sampled_from(Colour), hashable=True),
    Typed(JsonValue, JSON),
]


@st.composite
def typed(draw: st.DrawFn, depth: int) -> Typed:  # noqa: PLR0911 - one return per form
    """Draw a type and a strategy for its values."""
    forms = ["leaf", "leaf", "optional", "list", "tuple", "pair", "dict", "sequence", "set", "model", "union"]
    form = draw(st.sampled_from(forms if depth else ["leaf"]))
    if form == "leaf":
        return draw(st.sampled_from(LEAVES))
    if form == "model":
        model, values = draw(models(depth - 1))
        return Typed(model, values)
    if form == "union":
        first, first_values = draw(models(depth - 1, tag="first"))
        second, second_values = draw(models(depth - 1, tag="second"))
        return Typed(Annotated[first | second, Field(discriminator="tag")], first_values | second_values)
    inner = draw(typed(depth - 1))
    item: Any = inner.annotation
    match form:
        case "optional":
            return Typed(item | None, st.none() | inner.values, hashable=inner.hashable)
        case "list":
            return Typed(list[item], st.lists(inner.values, max_size=3))
        case "tuple":
            items = st.lists(inner.values, max_size=3).map(tuple)
            return Typed(tuple[item, ...], items, hashable=inner.hashable)
        case "sequence":
            return Typed(Sequence[item], st.lists(inner.values, max_size=3))
        case "dict":
            keys = st.text(max_size=4)
            return Typed(Mapping[str, item], st.dictionaries(keys, inner.values, max_size=3))
        case "set" if inner.hashable:
            return Typed(frozenset[item], st.frozensets(inner.values, max_size=3), hashable=True)
        case _:
            other = draw(typed(depth - 1))
            second_item: Any = other.annotation
            hashable = inner.hashable and other.hashable
            return Typed(tuple[item, second_item], st.tuples(inner.values, other.values), hashable=hashable)


@st.composite
def models(
    draw: st.DrawFn, depth: int, tag: str | None = None
) -> tuple[type[BaseModel], st.SearchStrategy[BaseModel]]:
    """Draw a model class, and a strategy for its instances."""
    config = ConfigDict(
        frozen=draw(st.booleans()),
        extra=draw(st.sampled_from(["ignore", "forbid", "allow"])),
        strict=draw(st.booleans()),
        arbitrary_types_allowed=True,
    )
    parts = draw(st.lists(typed(depth), min_size=1, max_size=3))
    fields: dict[str, Any] = {f"field_{i}": (part.annotation, ...) for i, part in enumerate(parts)}
    values = {f"field_{i}": part.values for i, part in enumerate(parts)}
    if tag is not None:
        fields["tag"] = (Literal[tag], tag)
        values["tag"] = st.just(tag)
    model = create_model("Random", __config__=config, **fields)

    def build(held: dict[str, Any]) -> BaseModel:
        return model.model_construct(**held)  # not validated yet: `below` does, with absolute paths

    return model, st.fixed_dictionaries(values).map(build)


def below(root: Path, value: Any) -> Any:
    """Return the value with all paths in it made absolute, and every model validated."""
    match value:
        case Path():
            return root / value
        case BaseModel():
            held = {name: below(root, getattr(value, name)) for name in type(value).model_fields}
            return type(value).model_validate(held)
        case Mapping():
            return {key: below(root, part) for key, part in value.items()}
        case list() | tuple() | frozenset():
            return type(value)(below(root, part) for part in value)
    return value


def contents(value: Any) -> Any:  # noqa: PLR0911 - one return per kind
    """Return the value with the content of its files in place of their paths."""
    match value:
        case Path() if value.is_dir():
            return frozenset(
                (str(p.relative_to(value)), contents(p)) for p in value.rglob("*") if p.is_file()
            )
        case Path():
            return value.read_bytes()
        case BaseModel():
            return type(value), {name: contents(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            return {key: contents(part) for key, part in value.items()}
        case list() | tuple():
            return tuple(contents(part) for part in value)
        case frozenset():
            return frozenset(contents(part) for part in value)
    return value


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    names = [*FILES, *(f"{folder}/{name}" for folder, found in FOLDERS.items() for name in found)]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],  # classes are slow to make
)
@given(data=st.data())
def test_any_model_comes_back_equal_through_its_manifest(sources: Path, data: st.DataObject) -> None:
    cls, values = data.draw(models(3))
    holder = create_model("Holder", anchor=(Path, ...), value=(cls, ...))
    artifact = below(sources, holder.model_construct(anchor=Path("x.bin"), value=data.draw(values)))

    plan = plan_files(artifact)
    manifest = Manifest.build(plan, hash_files([file.source for file in plan.files]))
    read = Manifest.from_bytes(manifest.to_bytes())
    with tempfile.TemporaryDirectory(dir=sources.parent) as folder:
        target = Path(folder)
        for file in plan.files:
            (target / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.source, target / file.path)
        again = rebuild(holder, read.fields, lambda name: read.resolve(target, name))

        assert contents(again) == contents(artifact)
        known = {
            ref.path: str(ref.path.relative_to(target)) for ref in file_refs(list(describe(again).values()))
        }
        replanned = plan_files(again, known)
        rebuilt = Manifest.build(replanned, hash_files([file.source for file in replanned.files]))
        assert rebuilt.to_bytes() == manifest.to_bytes()

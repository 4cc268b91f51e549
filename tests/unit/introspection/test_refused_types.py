"""Models that cannot be artifacts, whatever they hold."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType

import pytest
from pydantic import (
    BaseModel,
    Field,
    FilePath,
    JsonValue,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    SocketPath,
    create_model,
)
from typing_extensions import TypeAliasType

from ritual_artifacts.artifact.introspection import check_model
from ritual_artifacts.errors import ArtifactModelError
from tests.unit.introspection.artifacts import Box, Colour, Part, PathList, Plain, Shard, Words


@pytest.mark.parametrize("name", ["repo_id", "artifact_type", "file_hashes", "ritual_artifacts"])
def test_reserved_field_names_are_refused(name: str) -> None:
    fields: dict[str, Any] = {"file": (Path, ...), name: (str, "")}

    with pytest.raises(ArtifactModelError, match=f"'{name}'.*rename it"):
        check_model(create_model("Reserving", **fields))


@pytest.mark.parametrize(
    "annotation",
    [
        SecretStr,
        SecretBytes,
        Secret[date],
        SecretStr | None,
        list[SecretStr],
        dict[str, SecretBytes],
        dict[SecretStr, int],
        tuple[int, Secret[int]],
        Box[SecretStr],
        Annotated[SecretStr, Field(min_length=1)],
        TypeAliasType("SecretAlias", SecretStr | None),
        NewType("NewSecret", SecretStr),
        Annotated[Literal["x"] | SecretStr, "note"],
    ],
    ids=str,
)
def test_a_secret_type_is_refused_by_type(annotation: Any) -> None:
    model = create_model("Leaky", file=(Path, ...), token=(annotation, ...))

    with pytest.raises(ArtifactModelError, match=r"(Leaky\.token|content).*secret.*exclude=True"):
        check_model(model)


AMBIGUOUS = [
    Path | str,
    str | None | FilePath,
    Path | date,
    Path | Decimal,
    Path | Colour,
    Path | Literal["auto"],
    Path | Words,
    Path | Any,
    Path | JsonValue,
    list[Path] | list[str],
    list[Path] | set[int],
    dict[str, Path] | dict[str, int],
    dict[str, Path] | Plain,
    Part | dict[str, int],
    Annotated[Path | None, "note"] | str,
    Path | RootModel[str],
    RootModel[Path] | str,
    TypeAliasType("MaybeFile", Path | int) | str,
    Path | TypeAliasType("Text", str),
]


@pytest.mark.parametrize("annotation", AMBIGUOUS, ids=str)
def test_a_union_in_which_a_file_cannot_be_told_is_refused(annotation: Any) -> None:
    model = create_model("Unclear", file=(Path, ...), value=(annotation, ...))

    with pytest.raises(ArtifactModelError, match=r"Unclear\.value.*a file and .* are not distinct"):
        check_model(model)


@pytest.mark.parametrize(
    "annotation", [dict[Path, int], Mapping[tuple[Path, int], int], dict[FilePath, Path]], ids=str
)
def test_paths_as_keys_are_refused(annotation: Any) -> None:
    with pytest.raises(ArtifactModelError, match=r"Keys\.value has paths as keys"):
        check_model(create_model("Keys", value=(annotation, ...)))


def test_a_named_tuple_with_files_is_refused() -> None:
    class Pair(NamedTuple):
        file: Path
        rows: int

    with pytest.raises(ArtifactModelError, match=r"Holder\.pair is a NamedTuple"):
        check_model(create_model("Holder", pair=(Pair, ...)))


def test_a_socket_path_is_refused() -> None:
    with pytest.raises(ArtifactModelError, match=r"Holder\.socket.*socket"):
        check_model(create_model("Holder", socket=(SocketPath, ...)))


def test_a_root_model_is_refused() -> None:
    with pytest.raises(ArtifactModelError, match="PathList is a root model"):
        check_model(PathList)


@pytest.mark.parametrize("cls", [Shard, dict, "Part", list[Path]], ids=str)
def test_a_class_that_is_not_a_model_is_refused(cls: Any) -> None:
    with pytest.raises(ArtifactModelError, match="Pydantic model"):
        check_model(cls)


def test_annotations_that_cannot_be_resolved_are_refused() -> None:
    class Lost(BaseModel):
        value: "NowhereDefined | None" = None  # type: ignore[name-defined]  # noqa: F821 - that is the point

    with pytest.raises(ArtifactModelError, match=r"Lost.*cannot be resolved"):
        check_model(Lost)

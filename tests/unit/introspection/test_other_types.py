"""Values that are equal after a download, but of another type; values that need a setting of the model."""

import enum
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model, model_validator

from ritual_artifacts.artifact.planning import plan_files
from ritual_artifacts.errors import ArtifactModelError
from tests.unit.introspection.artifacts import Colour, Kind, assert_comes_back, come_back, publish

Write = Callable[..., Path]


class Level(enum.IntEnum):
    LOW = 1


class Rate(float):
    pass


OTHER_TYPES: dict[str, tuple[Any, object, str]] = {
    "tuple": (Any, (1, 2), "value (tuple becomes list)"),
    "tuple in a dict": (dict[str, Any], {"a": {"b": (1,)}}, "value.a.b (tuple becomes list)"),
    "sequence": (Sequence[int], (1, 2), "value (tuple becomes list)"),
    "union": (list[int] | tuple[int, ...], (1, 2), "value (tuple becomes list)"),
    "str enum": (Any, Kind.ONNX, "value (Kind becomes str)"),
    "int enum": (list[Any], [Level.LOW], "value.0 (Level becomes int)"),
    "enum as a key": (dict[Any, int], {Kind.ONNX: 1}, "value.onnx (Kind becomes str)"),
    "ordered dict": (Any, OrderedDict(a=1), "value (OrderedDict becomes dict)"),
    "subclass": (Any, Rate(0.5), "value (Rate becomes float)"),
}


@pytest.mark.parametrize("case", OTHER_TYPES)
def test_a_value_that_comes_back_as_another_type_is_named_in_a_warning(case: str, write: Write) -> None:
    annotation, value, named = OTHER_TYPES[case]
    model = create_model("Untyped", file=(Path, ...), value=(annotation, ...))

    [warning] = plan_files(model(file=write("a"), value=value)).warnings()

    assert "Untyped comes back with other types" in warning
    assert named in warning


SAME_TYPES: dict[str, tuple[Any, object]] = {
    "typed tuple": (tuple[int, ...], (1, 2)),
    "typed enum": (dict[str, Kind], {"a": Kind.ONNX}),
    "typed ordered dict": (OrderedDict[str, int], OrderedDict(a=1)),
    "mapping": (Mapping[str, int], {"a": 1}),
    "list": (Any, [1, {"a": None}]),
    "whole float": (float, 1),
}


@pytest.mark.parametrize("case", SAME_TYPES)
def test_a_value_that_keeps_its_type_gives_no_warning(case: str, write: Write) -> None:
    annotation, value = SAME_TYPES[case]
    model = create_model("Typed", file=(Path, ...), value=(annotation, ...))

    assert plan_files(model(file=write("a"), value=value)).warnings() == []


def test_a_program_is_named_in_a_warning(write: Write) -> None:
    model = create_model("Program", files=(list[Path], ...))
    write("run.sh").chmod(0o755)

    [warning] = plan_files(model(files=[write("run.sh"), write("data")])).warnings()

    assert warning == "a download does not restore the executable bit of run.sh"


# --- settings of the model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1.5], ids=str)
def test_infinities_come_back_as_strings(value: float, write: Write) -> None:
    class Inner(BaseModel):
        model_config = ConfigDict(ser_json_inf_nan="strings")

        rates: dict[str, list[float]]

    class Numbers(BaseModel):
        model_config = ConfigDict(ser_json_inf_nan="strings")

        file: Path
        rate: float
        inner: Inner

    artifact = Numbers(file=write("a"), rate=value, inner=Inner(rates={"a": [value]}))

    again = come_back(artifact)

    assert repr(again.model_dump(exclude={"file"})) == repr(artifact.model_dump(exclude={"file"}))


@pytest.mark.parametrize("config", [ConfigDict(), ConfigDict(ser_json_inf_nan="null")], ids=str)
def test_infinities_are_refused_with_a_setting_that_works(config: ConfigDict, write: Write) -> None:
    model = create_model("Numbers", __config__=config, file=(Path, ...), rate=(float, ...))

    with pytest.raises(
        ArtifactModelError, match=r"Numbers\.rate .*set ser_json_inf_nan to 'strings'"
    ) as caught:
        publish(model(file=write("a"), rate=math.inf))

    assert "JCS" not in str(caught.value)


@pytest.mark.parametrize("kind", [Colour, Kind])
def test_an_enum_default_is_refused_with_a_setting_that_works(kind: type[enum.Enum], write: Write) -> None:
    first = next(iter(kind))
    fields: dict[str, Any] = {"file": (Path, ...), "kind": (kind, first)}
    model = create_model("Default", __config__=ConfigDict(use_enum_values=True), **fields)
    config = ConfigDict(use_enum_values=True, validate_default=True)
    cured = create_model("Cured", __config__=config, **fields)

    if kind is Colour:  # a value of `Kind` equals its string
        with pytest.raises(ArtifactModelError, match=r"Default\.kind .*set validate_default=True"):
            publish(model(file=write("a")))
    else:
        assert come_back(model(file=write("a"))) == model(file=write("a"))

    assert_comes_back(cured(file=write("a")), files=1)


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("day", [(2024, 10, 27), (2024, 3, 31), (2024, 7, 1)], ids=str)
def test_a_time_in_the_hour_of_a_clock_change_comes_back(
    day: tuple[int, int, int], fold: int, write: Write
) -> None:
    class Timed(BaseModel):
        file: Path
        when: datetime

    when = datetime(*day, hour=2, minute=30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin"))

    again = come_back(Timed(file=write("a"), when=when))

    assert isinstance(again, Timed)
    assert again.when.astimezone(UTC) == when.astimezone(UTC)
    assert again.when.utcoffset() == when.utcoffset()


def test_a_required_field_that_is_excluded_is_refused_with_a_cure(write: Write) -> None:
    class Token(BaseModel):
        value: SecretStr = Field(exclude=True)

    class Leaky(BaseModel):
        file: Path
        token: SecretStr = Field(exclude=True)

    class LeakyInside(BaseModel):
        file: Path
        token: Token

    class Cured(BaseModel):
        file: Path
        token: SecretStr | None = Field(default=None, exclude=True)

    secret = SecretStr("hunter2")
    for artifact in (
        Leaky(file=write("a"), token=secret),
        LeakyInside(file=write("a"), token=Token(value=secret)),
    ):
        with pytest.raises(ArtifactModelError, match=r"token.*excluded.*give them a default") as caught:
            publish(artifact)
        assert "hunter2" not in str(caught.value)
    assert come_back(Cured(file=write("a"), token=secret)) == Cured(file=write("a"))


def test_a_required_field_that_is_excluded_and_filled_in_comes_back(write: Write) -> None:
    class Filling(BaseModel):
        file: Path
        token: SecretStr = Field(exclude=True)

        @model_validator(mode="before")
        @classmethod
        def _fill(cls, data: dict[str, Any]) -> dict[str, Any]:
            return {"token": "from the environment", **data}

    publish(Filling.model_validate({"file": write("a"), "token": "x"}))

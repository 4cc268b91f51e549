"""Inputs of a model: conversion of arrays and nested lists to the flat lists that ezkl reads."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ritual_artifacts.errors import CircuitError

_MAX_DEPTH: Final = 64  # ONNX tensors and NumPy arrays have no more dimensions

Number = bool | int | float


def lay_out(inputs: Any, settings: Mapping[str, Any]) -> list[list[Number]]:  # noqa: ANN401 - any array
    """Return one flat list for each input of the model.

    Args:
        inputs: Numbers for a model with one input: an array of NumPy or PyTorch, nested lists, or a
            dictionary with one of these; for a model with more inputs a list of these, in its order.
        settings: The circuit's settings.

    Raises:
        CircuitError: the inputs do not fit the model.
    """
    kinds = settings["input_types"]
    if isinstance(inputs, Mapping):
        # A circuit's inputs have positions, not names: a wrong order would go unnoticed.
        if len(inputs) != 1:
            message = (
                f"expected a dictionary with the only input of the model, got {len(inputs)} names; "
                f"pass a list in the order of the model's inputs"
            )
            raise CircuitError(message)
        (inputs,) = inputs.values()
    if len(kinds) == 1:
        parts = [inputs]
    else:
        parts = _as_list(inputs)
        if not isinstance(parts, list) or len(parts) != len(kinds):
            got = f"a list of {len(parts)}" if isinstance(parts, list) else type(inputs).__name__
            message = f"the model has {len(kinds)} inputs: expected a list with one item for each, got {got}"
            raise CircuitError(message)
    return [
        [_convert(number, kind, index) for number in flatten(part)]
        for index, (part, kind) in enumerate(zip(parts, kinds, strict=True))
    ]


def flatten(part: Any, depth: int = 0) -> Iterator[Number]:  # noqa: ANN401 - arrays of any library
    """Yield the numbers of an array or of nested lists in row-major order.

    Raises:
        CircuitError: a value is not a finite number.
    """
    value = _as_list(part)
    if isinstance(value, list):
        if depth == _MAX_DEPTH:
            message = f"the inputs are nested deeper than {_MAX_DEPTH} levels"
            raise CircuitError(message)
        for item in value:
            yield from flatten(item, depth + 1)
    elif isinstance(value, bool | int | float) and _is_finite(value):
        yield value
    else:
        message = f"the inputs must be finite numbers, got {type(value).__name__}"
        raise CircuitError(message)


def _is_finite(number: Number) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer too large for a float
        return False


def _as_list(value: Any) -> Any:  # noqa: ANN401 - arrays of any library
    if hasattr(value, "tolist"):
        value = value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _convert(number: Number, kind: str, index: int) -> Number:
    if kind == "Bool":
        converted: Number | None = bool(number) if number in {0, 1} else None
    elif kind in {"Int", "TDim"}:
        converted = int(number) if number == int(number) else None
    else:
        converted = float(number)
    if converted is None:  # the number itself may be a secret
        message = f"input {index} of the model has the type {kind}, got a number that does not fit it"
        raise CircuitError(message)
    return converted

"""Pydantic's core schemas: whether a class has code of its own, and a validator that accepts its results."""

import functools
import inspect
import os
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import CoreSchema, SchemaValidator, core_schema

# Keys of a core schema whose values are not schemas.
_NOT_SCHEMAS: Final = frozenset({"cls", "config", "default", "expected", "members", "metadata"})
_OVERRIDABLE: Final = ("__eq__", "model_dump", "model_dump_json", "model_validate_json")


@functools.lru_cache(maxsize=1024)
def has_own_code(cls: type[BaseModel]) -> bool:
    """Return whether code that is not Pydantic's takes part in validation or serialization of `cls`.

    Such code can look at a path, at the file that it names, or at the files beside it.
    """
    if any(inspect.getattr_static(cls, name) is not vars(BaseModel)[name] for name in _OVERRIDABLE):
        return True
    return any(_is_own(schema) for schema in _walk(cls.__pydantic_core_schema__))


@functools.lru_cache(maxsize=1024)
def can_fill_in(cls: type[BaseModel]) -> bool:
    """Return whether a validator of the whole model can add fields before they are validated."""
    schema: Any = cls.__pydantic_core_schema__
    definitions = {part["ref"]: part for part in _walk(schema) if "ref" in part}
    while schema["type"] in {"definitions", "definition-ref", "function-after"}:
        is_reference = schema["type"] == "definition-ref"
        schema = definitions[schema["schema_ref"]] if is_reference else schema["schema"]
    if schema["type"] != "model" or schema.get("custom_init"):
        return True
    return bool(schema["schema"]["type"] != "model-fields")


@functools.lru_cache(maxsize=1024)
def path_tolerant_validator(cls: type[BaseModel]) -> SchemaValidator:
    """Return a validator of `cls` that accepts a `Path` which a validator made from JSON text.

    Pydantic accepts text alone for a path in JSON, even from a validator with `mode="before"`.
    """
    schema: CoreSchema = _tolerate_paths(cls.__pydantic_core_schema__)
    try:
        # The validators of nested models exist already, and do not accept a `Path`.
        return SchemaValidator(schema, _use_prebuilt=False)
    except TypeError:  # before pydantic 2.13 there was no such argument
        return SchemaValidator(schema)


def _walk(schema: object) -> Iterator[Mapping[str, Any]]:
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            if isinstance(part.get("type"), str):
                yield part
            pending += [value for key, value in part.items() if key not in _NOT_SCHEMAS]
        elif isinstance(part, list | tuple):
            pending += part


def _is_own(schema: Mapping[str, Any]) -> bool:
    kind = schema["type"]
    if kind.startswith("function-"):
        function = schema["function"]
        return not _is_pydantic(function["function"] if isinstance(function, Mapping) else function)
    if kind == "default":
        return bool(schema.get("default_factory_takes_data"))
    if kind == "tagged-union":
        return callable(schema["discriminator"]) and not _is_pydantic(schema["discriminator"])
    return bool(schema.get("custom_init") or schema.get("post_init"))


def _is_pydantic(function: object) -> bool:
    module = getattr(function, "__module__", None) or ""
    return module.partition(".")[0] in {"pydantic", "pydantic_core"}


def _tolerate_paths(schema: Any) -> Any:  # noqa: ANN401 - any part of a core schema
    """Return a copy of a core schema in which the JSON form of a path may also be a `Path`."""
    if isinstance(schema, list | tuple):
        return type(schema)(_tolerate_paths(part) for part in schema)
    if not isinstance(schema, dict):
        return schema
    copy = {k: part if k in _NOT_SCHEMAS else _tolerate_paths(part) for k, part in schema.items()}
    if copy.get("type") == "json-or-python":
        python = copy["python_schema"]
        cls = python.get("cls")
        if isinstance(cls, type) and (issubclass(cls, PurePath) or cls is os.PathLike):
            choices = [copy["json_schema"], python]
            copy["json_schema"] = core_schema.union_schema(choices, mode="left_to_right")
    return copy

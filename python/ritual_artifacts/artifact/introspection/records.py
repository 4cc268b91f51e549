"""Fields of models, dataclasses and typed dictionaries, as Pydantic defines them."""

import dataclasses
import functools
from typing import get_args

import typing_extensions
from pydantic import BaseModel, RootModel
from pydantic.dataclasses import is_pydantic_dataclass, rebuild_dataclass
from pydantic.fields import FieldInfo

from ritual_artifacts.errors import ArtifactModelError


def is_record(cls: type) -> bool:
    """Return whether `cls` has named fields."""
    models = issubclass(cls, BaseModel) and not issubclass(cls, RootModel)
    return models or dataclasses.is_dataclass(cls) or typing_extensions.is_typeddict(cls)


def annotated_fields(cls: type) -> list[tuple[str, object, tuple[object, ...]]]:
    """List (name, annotation, metadata) of a record's fields, without the excluded ones.

    Raises:
        ArtifactModelError: an annotation names a type that cannot be resolved.
    """
    if (infos := _field_infos(cls)) is not None:
        return [(name, i.annotation, tuple(i.metadata)) for name, i in infos.items() if not i.exclude]
    try:
        hints = typing_extensions.get_type_hints(cls, include_extras=True)
    except NameError as error:
        message = f"{cls.__name__} has annotations that cannot be resolved: {error}"
        raise ArtifactModelError(message) from None
    defaults: dict[str, object] = dict.fromkeys(hints)
    if dataclasses.is_dataclass(cls):
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    notes = {name: (*get_args(hints[name])[1:], default) for name, default in defaults.items()}
    excluded = {n for n, found in notes.items() if any(isinstance(f, FieldInfo) and f.exclude for f in found)}
    return [(name, hints[name], ()) for name in notes if name not in excluded]


@functools.lru_cache(maxsize=1024)
def required_fields(cls: type) -> frozenset[str]:
    """Return the fields that a manifest's object must have to be a `cls`."""
    if (infos := _field_infos(cls)) is not None:
        return frozenset(name for name, info in infos.items() if info.is_required() and not info.exclude)
    if dataclasses.is_dataclass(cls):
        unset = dataclasses.MISSING
        needed = (f for f in dataclasses.fields(cls) if f.default is unset and f.default_factory is unset)
        return frozenset(field.name for field in needed)
    return frozenset(getattr(cls, "__required_keys__", ()))


def _field_infos(cls: type) -> dict[str, FieldInfo] | None:
    """Return Pydantic's field information of a model or dataclass, or None if it has none."""
    if issubclass(cls, BaseModel):
        if not cls.__pydantic_complete__:
            cls.model_rebuild(raise_errors=False)
    elif is_pydantic_dataclass(cls):
        if not cls.__pydantic_complete__:
            rebuild_dataclass(cls, raise_errors=False)
    else:
        return None
    if not cls.__pydantic_complete__:
        message = f"{cls.__name__} has annotations that cannot be resolved; call model_rebuild() first"
        raise ArtifactModelError(message)
    return cls.model_fields if issubclass(cls, BaseModel) else cls.__pydantic_fields__

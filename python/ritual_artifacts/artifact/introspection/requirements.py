"""Requirements that a class must meet for its instances to be artifacts."""

from collections.abc import Collection
from typing import Final

from pydantic import BaseModel, RootModel

from ritual_artifacts.artifact.introspection.shapes import record_fields
from ritual_artifacts.errors import ArtifactModelError

RESERVED_FIELDS: Final = ("repo_id", "artifact_type", "file_hashes", "ritual_artifacts")
"""Keys that are reserved for the manifest."""


def check_model(cls: type[BaseModel]) -> None:
    """Check by type alone that instances of `cls` can be artifacts.

    Raises:
        ArtifactModelError: `cls` has a reserved, secret or ambiguous field, or is a root model.
    """
    given: object = cls
    if not (isinstance(given, type) and issubclass(given, BaseModel) and given is not BaseModel):
        message = f"an artifact must be a Pydantic model, got {getattr(given, '__name__', given)!r}"
        raise ArtifactModelError(message)
    if issubclass(cls, RootModel):
        message = f"{cls.__name__} is a root model, which has no named fields; wrap it in a model"
        raise ArtifactModelError(message)
    refuse_reserved(cls.__name__, cls.model_fields)
    record_fields(cls)


def refuse_reserved(owner: str, names: Collection[str]) -> None:
    """Raise `ArtifactModelError` if one of `names`, which are fields of `owner`, is reserved."""
    for name in RESERVED_FIELDS:
        if name in names:
            message = f"{owner} has a field {name!r}, a name that is reserved for the manifest; rename it"
            raise ArtifactModelError(message)

"""`ModelArtifact`: a folder of files as an artifact, with metadata about the files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from ritual_artifacts.artifact.canonical import Json, canonical_bytes
from ritual_artifacts.artifact.introspection import explain
from ritual_artifacts.artifact.planning import ArtifactPlan, plan_files, plan_folder
from ritual_artifacts.errors import ArtifactModelError, ArtifactNotFoundError
from ritual_artifacts.models.identity import MlModelId, find_paths, format_names
from ritual_artifacts.models.information import MlModelInfo
from ritual_artifacts.repo_id import RitualRepoId

_JSON: Final = TypeAdapter[JsonValue](JsonValue)

# A value that is not a `MlModelInfo`, such as a description, is kept unchanged.
ModelMetadata = Annotated[MlModelInfo | JsonValue, Field(union_mode="left_to_right")]


class ModelArtifact(BaseModel):
    """One or more models: any number of files, with metadata about them.

    Attributes:
        files: The files.
        metadata: The requirements of each file, by the file's name, and any other metadata by its own name.
    """

    files: list[Path]
    metadata: dict[str, ModelMetadata]

    def get_file(self, model_id: str | MlModelId) -> Path:
        """Return the first file that a model id names, or the artifact's first file if it names none.

        Raises:
            RepoIdError: the id is malformed.
            ArtifactNotFoundError: the artifact does not have the file.
        """
        found = find_paths(MlModelId.from_any(model_id), self.files)
        if not found:
            message = f"the artifact of {model_id} has no files"
            raise ArtifactNotFoundError(message)
        return found[0]


def plan_model(
    path: Path, metadata: Mapping[str, object] | None = None, repo_id: RitualRepoId | None = None
) -> ArtifactPlan:
    """Plan to publish a folder, or one file, as a `ModelArtifact`.

    Args:
        path: The folder, whose files keep their relative paths; or the file.
        metadata: The metadata about the files; see `ModelManager.upload_model`.
        repo_id: The repository for the model ids of the files.

    Raises:
        ArtifactModelError: there is no file, a file cannot be an artifact file, or the metadata is invalid.
        OSError: the path is missing or cannot be read.
    """
    name = ModelArtifact.__name__
    if path.is_dir():
        plan = plan_folder(path, name, "files", {"metadata": {}})
    else:
        plan = plan_files(ModelArtifact(files=[path], metadata={}))
    names = [file.path for file in plan.files]
    checked = {key: _write(key, value, names, repo_id) for key, value in (metadata or {}).items()}
    try:
        canonical_bytes(checked)
    except ValueError as error:  # before any file is read
        message = f"the metadata cannot be published: {error}"
        raise ArtifactModelError(message) from None
    return replace(plan, fields={**plan.fields, "metadata": checked})


def _write(key: object, value: object, names: list[str], repo_id: RitualRepoId | None) -> Json:
    """Convert one item of metadata to JSON; the metadata of a file gets the file's model id."""
    if not isinstance(key, str):  # callers without a type checker
        message = f"the names of metadata must be strings, got {key!r}"
        raise ArtifactModelError(message)
    if isinstance(value, BaseModel):  # infernet-ml's MlModelInfo is accepted too
        value = value.model_dump(mode="json")
    if not isinstance(value, Mapping):
        return _write_json(key, value)
    if key not in names:
        message = f"metadata names a file {key!r} that does not exist; the files are {format_names(names)}"
        raise ArtifactModelError(message)
    try:
        info = MlModelInfo.model_validate(dict(value))
    except ValidationError as error:
        message = f"metadata of {key!r} is not a valid MlModelInfo: {explain(error, 'the item')}"
        raise ArtifactModelError(message) from None
    if repo_id is not None:
        info.id = f"{repo_id}:{key}"
    written: dict[str, Any] = info.model_dump(mode="json")
    return written


def _write_json(key: str, value: object) -> Json:
    try:
        written: Any = _JSON.validate_python(value)
    except ValidationError:  # it may be a secret, so it is not shown
        message = f"metadata {key!r} must be MlModelInfo or JSON, got {type(value).__name__}"
        raise ArtifactModelError(message) from None
    return written  # type: ignore[no-any-return] # JsonValue is the same type by another name

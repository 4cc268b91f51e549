"""`ModelArtifact`: a folder of files as an artifact, and what is known about them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from ritual_artifacts.artifact.canonical import Json, canonical_bytes
from ritual_artifacts.artifact.introspection import explain
from ritual_artifacts.artifact.planning import ArtifactPlan, plan_files, plan_folder
from ritual_artifacts.errors import ArtifactModelError, ArtifactNotFoundError
from ritual_artifacts.models.identity import MlModelId, find_paths, listed
from ritual_artifacts.models.information import MlModelInfo
from ritual_artifacts.repo_id import RitualRepoId

_JSON: Final = TypeAdapter[JsonValue](JsonValue)

# What is no information about a file, such as a description, is kept as it is.
ModelMetadata = Annotated[MlModelInfo | JsonValue, Field(union_mode="left_to_right")]


class ModelArtifact(BaseModel):
    """A model, or several: any number of files, and what is known about them.

    Attributes:
        files: The files.
        metadata: What each file needs to run, by the file's name; and whatever else was published with them.
    """

    files: list[Path]
    metadata: dict[str, ModelMetadata]

    def get_file(self, model_id: str | MlModelId) -> Path:
        """Return the file that a model id names: the first of several, the first of all where it names none.

        Raises:
            RepoIdError: the id is malformed.
            ArtifactNotFoundError: the artifact does not have it.
        """
        found = find_paths(MlModelId.from_any(model_id), self.files)
        if not found:
            message = f"{model_id} names no file, and the artifact has none"
            raise ArtifactNotFoundError(message)
        return found[0]


def plan_model(
    path: Path, metadata: Mapping[str, object] | None = None, repo_id: RitualRepoId | None = None
) -> ArtifactPlan:
    """Plan to publish a folder, or one file, as a `ModelArtifact`.

    Args:
        path: The folder, whose files keep their relative paths; or the file.
        metadata: What is known about them; see `ModelManager.upload_model`.
        repo_id: The repository that the files' model ids are in.

    Raises:
        ArtifactModelError: there is no file, one that cannot be an artifact's, or the metadata is wrong.
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
    """Turn one item of metadata into JSON; what is known about a file gets the file's model id."""
    if not isinstance(key, str):  # of those who call this without a type checker
        message = f"metadata has the name {key!r}, and names are texts"
        raise ArtifactModelError(message)
    if isinstance(value, BaseModel):  # infernet-ml's own MlModelInfo is as good as ours
        value = value.model_dump(mode="json")
    if not isinstance(value, Mapping):
        return _write_json(key, value)
    if key not in names:
        message = f"metadata tells of a file {key!r} that is not there; there are {listed(names)}"
        raise ArtifactModelError(message)
    try:
        info = MlModelInfo.model_validate(dict(value))
    except ValidationError as error:
        message = f"metadata of {key!r} is not what MlModelInfo takes: {explain(error, 'the item')}"
        raise ArtifactModelError(message) from None
    if repo_id is not None:
        info.id = f"{repo_id}:{key}"
    written: dict[str, Any] = info.model_dump(mode="json")
    return written


def _write_json(key: str, value: object) -> Json:
    try:
        written: Any = _JSON.validate_python(value)
    except ValidationError:  # it may be a secret, so it is not shown
        message = f"metadata {key!r} is a {type(value).__name__}, where MlModelInfo or JSON is due"
        raise ArtifactModelError(message) from None
    return written  # type: ignore[no-any-return] # JsonValue is the same type by another name

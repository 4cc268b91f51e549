"""Loading: from verified files to a typed artifact, its origin and its description."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from ritual_artifacts.artifact.introspection import RESERVED_FIELDS, rebuild
from ritual_artifacts.artifact.manifest import AnyManifest
from ritual_artifacts.artifact.provenance import Description, Origin, try_describe
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.transfer.fetching import Fetched

log = logging.getLogger(__name__)

ArtifactType = TypeVar("ArtifactType", bound=BaseModel)


@dataclass(frozen=True)
class Loaded(Generic[ArtifactType]):
    """A typed artifact whose files are in a folder.

    Attributes:
        artifact: The model.
        origin: The manifest and the files that it was built from.
        description: The manifest that publishing it again would give; None if that is not known.
    """

    artifact: ArtifactType
    origin: Origin
    description: Description | None


def load(artifact_class: type[ArtifactType], fetched: Fetched, *, verified: bool) -> Loaded[ArtifactType]:
    """Build the typed artifact whose files were just downloaded or opened.

    Args:
        artifact_class: The model's class.
        fetched: The files.
        verified: Whether they were hashed; they are not hashed again until their metadata changes.

    Raises:
        ManifestError: the manifest does not fit the class, or the model would be another artifact.
    """
    folder, manifest, selection = fetched.folder, fetched.manifest, fetched.selection
    artifact = rebuild_in(folder, artifact_class, manifest, selection)
    nodes = try_describe(artifact)
    origin = Origin.of_folder(nodes, folder, manifest, selection)
    if nodes is not None and (field := origin.find_contradiction(nodes)) is not None:
        message = (
            f"{artifact_class.__name__}.{field} in {folder} differs from the manifest: a validator or "
            f"serializer of the class changes it, or derives it from the path of a file; download the "
            f"artifact to another folder, or with a class that keeps the value"
        )
        raise ManifestError(message)
    if unused := len({entry.path for entry in origin.manifest.files} - selection.fields.keys()):
        log.warning(
            "%d files in %s belong to no field of %s; published again, the artifact is without them",
            unused,
            folder,
            artifact_class.__name__,
        )
    description = None
    if verified and nodes is not None and artifact_class.__name__ == manifest.artifact_type:
        description = Description.of_origin(nodes, origin)
    return Loaded(artifact, origin, description)


def rebuild_in(
    folder: Path, artifact_class: type[ArtifactType], manifest: AnyManifest, selection: Selection
) -> ArtifactType:
    """Build the artifact whose files are in `folder`, with the defaults of the fields that are left out.

    Raises:
        ManifestError: the manifest does not fit the class.
    """
    return rebuild(artifact_class, selection.values(manifest), lambda name: manifest.resolve(folder, name))


def build_from_values(
    artifact_class: type[ArtifactType], folder: Path, values: Mapping[str, Any]
) -> ArtifactType:
    """Build an artifact from its fields alone, with paths relative to `folder`; nothing is verified.

    Raises:
        ManifestError: the fields do not fit the class, or name a file that is not in the folder.
    """
    serialize(values)

    def resolve(name: str) -> Path:
        path = folder / name
        if "\0" in name or not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
            message = f"{folder} has no {name!r}"
            raise ManifestError(message)
        return path

    own = {name: value for name, value in values.items() if name not in RESERVED_FIELDS}
    return rebuild(artifact_class, own, resolve)


def serialize(values: Mapping[str, Any]) -> bytes:
    """Return a manifest that was given as a dictionary as JSON.

    Raises:
        ManifestError: JSON cannot represent it.
    """
    try:
        return json.dumps(values).encode()
    except (TypeError, ValueError, RecursionError) as error:
        message = f"manifest_data is not a valid manifest, which holds only what JSON can: {error}"
        raise ManifestError(message) from None

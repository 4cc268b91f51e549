"""Which files belong to which field of the model, and which are wanted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from ritual_artifacts.artifact.introspection import file_names
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.errors import ArtifactModelError


def fields_by_file(artifact_class: type[BaseModel], manifest: Manifest) -> dict[str, str]:
    """Return the model's field of each file, by the file's path in the manifest.

    Raises:
        ManifestError: the manifest does not fit the class.
    """
    owners = {
        name: field for field, names in file_names(artifact_class, manifest.fields).items() for name in names
    }
    return {
        entry.path: owners[name]
        for entry in manifest.files
        for name in _with_parents(entry.path)
        if name in owners
    }


def fields_by_directory(artifact_class: type[BaseModel], manifest: Manifest) -> dict[str, str]:
    """Return the model's field of each directory that it names, by the directory's name in the manifest.

    Raises:
        ManifestError: the manifest does not fit the class.
    """
    files = {entry.path for entry in manifest.files}
    directories = {name for path in files for name in _with_parents(path)} - files
    named = file_names(artifact_class, manifest.fields).items()
    return {name: field for field, names in named for name in names if name in directories}


def select_files(
    artifact_class: type[BaseModel], manifest: Manifest, fields: Sequence[str] | None
) -> tuple[set[str] | None, list[str]]:
    """Turn the wanted fields into the files to fetch (None: all) and the fields to leave out.

    Raises:
        ArtifactModelError: `fields` is a text, a wanted field has no files, or one that is left out has no
            default.
        ManifestError: the manifest does not fit the class.
    """
    if fields is None:
        return None, []
    if isinstance(fields, str):  # which is a sequence of letters, each of which may be a field
        message = f"fields is the text {fields!r}; it is a list of names: [{fields!r}]"
        raise ArtifactModelError(message)
    names = file_names(artifact_class, manifest.fields)
    for field in fields:
        if field not in names:
            message = f"{artifact_class.__name__}.{field} has no files; those that have are {sorted(names)}"
            raise ArtifactModelError(message)
    left_out = [field for field in names if field not in fields]
    for field in left_out:
        if artifact_class.model_fields[field].is_required():
            message = (
                f"{artifact_class.__name__}.{field} cannot be left out, because it has no default; "
                f"declare it as 'Path | None = None', or add it to fields"
            )
            raise ArtifactModelError(message)
    wanted = {name for field in fields for name in names[field]}
    return {e.path for e in manifest.files if not wanted.isdisjoint(_with_parents(e.path))}, left_out


def names_below(folder: Path, manifest: Manifest) -> dict[Path, str]:
    """Return the names of an artifact's files and directories by where they are below `folder`."""
    return {folder / name: name for entry in manifest.files for name in _with_parents(entry.path)}


def _with_parents(path: str) -> Iterator[str]:
    """Name the directories that a file is in, outermost first, and then the file itself."""
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))

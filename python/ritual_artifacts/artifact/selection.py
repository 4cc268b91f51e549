"""Which of an artifact's files are wanted, and which fields of the model they belong to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel

from ritual_artifacts.artifact.introspection import file_names
from ritual_artifacts.artifact.manifest import AnyEntry, AnyManifest
from ritual_artifacts.errors import ArtifactModelError


@dataclass(frozen=True)
class Selection:
    """The wanted part of one artifact.

    Attributes:
        names: Names of the wanted files; None for all.
        fields: The model's field of each file, by the file's name. For a file of several fields it is the one
            that names it most directly.
        directories: The model's field of each directory that it names, by the directory's name; a directory
            of a field must hold no other files.
        left_out: Fields of the model that are not wanted, and get their defaults.
    """

    names: frozenset[str] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    directories: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    @classmethod
    def of_model(
        cls, artifact_class: type[BaseModel], manifest: AnyManifest, fields: Sequence[str] | None = None
    ) -> Self:
        """Select the files of some fields of a model, or all files.

        Args:
            artifact_class: The model's class.
            manifest: The artifact's manifest.
            fields: The wanted fields; None for all.

        Raises:
            ArtifactModelError: `fields` is a string, a wanted field has no files, or one that is left out has
                no default.
            ManifestError: the manifest does not fit the class.
        """
        named = file_names(artifact_class, manifest.fields)
        owners = {name: owner for owner, names in named.items() for name in names}
        files = {entry.path for entry in manifest.files}
        parents = {path: list(_with_parents(path)) for path in files}
        by_file = _owners(files, owners, parents)
        directories = {name for names in parents.values() for name in names} - files
        by_directory = {name: owner for name, owner in owners.items() if name in directories}
        if fields is None:
            return cls(None, by_file, by_directory)
        left_out = _check_fields(artifact_class, named, fields)
        kept_names = {
            name: owner for owner, names in named.items() if owner not in left_out for name in names
        }
        wanted = frozenset(path for path in files if not kept_names.keys().isdisjoint(parents[path]))
        kept = {name: owner for name, owner in kept_names.items() if name in directories}
        return cls(wanted, by_file | _owners(wanted, kept_names, parents), kept, left_out)

    @classmethod
    def of_files(cls, names: Sequence[str], owner: str, *, all_files: bool = False) -> Self:
        """Select files that belong to one field.

        Args:
            names: Their names.
            owner: The field.
            all_files: Select every file of the artifact; `names` are then those of the field.
        """
        return cls(None if all_files else frozenset(names), dict.fromkeys(names, owner))

    def choose(self, manifest: AnyManifest) -> list[AnyEntry]:
        """Return the wanted entries, in the manifest's order."""
        return [entry for entry in manifest.files if self.names is None or entry.path in self.names]

    def is_all_of(self, manifest: AnyManifest) -> bool:
        """Return whether every file of the artifact is wanted."""
        return self.names is None or all(entry.path in self.names for entry in manifest.files)

    def values(self, manifest: AnyManifest) -> dict[str, Any]:
        """Return the manifest's fields without those that are left out."""
        return {name: value for name, value in manifest.fields.items() if name not in self.left_out}


def _owners(
    files: Iterable[str], owners: Mapping[str, str], parents: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the field of each file that has one: its own, or that of the innermost directory."""
    return {path: owners[name] for path in files for name in parents[path] if name in owners}


def _check_fields(
    artifact_class: type[BaseModel], named: Mapping[str, Sequence[str]], fields: Sequence[str]
) -> frozenset[str]:
    """Return the fields with files that are not wanted.

    Raises:
        ArtifactModelError: a wanted field has no files, or one that is left out has no default.
    """
    if isinstance(fields, str):  # a string is a sequence of letters, each of which may be a field
        message = f"fields is the string {fields!r}; pass a list of names: [{fields!r}]"
        raise ArtifactModelError(message)
    for name in fields:
        if name not in named:
            message = (
                f"{artifact_class.__name__}.{name} has no files; the fields with files are {sorted(named)}"
            )
            raise ArtifactModelError(message)
    left_out = [name for name in named if name not in fields]
    for name in left_out:
        if artifact_class.model_fields[name].is_required():
            message = (
                f"{artifact_class.__name__}.{name} cannot be left out, because it has no default; "
                f"declare it as 'Path | None = None', or add it to fields"
            )
            raise ArtifactModelError(message)
    return frozenset(left_out)


def names_below(folder: Path, manifest: AnyManifest) -> dict[Path, str]:
    """Return the names of an artifact's files and directories, by their paths below `folder`."""
    return {folder / name: name for entry in manifest.files for name in _with_parents(entry.path)}


def _with_parents(path: str) -> Iterator[str]:
    """Return the names of the directories that a file is in, outermost first, then of the file itself."""
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))

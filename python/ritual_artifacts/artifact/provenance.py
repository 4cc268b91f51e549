"""The origin of an artifact's files, and what has changed since. Values only: nothing here moves files."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

from pydantic import BaseModel

from ritual_artifacts.artifact.canonical import canonical_bytes
from ritual_artifacts.artifact.introspection import FileRef, Node, describe, fill, find_contradiction
from ritual_artifacts.artifact.manifest import AnyEntry, AnyManifest, Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan
from ritual_artifacts.artifact.selection import Selection, names_below
from ritual_artifacts.errors import MISSING, UNNAMED, ArtifactModelError, IntegrityError, Mismatch

log = logging.getLogger(__name__)

Nodes: TypeAlias = Mapping[str, Node]

CHANGED_SINCE: Final = (
    "the artifact's files have changed since they were downloaded or opened; download them again, "
    "or publish what is there now as a new artifact"
)
"""The next step if files that are about to be published have changed."""


@dataclass(frozen=True)
class Origin:
    """A manifest, the files that it describes, and the model's fields at that time.

    Attributes:
        manifest: The artifact's manifest; for a partial download, only that part.
        places: The path of each file, by its name in the artifact.
        directories: The path of each directory that the model names, by its name in the artifact.
        values: The model's fields as JSON, with absolute paths.
        names: The name in the artifact of each file and directory in the artifact's folder, by its path.
    """

    manifest: AnyManifest
    places: Mapping[str, Path]
    directories: Mapping[str, Path]
    values: Mapping[str, str]
    names: Mapping[Path, str]

    @classmethod
    def of_plan(cls, artifact: BaseModel, plan: ArtifactPlan, manifest: Manifest) -> Self:
        """Return the origin of an artifact that was just published or described from its own files."""
        places = {file.path: file.source.absolute() for file in plan.files}
        return cls(manifest, places, dict(plan.directories), _values_of(try_describe(artifact)), {})

    @classmethod
    def of_folder(
        cls, nodes: Nodes | None, folder: Path, manifest: AnyManifest, selection: Selection
    ) -> Self:
        """Return the origin of an artifact, described as `nodes`, that was just downloaded or opened."""
        if selection.names is not None:
            part = {"fields": selection.values(manifest), "files": tuple(selection.choose(manifest))}
            manifest = manifest.model_copy(update=part)
        places = {entry.path: folder / entry.path for entry in manifest.files}
        directories = {name: folder / name for name in selection.directories}
        # A validator may resolve the links in a path.
        names = names_below(Path(os.path.realpath(folder)), manifest) | names_below(folder, manifest)
        return cls(manifest, places, directories, _values_of(nodes), names)

    @cached_property
    def entries(self) -> dict[Path, AnyEntry]:
        """The entry of each file, by its path."""
        named = {entry.path: entry for entry in self.manifest.files}
        below = {path: named[name] for path, name in self.names.items() if name in named}
        return below | {self.places[name]: entry for name, entry in named.items()}

    def find_contradiction(self, nodes: Nodes) -> str | None:
        """Return where a model, described as `nodes`, contradicts the manifest; None if it does not."""

        def name_of(ref: FileRef) -> str:
            return self.names.get(ref.path.absolute(), "")

        return find_contradiction(nodes, self.manifest.fields, name_of)

    def find_changed_fields(self, artifact: BaseModel, source: str) -> list[Mismatch]:
        """Return a mismatch for each field whose value has changed since."""
        now = _values_of(try_describe(artifact))
        return [
            Mismatch("(the value)", self.values.get(name, MISSING), now.get(name, MISSING), source, name)
            for name in sorted(self.values.keys() | now.keys())
            if self.values.get(name) != now.get(name)
        ]

    def missing(self, path: str) -> IntegrityError | None:
        """Return the error for a missing file; None if the file is not one of these."""
        entry = self.entries.get(Path(path).absolute())
        if entry is None:
            return None
        mismatch = Mismatch(entry.path, entry.sha256, MISSING, path)
        return IntegrityError.of([mismatch], hint=CHANGED_SINCE)

    def expect(self, plan: ArtifactPlan) -> dict[str, str]:
        """Return the expected SHA-256 of those files of the plan that have this origin.

        Raises:
            IntegrityError: files were added to or removed from a directory of this origin.
        """
        files = {file.source.absolute(): file for file in plan.files}
        found: list[Mismatch] = []
        for folder in (place.absolute() for place in plan.directories.values()):
            if folder not in self.names:
                continue
            below = f"{folder}{os.sep}"
            found += [
                Mismatch(entry.path, entry.sha256, MISSING, str(path))
                for path, entry in self.entries.items()
                if path not in files and str(path).startswith(below)
            ]
            found += [
                Mismatch(file.path, UNNAMED, "a file", str(path), file.field)
                for path, file in files.items()
                if path not in self.entries and str(path).startswith(below)
            ]
        if found:
            raise IntegrityError.of(found, hint=CHANGED_SINCE)
        return {file.path: self.entries[path].sha256 for path, file in files.items() if path in self.entries}


@dataclass(frozen=True)
class Stamp:
    """The fields, and the metadata of the files; if neither has changed, the digests are still valid.

    Attributes:
        fields: The manifest's fields, as canonical JSON.
        files: Name, path, size, times and inode of each file.
    """

    fields: bytes
    files: tuple[tuple[str, Path, int, int, int, int], ...]

    @classmethod
    def of(cls, fields: Mapping[str, Any], places: Mapping[str, Path]) -> Self:
        """Return the current stamp.

        Raises:
            OSError: a file is missing.
        """
        stats = [(name, place, place.stat()) for name, place in places.items()]
        files = ((n, p, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for n, p, s in stats)
        return cls(canonical_bytes(fields), tuple(files))

    @classmethod
    def of_plan(cls, plan: ArtifactPlan) -> Self:
        """Return the current stamp of the planned files."""
        return cls.of(plan.fields, {file.path: file.source.absolute() for file in plan.files})


@dataclass(frozen=True)
class Description:
    """A manifest, and the state of its files when it was built.

    Attributes:
        manifest: The manifest.
        stamp: The fields, and the metadata of the files.
        origin: The location of the files.
    """

    manifest: Manifest
    stamp: Stamp
    origin: Origin

    @classmethod
    def of_origin(cls, nodes: Nodes, origin: Origin) -> Self | None:
        """Return the description of an artifact, described as `nodes`, whose files were just verified.

        None if the model has other fields or files than the manifest, and so is another artifact.

        Raises:
            OSError: a file is missing.
        """
        manifest = origin.manifest
        if not isinstance(manifest, Manifest):
            return None
        used: set[Path] = set()

        def name_of(path: Path) -> str:
            used.add(path)
            return origin.names.get(path, "")

        fields = {key: fill(node, lambda ref: name_of(ref.path.absolute())) for key, node in nodes.items()}
        try:
            is_same = canonical_bytes(fields) == canonical_bytes(manifest.fields)
        except ValueError:  # an old manifest may have integers that canonical JSON cannot represent
            is_same = False
        if not is_same or not all(_is_used(path, used) for path in origin.places.values()):
            return None
        return cls(manifest, Stamp.of(manifest.fields, origin.places), origin)


def _is_used(path: Path, used: set[Path]) -> bool:
    return path in used or any(parent in used for parent in path.parents)


def try_describe(artifact: BaseModel) -> Nodes | None:
    """Describe a model; None if it could not be published."""
    try:
        return describe(artifact)
    except ArtifactModelError as error:
        log.info("this artifact could not be published as it is: %s", error)
        return None


def _values_of(nodes: Nodes | None) -> dict[str, str]:
    """Return the fields as JSON, with absolute paths."""
    try:
        described = (nodes or {}).items()
        values = {name: fill(node, lambda ref: str(ref.path.absolute())) for name, node in described}
    except ValueError:  # a set of paths that are not Unicode
        return {}
    return {name: json.dumps(value, sort_keys=True) for name, value in values.items()}

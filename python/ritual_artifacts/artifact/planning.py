"""Planning: which local files are published, and their names inside the artifact. Reads no file's content."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import BaseModel

from ritual_artifacts.artifact.canonical import Json
from ritual_artifacts.artifact.introspection import FileRef, check_round_trip, describe, file_refs, fill
from ritual_artifacts.errors import ArtifactModelError
from ritual_artifacts.names import collision_key, find_collisions, path_problem

MANIFEST_FILENAME: Final = "ritual_manifest.json"
"""Name of the manifest inside a folder or repository, as in infernet-ml."""

STAGING_DIRNAME: Final = ".ritual-partial"
"""Folder inside a download's target that holds the files until all of them are verified."""

RESERVED_PATHS: Final = frozenset({MANIFEST_FILENAME, STAGING_DIRNAME})
"""First components that no file of an artifact may have (compared by `collision_key`)."""

_MAX_LEVEL: Final = 2
_Found: TypeAlias = tuple[str, Path, int]
"""The suffix of the name in the artifact (empty, or `/` and a relative path), the file, and its size."""


@dataclass(frozen=True)
class PlannedFile:
    """One file of an artifact.

    Attributes:
        path: Name inside the artifact, relative, with `/`.
        source: Where the file is now.
        size: Its size in bytes when it was planned.
        field: The model's field that holds it.
    """

    path: str
    source: Path
    size: int
    field: str | None = None


@dataclass(frozen=True)
class ArtifactPlan:
    """What will be published, planned before any file is read.

    Attributes:
        artifact_type: Name of the model's class.
        fields: The manifest's fields: metadata as JSON, and the names of files.
        files: The files, sorted by name, each name once.
        directories: The path of each directory that the model names, by name; its files are in `files`.
    """

    artifact_type: str
    fields: Mapping[str, Json]
    files: tuple[PlannedFile, ...]
    directories: Mapping[str, Path] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Total size of the files in bytes."""
        return sum(file.size for file in self.files)


def plan_files(artifact: BaseModel, known_names: Mapping[Path, str] | None = None) -> ArtifactPlan:
    """Plan which files to publish for `artifact`, and under which names.

    A file keeps its own name; the files of a directory are named `<directory>/<relative path>`. If two names
    collide, both become `<field>/<name>`, and then `<field>/<index>/<name>`.

    Args:
        artifact: The typed artifact.
        known_names: Preferred names for some absolute paths, so that a downloaded artifact keeps its names.

    Raises:
        ArtifactModelError: the model cannot be an artifact, names no file, or names one that cannot be an
            artifact file (a link, a device, a directory that is not declared as one, a name that is not
            portable).
        OSError: a file is missing or its folder cannot be read.
    """
    described = describe(artifact)
    sources: dict[Path, _Source] = {}
    in_field: Counter[str] = Counter()
    for ref in file_refs(list(described.values())):
        path = ref.path.absolute()
        if path not in sources:
            name = (known_names or {}).get(path) or _base_name(path)
            sources[path] = _Source(ref, in_field[ref.field], name, _find_files(ref))
            in_field[ref.field] += 1
        elif sources[path].ref.kind != ref.kind:
            _find_files(ref)  # a file in one field cannot be a directory in another
    if not sources:
        message = f"{type(artifact).__name__} names no file; declare at least one field as Path, and set it"
        raise ArtifactModelError(message)
    check_round_trip(artifact, described)
    names = _name_sources(sources)
    files = [
        PlannedFile(names[path] + suffix, file, size, source.ref.field)
        for path, source in sources.items()
        for suffix, file, size in source.files
    ]
    fields = {key: fill(node, lambda ref: names[ref.path.absolute()]) for key, node in described.items()}
    directories = {names[path]: path for path, source in sources.items() if source.ref.kind == "directory"}
    return ArtifactPlan(type(artifact).__name__, fields, _check_names(files), directories)


def plan_folder(folder: Path, artifact_type: str, field: str, metadata: Mapping[str, Json]) -> ArtifactPlan:
    """Plan to publish every file below `folder` under its relative path, as a list in one field.

    Args:
        folder: The folder; a manifest in it is left out.
        artifact_type: Name of the artifact's type.
        field: Name of the field that lists the files.
        metadata: The other fields.

    Raises:
        ArtifactModelError: the folder has no file, or has a link, a device, or a name that is not portable.
        OSError: the folder is missing or cannot be read.
    """
    files = [
        PlannedFile(suffix.removeprefix("/"), found, size, field)
        for suffix, found, size in _walk(folder)
        if suffix != f"/{MANIFEST_FILENAME}" and not suffix.startswith(f"/{STAGING_DIRNAME}/")
    ]
    if not files:
        message = f"{folder} has no files"
        raise ArtifactModelError(message)
    checked = _check_names(files)
    return ArtifactPlan(artifact_type, {field: [file.path for file in checked], **metadata}, checked)


@dataclass(frozen=True)
class _Source:
    """A file or directory that the model names: its reference, index in the field, own name and files."""

    ref: FileRef
    index: int
    name: str
    files: list[_Found]


def _base_name(path: Path) -> str:
    return path.resolve().name if path.name == ".." else path.name


def _find_files(ref: FileRef) -> list[_Found]:
    """List the file that a field names, or every file below the directory that it names."""
    if "\0" in str(ref.path):
        message = f"field {ref.field!r}: the path {str(ref.path)!r} contains a NUL character"
        raise ArtifactModelError(message)
    try:
        found = list(_walk(ref.path)) if ref.kind == "directory" else [("", ref.path, _file_size(ref.path))]
    except ArtifactModelError as error:
        message = f"field {ref.field!r}: {error}"
        raise ArtifactModelError(message) from None
    if not found:
        message = f"field {ref.field!r}: the directory {ref.path} has no files"
        raise ArtifactModelError(message)
    return found


def _file_size(path: Path) -> int:
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        message = (
            f"expected a file, got the directory {path}; "
            f"declare the field as pydantic.DirectoryPath to publish a whole directory"
        )
        raise ArtifactModelError(message)
    _refuse_special(path, status)
    return status.st_size


def _walk(folder: Path) -> Iterator[_Found]:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        _refuse_special(folder, status)
        message = f"expected a directory, got the file {folder}"
        raise ArtifactModelError(message)
    pending = [("", folder)]
    while pending:
        prefix, current = pending.pop()
        with os.scandir(current) as entries:
            for entry in entries:
                suffix, path = f"{prefix}/{entry.name}", Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    pending.append((suffix, path))
                else:
                    status = entry.stat(follow_symlinks=False)
                    _refuse_special(path, status)
                    yield suffix, path, status.st_size


def _refuse_special(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        return
    link = stat.S_ISLNK(status.st_mode)
    what = "a symbolic link" if link else "a FIFO, socket or device"
    hint = "; pass the file that it points to" if link else ""
    message = f"{path} is {what}, which cannot be an artifact file{hint}"
    raise ArtifactModelError(message)


def _name_sources(sources: Mapping[Path, _Source]) -> dict[Path, str]:
    """Choose the names: own names if they are unique, longer ones if they collide."""
    levels = dict.fromkeys(sources, 0)
    while True:
        names = {path: _name_at(level, sources[path]) for path, level in levels.items()}
        colliding = {name for pair in find_collisions(names.values()) for name in pair}
        short = [
            path
            for path, name in names.items()
            if levels[path] < _MAX_LEVEL and (name in colliding or _is_reserved(name))
        ]
        if not short:
            return names
        for path in short:
            levels[path] += 1


def _name_at(level: int, source: _Source) -> str:
    own = source.name.rpartition("/")[2]
    return (source.name, f"{source.ref.field}/{own}", f"{source.ref.field}/{source.index}/{own}")[level]


def _is_reserved(path: str) -> bool:
    return collision_key(path.partition("/")[0]) in RESERVED_PATHS


def _check_names(files: Sequence[PlannedFile]) -> tuple[PlannedFile, ...]:
    """Return the files sorted by name; refuse names that are not portable, are reserved, or collide."""
    for file in files:
        problem, hint = path_problem(file.path), "rename it"
        if problem is None and _is_reserved(file.path):
            problem = "is reserved by this package"
        if problem is None and STAGING_DIRNAME in file.path.split("/")[:-1]:
            problem = "belongs to an interrupted download"
            hint = f"finish that download, or remove its {STAGING_DIRNAME} folder"
        if problem:
            message = f"{file.source} cannot be published: its name {file.path!r} {problem}; {hint}"
            raise ArtifactModelError(message)
    for first, second in find_collisions(file.path for file in files):
        message = f"the names {first!r} and {second!r} collide on some file systems; rename one"
        raise ArtifactModelError(message)
    return tuple(sorted(files, key=lambda file: file.path))

"""Planned files: which file on this disk becomes which name inside the artifact. Reads no file's content."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import BaseModel

from ritual_artifacts.artifact.canonical import Json
from ritual_artifacts.artifact.introspection import FileRef, check_comes_back, describe, file_refs, fill
from ritual_artifacts.errors import ArtifactModelError
from ritual_artifacts.names import collision_key, find_collisions, path_problem

MANIFEST_FILENAME: Final = "ritual_manifest.json"
"""Name of the manifest inside a folder or repository; infernet-ml's."""

STAGING_DIRNAME: Final = ".ritual-partial"
"""Folder inside a download's target in which files wait until all of them are verified."""

RESERVED_PATHS: Final = frozenset({MANIFEST_FILENAME, STAGING_DIRNAME})
"""First components that no file of an artifact may have (compared by `collision_key`)."""

_LAST_LEVEL: Final = 2
_Found: TypeAlias = tuple[str, Path, int]
"""What follows the name in the artifact (nothing, or `/` and a relative path), the file, and its size."""


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
    """All that will be published, before anything is read.

    Attributes:
        artifact_type: Name of the model's class.
        fields: The manifest's fields: metadata as JSON, and the names of files.
        files: The files, sorted by name, each name once.
        directories: Where the directories are that the model names, by name; `files` has all that is in them.
    """

    artifact_type: str
    fields: Mapping[str, Json]
    files: tuple[PlannedFile, ...]
    directories: Mapping[str, Path] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def plan_files(artifact: BaseModel, known_names: Mapping[Path, str] | None = None) -> ArtifactPlan:
    """Plan what publishing `artifact` means.

    A file is called by its own name; files of a directory by `<directory>/<relative path>`. Where two would
    collide, both are called `<field>/<name>`, then `<field>/<index>/<name>`.

    Args:
        artifact: The typed artifact.
        known_names: Names to prefer for some absolute paths, so that an artifact that was downloaded keeps
            its names.

    Raises:
        ArtifactModelError: the model cannot be an artifact, names no file, or names one that cannot be an
            artifact file (a link, a device, a directory that is not declared as one, an unportable name).
        OSError: a file is missing or its folder cannot be read.
    """
    described = describe(artifact)
    sources: dict[Path, _Source] = {}
    in_field: Counter[str] = Counter()
    for ref in file_refs(list(described.values())):
        path = ref.path.absolute()
        if path not in sources:
            name = (known_names or {}).get(path) or _own_name(path)
            sources[path] = _Source(ref, in_field[ref.field], name, _find_files(ref))
            in_field[ref.field] += 1
        elif sources[path].ref.kind != ref.kind:
            _find_files(ref)  # a file in one field cannot be a directory in another
    if not sources:
        message = f"{type(artifact).__name__} names no file; an artifact has at least one field of type Path"
        raise ArtifactModelError(message)
    check_comes_back(artifact, described)
    names = _name_sources(sources)
    files = [
        PlannedFile(names[path] + suffix, file, size, source.ref.field)
        for path, source in sources.items()
        for suffix, file, size in source.files
    ]
    fields = {key: fill(node, lambda ref: names[ref.path.absolute()]) for key, node in described.items()}
    directories = {names[path]: path for path, source in sources.items() if source.ref.kind == "directory"}
    return ArtifactPlan(type(artifact).__name__, fields, _checked(files), directories)


def plan_folder(folder: Path, artifact_type: str, field: str, metadata: Mapping[str, Json]) -> ArtifactPlan:
    """Plan to publish every file below `folder` under its relative path, as a list in one field.

    Args:
        folder: The folder; a manifest in it is left out.
        artifact_type: Name of the type that the artifact gets.
        field: Name of the field that lists the files.
        metadata: The other fields.

    Raises:
        ArtifactModelError: the folder has no file, a link, a device, or an unportable name.
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
    checked = _checked(files)
    return ArtifactPlan(artifact_type, {field: [file.path for file in checked], **metadata}, checked)


@dataclass(frozen=True)
class _Source:
    """A file or directory that the model names: its reference, place in the field, own name and files."""

    ref: FileRef
    index: int
    name: str
    files: list[_Found]


def _own_name(path: Path) -> str:
    return path.resolve().name if path.name == ".." else path.name


def _find_files(ref: FileRef) -> list[_Found]:
    """List the file that a field names, or every file below the directory that it names."""
    if "\0" in str(ref.path):
        message = f"field {ref.field!r}: the path {str(ref.path)!r} holds a NUL, which no file's name does"
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
            f"{path} is a directory where a file is due; "
            f"declare the field as pydantic.DirectoryPath to publish a whole directory"
        )
        raise ArtifactModelError(message)
    _refuse_special(path, status)
    return status.st_size


def _walk(folder: Path) -> Iterator[_Found]:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        _refuse_special(folder, status)
        message = f"{folder} is a file where a directory is due"
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
    what = "a symbolic link" if link else "no regular file (a FIFO, socket or device)"
    hint = "; pass the file that it points to" if link else ""
    message = f"{path} is {what}, which cannot be an artifact file{hint}"
    raise ArtifactModelError(message)


def _name_sources(sources: Mapping[Path, _Source]) -> dict[Path, str]:
    """Choose the names: own names where they are unique, longer ones where they collide."""
    levels = dict.fromkeys(sources, 0)
    while True:
        names = {path: _name_at(level, sources[path]) for path, level in levels.items()}
        colliding = {name for pair in find_collisions(names.values()) for name in pair}
        short = [
            path
            for path, name in names.items()
            if levels[path] < _LAST_LEVEL and (name in colliding or _is_reserved(name))
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


def _checked(files: Sequence[PlannedFile]) -> tuple[PlannedFile, ...]:
    for file in files:
        problem = path_problem(file.path)
        if problem is None and _is_reserved(file.path):
            problem = "is a name that the package needs for itself"
        if problem is None and STAGING_DIRNAME in file.path.split("/")[:-1]:
            problem = "is what a download left that was cut short; finish it, or remove that folder"
        if problem:
            message = f"{file.source} cannot be published: its name {file.path!r} {problem}; rename it"
            raise ArtifactModelError(message)
    for first, second in find_collisions(file.path for file in files):
        message = (
            f"the names {first!r} and {second!r} cannot exist side by side on every file system; rename one"
        )
        raise ArtifactModelError(message)
    return tuple(sorted(files, key=lambda file: file.path))

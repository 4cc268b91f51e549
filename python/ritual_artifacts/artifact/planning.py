"""Planning: which local files are published, and their names inside the artifact. Reads no file's content."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from pydantic import BaseModel

from ritual_artifacts.artifact.canonical import Json
from ritual_artifacts.artifact.introspection import FileRef, describe, file_refs, fill
from ritual_artifacts.artifact.naming import (
    MANIFEST_FILENAME,
    RESERVED_PATHS,
    STAGING_DIRNAME,
    Candidate,
    choose_names,
    is_reserved,
)
from ritual_artifacts.artifact.preview import check_comes_back
from ritual_artifacts.errors import ArtifactModelError
from ritual_artifacts.names import find_collisions, path_problem

__all__ = [
    "MANIFEST_FILENAME",
    "RESERVED_PATHS",
    "STAGING_DIRNAME",
    "ArtifactPlan",
    "PlannedFile",
    "plan_files",
    "plan_folder",
]

_MAX_SHOWN: Final = 5
"""Values or files that one warning names."""

_Found: TypeAlias = tuple[str, Path, os.stat_result]
"""The suffix of the name in the artifact (empty, or `/` and a relative path), the file, and its metadata."""


@dataclass(frozen=True)
class PlannedFile:
    """One file of an artifact.

    Attributes:
        path: Name inside the artifact, relative, with `/`.
        source: Where the file is now.
        size: Its size in bytes when it was planned.
        field: The model's field that holds it.
        is_executable: Whether it can be run as a program here; a download does not restore this.
    """

    path: str
    source: Path
    size: int
    field: str | None = None
    is_executable: bool = False


@dataclass(frozen=True)
class ArtifactPlan:
    """What will be published, planned before any file is read.

    Attributes:
        artifact_type: Name of the model's class.
        fields: The manifest's fields: metadata as JSON, and the names of files.
        files: The files, sorted by name, each name once.
        directories: The path of each directory that the model names, by name; its files are in `files`.
        changed_types: The values that are equal after a download, but of another type.
    """

    artifact_type: str
    fields: Mapping[str, Json]
    files: tuple[PlannedFile, ...]
    directories: Mapping[str, Path] = field(default_factory=dict)
    changed_types: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Total size of the files in bytes."""
        return sum(file.size for file in self.files)

    def warnings(self) -> list[str]:
        """Return what a download does not restore, for people."""
        found = []
        if self.changed_types:
            found.append(
                f"{self.artifact_type} comes back with other types: {_join(self.changed_types)}; "
                f"declare a type such as tuple[int, ...] or the enum's class to keep them"
            )
        if programs := [file.path for file in self.files if file.is_executable]:
            found.append(f"a download does not restore the executable bit of {_join(programs)}")
        return found


def plan_files(artifact: BaseModel, known_names: Mapping[Path, str] | None = None) -> ArtifactPlan:
    """Plan which files to publish for `artifact`, and under which names.

    A file keeps its own name; the files of a directory are named `<directory>/<relative path>`. If two names
    collide, both become `<field>/<name>`, and then `<field>/<index>/<name>`; files of one directory on disk
    stay together. The model is then rebuilt from these names, the way a download does it, and compared.

    Args:
        artifact: The typed artifact.
        known_names: Preferred names for some absolute paths, so that a downloaded artifact keeps its names.

    Raises:
        ArtifactModelError: the model cannot be an artifact, would not be equal after a download, names no
            file, or names one that cannot be an artifact file (a link, a device, a directory that is not
            declared as one, a name that is not portable).
        OSError: a file is missing or its folder cannot be read.
    """
    described = describe(artifact)
    refs = file_refs(list(described.values()))
    paths = [ref.path.absolute() for ref in refs]
    sources: dict[Path, _Source] = {}
    for ref, path in zip(refs, paths, strict=True):
        source = sources.get(path)
        if source is None:
            sources[path] = _Source(ref, _find_files(ref))
        elif source.ref.kind != ref.kind:
            _find_files(ref)  # a file in one field cannot be a directory in another
    if not sources:
        message = f"{type(artifact).__name__} names no file; declare at least one field as Path, and set it"
        raise ArtifactModelError(message)
    known = known_names or {}
    names = choose_names(
        {
            path: Candidate(
                source.ref.field, known.get(path) or _base_name(path), source.ref.kind == "directory"
            )
            for path, source in sources.items()
        }
    )
    checked = _check_names(_plan_sources(sources, names))
    named = [names[path] for path in paths]
    by_ref = {id(ref): name for ref, name in zip(refs, named, strict=True)}
    fields = {key: fill(node, lambda ref: by_ref[id(ref)]) for key, node in described.items()}
    directories = {names[path]: path for path, source in sources.items() if source.ref.kind == "directory"}
    pairs = [(name, ref.path) for name, ref in zip(named, refs, strict=True)]
    changed = check_comes_back(artifact, fields, pairs, checked)
    return ArtifactPlan(type(artifact).__name__, fields, checked, directories, changed)


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
        _plan_file(suffix.removeprefix("/"), found, status, field)
        for suffix, found, status in _walk(folder)
        if suffix != f"/{MANIFEST_FILENAME}" and not suffix.startswith(f"/{STAGING_DIRNAME}/")
    ]
    if not files:
        message = f"{folder} has no files"
        raise ArtifactModelError(message)
    checked = _check_names(files)
    return ArtifactPlan(artifact_type, {field: [file.path for file in checked], **metadata}, checked)


def _join(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _MAX_SHOWN} more" if len(parts) > _MAX_SHOWN else ""
    return ", ".join(parts[:_MAX_SHOWN]) + more


class _Source(NamedTuple):
    """A file or directory that the model names: its reference and files."""

    ref: FileRef
    files: list[_Found]


def _plan_sources(sources: Mapping[Path, _Source], names: Mapping[Path, str]) -> list[PlannedFile]:
    """Return the files; one that the model names itself, and as part of a directory, is there once."""
    files = [
        _plan_file(names[path] + suffix, file, status, source.ref.field)
        for path, source in sources.items()
        for suffix, file, status in source.files
    ]
    if len({file.path for file in files}) < len(files):
        # The field that names a file itself comes last, and stays.
        direct = {path: source.ref.field for path, source in sources.items()}
        files.sort(key=lambda file: file.field == direct.get(file.source.absolute()))
        files = list({(file.path, file.source.absolute()): file for file in files}.values())
    return files


def _plan_file(name: str, source: Path, status: os.stat_result, field: str) -> PlannedFile:
    is_executable = os.name != "nt" and bool(status.st_mode & 0o111)
    return PlannedFile(name, source, status.st_size, field, is_executable)


def _base_name(path: Path) -> str:
    return path.resolve().name if path.name == ".." else path.name


def _find_files(ref: FileRef) -> list[_Found]:
    """List the file that a field names, or every file below the directory that it names."""
    if "\0" in str(ref.path):
        message = f"field {ref.field!r}: the path {str(ref.path)!r} contains a NUL character"
        raise ArtifactModelError(message)
    try:
        found = list(_walk(ref.path)) if ref.kind == "directory" else [("", ref.path, _check_file(ref.path))]
    except ArtifactModelError as error:
        message = f"field {ref.field!r}: {error}"
        raise ArtifactModelError(message) from None
    if not found:
        message = f"field {ref.field!r}: the directory {ref.path} has no files"
        raise ArtifactModelError(message)
    return found


def _check_file(path: Path) -> os.stat_result:
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        message = (
            f"expected a file, got the directory {path}; "
            f"declare the field as pydantic.DirectoryPath to publish a whole directory"
        )
        raise ArtifactModelError(message)
    _refuse_special(path, status)
    return status


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
                    yield suffix, path, status


def _refuse_special(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        return
    link = stat.S_ISLNK(status.st_mode)
    what = "a symbolic link" if link else "a FIFO, socket or device"
    hint = "; pass the file that it points to" if link else ""
    message = f"{path} is {what}, which cannot be an artifact file{hint}"
    raise ArtifactModelError(message)


def _check_names(files: Sequence[PlannedFile]) -> tuple[PlannedFile, ...]:
    """Return the files sorted by name; refuse names that are not portable, are reserved, or collide."""
    for file in files:
        problem, hint = path_problem(file.path), "rename it"
        if problem is None and is_reserved(file.path):
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

"""Names inside the artifact: which name each file and directory that a model names gets. Reads nothing.

A file keeps its own name, and one below a directory of the model keeps its place in it. If two names collide,
both get their field in front, and then also an index. Files of one directory on disk get the same prefix, so
that they stay siblings.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ritual_artifacts.names import collision_key, find_collisions

MANIFEST_FILENAME: Final = "ritual_manifest.json"
"""Name of the manifest inside a folder or repository, as in infernet-ml."""

STAGING_DIRNAME: Final = ".ritual-partial"
"""Folder inside a download's target that holds the files until all of them are verified."""

RESERVED_PATHS: Final = frozenset({MANIFEST_FILENAME, STAGING_DIRNAME})
"""First components that no file of an artifact may have (compared by `collision_key`)."""

_MAX_LEVEL: Final = 2


@dataclass(frozen=True)
class Candidate:
    """A file or directory to be named.

    Attributes:
        field: The model's field that names it first.
        name: Its own name, or the one that it had when it was downloaded.
        is_directory: Whether other files can be below it.
    """

    field: str
    name: str
    is_directory: bool


@dataclass
class _Group:
    """Files and directories that are siblings on disk, in the order of the model."""

    field: str
    index: int
    members: dict[Path, str]
    level: int = 0

    def names(self) -> dict[Path, str]:
        prefix = ("", f"{self.field}/", f"{self.field}/{self.index}/")[self.level]
        return {
            path: f"{prefix}{_last(name)}" if self.level else name for path, name in self.members.items()
        }


def choose_names(candidates: Mapping[Path, Candidate]) -> dict[Path, str]:
    """Return the name of each candidate, by its absolute path; equal input gives equal names."""
    directories = {path for path, candidate in candidates.items() if candidate.is_directory}
    holders = {
        path: holder for path in candidates if (holder := _find_holder(path, directories)) is not None
    }
    groups = _group({path: each for path, each in candidates.items() if path not in holders})
    names = {path: name for group in groups for path, name in group.names().items()}
    while short := _find_colliding(groups, names.values()):
        for group in short:
            group.level += 1
            names |= group.names()
    return {
        path: f"{names[holders[path]]}/{path.relative_to(holders[path]).as_posix()}"
        if path in holders
        else names[path]
        for path in candidates
    }


def is_reserved(path: str) -> bool:
    """Return whether the first component of a name is reserved for the format."""
    return collision_key(path.partition("/")[0]) in RESERVED_PATHS


def _find_holder(path: Path, directories: set[Path]) -> Path | None:
    """Return the outermost of the directories that a path is below."""
    if not directories or ".." in path.parts:
        return None
    return next((parent for parent in reversed(path.parents) if parent in directories), None)


def _group(candidates: Mapping[Path, Candidate]) -> list[_Group]:
    """Put siblings together, except those whose names are one on some file systems."""
    groups: dict[tuple[Path, int], _Group] = {}
    taken: Counter[tuple[Path, str]] = Counter()
    in_field: Counter[str] = Counter()
    for path, candidate in candidates.items():
        spelling = (path.parent, collision_key(_last(candidate.name)))
        key = (path.parent, taken[spelling])
        taken[spelling] += 1
        if key not in groups:
            groups[key] = _Group(candidate.field, in_field[candidate.field], {})
            in_field[candidate.field] += 1
        groups[key].members[path] = candidate.name
    return list(groups.values())


def _find_colliding(groups: Iterable[_Group], names: Iterable[str]) -> list[_Group]:
    """Return the groups that need longer names and can have them."""
    colliding = {name for pair in find_collisions(names) for name in pair}
    return [
        group
        for group in groups
        if group.level < _MAX_LEVEL
        and any(name in colliding or is_reserved(name) for name in group.names().values())
    ]


def _last(name: str) -> str:
    return name.rpartition("/")[2]

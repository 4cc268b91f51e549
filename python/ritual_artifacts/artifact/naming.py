"""Names inside the artifact: which name each file and directory that a model names gets. Reads nothing.

A file keeps its own name, and one below a directory of the model keeps its place in it. If two names collide,
both get their field in front, and then also an index. Files of one directory on disk get the same prefix, so
that they stay siblings.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from ritual_artifacts.names import collision_key, find_collisions

MANIFEST_FILENAME: Final = "ritual_manifest.json"
"""Name of the manifest inside a folder or repository, as in infernet-ml."""

STAGING_DIRNAME: Final = ".ritual-partial"
"""Folder inside a download's target that holds the files until all of them are verified."""

RESERVED_PATHS: Final = frozenset({MANIFEST_FILENAME, STAGING_DIRNAME})
"""First components that no file of an artifact may have (compared by `collision_key`)."""

_MAX_LEVEL: Final = 2


class Candidate(NamedTuple):
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
    """Files and directories that are siblings on disk, in the order of the model; with their names so far."""

    index: int
    members: list[Path]
    names: list[str]
    field: str
    level: int = 0

    def make_longer(self) -> None:
        self.level += 1
        prefix = f"{self.field}/" if self.level == 1 else f"{self.field}/{self.index}/"
        self.names = [f"{prefix}{_last(name)}" for name in self.names]


def choose_names(candidates: Mapping[Path, Candidate]) -> dict[Path, str]:
    """Return the name of each candidate, by its absolute path; equal input gives equal names."""
    directories = {path for path, candidate in candidates.items() if candidate.is_directory}
    holders: dict[Path, Path] = {}
    if directories:
        found = ((path, _find_holder(path, directories)) for path in candidates)
        holders = {path: holder for path, holder in found if holder is not None}
    groups = _group(candidates, holders)
    while short := _find_colliding(groups):
        for group in short:
            group.make_longer()
    names = {path: name for group in groups for path, name in zip(group.members, group.names, strict=True)}
    for path, holder in holders.items():
        names[path] = f"{names[holder]}/{path.relative_to(holder).as_posix()}"
    return names


def is_reserved(path: str) -> bool:
    """Return whether the first component of a name is reserved for the format."""
    return collision_key(path.partition("/")[0]) in RESERVED_PATHS


def _find_holder(path: Path, directories: set[Path]) -> Path | None:
    """Return the outermost of the directories that a path is below."""
    if ".." in path.parts:
        return None
    return next((parent for parent in reversed(path.parents) if parent in directories), None)


def _group(candidates: Mapping[Path, Candidate], holders: Mapping[Path, Path]) -> list[_Group]:
    """Put siblings together, except those whose names are one on some file systems."""
    groups: dict[tuple[str, int], _Group] = {}
    taken: Counter[tuple[str, str]] = Counter()
    in_field: Counter[str] = Counter()
    for path, candidate in candidates.items():
        if holders and path in holders:
            continue
        parent = os.path.dirname(str(path))  # noqa: PTH120 - text has a hash that is computed once
        spelling = (parent, collision_key(_last(candidate.name)))
        key = (parent, taken[spelling])
        taken[spelling] += 1
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(in_field[candidate.field], [], [], candidate.field)
            in_field[candidate.field] += 1
        group.members.append(path)
        group.names.append(candidate.name)
    return list(groups.values())


def _find_colliding(groups: Sequence[_Group]) -> list[_Group]:
    """Return the groups that need longer names and can have them."""
    colliding = {n for pair in find_collisions(n for group in groups for n in group.names) for n in pair}
    return [
        group
        for group in groups
        if group.level < _MAX_LEVEL and any(name in colliding or is_reserved(name) for name in group.names)
    ]


def _last(name: str) -> str:
    return name.rpartition("/")[2]

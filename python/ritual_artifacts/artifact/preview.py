"""The preview of a download: the model is rebuilt from its manifest before anything is hashed or sent.

If only Pydantic's own code takes part, a file's place makes no difference, and the files stay where they are.
Otherwise the model is rebuilt in a temporary folder, which has the names that a download gives the files.
Empty files of the right size come first, because most validators look at names alone; copies follow.
"""

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from pydantic import BaseModel

from ritual_artifacts.artifact.canonical import Json
from ritual_artifacts.artifact.introspection import (
    FileRef,
    Node,
    describe,
    file_names,
    fill,
    find_changes,
    has_own_code,
    rebuild,
    replace_paths,
)
from ritual_artifacts.errors import ArtifactModelError, ManifestError

log = logging.getLogger(__name__)

_MAX_SHOWN: Final = 3
"""Names of files that an error message shows."""

_MAX_COPIED: Final = 64 << 20
"""Bytes that are copied for one preview, the smallest files first; the others are links."""

_AGE: Final = 90_061.0
"""Seconds: a stand-in is a day, an hour, a minute and a second older than it is, so that no time matches."""


_OTHER_CURE: Final = "let the model's validators accept what its serializers write"


class Place(Protocol):
    """A file of the artifact."""

    @property
    def path(self) -> str:
        """Its name inside the artifact."""

    @property
    def source(self) -> Path:
        """Where it is now."""

    @property
    def size(self) -> int:
        """Its size in bytes."""


@dataclass(frozen=True)
class _Problem:
    """Why a model does not come back.

    Attributes:
        what: The problem.
        cure: What to do.
    """

    what: str
    cure: str


def check_comes_back(
    artifact: BaseModel,
    fields: Mapping[str, Json],
    named: Sequence[tuple[str, Path]],
    places: Sequence[Place],
) -> tuple[str, ...]:
    """Check that a download rebuilds an equal model, which describes the same artifact.

    Args:
        artifact: The model.
        fields: The manifest's fields.
        named: The name inside the artifact, and the path, of each file and directory that the model names;
            one that it names twice is there twice.
        places: All files of the artifact.

    Returns:
        The values that come back equal, but as another type.

    Raises:
        ArtifactModelError: a download could not rebuild the model, or a value would be another one.
    """
    check = _Check(artifact, fields, named)
    if not has_own_code(type(artifact)):
        found = check.in_place()
    else:
        try:
            found = check.in_folder(places, _put_empty)
            if isinstance(found, _Problem):
                found = check.in_folder(places, _put_copies)
        except OSError as error:
            log.info("%s is rebuilt without a preview of its download: %s", type(artifact).__name__, error)
            found = check.in_place()
        if isinstance(found, _Problem) and not isinstance(check.in_place(), _Problem):
            found = replace(found, cure=_describe_layout(places))
    if isinstance(found, _Problem):
        message = f"{found.what}; {found.cure}"
        raise ArtifactModelError(message)
    return found


def _describe_layout(places: Sequence[Place]) -> str:
    names = ", ".join(repr(place.path) for place in places[:_MAX_SHOWN])
    more = ", …" if len(places) > _MAX_SHOWN else ""
    return (
        f"a validator or serializer depends on the path of a file, and a download puts the files into "
        f"another folder, as {names}{more}. To keep the name and the structure of a folder, declare it as "
        f"pydantic.DirectoryPath; otherwise do not derive a value from a path, or leave it out with "
        f"Field(default=…, exclude=True)"
    )


class _Check:
    """Rebuilds a model from its manifest, and compares it."""

    def __init__(
        self, artifact: BaseModel, fields: Mapping[str, Json], named: Sequence[tuple[str, Path]]
    ) -> None:
        self._artifact = artifact
        self._cls = type(artifact)
        self._fields = fields
        self._published = Counter(name for name, _ in named)
        self._sources = dict(named)

    def in_place(self) -> "tuple[str, ...] | _Problem":
        """Rebuild the model with its files where they are."""
        return self._rebuild(lambda name: self._sources.get(name, Path(name)), None)

    def in_folder(
        self, places: Sequence[Place], put: Callable[[Path, Sequence[Place]], None]
    ) -> "tuple[str, ...] | _Problem":
        """Rebuild the model in a folder that `put` fills with stand-ins for its files."""
        with _make_folder(places) as root:
            put(root, places)
            names = {Path(f"{root}/{name}"): name for name in self._sources}
            if put is _put_copies:  # a validator may follow a link
                names |= {path.resolve(): name for path, name in names.items() if path.is_symlink()}
            by_name = {name: path for path, name in reversed(names.items())}
            found = self._rebuild(lambda name: by_name.get(name, root / name), names)
            if isinstance(found, _Problem):
                found = replace(found, what=found.what.replace(str(root), "(the folder of the download)"))
            return found

    def _rebuild(
        self, resolve: Callable[[str], Path], names: Mapping[Path, str] | None
    ) -> "tuple[str, ...] | _Problem":
        """Rebuild the model and compare it.

        Args:
            resolve: Returns the path of a file or directory of the artifact.
            names: The names of stand-ins, by their paths; None if there are none.

        Returns:
            The values that come back equal, but as another type; or the first problem.
        """
        rebuilt = self._build(resolve)
        if isinstance(rebuilt, _Problem):
            return rebuilt
        name = self._cls.__name__
        fields = self._fields
        if names is not None:
            try:
                fields = _fill(describe(rebuilt), names)
            except ArtifactModelError as error:
                what = f"{name} could not be published again after a download: {error}"
                return _Problem(what, _OTHER_CURE)
            replace_paths(rebuilt, {path: self._sources[known] for path, known in names.items()})
        changes = list(find_changes(self._artifact, rebuilt))
        if (change := next((change for change in changes if not change.is_equal), None)) is not None:
            what = f"{name}.{change.at} would have a different value after a download"
            return _Problem(f"{what}{_show(change.before, change.after)}", change.cure)
        differing = (f for f in sorted({*fields, *self._fields}) if fields.get(f) != self._fields.get(f))
        if (field := next(differing, None)) is not None:
            return _Problem(f"{name}.{field} would be serialized differently after a download", _OTHER_CURE)
        return tuple(
            f"{change.at} ({type(change.before).__name__} becomes {type(change.after).__name__})"
            for change in changes
        )

    def _build(self, resolve: Callable[[str], Path]) -> "BaseModel | _Problem":
        """Rebuild the model the way a download does it."""
        used: Counter[str] = Counter()

        def place(name: str) -> Path:
            used[name] += 1
            return resolve(name)

        what = f"{self._cls.__name__} could not be rebuilt from its manifest"
        try:
            file_names(self._cls, self._fields)
            rebuilt = rebuild(self._cls, self._fields, place)
        except ManifestError as error:
            return _Problem(f"{what}: {error}", _cure(error))
        except ArtifactModelError:  # the class cannot be an artifact
            raise
        except Exception as error:  # noqa: BLE001 - code of the user's model can raise anything
            return _Problem(f"{what}: {type(error).__name__}: {error}", _OTHER_CURE)
        if ambiguous := sorted((used - self._published) + (self._published - used)):
            what = f"{self._cls.__name__} has a union in which {ambiguous[0]!r} may or may not be a file"
            return _Problem(what, "distinguish its members by a Literal field")
        return rebuilt


def _fill(described: Mapping[str, Node], names: Mapping[Path, str]) -> dict[str, Json]:
    def name_of(ref: FileRef) -> str:
        return names.get(ref.path, str(ref.path))

    return {key: fill(node, name_of) for key, node in described.items()}


def _cure(error: ManifestError) -> str:
    if "Field required" in str(error) or "has no field" in str(error):
        return (
            "the manifest does not have fields that are excluded or that a serializer leaves out: give them "
            "a default"
        )
    return _OTHER_CURE


def _show(before: object, after: object) -> str:
    """Return two simple values for a message; nothing for others, which may be long or hold a path."""
    if all(value is None or isinstance(value, bool | int | float) for value in (before, after)):
        return f" ({after!r}, not {before!r})"
    return ""


@contextlib.contextmanager
def _make_folder(places: Sequence[Place]) -> Iterator[Path]:
    """Make a temporary folder as deep below the root as no source is, so that no depth matches."""
    depths = {len(parent.parts) for parent in {place.source.absolute().parent for place in places}}
    with tempfile.TemporaryDirectory(prefix="ritual-") as folder:
        root = Path(folder).resolve() / "download-1"
        while len(root.parts) in depths:
            root /= "download-1"
        root.mkdir(parents=True)
        for parent in {place.path.rpartition("/")[0] for place in places}:
            (root / parent).mkdir(parents=True, exist_ok=True)
        yield root


def _put_empty(root: Path, places: Sequence[Place]) -> None:
    """Put files of the right size that hold nothing; files of one size are links to one file."""
    then = time.time() - _AGE
    made: dict[int, str] = {}
    for place in places:
        path = f"{root}/{place.path}"
        if place.size in made:
            with contextlib.suppress(OSError):  # too many links, or a file system without them
                os.link(made[place.size], path)
                continue
        with open(path, "xb") as file:  # noqa: PTH123 - there may be many, and this is faster
            file.truncate(place.size)
        os.utime(path, (then, then))
        made[place.size] = path


def _put_copies(root: Path, places: Sequence[Place]) -> None:
    """Put copies of the files, and links for what would be too much to copy."""
    then = time.time() - _AGE
    left = _MAX_COPIED
    for place in sorted(places, key=lambda place: place.size):
        path = root / place.path
        left -= place.size
        if left >= 0:
            shutil.copyfile(place.source, path)
            os.utime(path, (then, then))
        else:
            path.symlink_to(place.source.absolute())

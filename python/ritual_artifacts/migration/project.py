"""Projects: finding the files that use infernet-ml, and writing the migrated files."""

import difflib
import os
import re
import stat
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Final

from ritual_artifacts.core.hashing import write_file
from ritual_artifacts.errors import ArtifactNotFoundError, SourceChangedError
from ritual_artifacts.migration.rewriting import rewrite
from ritual_artifacts.migration.survey import Problem
from ritual_artifacts.migration.table import OLD_PACKAGE

_SOURCES: Final = frozenset({".py", ".pyi", ".pyw"})
_NOTEBOOK: Final = ".ipynb"
_REQUIREMENTS: Final = frozenset(
    {"pyproject.toml", "setup.cfg", "Pipfile", "environment.yml", "environment.yaml"}
)
_SKIPPED: Final = frozenset({"__pycache__", "__pypackages__", "node_modules", "site-packages"})
_SETUP: Final = "setup.py"
_REQUIREMENT: Final = re.compile(r"\b(?P<name>infernet[-_.]ml)\b", re.IGNORECASE)
_REQUIRED_BY_SETUP: Final = re.compile(r"[\"'](?P<name>infernet[-_.]ml)\b(?!\.)", re.IGNORECASE)

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
"""A line of a diff; a form feed does not end a line."""


@dataclass(frozen=True)
class SourceFile:
    """One file of the project that uses infernet-ml.

    Attributes:
        path: The file.
        before: Its current content.
        after: Its migrated content.
        problems: What must be changed manually.
    """

    path: Path
    before: bytes
    after: bytes
    problems: tuple[Problem, ...]

    @property
    def is_changed(self) -> bool:
        """Whether the content changes."""
        return self.before != self.after

    def as_unwritten(self, why: str) -> "SourceFile":
        """Return this file without its changes, and with the reason why it could not be written."""
        problem = Problem(1, "the file", f"could not be written ({why})", "run the command again")
        return replace(self, after=self.before, problems=(problem,))

    def diff(self) -> str:
        """Return the change as a unified diff."""
        old, new = (_LINE.findall(_decode(data)) for data in (self.before, self.after))
        lines = difflib.unified_diff(old, new, f"a/{self.path}", f"b/{self.path}")
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )

    def write(self) -> None:
        """Replace the file's content atomically; the file keeps its permissions.

        Raises:
            SourceChangedError: the file has changed since it was read.
            OSError: it cannot be written.
        """
        mode = stat.S_IMODE(self.path.stat().st_mode)
        with self.path.open("r+b") as file:  # do not replace a file that this user cannot write
            if file.read() != self.before:
                message = f"{self.path} changed while it was being migrated; run the command again"
                raise SourceChangedError(message)
        write_file(self.path, self.after)
        self.path.chmod(mode)


def survey(path: Path) -> list[SourceFile]:
    """Return the files to change, and those with problems, of a project or one file; nothing is written.

    Folders of tools (`.git`, `.venv` and all others whose names begin with a dot), virtual environments and
    installed packages are skipped. Links are not followed.

    Raises:
        ArtifactNotFoundError: the path does not exist.
        OSError: a folder cannot be read.
    """
    if not path.exists():
        message = f"{path} does not exist"
        raise ArtifactNotFoundError(message)
    if path.is_file():
        return [_inspect(path.resolve() if path.is_symlink() else path)]
    return [found for file in _walk(path) if (found := _inspect(file)).is_changed or found.problems]


def _walk(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root, onerror=_raise):
        place = Path(folder)
        subfolders[:] = sorted(name for name in subfolders if not _is_skipped(place / name))
        yield from (place / name for name in sorted(names) if _is_wanted(place / name))


def _raise(error: OSError) -> None:
    raise error


def _is_skipped(folder: Path) -> bool:
    is_tools = folder.name.startswith(".") or folder.name in _SKIPPED
    return is_tools or folder.is_symlink() or (folder / "pyvenv.cfg").exists()


def _is_wanted(path: Path) -> bool:
    return path.suffix in {*_SOURCES, _NOTEBOOK} or _is_requirements(path)


def _is_requirements(path: Path) -> bool:
    return path.name in _REQUIREMENTS or (
        path.suffix in {".txt", ".in"}
        and (path.name.startswith("constraints") or any("requirements" in part for part in path.parts[-2:]))
    )


def _inspect(path: Path) -> SourceFile:
    try:
        data = path.read_bytes() if path.is_file() else b""  # reading a FIFO would block
    except OSError as error:
        problem = Problem(1, "the file", f"cannot be read ({error.strerror})", "change its permissions")
        return SourceFile(path, b"", b"", (problem,))
    if _is_requirements(path):
        return SourceFile(path, data, data, tuple(_find_requirements(data)))
    required = tuple(_find_requirements(data, _REQUIRED_BY_SETUP)) if path.name == _SETUP else ()
    found = _inspect_source(path, data)
    return replace(found, problems=tuple(sorted({*required, *found.problems})))


def _inspect_source(path: Path, data: bytes) -> SourceFile:
    if OLD_PACKAGE.encode() not in data:
        return SourceFile(path, data, data, ())
    if path.is_symlink():
        problem = Problem(1, "the file", f"is a link to {path.resolve()}", "migrate that file")
    elif path.suffix == _NOTEBOOK:
        problem = Problem(
            1, "the notebook", "uses infernet_ml, but notebooks are not changed", "edit its cells"
        )
    else:
        return _rewrite(path, data)
    return SourceFile(path, data, data, (problem,))


def _rewrite(path: Path, data: bytes) -> SourceFile:
    try:
        rewritten = rewrite(data)
    except SyntaxError as error:
        line = error.lineno or 1
        problem = Problem(line, "the file", f"cannot be parsed as Python: {error.msg}", "fix the error")
        return SourceFile(path, data, data, (problem,))
    return SourceFile(path, data, rewritten.source, rewritten.problems)


def _find_requirements(data: bytes, pattern: re.Pattern[str] = _REQUIREMENT) -> Iterator[Problem]:
    why = "only imports are changed"
    hint = "add ritual-artifacts, and remove infernet-ml when nothing imports it any more"
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if match := pattern.search(line):
            yield Problem(number, f"the requirement {match['name']}", why, hint)


def _decode(data: bytes) -> str:
    """Decode source code with the encoding that its first lines declare; line endings are kept."""
    encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
    return data.decode(encoding)

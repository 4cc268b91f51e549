"""The command `migrate`: rewrites a project's imports of infernet-ml."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ritual_artifacts.cli.locations import parse_path
from ritual_artifacts.cli.output import JsonOption, printable, say, show, show_json
from ritual_artifacts.errors import ArtifactError, SourceChangedError

if TYPE_CHECKING:
    from ritual_artifacts.migration.project import SourceFile


def migrate(
    path: Annotated[Path, typer.Argument(parser=parse_path, help="A project's folder, or a Python file.")],
    diff: Annotated[bool, typer.Option("--diff", help="Show the changes and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rewrite a project's imports of infernet-ml.

    Comments and formatting are kept. What cannot be migrated is listed as FILE:LINE, with the reason and
    what to do. Exit code 1 if something must be changed manually.
    """
    found = _survey(path)
    if not diff:
        found = [_write(file) if file.is_changed else file for file in found]
    changed = [file for file in found if file.is_changed]
    if as_json:
        show_json(_report(found, diff=diff))
    else:
        for file in changed:
            if diff:
                _show_diff(file.diff())
            else:
                show(f"migrated {file.path}")
        for file in found:
            for problem in file.problems:
                show(f"{file.path}:{problem.line}: {problem}")
        _summarize(found, diff=diff)
    if any(file.problems for file in found):
        raise typer.Exit(1)


def _write(file: "SourceFile") -> "SourceFile":
    """Write one file; a failure is reported as a problem, and does not stop the other files."""
    try:
        file.write()
    except SourceChangedError:
        return file.as_unwritten("it changed in the meantime")
    except OSError as error:
        return file.as_unwritten(error.strerror or type(error).__name__)
    return file


def _show_diff(text: str) -> None:
    """Print a diff with its tabs; other control characters are escaped."""
    for line in text.removesuffix("\n").split("\n"):
        typer.echo("\t".join(map(printable, line.removesuffix("\r").split("\t"))))


def _survey(path: Path) -> "list[SourceFile]":
    try:
        from ritual_artifacts.migration import project  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        if error.name != "libcst":
            raise
        message = "migrate needs the extra 'migrate': pip install 'ritual-artifacts[migrate]'"
        raise ArtifactError(message) from None
    return project.survey(path)


def _report(found: "list[SourceFile]", *, diff: bool) -> dict[str, object]:
    return {
        "written": not diff,
        "changed": [{"path": str(file.path), "diff": file.diff()} for file in found if file.is_changed],
        "problems": [
            {
                "path": str(file.path),
                "line": problem.line,
                "what": problem.what,
                "why": problem.why,
                "hint": problem.hint,
            }
            for file in found
            for problem in file.problems
        ],
    }


def _summarize(found: "list[SourceFile]", *, diff: bool) -> None:
    changed = sum(file.is_changed for file in found)
    left = sum(len(file.problems) for file in found)
    verb = "would change" if diff else "changed"
    files = "1 file" if changed == 1 else f"{changed} files"
    places = "1 place needs" if left == 1 else f"{left} places need"
    say(f"{files} {verb}; {places} manual changes" if left else f"{files} {verb}; no manual changes needed")

"""Output of the command line: data on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from ritual_artifacts.artifact.manifest import AnyManifest, Manifest
from ritual_artifacts.core.hashing import is_sha256
from ritual_artifacts.errors import Mismatch
from ritual_artifacts.events import Progress, ProgressCallback

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace your own files that have the same names.")
]

_UNLIMITED_WIDTH = 1_000_000
"""Width of a pipe or file: lines for programs are neither wrapped nor truncated."""
SHORT_DIGEST = 16
"""Number of hex digits in a shortened digest for people."""
_FULL_DIGEST_WIDTH = 110
"""Minimum width of a terminal for tables with full digests; narrower ones show shortened digests."""


def check_digest(text: str | None) -> str | None:
    """Check the value of an option for a digest."""
    if text is not None and not is_sha256(text.removeprefix("sha256:")):
        message = f"expected 'sha256:' and 64 lower-case hex digits, got {text!r}"
        raise typer.BadParameter(message)
    return text


DigestOption = Annotated[
    str | None,
    typer.Option("--digest", callback=check_digest, help="Accept only the artifact with this digest."),
]


def printable(text: str) -> str:
    """Escape what a terminal would interpret: control and formatting characters, invalid Unicode."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _console(*, stderr: bool) -> Console:
    # Names are untrusted: no markup, no emoji codes, no highlighting.
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not _is_terminal(stderr=stderr):  # rich would follow FORCE_COLOR
        console.width = _UNLIMITED_WIDTH
    return console


def _is_terminal(*, stderr: bool) -> bool:
    return (sys.stderr if stderr else sys.stdout).isatty()


def say(text: str) -> None:
    """Print a message for people on standard error."""
    _console(stderr=True).print(printable(text), soft_wrap=True)


def show(text: str) -> None:
    """Print a line of data on standard output."""
    _console(stderr=False).print(printable(text), soft_wrap=True)


def show_json(value: Any) -> None:  # noqa: ANN401 - any JSON
    """Print JSON on standard output."""
    typer.echo(json.dumps(value, indent=2))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; the columns `size` and `files` are aligned as numbers."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
        column.justify = "right" if column.header in {"size", "files"} else "left"
        column.no_wrap = column.header not in {"file", "repository", "version"}
    for row in rows:
        table.add_row(*map(printable, row))
    _console(stderr=False).print(table)


def show_manifest(manifest: AnyManifest, title: str) -> None:
    """Print a manifest as a table of its files and a list of its fields."""
    show(title)
    console = _console(stderr=False)
    rows = [
        (
            entry.path,
            "?" if entry.size is None else f"{entry.size:,}",
            entry.sha256 if console.width >= _FULL_DIGEST_WIDTH else f"{entry.sha256[:SHORT_DIGEST]}…",
        )
        for entry in manifest.files
    ]
    show_table(["file", "size", "sha256"], rows)
    names = {entry.path for entry in manifest.files}
    metadata = {k: v for k, v in manifest.fields.items() if not _names_files(v, names)}
    show(f"type    {manifest.artifact_type}")
    for name, value in metadata.items():
        show(f"field   {name} = {json.dumps(value, ensure_ascii=False)}")
    digest = manifest.digest if isinstance(manifest, Manifest) else "unknown: the manifest has no sizes"
    show(f"digest  {digest}")


def _names_files(value: Any, names: set[str]) -> bool:  # noqa: ANN401 - any JSON
    parts = value if isinstance(value, list) else [value]
    return bool(parts) and all(isinstance(part, str) and part in names for part in parts)


def show_mismatches(found: Sequence[Mismatch], success: str, *, as_json: bool) -> None:
    """Print the mismatches of a verification and exit with code 1, or print `success` if there are none."""
    if as_json:
        show_json({"ok": not found, "mismatches": [_mismatch_json(mismatch) for mismatch in found]})
    elif found:
        for mismatch in found:
            show(f"MISMATCH {mismatch}")
    else:
        show(f"OK {success}")
    if found:
        raise typer.Exit(1)


def _mismatch_json(mismatch: Mismatch) -> dict[str, str | None]:
    return {
        "path": mismatch.path,
        "field": mismatch.field,
        "expected": mismatch.expected,
        "actual": mismatch.actual,
        "source": mismatch.source,
    }


def human_size(size: int) -> str:
    """Return a size for people, such as `1.5 GB`."""
    return decimal(size)


def count_files(manifest: AnyManifest, sizes: Mapping[str, int] | None = None) -> str:
    """Format the number of files of an artifact and their total size, where it is known."""
    count = len(manifest.files)
    files = f"{count} file{'' if count == 1 else 's'}"
    if sizes is not None:
        return f"{files}, {human_size(sum(sizes.values()))}"
    return f"{files}, {human_size(manifest.size)}" if isinstance(manifest, Manifest) else files


@contextmanager
def progress_bar() -> Iterator[ProgressCallback | None]:
    """Show a progress bar on standard error while the block runs, if that is a terminal."""
    console = _console(stderr=True)
    if not (_is_terminal(stderr=True) and console.is_interactive):
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[files]}"),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(progress.stage, total=None, files="")
            total = progress.bytes_total or None
            counted = f"{progress.files_done}/{progress.files_total} files" if progress.files_total else ""
            bars.update(tasks[progress.stage], completed=progress.bytes_done, total=total, files=counted)

        yield report

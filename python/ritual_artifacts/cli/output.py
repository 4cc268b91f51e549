"""What the command line prints: data on standard output, everything else on standard error."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from ritual_artifacts.errors import Mismatch
from ritual_artifacts.manifest import Manifest
from ritual_artifacts.progress import Progress, ProgressCallback

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

_PIPED_WIDTH = 160


def _console(*, stderr: bool) -> Console:
    # Names come from strangers: no markup, no emoji codes, no highlighting.
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def say(text: str, *, style: str | None = None) -> None:
    """Print a line for people on standard error."""
    _console(stderr=True).print(text, style=style, soft_wrap=True)


def show(text: str) -> None:
    """Print a line of data on standard output."""
    _console(stderr=False).print(text, soft_wrap=True)


def show_json(value: Any) -> None:  # noqa: ANN401 - any JSON
    """Print JSON on standard output."""
    typer.echo(json.dumps(value, indent=2))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Print a table on standard output."""
    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
        column.justify = "right" if column.header in {"size", "files"} else "left"
    for row in rows:
        table.add_row(*row)
    _console(stderr=False).print(table)


def show_manifest(manifest: Manifest, title: str) -> None:
    """Print a manifest as a table of its files and a list of its fields."""
    rows = [
        (entry.path, "?" if entry.size is None else f"{entry.size:,}", entry.sha256)
        for entry in manifest.files
    ]
    show_table(["file", "size", "sha256"], rows, title)
    names = {entry.path for entry in manifest.files}
    metadata = {k: v for k, v in manifest.fields.items() if not _names_files(v, names)}
    show(f"type      {manifest.artifact_type}")
    for name, value in metadata.items():
        show(f"metadata  {name} = {json.dumps(value)}")
    show(f"digest    {manifest.digest or 'unknown: the manifest has no sizes'}")


def _names_files(value: Any, names: set[str]) -> bool:  # noqa: ANN401 - any JSON
    parts = value if isinstance(value, list) else [value]
    return bool(parts) and all(isinstance(part, str) and part in names for part in parts)


def mismatch_json(mismatch: Mismatch) -> dict[str, str | None]:
    """Return a mismatch as JSON."""
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


@contextmanager
def progress_bar() -> Iterator[ProgressCallback | None]:
    """Show a bar on standard error while the block runs; nothing where that is no terminal."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(progress.stage)
            bars.update(tasks[progress.stage], completed=progress.bytes_done, total=progress.bytes_total)

        yield report

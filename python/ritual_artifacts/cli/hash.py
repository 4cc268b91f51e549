"""`hash`: digests in the format of `sha256sum`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ritual_artifacts.cli.output import JsonOption, progress_bar, say, show_json
from ritual_artifacts.hashing import FileDigest, hash_files
from ritual_artifacts.progress import ProgressMeter


def hash_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files.")],
    as_json: JsonOption = False,
) -> None:
    """Print the SHA-256 of files, as sha256sum does; exit code 1 when one cannot be read."""
    total = sum(path.stat().st_size for path in paths if path.is_file())
    with progress_bar() as progress:
        meter = ProgressMeter(progress, "hash", total)
        results = hash_files(paths, progress=meter.advance, return_exceptions=True)
    digests = [result for result in results if isinstance(result, FileDigest)]
    if as_json:
        show_json([{"path": str(d.path), "size": d.size, "sha256": d.sha256} for d in digests])
    else:
        for digest in digests:
            typer.echo(_format_line(digest))
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, Exception):
            strerror = result.strerror if isinstance(result, OSError) else None
            say(f"error: {path}: {strerror}" if strerror else f"error: {result}")
    if len(digests) < len(results):
        raise typer.Exit(1)


def _format_line(digest: FileDigest) -> bytes:
    r"""Format one line; a name with a line break or backslash is escaped as coreutils does, marked by `\`.

    Bytes, because a file's name need not be valid Unicode.
    """
    name = str(digest.path)
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "" if escaped == name else "\\"
    return os.fsencode(f"{mark}{digest.sha256}  {escaped}")

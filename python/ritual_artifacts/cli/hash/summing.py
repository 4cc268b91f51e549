"""`hash` without `--check`: prints the digests of files, folders and streams."""

import os
from collections.abc import Sequence

from ritual_artifacts.cli.hash.lines import LineFormat
from ritual_artifacts.cli.hash.printing import describe_failure, print_lines, print_messages
from ritual_artifacts.cli.hash.reading import read_digests
from ritual_artifacts.cli.output import show_json


def sum_files(names: Sequence[str], line_format: LineFormat, *, recursive: bool, as_json: bool) -> bool:
    """Print the digest of each file, and return whether all could be read."""
    found, errors = _find_files(names) if recursive else (names, [])
    failures = [describe_failure(os.fsdecode(error.filename), error) for error in errors]
    lines, values = [], []
    for name, reading in zip(found, read_digests(found, streams=set(names)), strict=True):
        if isinstance(reading, Exception):
            failures.append(describe_failure(name, reading))
        elif as_json:
            values.append({"path": name, "size": reading.size, "sha256": reading.sha256})
        else:
            lines.append(line_format.format(name, reading.sha256))
    if as_json:
        show_json(values)
    else:
        print_lines(lines)
    print_messages(failures)
    return not failures


def _find_files(names: Sequence[str]) -> tuple[list[str], list[OSError]]:
    """Replace each folder with the files below it, sorted by bytes; also return errors of listing folders.

    A link to a file counts as a file. A link to a folder is followed only if it is one of `names`.
    """
    found: list[str] = []
    errors: list[OSError] = []
    for name in names:
        if not os.path.isdir(name):  # noqa: PTH112 - a Path would change the name
            found.append(name)
            continue
        below = [
            os.path.join(folder, file)  # noqa: PTH118 - as above
            for folder, _, files in os.walk(name, onerror=errors.append)
            for file in files
        ]
        found += sorted(below, key=os.fsencode)
    return found, errors

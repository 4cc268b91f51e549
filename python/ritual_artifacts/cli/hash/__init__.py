"""The command `hash`: `sha256sum`, but all files of a call are hashed at the same time.

Output, messages and exit codes are those of GNU coreutils 9.1. The only differences: messages start with
`error:` or `warning:`, and the exit code for invalid usage is 2.
"""

from typing import Annotated

import typer

from ritual_artifacts.cli.hash.checking import CheckOptions, check_files
from ritual_artifacts.cli.hash.lines import LineFormat
from ritual_artifacts.cli.hash.reading import STDIN
from ritual_artifacts.cli.hash.summing import sum_files
from ritual_artifacts.cli.output import JsonOption


def hash_(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Files; '-' or none for standard input.", show_default=False),
    ] = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", "-c", help="Read digests from the files and check them.")
    ] = False,
    recursive: Annotated[
        bool,
        typer.Option("--recursive", "-r", help="Hash the files in folders; linked folders are skipped."),
    ] = False,
    tag: Annotated[bool, typer.Option("--tag", help="Print lines in BSD style.")] = False,
    zero: Annotated[
        bool, typer.Option("--zero", "-z", help="End lines with NUL and do not escape names.")
    ] = False,
    binary: Annotated[bool, typer.Option("--binary", "-b", help="Mark names with '*'.")] = False,
    text: Annotated[bool, typer.Option("--text", "-t", help="Mark names with a space (default).")] = False,
    ignore_missing: Annotated[
        bool, typer.Option("--ignore-missing", help="With --check: skip missing files.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="With --check: print no line for a file that matches.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="With --check: print nothing, and set only the exit code.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --check: treat a malformed line as a failure.")
    ] = False,
    warn: Annotated[
        bool, typer.Option("--warn", "-w", help="With --check: warn about each malformed line.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print or check SHA-256 digests, like sha256sum.

    Exit code 1 if a file fails.
    """
    formatting = {"--tag": tag, "--zero": zero, "--binary": binary, "--text": text}
    checking = {
        "--ignore-missing": ignore_missing,
        "--quiet": quiet,
        "--status": status,
        "--strict": strict,
        "--warn": warn,
    }
    if check:
        _refuse(formatting | {"--recursive": recursive}, "is meaningless when verifying checksums")
    else:
        _refuse(checking, "is meaningful only when verifying checksums")
    if as_json:
        _refuse(formatting, "is meaningless with --json")
    if binary and text:
        message = "the --binary and --text options exclude each other"
        raise typer.BadParameter(message)

    names = paths or [STDIN]
    if check:
        options = CheckOptions(
            ignore_missing=ignore_missing, quiet=quiet, status=status, strict=strict, warn=warn
        )
        ok = check_files(names, options, as_json=as_json)
    else:
        line_format = LineFormat(tag=tag, zero=zero, binary=binary)
        ok = sum_files(names, line_format, recursive=recursive, as_json=as_json)
    if not ok:
        raise typer.Exit(1)


def _refuse(options: dict[str, bool], reason: str) -> None:
    for option, given in options.items():
        if given:
            message = f"the {option} option {reason}"
            raise typer.BadParameter(message)

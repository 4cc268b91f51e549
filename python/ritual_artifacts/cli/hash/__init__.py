"""`hash`: what `sha256sum` does, with all files of a call hashed at once.

Output, messages and exit codes are those of GNU coreutils 9.1, except that messages start with `error:` or
`warning:` and that wrong usage ends with 2.
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
        typer.Argument(metavar="FILE", help="Files; '-' or none: standard input.", show_default=False),
    ] = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", "-c", help="Read digests from the files, and check them.")
    ] = False,
    recursive: Annotated[
        bool,
        typer.Option("--recursive", "-r", help="Hash what is in folders; linked folders are not entered."),
    ] = False,
    tag: Annotated[bool, typer.Option("--tag", help="Print lines in BSD's style.")] = False,
    zero: Annotated[
        bool, typer.Option("--zero", "-z", help="End lines with NUL and escape no names.")
    ] = False,
    binary: Annotated[bool, typer.Option("--binary", "-b", help="Mark names with '*'.")] = False,
    text: Annotated[bool, typer.Option("--text", "-t", help="Mark names with a space (default).")] = False,
    ignore_missing: Annotated[
        bool, typer.Option("--ignore-missing", help="With --check: pass over files that are not there.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="With --check: print no line for a file that is as it should be.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="With --check: print nothing; the exit code tells.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --check: a malformed line is a failure.")
    ] = False,
    warn: Annotated[
        bool, typer.Option("--warn", "-w", help="With --check: warn of each malformed line.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print or check SHA-256 digests, as sha256sum does; exit code 1 when a file fails."""
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
        well = check_files(names, options, as_json=as_json)
    else:
        line_format = LineFormat(tag=tag, zero=zero, binary=binary)
        well = sum_files(names, line_format, recursive=recursive, as_json=as_json)
    if not well:
        raise typer.Exit(1)


def _refuse(options: dict[str, bool], reason: str) -> None:
    for option, given in options.items():
        if given:
            message = f"the {option} option {reason}"
            raise typer.BadParameter(message)

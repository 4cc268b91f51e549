"""The command line, `ritual-artifacts`.

Data goes to standard output, everything else to standard error; errors are text there with `--json` too.
Exit codes: 0 done, 1 mismatch or failure, 2 usage, 3 network, 4 authentication, 130 interrupted.
"""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from ritual_artifacts import __version__
from ritual_artifacts.cli.artifacts import copy, diff, download, inspect, upload
from ritual_artifacts.cli.arweave import estimate, status, wallet_app
from ritual_artifacts.cli.demo import demo
from ritual_artifacts.cli.doctor import doctor
from ritual_artifacts.cli.hash import hash_
from ritual_artifacts.cli.migrate import migrate
from ritual_artifacts.cli.output import say, show
from ritual_artifacts.cli.storage import cache_app, ls, store_app
from ritual_artifacts.cli.verify import verify
from ritual_artifacts.errors import ArtifactError, AuthenticationError, RepoIdError

PROGRAM = "ritual-artifacts"
FAILURE, USAGE, NETWORK, AUTHENTICATION, INTERRUPTED = 1, 2, 3, 4, 130

# Tracebacks that show local variables could show a token.
app = typer.Typer(
    name=PROGRAM,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Publish and download typed artifacts, every byte verified.",
)
for command in (demo, upload, download, verify, inspect, ls, diff, copy, estimate, status, migrate, doctor):
    app.command()(command)
app.command("hash")(hash_)
app.add_typer(cache_app, name="cache")
app.add_typer(store_app, name="store")
app.add_typer(wallet_app, name="wallet")


def _show_version(wanted: bool) -> None:
    if wanted:
        show(f"ritual-artifacts {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    _prepare_streams()
    try:
        app(prog_name=PROGRAM)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer turns Ctrl-C into this code
            say(f"interrupted; {_describe_interruption(stop)}")
        raise
    except (ArtifactError, OSError) as error:
        say(f"error: {_describe(error)}")
        sys.exit(_exit_code(error))


def _describe_interruption(stop: BaseException) -> str:
    """Return what the interrupted call says about its state: an upload says what is posted and paid."""
    error: BaseException | None = stop
    while error is not None:
        if isinstance(error, KeyboardInterrupt) and (notes := getattr(error, "__notes__", [])):
            return f"{'; '.join(notes)}: run the same command again"
        error = error.__cause__ or error.__context__
    return "no incomplete file was left in place; the same command resumes a download"


def _prepare_streams() -> None:
    """Make standard output and error accept all text."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the command started
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, TextIOWrapper):  # characters that its encoding lacks are escaped
            stream.reconfigure(errors="backslashreplace")


def _describe(error: Exception) -> str:
    """Say what went wrong; an error of the operating system without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _exit_code(error: Exception) -> int:
    match error:
        case RepoIdError():
            return USAGE
        case ConnectionError() | TimeoutError():  # TransferError is a ConnectionError
            return NETWORK
        case AuthenticationError():
            return AUTHENTICATION
        case _:
            return FAILURE

"""The command line, `ritual-artifacts`.

Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 mismatch or failure,
2 usage, 3 network, 4 authentication, 130 interrupted.
"""

import sys
from typing import Annotated

import typer

from ritual_artifacts import __version__
from ritual_artifacts.cli.artifacts import copy, diff, download, inspect, upload, verify
from ritual_artifacts.cli.demo import demo
from ritual_artifacts.cli.doctor import doctor
from ritual_artifacts.cli.hash import hash_
from ritual_artifacts.cli.output import say, show
from ritual_artifacts.cli.storage import cache_app, ls, store_app
from ritual_artifacts.errors import ArtifactError, AuthenticationError, RepoIdError, TransferError

FAILURE, USAGE, NETWORK, AUTHENTICATION, INTERRUPTED = 1, 2, 3, 4, 130

# Tracebacks that show local variables could show a token.
app = typer.Typer(
    name="ritual-artifacts",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Publish typed artifacts and bring them back, every byte verified.",
)
for command in (demo, upload, download, verify, inspect, ls, diff, copy, doctor):
    app.command()(command)
app.command("hash")(hash_)
app.add_typer(cache_app, name="cache")
app.add_typer(store_app, name="store")


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        show(f"ritual-artifacts {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        app()
    except KeyboardInterrupt:
        say("interrupted; what was finished is kept, the same command continues")
        sys.exit(INTERRUPTED)
    except (ArtifactError, OSError) as error:
        say(f"error: {error}")
        sys.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    match error:
        case RepoIdError():
            return USAGE
        case TransferError():
            return NETWORK
        case AuthenticationError():
            return AUTHENTICATION
        case _:
            return FAILURE

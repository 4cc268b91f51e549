"""`wallet`, `estimate`, `status`, and the options of uploads that Arweave alone understands.

There is no option for a key: a wallet is named by its file.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ritual_artifacts.backends import load_backend
from ritual_artifacts.cli.locations import open_repo, parse_path
from ritual_artifacts.cli.output import JsonOption, human_size, say, show, show_json
from ritual_artifacts.errors import BackendError
from ritual_artifacts.models.artifact import plan_model
from ritual_artifacts.repo_id import StorageId

if TYPE_CHECKING:
    from ritual_artifacts.backends.arweave import ArweaveBackend, Wallet

_MANIFEST_BYTES: Final = 512
"""For each file, in each of the two manifests."""

wallet_app = typer.Typer(
    no_args_is_help=True, help="The Arweave wallet: its address, its balance, a new one."
)

WalletOption = Annotated[
    Path | None,
    typer.Option("--wallet", help="Arweave: the JWK file; default ARWEAVE_WALLET_FILE_PATH."),
]
MaxCostOption = Annotated[
    str | None, typer.Option("--max-cost", metavar="AR", help="Arweave: refuse an upload that costs more.")
]
BundleOption = Annotated[
    bool, typer.Option("--bundle", help="Arweave: small files and manifests in one transaction.")
]
ConfirmationsOption = Annotated[
    int | None,
    typer.Option("--confirmations", min=0, help="Arweave: wait until it is so many blocks deep."),
]
ReseedOption = Annotated[
    bool, typer.Option("--reseed", help="Arweave: post again what the network has lost.")
]


def parse_cost(text: str | None) -> int | None:
    """Return an amount in AR as winston."""
    from ritual_artifacts.backends.arweave.encoding import parse_ar  # noqa: PLC0415 - with its whole backend

    try:
        return None if text is None else parse_ar(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def describe_cost(winston: str) -> str:
    """Say what an upload has cost."""
    from ritual_artifacts.backends.arweave.encoding import format_ar  # noqa: PLC0415 - with its whole backend

    return f"paid {format_ar(int(winston))}" if int(winston) else "nothing had to be paid"


@wallet_app.command("address")
def show_address(wallet: WalletOption = None, as_json: JsonOption = False) -> None:
    """Print the wallet's address, which owns whatever is published with it."""
    address = _load_wallet(wallet).address
    show_json({"address": address}) if as_json else show(address)


@wallet_app.command("balance")
def show_balance(wallet: WalletOption = None, as_json: JsonOption = False) -> None:
    """Print what the wallet has, in AR."""
    from ritual_artifacts.backends.arweave.encoding import format_ar  # noqa: PLC0415 - with its whole backend

    address = _load_wallet(wallet).address
    winston = _open_backend().network.read_balance(address)
    if as_json:
        show_json({"address": address, "winston": str(winston), "ar": format_ar(winston).removesuffix(" AR")})
    else:
        show(format_ar(winston))


@wallet_app.command("new")
def make_wallet(
    path: Annotated[Path, typer.Argument(parser=parse_path, help="The file; it must not be there yet.")],
    as_json: JsonOption = False,
) -> None:
    """Make a new key in a file that only you may read. Whoever loses that file loses what it owns."""
    from ritual_artifacts.backends.arweave import Wallet  # noqa: PLC0415 - with its whole backend

    address = Wallet.create(path).address
    if as_json:
        show_json({"address": address, "path": str(path)})
    else:
        say(f"the key is in {path}; keep a copy in a safe place")
        show(address)


def estimate(
    path: Annotated[Path, typer.Argument(parser=parse_path, help="A folder or a file.")],
    as_json: JsonOption = False,
) -> None:
    """Ask what it costs to publish a folder or a file on Arweave; nothing is paid."""
    from ritual_artifacts.backends.arweave.encoding import format_ar  # noqa: PLC0415 - with its whole backend

    plan = plan_model(path)
    # The manifests' sizes are not known before the files are hashed: some hundred bytes for each file.
    manifests = [_MANIFEST_BYTES * (1 + len(plan.files))] * 2
    winston = _open_backend().estimate([*(file.size for file in plan.files), *manifests])
    if as_json:
        ar = format_ar(winston).removesuffix(" AR")
        show_json({"files": len(plan.files), "bytes": plan.size, "winston": str(winston), "ar": ar})
    else:
        noun = "file" if len(plan.files) == 1 else "files"
        say(f"{len(plan.files)} {noun}, {human_size(plan.size)}; what is stored already costs nothing again")
        show(format_ar(winston))


def status(
    repo: Annotated[
        str, typer.Argument(metavar="REPO|ID", help="arweave/owner/name[/version], or a transaction.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Say whether something on Arweave is pending, confirmed, or dropped by the network (exit code 1)."""
    from ritual_artifacts.backends.arweave.encoding import is_id  # noqa: PLC0415 - with its whole backend

    backend = _open_backend()
    if is_id(repo):
        transaction = backend.find_holder(repo)
    else:
        repo_id, _ = open_repo(repo)
        if repo_id.storage is not StorageId.Arweave:
            message = f"{repo_id} is not on Arweave; only there things have to be confirmed"
            raise BackendError(message)
        transaction = backend.find_transaction(repo_id)
    found = backend.network.read_status(transaction)
    if as_json:
        show_json(
            {
                "transaction": transaction,
                "state": found.state,
                "confirmations": found.confirmations,
                "height": found.height,
            }
        )
    else:
        blocks = f", {found.confirmations} blocks deep" if found.confirmations else ""
        show(f"{transaction} {found.state}{blocks}")
    if found.state == "dropped":
        raise typer.Exit(1)


def _open_backend() -> "ArweaveBackend":
    from ritual_artifacts.backends.arweave import ArweaveBackend  # noqa: PLC0415 - imported when it is needed

    backend = load_backend(StorageId.Arweave)
    if not isinstance(backend, ArweaveBackend):
        message = "another package's backend for Arweave is installed, and this command is about our own"
        raise BackendError(message)
    return backend


def _load_wallet(path: Path | None) -> "Wallet":
    from ritual_artifacts.backends.arweave import Wallet  # noqa: PLC0415 - imported when it is needed

    return Wallet.load(path)

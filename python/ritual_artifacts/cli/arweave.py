"""The commands `wallet …`, `estimate` and `status`: payment and confirmation on Arweave.

There is no option for a key: a wallet is given as a file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ritual_artifacts.backends import connect, find_storage
from ritual_artifacts.cli.artifacts import TypeOption, ValuesOption, plan_upload
from ritual_artifacts.cli.locations import parse_path, parse_repo
from ritual_artifacts.cli.options import Given, takes_storage_options
from ritual_artifacts.cli.output import JsonOption, human_size, say, show, show_json
from ritual_artifacts.context import Context
from ritual_artifacts.errors import BackendError
from ritual_artifacts.repo_id import StorageId

if TYPE_CHECKING:
    from ritual_artifacts.backends.arweave import ArweaveBackend, Wallet

_ANY_REPO = "arweave/wallet/estimate"
"""The repository of an estimate when the user gives none."""

wallet_app = typer.Typer(no_args_is_help=True, help="Show an Arweave wallet, or create one.")

WalletOption = Annotated[
    Path | None,
    typer.Option("--wallet", help="The JWK file; default ARWEAVE_WALLET_FILE_PATH."),
]


@wallet_app.command("address")
def show_address(wallet: WalletOption = None, as_json: JsonOption = False) -> None:
    """Print the wallet's address.

    It is the owner of everything that is published with the wallet.
    """
    address = _load_wallet(wallet, Context.create()).address
    show_json({"address": address}) if as_json else show(address)


@wallet_app.command("balance")
def show_balance(wallet: WalletOption = None, as_json: JsonOption = False) -> None:
    """Print the wallet's balance, in AR."""
    from ritual_artifacts.backends.arweave.encoding import format_ar  # noqa: PLC0415 - with its whole backend

    context = Context.create()
    address = _load_wallet(wallet, context).address
    winston = _connect(context).read_balance(address)
    if as_json:
        show_json({"address": address, "winston": str(winston), "ar": format_ar(winston).removesuffix(" AR")})
    else:
        show(format_ar(winston))


@wallet_app.command("new")
def make_wallet(
    path: Annotated[Path, typer.Argument(parser=parse_path, help="The file; it must not exist yet.")],
    as_json: JsonOption = False,
) -> None:
    """Create a wallet in a file that only you can read.

    Keep a copy: what the wallet owns is lost with the file.
    """
    from ritual_artifacts.backends.arweave import Wallet  # noqa: PLC0415 - with its whole backend

    address = Wallet.create(path).address
    if as_json:
        show_json({"address": address, "path": str(path)})
    else:
        say(f"the key is in {path}; keep a copy in a safe place")
        show(address)


@takes_storage_options(upload=True)
def estimate(
    path: Annotated[Path, typer.Argument(parser=parse_path, help="A folder or a file.")],
    repo: Annotated[
        str, typer.Argument(help="Where it would be published. Default: Arweave.", show_default=False)
    ] = _ANY_REPO,
    *,
    type_: TypeOption = None,
    values: ValuesOption = None,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Show the price of publishing a folder, a file or a typed artifact.

    Nothing is paid.
    """
    repository = parse_repo(repo, given, Context.create())
    given.refuse_foreign(repository.storage, upload=repository.storage)
    plan, _ = plan_upload(path, type_, values or [])
    backend = repository.connect()
    options = backend.upload_options(given.upload(repository.storage))
    price = backend.estimate(plan, repository.repo_id, options)
    if as_json:
        details = {"free": True} if price is None else dict(price.details)
        show_json({"files": len(plan.files), "bytes": plan.size, **details})
        return
    noun = "file" if len(plan.files) == 1 else "files"
    if price is None:
        say(f"{len(plan.files)} {noun}, {human_size(plan.size)}")
        show("free")
    else:
        say(f"{len(plan.files)} {noun}, {human_size(plan.size)}; files that are already stored are free")
        show(price.text)


@takes_storage_options()
def status(
    repo: Annotated[
        str, typer.Argument(metavar="REPO|ID", help="arweave/owner/name[/version], or a transaction.")
    ],
    *,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Show whether an upload to Arweave is confirmed.

    It is pending, confirmed, or dropped by the network. Exit code 1 if it is dropped.
    """
    from ritual_artifacts.backends.arweave.encoding import is_id  # noqa: PLC0415 - with its whole backend

    storage = find_storage(StorageId.Arweave)
    given.refuse_foreign(storage)
    options = given.connection(storage)
    context = Context.create()
    if is_id(repo):
        backend = _connect(context, options)
        transaction = backend.find_holder(repo)
    else:
        repository = parse_repo(repo, given, context)
        if repository.repo_id.storage != StorageId.Arweave:
            message = f"{repository.repo_id} is not on Arweave; only uploads to Arweave have a status"
            raise BackendError(message)
        backend = _connect(context, options)
        transaction = backend.find_transaction(repository.repo_id)
    found = backend.read_status(transaction)
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


def _connect(context: Context, options: Mapping[str, Any] | None = None) -> "ArweaveBackend":
    from ritual_artifacts.backends.arweave import ArweaveBackend  # noqa: PLC0415 - imported when it is needed

    backend = connect(StorageId.Arweave, options, context)
    if not isinstance(backend, ArweaveBackend):
        message = "this command needs the built-in Arweave backend, but another package replaces it"
        raise BackendError(message)
    return backend


def _load_wallet(path: Path | None, context: Context) -> "Wallet":
    from ritual_artifacts.backends.arweave import Wallet  # noqa: PLC0415 - imported when it is needed

    return Wallet.load(path or context.settings.wallet_path)

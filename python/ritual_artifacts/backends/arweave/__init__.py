"""Arweave: permanent uploads that survive a crash, and downloads that trust no gateway.

An upload signs everything, writes it to a journal, and then posts it: files first, the path manifest that
names them last. A download checks each transaction (id, signature, owner) and compares the data with what
the owner signed, so no gateway can forge a byte.

The modules stand on each other in this order; imports only go down (see `pyproject.toml`)::

    storage      what Arweave is like as a storage      reading/   transactions and data items, verified
    backend      a connection                           index      what gateways list, unverified
    upload/      from an artifact to posted chunks      network    several gateways as one
    result       an `UploadResult`                      asking     the loop: ask in turn, pause, give up
    revision     an opened version                      gateway    requests to one server
    weave        one session                            options, wallet, transaction, tags, encoding

The names below are imported when they are first used, because `storage` must stay light to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ritual_artifacts.backends.arweave.backend import ArweaveBackend
    from ritual_artifacts.backends.arweave.network import Status
    from ritual_artifacts.backends.arweave.options import Timing
    from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
    from ritual_artifacts.backends.arweave.wallet import Wallet

__all__ = ["ArweaveBackend", "ArweaveUploadResult", "Status", "Timing", "Wallet"]

_MODULES: Final = {
    "ArweaveBackend": "backend",
    "ArweaveUploadResult": "result",
    "Status": "network",
    "Timing": "options",
    "Wallet": "wallet",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

"""Arweave: permanent uploads that survive a crash, and downloads that trust nobody.

An upload signs everything, writes it down, and then posts it: files first, the path manifest that names
them last. A download proves each transaction (id, signature, owner) and compares the data with what was
signed, so that no gateway can forge a byte.

::

    encoding     base64url, ids, amounts        repository   path manifests, versions, sections
    wallet       a key that signs               contents     what is uploaded: data, roots, tags
    transaction  built, signed, proven          bundle       small files as data items of one transaction
    options      what the user says             payment      prices and balances
    gateway      one server's answers           signing      contents → signed transactions
    network      several gateways as one        journal      what was signed and acknowledged, on the disk
    reader       data, streamed and proven      delivery     posting, several chunks at a time
    result       an `UploadResult`              upload       an `UploadSession`
                                                backend      a `Backend`
"""

from ritual_artifacts.backends.arweave.backend import ArweaveBackend
from ritual_artifacts.backends.arweave.network import Status
from ritual_artifacts.backends.arweave.result import ArweaveUploadResult
from ritual_artifacts.backends.arweave.wallet import Wallet

__all__ = ["ArweaveBackend", "ArweaveUploadResult", "Status", "Wallet"]

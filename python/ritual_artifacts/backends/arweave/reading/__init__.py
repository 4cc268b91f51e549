"""Reading what is stored: transactions and data items, each verified against its owner's signature.

Imports only go down (see `pyproject.toml`)::

    versions        which path manifest a repository id names
    paths           a path manifest, and the parts of its files
    reader          finds transactions and data items by id
    items           a data item, and the bundle that holds it
    transactions    a transaction, whose data is streamed and repaired
    signatures      whether the owner of a data item signed it
    chunks          the chunks of a transaction, each with its proof
    provenance      which route each byte arrived by
    routes          the ways to request data from a gateway
    stored          what transactions and data items have in common
"""

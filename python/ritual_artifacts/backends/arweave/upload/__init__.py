"""Uploads: hash, look for what is stored already, check the price, sign, and only then post.

Everything is signed and in the journal before the first byte is posted, the path manifest included. The path
manifest is posted last, so that everything it names is there when it becomes visible.

Imports only go down (see `pyproject.toml`)::

    session      one upload, from hashing to the result
    owned        what the owner has stored already, or posted
    reseeding    posting lost chunks again                 signing   from unsigned data to transactions
    posting      transactions and their chunks             bundle    small files as data items
    journal      what was signed and posted, on disk       prices    what an upload costs
    posts        one post, and what nodes answer           unsigned  what is going to be signed
"""

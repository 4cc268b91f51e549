"""The Hugging Face Hub: one commit up, every byte verified down.

An upload hashes the files, looks at the branch, sends what is not there, and makes one commit with the
manifest, the card and the files in it, whose parent is the commit that was looked at. A download resolves the
id to one commit and streams the files of its manifest.

::

    options    what the user says              transport  requests, repeated; the token stays at home
    hub        commits, listings, bytes        session    what belongs to the endpoint goes nowhere else
    sources    files that are what they were   branch     the branch that an upload goes to
    xet        how far hf-xet is               card       the repository's README.md
    commit     one commit, made once           upload     an `UploadSession`
    result     an `UploadResult`               backend    a `Backend`
    errors     what went wrong, in this package's words
"""

from ritual_artifacts.backends.huggingface.backend import HuggingFaceBackend
from ritual_artifacts.backends.huggingface.result import HuggingFaceUploadResult

__all__ = ["HuggingFaceBackend", "HuggingFaceUploadResult"]

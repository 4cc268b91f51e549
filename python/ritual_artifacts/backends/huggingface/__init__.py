"""The Hugging Face Hub: an upload is one commit, and a download reads from one commit.

An upload hashes the files, reads the branch, sends what is missing, and makes one commit with the files, the
manifest and the card, whose parent is the commit that was read. A download resolves the id to one commit and
streams the files of its manifest.

::

    storage    a `Storage`, light to import    options    what a user can say, checked
    backend    a `Backend`, and a `Revision`   transport  GET requests, repeated if that helps
    hub        commits, listings, bytes        session    the library's session, guarded during an upload
    sources    files that must not change      library    other changes to the library during an upload
    branch     the branch of an upload         xet        the progress of hf-xet
    commit     one commit, made once           card       the repository's README.md
    upload     an `UploadSession`              result     an `UploadResult`
    errors     the library's errors as ours

Importing this package imports no client library.
"""

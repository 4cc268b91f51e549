"""The embedded local store: content-addressed, deduplicated, safe with several processes.

Layout below the store's root::

    objects/<first two digits>/<sha256>          each content once, read-only
    repos/<owner>/<name>/revisions/<digest>      manifest of one immutable version
    repos/<owner>/<name>/versions/<label>        the revision that a label names
    repos/<owner>/<name>/latest                  the revision that no label names: the newest
    incoming/<upload>/                           files that have landed and belong to nothing yet
    sizes/<bytes>                                empty; there may be a content of this size
    lock                                         taken for each change of what is visible, never for long

A revision's name is the hex part of its artifact's digest. Files land outside the lock; naming them is a
matter of renames under it. So is the garbage collection, which therefore never sees half an upload. A process
that is killed leaves a folder in `incoming`, and perhaps contents that no version names, for that collection.
"""

from ritual_artifacts.backends.local.store import LocalBackend, StoredVersion

__all__ = ["LocalBackend", "StoredVersion"]

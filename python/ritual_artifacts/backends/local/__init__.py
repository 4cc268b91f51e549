"""The embedded local store: content-addressed, deduplicated, safe with several processes.

Layout below the store's root::

    objects/<first two digits>/<sha256>          each content once, read-only
    repos/<owner>/<name>/revisions/<revision>    manifest of one immutable version
    repos/<owner>/<name>/versions/<label>        the revision that a label names
    repos/<owner>/<name>/latest                  the revision that an id without a version names
    incoming/<upload>/                           files that an upload has copied but not published
    sizes/<bytes>                                empty; an object may have this size
    lock                                         held briefly for each change of what is visible

A revision is named after its artifact's digest, without `sha256:` (`layout.revision_name` has the exception).
Files are copied without the lock; only the renames that publish them take it. So does the garbage collection,
which therefore never sees half an upload. A process that is killed leaves a folder in `incoming`, and perhaps
objects that no version names; the garbage collection removes both.
"""

from ritual_artifacts.backends.local.storage import LocalStorage
from ritual_artifacts.backends.local.store import LocalBackend, LocalRevision, StoredVersion

__all__ = ["LocalBackend", "LocalRevision", "LocalStorage", "StoredVersion"]

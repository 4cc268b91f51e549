"""Tags of transactions and data items: the names that this package uses, making and finding them."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from ritual_artifacts.errors import BackendError

MAX_TAG_BYTES: Final = 2048
"""Names and values of all tags together, as nodes count them."""
MAX_TAGS: Final = 2048

PATH_MANIFEST_TYPE: Final = "application/x.arweave-manifest+json"
"""`Content-Type` of data that names other transactions."""
APP_NAME: Final = "Ritual"
VERSION_TAG: Final = "Repo-Version"
DIGEST_TAG: Final = "Artifact-Digest"
MANIFEST_TYPE: Final = "manifest"
"""`Type` of a path manifest."""
BUNDLE_TYPE: Final = "bundle"
"""`Type` of a bundle with a path manifest inside: few gateways open bundles and list their data items."""
BUNDLED_TAG: Final = "Path-Manifest"
"""Tag of a bundle: the id of the path manifest inside."""

Tags: TypeAlias = tuple[tuple[bytes, bytes], ...]


def make_tags(tags: Iterable[tuple[str, str]], what: str) -> Tags:
    """Encode tags.

    Args:
        tags: Names and values, in order.
        what: What they describe, for messages.

    Raises:
        BackendError: a node would refuse them, or a gateway would drop one.
    """
    try:
        made = tuple((name.encode(), value.encode()) for name, value in tags)
    except UnicodeEncodeError:
        message = f"a tag of {what} is not valid Unicode"
        raise BackendError(message) from None
    size = sum(len(name) + len(value) for name, value in made)
    if size > MAX_TAG_BYTES or len(made) > MAX_TAGS:
        message = (
            f"the tags of {what} have {size} bytes, expected at most {MAX_TAG_BYTES}; "
            f"shorten its name or its tags"
        )
        raise BackendError(message)
    if empty := next((name for name, value in made if not name or not value), None):
        message = f"the tag {empty.decode()!r} of {what} is empty, and gateways drop empty tags"
        raise BackendError(message)
    return made


def find_tag(tags: Tags, name: str) -> str | None:
    """Return the value of the first tag of this name; None where there is none, or where it is not text."""
    wanted = name.encode()
    value = next((value for key, value in tags if key == wanted), None)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None

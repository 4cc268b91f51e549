"""Portable names: which path components and paths are valid on every file system.

Manifests and repository ids are untrusted input and become paths on Linux, macOS and Windows. Both follow
the same rules for a path component.
"""

import os
import unicodedata
from collections.abc import Iterable
from itertools import pairwise, takewhile
from typing import Final

MAX_COMPONENT_BYTES: Final = 255
"""Longest file name, in UTF-8 bytes, that ext4, XFS, APFS and NTFS all support."""

MAX_PATH_BYTES: Final = 1024
"""Longest relative path, in UTF-8 bytes; macOS has the lowest limit."""

MAX_PATH_PARTS: Final = 64
"""Maximum number of components in a relative path; no real artifact is nested this deep."""

_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Unicode's Bidi_Control: marks, embeddings, overrides and isolates, which can make a name look like another.
_BIDI_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"}
)
_WINDOWS_FORBIDDEN: Final = frozenset('<>:"|?*')


def component_problem(component: str) -> str | None:  # noqa: PLR0911 - one return per reason
    """Return why `component` cannot be one part of a portable path.

    Args:
        component: One path component, without separators.

    Returns:
        The reason, as the end of a sentence about the component; None if the component is valid.
    """
    if component in {"", ".", ".."}:
        return "is empty, '.' or '..'"
    if "/" in component or "\\" in component:
        return "contains a path separator"
    if not component.isprintable() and any(
        unicodedata.category(c) in _FORBIDDEN_CATEGORIES or c in _BIDI_CONTROLS for c in component
    ):
        return "contains a control character or is not valid Unicode"
    if len(component.encode()) > MAX_COMPONENT_BYTES:
        return f"is longer than {MAX_COMPONENT_BYTES} bytes"
    if component[-1] in ". ":
        return "ends with a dot or a space, which Windows removes"
    if component.partition(".")[0].rstrip(" ").casefold() in _WINDOWS_DEVICES:
        return "is a reserved device name on Windows"
    if len(component) > 1 and component[1] == ":" and component[0].isascii() and component[0].isalpha():
        return "starts with a drive letter"
    if os.name == "nt" and not _WINDOWS_FORBIDDEN.isdisjoint(component):
        return "contains a character that Windows does not allow"
    return None


def path_problem(path: str) -> str | None:
    """Return why `path` cannot be a portable relative path with `/` between its components.

    Args:
        path: A relative POSIX path, such as `weights/model.safetensors`.

    Returns:
        The reason, as the end of a sentence about the path; None if the path is valid.
    """
    if path.startswith("/"):
        return "is absolute"
    parts = path.split("/")
    if len(parts) > MAX_PATH_PARTS:
        return f"has more than {MAX_PATH_PARTS} parts"
    for component in parts:
        if problem := component_problem(component):
            return problem if component == path else f"has a part {component!r} that {problem}"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    return None


def collision_key(name: str) -> str:
    """Return a key that is equal for names of the same file on case-insensitive or normalizing file systems.

    The key is NFC, then full case folding, then NFC again, because folding can undo the normalization
    (Unicode Standard, section 3.13, definition D145).
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_collisions(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Find paths that collide on some file systems.

    Two paths collide if they have the same `collision_key`, if one is a folder of the other, or if their
    folders differ only in case or normalization.

    Args:
        paths: Relative POSIX paths, in any order.

    Returns:
        Pairs of paths that collide. Every path with the key of another, and every path below a file, is in at
        least one pair. Folders with different spellings give one pair for each change of the spelling.
    """
    # "/" sorts as the lowest character, so that the paths below a file or folder directly follow it
    keyed = sorted((collision_key(path).replace("/", "\0"), path) for path in paths)
    found: list[tuple[str, str]] = []
    if not keyed:
        return found
    file_key, file = keyed[0]
    for (previous_key, previous), (key, path) in pairwise(keyed):
        if key == file_key or key.startswith(file_key + "\0"):
            found.append((file, path))
        elif _differ_in_folder(previous_key, previous, key, path):
            found.append((previous, path))
            file_key, file = key, path
        else:
            file_key, file = key, path
    return found


def _differ_in_folder(first_key: str, first: str, second_key: str, second: str) -> bool:
    """Return whether two paths share a folder on some file systems only."""
    keys = zip(first_key.split("\0")[:-1], second_key.split("\0")[:-1], strict=False)
    names = zip(first.split("/")[:-1], second.split("/")[:-1], strict=False)
    shared = takewhile(lambda pair: pair[0][0] == pair[0][1], zip(keys, names, strict=True))
    return any(one != other for _, (one, other) in shared)

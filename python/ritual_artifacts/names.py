"""Which names are safe on every file system.

Manifests and repository ids come from strangers and become paths on Linux, macOS and Windows, so one rule
decides for both what a single path component may look like.
"""

import os
import unicodedata
from collections.abc import Iterable
from typing import Final

MAX_COMPONENT_BYTES: Final = 255
"""Longest file name, in UTF-8 bytes, that ext4, XFS, APFS and NTFS all take."""

_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Unicode's bidirectional overrides and isolates: they make a name show as another one in a terminal.
_BIDI_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"}
)
_WINDOWS_FORBIDDEN: Final = frozenset('<>:"|?*')


def component_problem(component: str) -> str | None:
    """Say why `component` cannot be one part of a portable path.

    Args:
        component: One path component, without separators.

    Returns:
        The reason, as the end of a sentence about the component, or None when it is fine.
    """
    if component in {"", ".", ".."}:
        return "is empty, '.' or '..'"
    if "/" in component or "\\" in component:
        return "holds a path separator"
    if any(unicodedata.category(c) in _FORBIDDEN_CATEGORIES or c in _BIDI_CONTROLS for c in component):
        return "holds a control character or is not valid Unicode"
    if len(component.encode()) > MAX_COMPONENT_BYTES:
        return f"is longer than {MAX_COMPONENT_BYTES} bytes"
    if component[-1] in ". ":
        return "ends in a dot or a space, which Windows drops"
    if component.split(".")[0].rstrip(" ").casefold() in _WINDOWS_DEVICES:
        return "is a reserved device name on Windows"
    if len(component) > 1 and component[1] == ":" and component[0].isascii() and component[0].isalpha():
        return "starts with a drive letter"
    if os.name == "nt" and not _WINDOWS_FORBIDDEN.isdisjoint(component):
        return "holds a character that Windows does not allow"
    return None


def path_problem(path: str) -> str | None:
    """Say why `path` cannot be a portable relative path with `/` between its components.

    Args:
        path: A relative POSIX path, such as `weights/model.safetensors`.

    Returns:
        The reason, as the end of a sentence about the path, or None when it is fine.
    """
    if path.startswith("/"):
        return "is absolute"
    for component in path.split("/"):
        if problem := component_problem(component):
            return problem if component == path else f"has a part {component!r} that {problem}"
    return None


def collision_key(name: str) -> str:
    """Return the form in which two names are one file on a case-insensitive or normalizing file system.

    NFC, then full case folding, then NFC again, because folding can undo the normalization
    (Unicode Standard, section 3.13, definition D145).
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_collisions(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Find the paths that cannot exist side by side on every file system.

    Two paths collide when they are equal after `collision_key`, when one is a folder of the other, or when
    they have folders that differ only in case or normalization.

    Args:
        paths: Relative POSIX paths.

    Returns:
        For each path that collides with an earlier one: the earlier one, and the path.
    """
    files: dict[str, str] = {}
    folders: dict[str, tuple[str, str]] = {}  # key -> (the folder as written, a path in it)
    found: list[tuple[str, str]] = []
    for path in paths:
        key = collision_key(path)
        if key in files:
            found.append((files[key], path))
        elif key in folders:
            found.append((folders[key][1], path))
        files.setdefault(key, path)
        folder = path
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            folder_key = collision_key(folder)
            known, owner = folders.setdefault(folder_key, (folder, path))
            if folder_key in files:
                found.append((files[folder_key], path))
            elif known != folder:
                found.append((owner, path))
    return found

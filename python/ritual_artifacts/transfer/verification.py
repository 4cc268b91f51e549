"""Does what is here match what the manifest says?"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.core.hashing import FileDigest, hash_files, is_sha256
from ritual_artifacts.errors import ArtifactModelError, IntegrityError, Mismatch
from ritual_artifacts.events import ProgressCallback, ProgressMeter

MISSING = "missing"
UNNAMED = "no such file"
"""What a manifest says of a file that it does not name."""


def compare_digest(
    entry: ManifestEntry, digest: FileDigest, source: str, field: str | None = None
) -> Mismatch | None:
    """Compare the bytes that were read with what the manifest promises; None when they are the same."""
    if digest.sha256 != entry.sha256:
        return Mismatch(entry.path, entry.sha256, digest.sha256, source, field)
    if entry.size is not None and digest.size != entry.size:
        return Mismatch(entry.path, f"{entry.size} bytes", f"{digest.size} bytes", source, field)
    return None


def find_mismatches(
    manifest: Manifest,
    paths: Mapping[str, Path],
    source: str,
    *,
    fields: Mapping[str, str] | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[list[Mismatch], dict[str, int]]:
    """Hash files and compare them with their manifest.

    A file of the wrong size is not read: it cannot match.

    Args:
        manifest: What is promised.
        paths: Where each of the manifest's files is.
        source: Where the files come from, for messages.
        fields: The model's field of each file, for messages.
        progress: Called while the files are hashed.

    Returns:
        Every mismatch, in the manifest's order, and the size of each file that matches.

    Raises:
        OSError: a file is there but cannot be read.
    """
    found: dict[str, Mismatch] = {}
    named = fields or {}
    to_hash: list[ManifestEntry] = []
    for entry in manifest.files:
        path = paths[entry.path]
        if not path.is_file():
            actual = "not a regular file" if path.exists() else MISSING
            found[entry.path] = Mismatch(entry.path, entry.sha256, actual, source, named.get(entry.path))
        elif entry.size is not None and (size := path.stat().st_size) != entry.size:
            expected = f"{entry.size} bytes"
            found[entry.path] = Mismatch(entry.path, expected, f"{size} bytes", source, named.get(entry.path))
        else:
            to_hash.append(entry)
    meter = ProgressMeter(progress, "verify", sum(paths[e.path].stat().st_size for e in to_hash))
    digests = hash_files([paths[e.path] for e in to_hash], progress=meter.advance)
    sizes: dict[str, int] = {}
    for entry, digest in zip(to_hash, digests, strict=True):
        if mismatch := compare_digest(entry, digest, source, named.get(entry.path)):
            found[entry.path] = mismatch
        else:
            sizes[entry.path] = digest.size
    return [found[e.path] for e in manifest.files if e.path in found], sizes


def files_below(folder: Path) -> Iterator[str]:
    """Name everything below a folder that is no folder itself, by its path from there with `/`.

    A symbolic link is no folder: whoever uses the folder would follow it.

    Raises:
        OSError: a folder cannot be read.
    """
    for current, subfolders, names in os.walk(folder, onerror=_raise_unless_missing):
        links = [name for name in subfolders if Path(current, name).is_symlink()]
        yield from (Path(current, name).relative_to(folder).as_posix() for name in [*links, *names])


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def find_strays(
    manifest: Manifest,
    directories: Mapping[str, Path],
    source: str,
    *,
    fields: Mapping[str, str] | None = None,
) -> list[Mismatch]:
    """Find files that the artifact does not have in directories that are wholly its own.

    Args:
        manifest: What is promised.
        directories: Where the directories are that the model names, by name.
        source: Where they come from, for messages.
        fields: The model's field of each directory, for messages.
    """
    named = {entry.path for entry in manifest.files}
    found = {
        path: Mismatch(path, UNNAMED, "a file", source, (fields or {}).get(directory))
        for directory, folder in directories.items()
        for name in files_below(folder)
        if (path := f"{directory}/{name}") not in named
    }
    return [found[path] for path in sorted(found)]


def verify_folder(
    manifest: Manifest,
    folder: Path,
    *,
    fields: Mapping[str, str] | None = None,
    directories: Mapping[str, str] | None = None,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Check every file of `manifest` below `folder`.

    Args:
        manifest: What is promised.
        folder: Where it is.
        fields: The model's field of each file, for messages.
        directories: The model's field of each directory that it names, which must hold nothing else.
        progress: Called while the files are hashed.

    Returns:
        The manifest, with all sizes.

    Raises:
        IntegrityError: a file is missing, differs, or does not belong in a directory; every one is named.
        OSError: a file is there but cannot be read.
    """
    paths = {entry.path: folder / entry.path for entry in manifest.files}
    mismatches, sizes = find_mismatches(manifest, paths, str(folder), fields=fields, progress=progress)
    folders = {name: folder / name for name in directories or {}}
    mismatches += find_strays(manifest, folders, str(folder), fields=directories)
    if mismatches:
        raise IntegrityError.of(mismatches)
    return manifest if manifest.has_sizes else manifest.with_sizes(sizes)


def check_expected_digest(manifest: Manifest, expected: str | None, source: str) -> None:
    """Check that the artifact is the one that the caller asked for.

    Args:
        manifest: The artifact's manifest; one without sizes passes, and is checked once they are known.
        expected: `sha256:` and 64 hex digits, or the digits alone; None asks for nothing.
        source: Where the manifest comes from, for messages.

    Raises:
        ArtifactModelError: `expected` is no such digest.
        IntegrityError: the artifact has another digest.
    """
    if expected is None:
        return
    digits = str(expected).removeprefix("sha256:")  # not every caller has a type checker
    if not is_sha256(digits):
        message = f"expected_digest must be 'sha256:' and 64 lower-case hex digits, not {expected!r}"
        raise ArtifactModelError(message)
    wanted = f"sha256:{digits}"
    if manifest.digest is not None and manifest.digest != wanted:
        raise IntegrityError.of([Mismatch("(the artifact)", wanted, manifest.digest, source)])

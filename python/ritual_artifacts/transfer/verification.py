"""Comparison of files on this machine with their manifest."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import (
    AnyEntry,
    AnyManifest,
    LegacyManifest,
    Manifest,
    complete_manifest,
)
from ritual_artifacts.artifact.provenance import Origin
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import MISSING, UNNAMED, IntegrityError, ManifestError, Mismatch


def compare_digest(
    entry: AnyEntry, digest: FileDigest, source: str, field: str | None = None
) -> Mismatch | None:
    """Compare a file's digest with its entry in the manifest; None if they match."""
    if digest.sha256 != entry.sha256:
        return Mismatch(entry.path, entry.sha256, digest.sha256, source, field)
    if entry.size is not None and digest.size != entry.size:
        return Mismatch(entry.path, f"{entry.size} bytes", f"{digest.size} bytes", source, field)
    return None


def find_mismatches(
    entries: Sequence[AnyEntry],
    paths: Mapping[str, Path],
    source: str,
    context: Context,
    *,
    fields: Mapping[str, str] | None = None,
) -> tuple[list[Mismatch], dict[str, int]]:
    """Hash files and compare them with their entries in the manifest.

    A file of another size is not read, because it cannot match.

    Args:
        entries: Entries of the manifest.
        paths: The path of each file, by name.
        source: The source of the files, for messages.
        context: The call that this belongs to; progress is reported as `"verify"`.
        fields: The model's field of each file, for messages.

    Returns:
        Every mismatch, in the order of the entries, and the size of each file that matches.

    Raises:
        OSError: a file exists but cannot be read.
    """
    found: dict[str, Mismatch] = {}
    named = fields or {}
    to_hash: list[AnyEntry] = []
    for entry in entries:
        path = paths[entry.path]
        if not path.is_file():
            actual = "not a regular file" if path.exists() else MISSING
            found[entry.path] = Mismatch(entry.path, entry.sha256, actual, source, named.get(entry.path))
        elif entry.size is not None and (size := path.stat().st_size) != entry.size:
            expected = f"{entry.size} bytes"
            found[entry.path] = Mismatch(entry.path, expected, f"{size} bytes", source, named.get(entry.path))
        else:
            to_hash.append(entry)
    meter = context.meter("verify", sum(paths[e.path].stat().st_size for e in to_hash))
    digests = hash_files(
        [paths[e.path] for e in to_hash], max_workers=context.settings.max_workers, progress=meter.advance
    )
    sizes: dict[str, int] = {}
    for entry, digest in zip(to_hash, digests, strict=True):
        if mismatch := compare_digest(entry, digest, source, named.get(entry.path)):
            found[entry.path] = mismatch
        else:
            sizes[entry.path] = digest.size
    return [found[e.path] for e in entries if e.path in found], sizes


def files_below(folder: Path) -> Iterator[str]:
    """Yield the relative path, with `/`, of everything below a folder that is not itself a folder.

    A symbolic link to a folder counts as a file, because readers of the folder would follow it.

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
    manifest: AnyManifest,
    directories: Mapping[str, Path],
    source: str,
    *,
    fields: Mapping[str, str] | None = None,
) -> list[Mismatch]:
    """Find files that the artifact does not have in directories that belong to it alone.

    Args:
        manifest: The artifact's manifest.
        directories: The path of each directory that the model names, by name.
        source: The source of the files, for messages.
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
    manifest: AnyManifest, folder: Path, context: Context, *, selection: Selection | None = None
) -> AnyManifest:
    """Check the selected files of an artifact below `folder`.

    Args:
        manifest: The artifact's manifest.
        folder: Its folder.
        context: The call that this belongs to.
        selection: Which files to check; default all.

    Returns:
        The manifest, complete if every file was checked.

    Raises:
        IntegrityError: a file is missing, differs, or does not belong in a directory; every one is named.
        OSError: a file exists but cannot be read.
    """
    wanted = selection or Selection()
    entries = wanted.choose(manifest)
    paths = {entry.path: folder / entry.path for entry in entries}
    mismatches, sizes = find_mismatches(entries, paths, str(folder), context, fields=wanted.fields)
    folders = {name: folder / name for name in wanted.directories}
    mismatches += find_strays(manifest, folders, str(folder), fields=wanted.directories)
    if mismatches:
        raise IntegrityError.of(mismatches)
    return complete_manifest(manifest, sizes) if wanted.is_all_of(manifest) else manifest


def verify_origin(artifact: BaseModel, origin: Origin, source: str, context: Context) -> AnyManifest:
    """Compare an artifact with its state when it was downloaded, opened or uploaded.

    Args:
        artifact: The model.
        origin: The state at that time.
        source: The source of its files, for messages.
        context: The call that this belongs to.

    Returns:
        The manifest that the files match.

    Raises:
        IntegrityError: files are missing, differ, or do not belong in a directory of the artifact, or a field
            has another value now; everything is named.
    """
    manifest = origin.manifest
    selection = Selection.of_model(type(artifact), manifest)
    found = origin.find_changed_fields(artifact, source)
    mismatches, sizes = find_mismatches(
        manifest.files, origin.places, source, context, fields=selection.fields
    )
    found += mismatches
    found += find_strays(manifest, origin.directories, source, fields=selection.directories)
    if found:
        raise IntegrityError.of(found)
    return complete_manifest(manifest, sizes)


def check_expected_digest(manifest: AnyManifest, expected: Digest | None, source: str) -> None:
    """Check that the artifact has the digest that the caller expects.

    Args:
        manifest: The artifact's manifest; one without sizes passes, and is checked once it is complete.
        expected: The expected digest; None accepts every artifact.
        source: The source of the manifest, for messages.

    Raises:
        IntegrityError: the artifact has another digest.
        ManifestError: the artifact cannot have a digest.
    """
    if expected is not None and isinstance(manifest, LegacyManifest) and not manifest.can_have_digest:
        message = (
            f"the artifact in {source} has no digest, because its manifest has a number that canonical JSON "
            f"cannot represent; leave expected_digest out"
        )
        raise ManifestError(message)
    if expected is not None and isinstance(manifest, Manifest) and manifest.digest != expected:
        raise IntegrityError.of([Mismatch("(the artifact)", expected, manifest.digest, source)])

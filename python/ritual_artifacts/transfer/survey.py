"""The content of a target folder: files of the artifact, files of the user, and obstacles."""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ritual_artifacts.artifact.manifest import AnyEntry, AnyManifest, read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import ConflictError, ManifestError
from ritual_artifacts.names import collision_key
from ritual_artifacts.transfer.notes import CommitNote
from ritual_artifacts.transfer.places import Look, kind_of
from ritual_artifacts.transfer.verification import files_below


class Survey:
    """Inspects one target folder, before a download and again at its commit.

    Attributes:
        seen: The metadata of each of the artifact's files that was in place, and its SHA-256 if it was read.
    """

    def __init__(
        self, target: Path, note: CommitNote, context: Context, *, exclusive: bool, overwrite: bool
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            target: The folder.
            note: The note of a killed commit about it.
            context: The call that this belongs to.
            exclusive: The folder belongs to the cache, so nothing in it is an obstacle.
            overwrite: Files that differ may be replaced.
        """
        self._target = target
        self._note = note
        self._context = context
        self._exclusive = exclusive
        self._overwrite = overwrite or exclusive
        self._manifest_path = target / MANIFEST_FILENAME
        self._directories: frozenset[str] = frozenset()
        self._allows_outdated = False
        self.seen: dict[str, tuple[Look, str | None]] = {}

    def find_present(
        self, manifest: AnyManifest, directories: Iterable[str] = (), *, removes_outdated: bool = False
    ) -> set[str]:
        """Return the names of the files that are in place already, and match.

        A file of another size is not read, because it cannot match.

        Args:
            manifest: The artifact's manifest.
            directories: Names of directories that must hold nothing but the artifact.
            removes_outdated: Unchanged files of the earlier artifact may be in these directories.

        Raises:
            ConflictError: something other than an unchanged file of the earlier artifact is in the way, and
                overwriting was not requested; or one of the `directories` has a file that neither
                artifact has.
            OSError: a file in the way cannot be read.
        """
        self._directories = frozenset(directories)
        self._allows_outdated = removes_outdated
        if not self._exclusive:
            self._refuse_obstacles(manifest)
            self._refuse_strays(manifest)
        earlier = [] if self._overwrite else self._read_known()
        known = _known_hashes(manifest, earlier)
        looks: dict[str, Look] = {}
        for entry in manifest.files:
            look = Look.at(self._target / entry.path)
            if look is not None and self._find_obstacle(entry.path) is None:
                looks[entry.path] = look
        actual = self._hash(_names_to_read([*manifest.files, *earlier], looks))
        self.seen = {name: (look, actual.get(name)) for name, look in looks.items()}
        if not self._overwrite:
            self._refuse_foreign([name for name in looks if actual.get(name) not in known[name]])
        return {e.path for e in manifest.files if e.path in looks and actual.get(e.path) == e.sha256}

    def _hash(self, names: Collection[str]) -> dict[str, str]:
        """Return the SHA-256 of files in the target that can be read."""
        ordered = list(names)
        digests = hash_files(
            [self._target / name for name in ordered],
            follow_symlinks=False,
            max_workers=self._context.settings.max_workers,
        )
        return {name: digest.sha256 for name, digest in zip(ordered, digests, strict=True)}

    def _read_known(self) -> list[AnyEntry]:
        """Return the entries of the artifact that is here, and of those whose commits were killed.

        Raises:
            ConflictError: another file is in the manifest's place, and overwriting was not requested.
        """
        entries = [entry for manifest in self._note.read() for entry in manifest.files]
        try:
            entries += read_manifest(self._manifest_path).files
        except FileNotFoundError:
            pass
        except (ManifestError, OSError) as error:
            if not self._overwrite:
                message = (
                    f"{self._manifest_path} is in the way and is not a manifest ({error}); move it away, or "
                    f"overwrite it (overwrite=True, --overwrite)"
                )
                raise ConflictError(message) from None
        return entries

    def _find_obstacle(self, name: str) -> Path | None:
        """Return what prevents a regular file called `name` in the target, or None."""
        *folders, last = name.split("/")
        place = self._target
        for part in folders:
            place /= part
            if kind_of(place) not in {"directory", None}:
                return place
        place /= last
        return None if kind_of(place) in {"file", None} else place

    def _refuse_obstacles(self, manifest: AnyManifest) -> None:
        for name in (MANIFEST_FILENAME, *(entry.path for entry in manifest.files)):
            if place := self._find_obstacle(name):
                message = (
                    f"{place} is a {kind_of(place)}, where the artifact has something else; "
                    f"move it away or choose another folder"
                )
                raise ConflictError(message)

    def _refuse_strays(self, manifest: AnyManifest) -> None:
        named = {entry.path for entry in manifest.files}
        below = {f"{name}/{path}" for name in self._directories for path in files_below(self._target / name)}
        found = below - named
        if found and self._allows_outdated:
            found -= self.find_outdated(found).keys()
        if found:
            first = self._target / min(found)
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            message = (
                f"{first}{more} is in a directory of the artifact, which does not have it; "
                f"move it away or choose another folder"
            )
            raise ConflictError(message)

    def refuse_mixture(self, manifest: AnyManifest) -> None:
        """Refuse to download a part of an artifact to a folder with another one: it would be a mixture.

        Raises:
            ConflictError: another artifact is here, and overwriting was not requested.
        """
        known = {} if self._overwrite else {entry.path: entry.sha256 for entry in self._read_known()}
        if known and known != {entry.path: entry.sha256 for entry in manifest.files}:
            message = (
                f"{self._target} holds another artifact, and a part of this one would leave a mixture; "
                f"choose another folder, download every field, or overwrite it (overwrite=True, --overwrite)"
            )
            raise ConflictError(message)

    def _refuse_foreign(self, names: Collection[str]) -> None:
        if names:
            first, *others = sorted(names)
            more = f" (and {len(others)} more)" if others else ""
            message = (
                f"{self._target / first}{more} differs from the artifact's file, and no manifest here says "
                f"that it is unchanged; move it away, or overwrite it (overwrite=True, --overwrite)"
            )
            raise ConflictError(message)

    def look_again(self, manifest: AnyManifest, staged: Collection[str]) -> set[str]:
        """Inspect the target again; return the staged files that are still needed.

        Raises:
            ConflictError: something is in the way now.
        """
        self._refuse_obstacles(manifest)
        self._refuse_strays(manifest)
        now = {e.path: look for e in manifest.files if (look := Look.at(self._target / e.path)) is not None}
        before = {name: look for name, (look, _) in self.seen.items()}
        changed = [name for name, look in now.items() if before.get(name) != look]
        actual = self._hash(changed)
        known = _known_hashes(manifest, [] if self._overwrite else self._read_known())
        entries = {entry.path: entry for entry in manifest.files}
        waiting = set(staged)
        foreign = []
        for name in changed:
            self.seen[name] = (now[name], actual[name])
            if actual[name] == entries[name].sha256:
                waiting.discard(name)
            elif name not in waiting or not (self._overwrite or actual[name] in known[name]):
                foreign.append(name)
        gone = [name for name in before if name not in now and name not in waiting]
        missing = [name for name in gone if self.seen.pop(name)[1] == entries[name].sha256]
        if missing:
            message = f"{self._target / missing[0]} was removed while the artifact was downloaded; try again"
            raise ConflictError(message)
        for name in gone:
            self.seen.pop(name, None)
        self.seen = {name: seen for name, seen in self.seen.items() if name in now}
        self._refuse_foreign(foreign)
        return waiting

    def find_gone(self, manifest: AnyManifest, named: Collection[str]) -> dict[str, Look]:
        """Return the unchanged files of the earlier artifact that the new one does not have.

        Args:
            manifest: The manifest of the new artifact.
            named: Those of its files that will be in the target.
        """
        kept = {(entry.path, entry.sha256) for entry in manifest.files}
        known = self._read_known()
        gone = {e.path for e in known if e.path not in named and (e.path, e.sha256) not in kept}
        return self.find_outdated(gone - self._find_respelled(gone, named))

    def find_outdated(self, names: Collection[str]) -> dict[str, Look]:
        """Return those of `names` that are unchanged files of the earlier artifact."""
        wanted: dict[str, set[str]] = {}
        for entry in self._read_known():
            if entry.path in names and self._find_obstacle(entry.path) is None:
                wanted.setdefault(entry.path, set()).add(entry.sha256)
        looks = {name: look for name in wanted if (look := Look.at(self._target / name)) is not None}
        digests = hash_files(
            [self._target / name for name in looks],
            follow_symlinks=False,
            max_workers=self._context.settings.max_workers,
            return_exceptions=True,
        )
        return {
            name: look
            for (name, look), digest in zip(looks.items(), digests, strict=True)
            if isinstance(digest, FileDigest) and digest.sha256 in wanted[name]
        }

    def _find_respelled(self, names: Iterable[str], others: Iterable[str]) -> set[str]:
        """Return those of `names` that are the same file as another spelling in `others` on this disk."""
        spellings = {collision_key(name): name for name in others}
        found = set()
        for name in names:
            other = spellings.get(collision_key(name))
            with contextlib.suppress(OSError):
                if other is not None and (self._target / name).samefile(self._target / other):
                    found.add(name)
        return found

    def old_manifests(self) -> list[AnyManifest]:
        """Return the manifests of the artifacts whose files may be here, the newest first."""
        older = self._note.read()
        with contextlib.suppress(OSError, ManifestError):
            return [read_manifest(self._manifest_path), *older]
        return older


def _names_to_read(entries: Iterable[AnyEntry], looks: Mapping[str, Look]) -> list[str]:
    """Return the files that may match one of the entries, by their size."""
    sizes: dict[str, set[int | None]] = {}
    for entry in entries:
        sizes.setdefault(entry.path, set()).add(entry.size)
    return [name for name, look in looks.items() if sizes[name] & {None, look.size}]


def _known_hashes(manifest: AnyManifest, earlier: Iterable[AnyEntry]) -> dict[str, set[str]]:
    """Return the SHA-256 values of each file of this and of earlier artifacts; others are the user's."""
    known: dict[str, set[str]] = {}
    for entry in [*manifest.files, *earlier]:
        known.setdefault(entry.path, set()).add(entry.sha256)
    return known

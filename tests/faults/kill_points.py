"""Kills a process at every step of an upload or download, and checks what that leaves.

After each kill there must be the old state or the new one, and the next run must finish. Run as a script by
`test_killed.py`, in a process with a single thread, so that it can fork. A step is the time before and after
each call of the core that changes a file, in the middle of a write, and before each such call of Python.
"""

import contextlib
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ritual_artifacts import RitualRepoId
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan, plan_folder
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.backends import Backend
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError
from ritual_artifacts.transfer import publishing
from ritual_artifacts.transfer.downloading import Target, download, read_revision_manifest
from ritual_artifacts.transfer.verification import verify_folder
from tests.backends.streaming import Server, StreamingBackend

OLD = {"changed.bin": b"old" * 5000, "same.bin": b"same", "sub/gone.bin": b"gone"}
NEW = {"changed.bin": b"new" * 5000, "same.bin": b"same", "sub/deep/added.bin": b"added" * 3000, "z.bin": b""}
SOURCES = {"ritual_artifacts.core.hashing", "ritual_artifacts._core"}
"""Where the functions that change files come from; every other module has them by import."""
CHANGES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
"""What Python's own calls that change files are called in audit events."""
FOREIGN = b"a file of the user's own"


class Killer:
    """Counts steps, and dies at one of them."""

    def __init__(self, at: int) -> None:
        self._left = at

    def step(self, litter: Path | None = None) -> None:
        if self._left == 0:
            if litter is not None:  # what the core leaves when it dies while it writes
                litter.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def install(self) -> None:
        wrappers: dict[str, Callable[[Any], Any]] = {
            "rename_files": partial(self._pair_by_pair, copies=False),
            "copy_files": partial(self._pair_by_pair, copies=True),
            "write_file": self._around_a_write,
        }
        ours = [m for name, m in sys.modules.items() if name.startswith("ritual_artifacts.")]
        for module, (name, wrap) in itertools.product(ours, wrappers.items()):
            if module.__name__ not in SOURCES and hasattr(module, name):
                setattr(module, name, wrap(getattr(module, name)))
        sys.addaudithook(lambda event, _: self.step() if event in CHANGES else None)

    def _around_a_write(self, function: Any) -> Any:
        def wrapped(path: Path, *args: Any, **options: Any) -> Any:
            self.step()
            self.step(path.parent / ".ritual-killed.tmp")
            result = function(path, *args, **options)
            self.step()
            return result

        return wrapped

    def _pair_by_pair(self, function: Any, *, copies: bool) -> Any:
        def wrapped(pairs: list[tuple[Path, Path]], **options: Any) -> Any:
            results: list[Any] = []
            for source, target in pairs:
                self.step()
                if copies:
                    self.step(target.parent / ".ritual-killed.tmp")
                results += function([(source, target)], **options) or []
                self.step()
            return results

        return wrapped


def publish(
    root: Path, backend: Backend[Any], name: str, files: dict[str, bytes], label: str | None
) -> Manifest:
    return upload(plan(root, name, files), backend, label)


def upload(planned: ArtifactPlan, backend: Backend[Any], label: str | None) -> Manifest:
    return publishing.publish(planned, backend, repo_id(label), Context.create())[1]


def plan(root: Path, name: str, files: dict[str, bytes]) -> ArtifactPlan:
    folder = root / "sources" / name
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return plan_folder(folder, "Files", "files", {})


def repo_id(label: str | None = None) -> RitualRepoId:
    return RitualRepoId(storage="local", owner="me", name="model", version=label)


def fetch(backend: Backend[Any], target: Path, *, exclusive: bool) -> None:
    revision = backend.open(repo_id())
    place = Target(folder=target, exclusive=exclusive)
    download(revision, read_revision_manifest(revision), Selection(), place, Context.create())


def verified(folder: Path) -> str:
    manifest = Manifest.read(folder / "ritual_manifest.json")
    verify_folder(manifest, folder, Context.create())
    return manifest.digest


def assert_no_litter(root: Path) -> None:
    left = [path for path in root.rglob("*") if path.name.startswith((".ritual-", "alive"))]
    assert not left, left


class Upload:
    """A second version into a store that has one already."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = LocalBackend(root / "store")
        self.old = publish(root, self.store, "old", OLD, "v1").digest
        self.plan = plan(root, "new", NEW)
        self.new = upload(self.plan, LocalBackend(root / "other"), None).digest

    def run(self) -> None:
        upload(self.plan, self.store, "v2")

    def run_killed(self, _: Killer) -> None:
        self.run()

    def _read(self, label: str | None) -> str:
        manifest = Manifest.from_bytes(self.store.open(repo_id(label)).manifest_bytes())
        assert all(self.store.layout.object_path(e.sha256).is_file() for e in manifest.files)
        return manifest.digest

    def check_killed(self) -> None:
        assert self._read("v1") == self.old
        assert self._read(None) in {self.old, self.new}
        with contextlib.suppress(ArtifactNotFoundError):
            assert self._read("v2") == self.new
        assert not self.store.find_damage(Context.create())

    def check_finished(self) -> None:
        assert [self._read(label) for label in ("v1", "v2", None)] == [self.old, self.new, self.new]
        assert not self.store.find_damage(Context.create())
        self.store.collect_garbage()
        assert self._read("v1") == self.old
        assert not list((self.root / "store" / "incoming").iterdir())
        named = {e.sha256 for version in self.store.list_versions() for e in version.manifest.files}
        assert {path.name for path in (self.root / "store" / "objects").glob("*/*")} == named
        assert_no_litter(self.root)


class Remove(Upload):
    """The repository is removed."""

    def run(self) -> None:
        with contextlib.suppress(ArtifactNotFoundError):
            self.store.remove(repo_id())

    def check_killed(self) -> None:
        if list(self.store.list_versions()):
            assert self._read("v1") == self._read(None) == self.old
        else:
            with contextlib.suppress(ArtifactNotFoundError):
                self._read("v1")
                raise AssertionError

    def check_finished(self) -> None:
        self.store.collect_garbage()
        assert not [path for path in (self.root / "store" / "objects").glob("*/*") if path.is_file()]
        assert_no_litter(self.root)


class Download:
    """A newer version into a folder with an older one and a file of the user's own."""

    exclusive = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.target = root / "out"
        self.backend = self.make_backend()
        self.old = publish(root, self.backend, "old", OLD, None).digest
        fetch(self.backend, self.target, exclusive=self.exclusive)
        (self.target / "sub" / "foreign").write_bytes(FOREIGN)
        self.new = publish(root, self.backend, "new", self.new_files(), None).digest

    def make_backend(self) -> Backend[Any]:
        return LocalBackend(self.root / "store")

    def new_files(self) -> dict[str, bytes]:
        return NEW

    def run(self) -> None:
        fetch(self.backend, self.target, exclusive=self.exclusive)

    def run_killed(self, _: Killer) -> None:
        self.run()

    def check_killed(self) -> None:
        """A folder with a manifest is complete, and every file is whole, in its place or put aside."""
        if (self.target / "ritual_manifest.json").exists():
            assert verified(self.target) in {self.old, self.new}
        for name in OLD.keys() | self.new_files().keys():
            path = self.target / name
            contents = {files.get(name) for files in (OLD, self.new_files())}
            assert not path.is_file() or path.read_bytes() in contents, name

    def check_finished(self) -> None:
        assert verified(self.target) == self.new
        assert not (self.target / "sub" / "gone.bin").exists()
        assert (self.target / "sub" / "foreign").read_bytes() == FOREIGN
        assert_no_litter(self.target)


class Stream(Download):
    """The same, with bytes that arrive in pieces."""

    def make_backend(self) -> Backend[Any]:
        self.server = Server()
        return StreamingBackend(self.server)

    def run_killed(self, killer: Killer) -> None:
        self.server.on_block = lambda _: killer.step()
        self.run()


class Export(Download):
    """The same, by a copy out of the user's files."""

    def run(self) -> None:
        publishing.export(plan(self.root, "new", NEW), self.target, Context.create())


class Cache(Download):
    """A newer version into the cache, in which a file became a folder."""

    exclusive = True

    def __init__(self, root: Path) -> None:
        os.environ["RITUAL_CACHE_DIR"] = str(root)
        super().__init__(root)

    def new_files(self) -> dict[str, bytes]:
        kept = {name: content for name, content in NEW.items() if not name.startswith("sub/")}
        return kept | {"sub": b"a folder before"}

    def check_finished(self) -> None:
        assert verified(self.target) == self.new
        names = {str(path.relative_to(self.target)) for path in self.target.rglob("*")}
        assert names == {"changed.bin", "same.bin", "sub", "z.bin", "ritual_manifest.json"}


SCENARIOS = {scenario.__name__: scenario for scenario in (Upload, Remove, Download, Stream, Export, Cache)}


def kill_at_every_step(make: Callable[[Path], Any], root: Path) -> Iterator[int]:
    for at in itertools.count():
        folder = root / str(at)
        scenario = make(folder)
        child = os.fork()
        if child == 0:
            killer = Killer(at)
            killer.install()
            scenario.run_killed(killer)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, f"step {at}: the child failed without being killed"
            return
        try:
            scenario.check_killed()
            scenario.run()
            scenario.check_finished()
        except BaseException:
            sys.stderr.write(f"killed at step {at}\n")
            raise
        shutil.rmtree(folder)
        yield at


def main() -> None:
    name, root = sys.argv[1:]
    points = list(kill_at_every_step(SCENARIOS[name], Path(root)))
    sys.stdout.write(f"{len(points)}\n")


if __name__ == "__main__":
    main()

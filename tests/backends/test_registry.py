"""How storages are found: by an entry point, before our own, with errors that name what is wrong."""

import sys
from pathlib import Path

import pytest

from ritual_artifacts.backends import find_storage
from ritual_artifacts.backends.local import LocalStorage
from ritual_artifacts.backends.memory import MemoryStorage
from ritual_artifacts.errors import BackendError


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Install":
    monkeypatch.syspath_prepend(tmp_path / "site")
    return Install(tmp_path / "site")


class Install:
    """Installs, as far as `importlib.metadata` can tell, a package with one entry point."""

    def __init__(self, site: Path) -> None:
        self.info = site / "plugin-1.0.dist-info"
        self.info.mkdir(parents=True)

    def __call__(self, name: str, target: str) -> None:
        (self.info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
        (self.info / "entry_points.txt").write_text(f"[ritual_artifacts.backends]\n{name} = {target}\n")


def test_a_storage_of_another_package_is_found_by_its_entry_point(install: Install) -> None:
    install("memory", "ritual_artifacts.backends.memory:MemoryStorage")

    assert isinstance(find_storage("memory"), MemoryStorage)


def test_an_entry_point_wins_over_our_own_storage(install: Install) -> None:
    assert isinstance(find_storage("local"), LocalStorage)

    install("local", "ritual_artifacts.backends.memory:MemoryStorage")

    assert isinstance(find_storage("local"), MemoryStorage)


def test_a_name_that_no_package_registers_is_refused() -> None:
    with pytest.raises(BackendError, match=r"no backend for 'shelf' is installed.*local"):
        find_storage("shelf")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("no_such_module_at_all:Storage", "no_such_module_at_all"),
        ("ritual_artifacts.backends.memory:NoSuchClass", "NoSuchClass"),
        ("ritual_artifacts.backends.memory:MemorySpace", "is not a Storage"),
    ],
)
def test_an_entry_point_that_leads_to_no_storage_is_a_backend_error(
    target: str, problem: str, install: Install
) -> None:
    install("shelf", target)

    with pytest.raises(BackendError, match=problem):
        find_storage("shelf")


def test_an_error_inside_a_storage_names_the_storage_and_keeps_its_cause(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        message = "a bug of the storage's own"
        raise TypeError(message)

    install("memory", "ritual_artifacts.backends.memory:MemoryStorage")
    monkeypatch.setattr(MemoryStorage, "__init__", fail)

    with pytest.raises(BackendError, match=r"'memory'.*TypeError: a bug of the storage's own") as caught:
        find_storage("memory")

    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def broken(", "SyntaxError"),
        ("class Shelf(Storage): pass", "abstract"),
        ("class Shelf(Storage):\n    def connect(self, options, context): ...", "has no name"),
        ("class Shelf(MemoryStorage):\n    upload_options = dict", "has no upload_options"),
    ],
)
def test_a_broken_storage_is_a_backend_error(
    code: str, problem: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = "from ritual_artifacts.backends.memory import MemoryStorage, Storage\n"
    (install.info.parent / "broken_shelf.py").write_text(imports + code)
    monkeypatch.delitem(sys.modules, "broken_shelf", raising=False)
    install("shelf", "broken_shelf:Shelf")

    with pytest.raises(BackendError, match=problem):
        find_storage("shelf")

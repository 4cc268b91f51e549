"""Check what `make package` built: usage `check_dist.py FOLDER`, with one sdist and one wheel in it."""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

MODULE = "ritual_artifacts"
IN_SDIST = (
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    f"python/{MODULE}/__init__.py",
    "rust/core/src/lib.rs",
    "rust/python/src/lib.rs",
)
IN_WHEEL = (f"{MODULE}/__init__.py", f"{MODULE}/py.typed", f"{MODULE}/_core.pyi")
BINARIES = (".so", ".pyd", ".dylib", ".pyc")


def main(folder: Path) -> None:
    """Check both files and import the package from the wheel."""
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    _check_sdist(sdist)
    _check_wheel(wheel)
    _check_import(wheel)
    print(f"{sdist.name} and {wheel.name} are complete")


def _check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    _require(sdist, names, IN_SDIST)
    _refuse(sdist, [name for name in names if name.endswith(BINARIES)])


def _check_wheel(wheel: Path) -> None:
    if "-cp311-abi3-" not in wheel.name:
        sys.exit(f"{wheel.name} is not an abi3 wheel for Python 3.11 and newer")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (table,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
        entry_points = archive.read(table).decode()
    _require(wheel, names, IN_WHEEL)
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        sys.exit(f"{wheel.name} has no licence")
    if sum(name.startswith(f"{MODULE}/_core.") and not name.endswith(".pyi") for name in names) != 1:
        sys.exit(f"{wheel.name} does not have exactly one compiled core")
    _refuse(wheel, [n for n in names if not n.startswith((f"{MODULE}/", f"{MODULE}-"))])
    if "[console_scripts]" not in entry_points:
        sys.exit(f"{wheel.name} has no command")


def _check_import(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as site:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        # In front of the editable install, and away from the checkout.
        code = f"import sys; sys.path.insert(0, {site!r}); import {MODULE} as m; print(m.__file__)"
        python = [sys.executable, "-W", "error", "-I", "-c", code]
        found = subprocess.run(python, check=True, capture_output=True, text=True, cwd=site).stdout
        if not found.startswith(site):
            sys.exit(f"the import did not come from {wheel.name} but from {found}")


def _require(where: Path, names: set[str], wanted: tuple[str, ...]) -> None:
    if missing := [name for name in wanted if name not in names]:
        sys.exit(f"{where.name} lacks {', '.join(missing)}")


def _refuse(where: Path, names: list[str]) -> None:
    if names:
        sys.exit(f"{where.name} should not hold {', '.join(sorted(names))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The table of the migration guide: both sides of it are there, in infernet-ml 2.0.0 and here."""

import ast
import importlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ritual_artifacts.migration.table import TABLE
from tests.interop.theirs import Infernet

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "move-from-infernet-ml.md"
ROW = re.compile(r"^\| `(infernet_ml[.\w]+)`: (.*) \| `(ritual_artifacts[.\w]*)` \|$", re.MULTILINE)


def read_guide() -> Iterator[tuple[str, str, str]]:
    """Return old module, name and new module of everything in the guide's table."""
    for module, names, new in ROW.findall(GUIDE.read_text(encoding="utf-8")):
        yield from ((module, name, new) for name in re.findall(r"`(\w+)`", names))


def test_the_guide_is_what_the_command_does() -> None:
    listed = list(read_guide())

    assert len(listed) > 15
    assert all(TABLE[module][name] == new for module, name, new in listed)
    assert {module for module, _, _ in listed} == TABLE.keys()


@pytest.mark.parametrize(
    ("name", "new"), sorted({(name, new) for names in TABLE.values() for name, new in names.items()})
)
def test_every_name_in_the_table_exists_here(name: str, new: str) -> None:
    if importlib.util.find_spec(new) is None:
        pytest.skip(f"this version has no {new}")

    assert hasattr(importlib.import_module(new), name)


def test_every_name_in_the_table_exists_in_infernet_ml(infernet: Infernet) -> None:
    script = """
import importlib.util, json, sys
from pathlib import Path

root = Path(importlib.util.find_spec("infernet_ml").origin).parent.parent
modules = json.loads(sys.argv[1])
print(json.dumps({m: root.joinpath(*m.split(".")).with_suffix(".py").read_text() for m in modules}))
"""

    printed = infernet(script, json.dumps(sorted(TABLE)))

    sources = json.loads(printed.splitlines()[-1])
    for module, names in TABLE.items():
        bound = {name for statement in ast.parse(sources[module]).body for name in names_bound_by(statement)}
        assert names.keys() <= bound, module


def names_bound_by(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name for alias in aliases)
        case _:
            return


def test_what_can_be_imported_there_without_extras_can_be_imported(infernet: Infernet) -> None:
    wanted = {m: sorted(names) for m, names in TABLE.items() if not m.startswith("infernet_ml.zk")}
    script = """
import importlib, json, sys
wanted = json.loads(sys.argv[1])
print(json.dumps([m for m in wanted if all(hasattr(importlib.import_module(m), n) for n in wanted[m])]))
"""

    printed = infernet(script, json.dumps(wanted))

    assert json.loads(printed.splitlines()[-1]) == list(wanted)

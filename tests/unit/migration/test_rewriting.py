"""What becomes of imports of infernet-ml, and of the names that they bind."""

import ast
import io
import tokenize

import pytest

from ritual_artifacts.migration.rewriting import rewrite
from ritual_artifacts.migration.table import HOMES, TABLE, find

AM = "infernet_ml.resource.artifact_manager"
MM = "infernet_ml.utils.model_manager"


def comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return sorted(token.string for token in tokens if token.type == tokenize.COMMENT)


def migrate(source: str) -> tuple[str, list[str]]:
    """Return the new text, and `line: what` of each problem."""
    result = rewrite(source.encode())
    text = result.source.decode()
    ast.parse(text)
    assert comments(text) == comments(source)
    assert rewrite(result.source).source == result.source
    return text, [f"{problem.line}: {problem.what}" for problem in result.problems]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"from {AM} import RitualArtifactManager", "from ritual_artifacts import RitualArtifactManager"),
        (
            f"from {AM} import CachedArtifact as C, RitualRepoId",
            "from ritual_artifacts import CachedArtifact as C, RitualRepoId",
        ),
        (
            "from infernet_ml.resource.types import StorageId  # where",
            "from ritual_artifacts import StorageId  # where",
        ),
        (
            f"from {MM} import (\n    ModelManager,  # one\n    # between\n    ModelArtifact,\n)  # end",
            (
                "from ritual_artifacts.models import (\n"
                "    ModelManager,  # one\n    # between\n    ModelArtifact,\n)  # end"
            ),
        ),
        (
            f"from {MM} import ModelManager, RitualRepoId  # both",
            (
                "from ritual_artifacts.models import ModelManager  # both\n"
                "from ritual_artifacts import RitualRepoId"
            ),
        ),
        (
            "from infernet_ml.zk.ezkl.ezkl_artifact import EZKLArtifact",
            "from ritual_artifacts.ezkl import EZKLArtifact",
        ),
        (
            "if True:\n\tfrom infernet_ml.utils.specs.ml_type import MLType\n",
            "if True:\n\tfrom ritual_artifacts.models import MLType\n",
        ),
        (
            "if True: from infernet_ml.utils.specs.ml_type import MLType\n",
            "if True: from ritual_artifacts.models import MLType\n",
        ),
        (
            f"a = 1; from {MM} import ModelManager, RitualRepoId; b = 2\n",
            (
                "a = 1; from ritual_artifacts.models import ModelManager; "
                "from ritual_artifacts import RitualRepoId; b = 2\n"
            ),
        ),
        (
            f"import {AM} as am, os\nam.RitualArtifactManager[int].from_repo\n",
            "import ritual_artifacts as am, os\nam.RitualArtifactManager[int].from_repo\n",
        ),
        (
            f"import {MM} as mm\nx: 'mm.ModelManager'\n",
            "import ritual_artifacts.models as mm\nx: 'mm.ModelManager'\n",
        ),
        (
            "from infernet_ml.resource import artifact_manager\nartifact_manager.CachedArtifact\n",
            "import ritual_artifacts as artifact_manager\nartifact_manager.CachedArtifact\n",
        ),
        (
            "from infernet_ml.utils.specs import ml_type as t, ml_model_id\n",
            "import ritual_artifacts.models as t\nimport ritual_artifacts.models as ml_model_id\n",
        ),
        (
            f"import {AM}\n{AM}.RitualArtifactManager.from_repo(\n    1 # one\n)\n",
            "import ritual_artifacts\nritual_artifacts.RitualArtifactManager.from_repo(\n    1 # one\n)\n",
        ),
        (
            f"import {MM}\nimport {AM}\nx = ({AM}.RitualArtifactManager, {MM}.ModelManager)\n",
            (
                "import ritual_artifacts.models\nimport ritual_artifacts\n"
                "x = (ritual_artifacts.RitualArtifactManager, ritual_artifacts.models.ModelManager)\n"
            ),
        ),
        (f"import {AM}\nimport infernet_ml.resource.repo_id\n", "import ritual_artifacts\n"),
        (
            f"import {AM}  # a\nimport infernet_ml.resource.repo_id  # b\n",
            "import ritual_artifacts  # a\nimport ritual_artifacts  # b\n",
        ),
        (f"import {AM}, infernet_ml.resource.repo_id\n", "import ritual_artifacts\n"),
        (
            f"def f():\n    import {AM}\n    return {AM}.CachedArtifact\n",
            "def f():\n    import ritual_artifacts\n    return ritual_artifacts.CachedArtifact\n",
        ),
        (
            f"try:\n    from {AM} import CachedArtifact\nexcept ImportError:\n    CachedArtifact = None\n",
            (
                "try:\n    from ritual_artifacts import CachedArtifact\n"
                "except ImportError:\n    CachedArtifact = None\n"
            ),
        ),
        (
            f"import {AM}\nx: '{AM}.CachedArtifact'\n",
            "import ritual_artifacts\nx: 'ritual_artifacts.CachedArtifact'\n",
        ),
        (
            f'import {AM}\ndef f(x: "dict[{AM}.StorageId, {AM}.CachedArtifact.path]"): ...\n',
            (
                "import ritual_artifacts\n"
                'def f(x: "dict[ritual_artifacts.StorageId, ritual_artifacts.CachedArtifact.path]"): ...\n'
            ),
        ),
        (
            f"import {MM}, {AM}\nfrom typing import cast\ncast('{AM}.CachedArtifact', {MM}.ModelManager)\n",
            (
                "import ritual_artifacts.models, ritual_artifacts\nfrom typing import cast\n"
                "cast('ritual_artifacts.CachedArtifact', ritual_artifacts.models.ModelManager)\n"
            ),
        ),
        (
            f"from {AM} import RitualArtifactManager\n\ndef infernet_ml(): pass\n",
            "from ritual_artifacts import RitualArtifactManager\n\ndef infernet_ml(): pass\n",
        ),
    ],
)
def test_an_import_is_rewritten_and_the_rest_stays(before: str, after: str) -> None:
    assert migrate(before) == (after, [])


@pytest.mark.parametrize(
    "source",
    [
        "import os\nfrom pathlib import Path\n",
        "from . import artifact_manager\n",
        "from .infernet_ml.resource.types import StorageId\n",
        "import infernet_ml_tools\nfrom infernet_mlx.resource.types import StorageId\n",
        "infernet_ml = 1\ninfernet_ml.resource.types.StorageId\n",
        "f(infernet_ml=1)\n",
        "# infernet_ml.resource.types was here\n",
        "'the infernet_ml package'\n",
        "",
    ],
)
def test_other_code_is_left_alone(source: str) -> None:
    assert migrate(source) == (source, [])


@pytest.mark.parametrize(
    ("source", "problems"),
    [
        (f"\nfrom {AM} import *\n", [f"2: from {AM} import *"]),
        (f"from {AM} import calculate_sha256\n", [f"1: {AM}.calculate_sha256"]),
        ("from infernet_ml.workflows.exceptions import X\n", ["1: infernet_ml.workflows.exceptions.X"]),
        ("import infernet_ml\n", ["1: import infernet_ml"]),
        ("import infernet_ml.services.onnx as o\no.X\n", ["1: infernet_ml.services.onnx"]),
        ("from infernet_ml import resource\nresource.types.StorageId\n", ["1: infernet_ml.resource"]),
        (f"import {AM} as am\n\nam.calculate_sha256(am.CachedArtifact)\n", [f"3: {AM}.calculate_sha256"]),
        (f"import {AM} as am\nx = am\n", [f"2: {AM}"]),
        (f"import {MM} as mm\nmm.RitualRepoId\n", [f"2: {MM}.RitualRepoId"]),
        (f"import {AM} as am\nx: 'am.HFUploadType'\n", [f"2: {AM}.HFUploadType"]),
        (f"import {AM}\nx = infernet_ml\n", ["2: infernet_ml"]),
        (
            f"import infernet_ml.services.onnx\n{AM}.CachedArtifact\n",
            ["1: import infernet_ml.services.onnx", f"2: {AM}.CachedArtifact"],
        ),
        (f"patch('{AM}.RitualArtifactManager')\n", [f"1: the string '{AM}.RitualArtifactManager'"]),
        (f"x = f'{{y}} {MM}.log'\n", [f"1: the string '{MM}.log'"]),
        (f'"""One.\n\nTwo {MM}.\n"""\n', [f"3: the string '{MM}'"]),
        ("__import__('infernet_ml')\n", ["1: the string 'infernet_ml'"]),
    ],
)
def test_what_cannot_be_decided_is_reported_and_means_what_it_meant(source: str, problems: list[str]) -> None:
    text, found = migrate(source)

    assert found == problems
    if "import" in source and f"import {AM}\n" not in source:
        assert text == source


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (f"x: '{AM}.calculate_sha256'", f"the string '{AM}.calculate_sha256'"),
        (f"x: 'dict[{AM}.CachedArtifact, {AM}.X]'", f"the string '{AM}.X'"),
        (f"A = list['{AM}.CachedArtifact']", f"the string '{AM}.CachedArtifact'"),
        (f"eval('{AM}.CachedArtifact')", f"the string '{AM}.CachedArtifact'"),
        ("x: 'infernet_ml'", "the string 'infernet_ml'"),
        ("x: 'infernet_ml . resource'", "infernet_ml"),
        ("__all__ = ['infernet_ml']", "the string 'infernet_ml'"),
        (
            "x: ('infernet_ml.resource.' 'artifact_manager.CachedArtifact')",
            "the string 'infernet_ml.resource'",
        ),
    ],
)
def test_an_import_stays_where_a_text_may_need_it(use: str, problem: str) -> None:
    source = f"import {AM}\n{use}\n"

    text, problems = migrate(source)

    assert text == source
    assert f"2: {problem}" in problems


def test_a_docstring_needs_no_import() -> None:
    text, problems = migrate(f'"""About {AM}."""\nimport {AM}\n{AM}.CachedArtifact\n')

    assert text == f'"""About {AM}."""\nimport ritual_artifacts\nritual_artifacts.CachedArtifact\n'
    assert problems == [f"1: the string '{AM}'"]


def test_a_text_that_stays_and_names_that_move_need_both_imports() -> None:
    text, problems = migrate(f"import {AM}\nx: '{AM}.CachedArtifact' = {AM}.y\nz: '{AM}.y'\n")

    assert text == (
        f"import {AM}, ritual_artifacts\nx: 'ritual_artifacts.CachedArtifact' = {AM}.y\nz: '{AM}.y'\n"
    )
    assert problems == [f"2: {AM}.y", f"3: the string '{AM}.y'"]


def test_an_import_stays_for_a_use_that_nothing_here_binds() -> None:
    source = f"def g():\n    import {AM}\ndef f():\n    return {AM}.CachedArtifact\n"

    text, problems = migrate(source)

    assert text == source
    assert problems == [f"4: {AM}.CachedArtifact"]


def test_one_statement_can_be_rewritten_in_part() -> None:
    text, problems = migrate(f"from {AM} import RitualArtifactManager, calculate_sha256  # x\n")

    assert text == (
        f"from ritual_artifacts import RitualArtifactManager  # x\nfrom {AM} import calculate_sha256\n"
    )
    assert problems == [f"1: {AM}.calculate_sha256"]


def test_a_whole_path_can_be_rewritten_in_part() -> None:
    text, problems = migrate(f"import {AM}\n{AM}.CachedArtifact\n{AM}.calculate_sha256\n")

    assert text == f"import {AM}, ritual_artifacts\nritual_artifacts.CachedArtifact\n{AM}.calculate_sha256\n"
    assert problems == [f"3: {AM}.calculate_sha256"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (f"{AM}.calculate_sha256", "hash_files"),
        (f"{AM}.DEFAULT_ARTIFACT_DIRECTORY", "RITUAL_CACHE_DIR"),
        (f"{AM}.HFUploadType", "UploadResult"),
        ("infernet_ml.resource.repo_id.UNVERSIONED_MARKER", "'default'"),
        ("infernet_ml.utils.codec.vector.RitualVector", "keep infernet-ml installed"),
    ],
)
def test_a_problem_says_what_to_do(name: str, hint: str) -> None:
    module, _, attribute = name.rpartition(".")

    (problem,) = rewrite(f"from {module} import {attribute}\n".encode()).problems

    assert hint in problem.hint


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("at_end", [True, False])
def test_line_ends_stay(line_end: str, *, at_end: bool) -> None:
    lines = ["import os", f"from {AM} import RitualArtifactManager, calculate_sha256", "x = 1"]
    source = line_end.join(lines) + line_end * at_end

    changed = rewrite(source.encode()).source.decode()

    assert changed.count(line_end) == source.count(line_end) + 1
    assert len(changed.splitlines()) == 4
    assert changed.endswith(line_end) == at_end


@pytest.mark.parametrize(
    ("cookie", "encoding"),
    [
        ("# -*- coding: latin-1 -*-", "latin-1"),
        ("#!/usr/bin/python\n# coding: cp1251", "cp1251"),
        ("", "utf-8-sig"),
    ],
)
def test_the_encoding_stays(cookie: str, encoding: str) -> None:
    word = "größe" if encoding != "cp1251" else "привет"
    source = f"{cookie}\nfrom {AM} import CachedArtifact  # {word}\n".encode(encoding)

    changed = rewrite(source).source

    assert changed == source.replace(AM.encode(), b"ritual_artifacts")


@pytest.mark.parametrize(
    "source",
    [
        b"from infernet_ml import (\n",
        b"x = 1\n  import infernet_ml\n",
        b"print 'infernet_ml'\n",
        b"# coding: no-such-encoding\nimport infernet_ml\n",
        b"import infernet_ml  # \xff\n",
        b"import infernet_ml\0\n",
        b"import infernet_ml\rx = 1\r",
        b"(" * 5000 + b"infernet_ml",
        b"x = infernet_ml" + b" + 1" * 5000,
        b"x = " + b"-" * 3000 + b"infernet_ml",
        b"x = infernet_ml" + b".a" * 3000,
    ],
)
def test_a_file_that_is_not_python_is_a_syntax_error(source: bytes) -> None:
    with pytest.raises(SyntaxError):
        rewrite(source)


def test_every_module_has_a_home_and_every_name_a_module() -> None:
    assert HOMES.keys() == TABLE.keys()
    for module, names in TABLE.items():
        assert HOMES[module] in names.values()
        for name, new in names.items():
            moved = find(f"{module}.{name}.attribute")
            assert moved is not None
            assert (moved.new, moved.rest) == (f"{new}.{name}", ".attribute")

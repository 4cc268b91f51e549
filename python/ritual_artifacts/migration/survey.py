"""The survey of one source file: how each import of infernet-ml changes, given the uses of its names."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import (
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    ScopeProvider,
)

from ritual_artifacts.migration.table import HOMES, OLD_PACKAGE, Moved, advise, find, is_old

_IN_STRING: Final = re.compile(rf"\b{OLD_PACKAGE}(?:\.\w+)+|^{OLD_PACKAGE}$")
_PATH_IN_STRING: Final = re.compile(rf"(?<![\w.]){OLD_PACKAGE}(?:\.\w+)*")
_ImportStatement: TypeAlias = cst.Import | cst.ImportFrom


@dataclass(frozen=True, order=True)
class Problem:
    """A place that must be changed manually.

    Attributes:
        line: Line number, from 1.
        what: The code or text at this place.
        why: Why it is not changed automatically.
        hint: What to do.
    """

    line: int
    what: str
    why: str
    hint: str

    def __str__(self) -> str:
        """Describe the problem on one line, without its line number."""
        return f"{self.what}: {self.why}; {self.hint}"


@dataclass(frozen=True)
class Binding:
    """The change of one name in an import statement.

    Attributes:
        keep: Whether the name stays in the statement.
        from_module: The module that the name is imported from instead.
        modules: Modules that are imported instead of the name, or in addition.
    """

    keep: bool = False
    from_module: str | None = None
    modules: tuple[str, ...] = ()


KEPT: Final = Binding(keep=True)
_STRING_NODES: Final = (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)


@dataclass(frozen=True)
class _Use:
    """A use of an imported name.

    Attributes:
        node: The whole chain of attributes.
        dotted: Its full name, beginning with `infernet_ml`.
    """

    node: cst.CSTNode
    dotted: str


class Survey:
    """Decides the changes of all imports of infernet-ml, and of all uses of the imported names.

    Attributes:
        bindings: The change of each name in an import statement.
        replacements: The new code of each full name and quoted annotation that changes.
        problems: What must be changed manually.
    """

    def __init__(self, wrapper: MetadataWrapper) -> None:
        """Prepare the survey of a module."""
        self.bindings: dict[cst.ImportAlias, Binding] = {}
        self.replacements: dict[cst.CSTNode, str] = {}
        self.problems: list[Problem] = []
        self._wrapper = wrapper
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._positions = wrapper.resolve(PositionProvider)
        self._uses: dict[cst.ImportAlias, list[_Use]] = defaultdict(list)
        self._whole_uses: list[_Use] = []  # through `import infernet_ml.…` without `as`
        self._whole_strings: list[cst.CSTNode] = []  # the same, in quoted annotations
        self._unbound_uses: list[_Use] = []  # without an import in this file

    def decide(self) -> None:
        """Decide the changes, and set the attributes."""
        finder = _Finder()
        self._wrapper.module.visit(finder)
        self._collect_uses()
        whole = [alias for statement in finder.imports for alias in statement.names if alias.asname is None]
        self._decide_whole([alias for alias in whole if is_old(alias.evaluated_name)], finder.strings)
        for statement in finder.imports:
            for alias in statement.names:
                if alias.asname is not None and is_old(alias.evaluated_name):
                    self.bindings[alias] = self._decide_module(alias, alias.evaluated_name)
        for from_import in finder.from_imports:
            self._decide_from(from_import)
        for text, node in finder.strings:
            for match in () if node in self.replacements else _IN_STRING.finditer(text):
                line = self._line(node) + text.count("\n", 0, match.start())
                why = "strings are not changed, because their purpose is not known"
                self.problems.append(Problem(line, f"the string {match[0]!r}", why, advise(match[0])))

    # --- uses ---

    def _collect_uses(self) -> None:
        scopes = {scope for scope in self._wrapper.resolve(ScopeProvider).values() if scope is not None}
        for scope in scopes:
            for assignment in scope.assignments:
                if isinstance(assignment, ImportAssignment):
                    self._collect_uses_of(assignment)
            for access in scope.accesses:  # names that are not bound in this file
                dotted = get_full_name_for_node(access.node) or ""
                if not access.referents and is_old(dotted):
                    self._unbound_uses.append(_Use(*self._extend(access.node, dotted)))

    def _collect_uses_of(self, assignment: ImportAssignment) -> None:
        statement = assignment.node
        alias = _find_alias(statement, assignment.name)
        if alias is None:
            return
        is_whole = isinstance(statement, cst.Import) and alias.asname is None
        meaning = assignment.name if is_whole else _meaning(statement, alias)
        if not is_old(meaning):
            return
        uses = self._whole_uses if is_whole else self._uses[alias]
        for access in assignment.references:
            if not isinstance(access.node, _STRING_NODES):
                uses.append(_Use(*self._extend(access.node, meaning)))
            elif is_whole:
                self._whole_strings.append(access.node)
            else:
                uses += _find_in_string(access.node, assignment.name, meaning)

    def _extend(self, node: cst.CSTNode, dotted: str) -> tuple[cst.CSTNode, str]:
        """Extend a name by the attributes that follow it."""
        parent = self._parents.get(node)
        while isinstance(parent, cst.Attribute) and parent.value is node:
            node, dotted = parent, f"{dotted}.{parent.attr.value}"
            parent = self._parents.get(node)
        return node, dotted

    def _line(self, node: cst.CSTNode) -> int:
        return self._positions[node].start.line

    # --- decisions ---

    def _report(self, node: cst.CSTNode, what: str, why: str, hint: str) -> None:
        self.problems.append(Problem(self._line(node), what, why, hint))

    def _decide_from(self, statement: cst.ImportFrom) -> None:
        module = _module_of(statement)
        if isinstance(statement.names, cst.ImportStar):
            why = "a star import does not name what is used"
            self._report(statement, f"from {module} import *", why, "import each name")
            return
        for alias in statement.names:
            name = f"{module}.{alias.evaluated_name}"
            if name in HOMES or any(known.startswith(f"{name}.") for known in HOMES):
                self.bindings[alias] = self._decide_module(alias, name)
            elif moved := find(name):
                self.bindings[alias] = Binding(from_module=moved.module)
            else:
                self.bindings[alias] = KEPT
                self._report(alias, name, "is not in this package", advise(name))

    def _decide_module(self, alias: cst.ImportAlias, name: str) -> Binding:
        """Decide about a module that is bound to a single name."""
        home = HOMES.get(name)
        if home is None:
            if _has_modules(name):
                self._report(
                    alias, name, "has other modules in this package", "import the names that are used"
                )
            else:
                self._report(alias, name, "is not in this package", advise(name))
            return KEPT
        unsupported = [use for use in self._uses[alias] if not self._is_in(home, use)]
        for use in unsupported:
            self._report_use(use, home)
        return KEPT if unsupported else Binding(modules=(home,))

    def _is_in(self, home: str, use: _Use) -> bool:
        moved = find(use.dotted)
        return moved is not None and moved.module == home

    def _report_use(self, use: _Use, home: str | None) -> None:
        moved = find(use.dotted)
        if moved is not None:
            why = f"is in {moved.module} here" if home is None else f"is in {moved.module}, not in {home}"
            self._report(use.node, use.dotted, why, f"write: from {moved.module} import {moved.name}")
        elif use.dotted in HOMES or _has_modules(use.dotted):
            why = "the module is used as a value"
            self._report(use.node, use.dotted, why, "use its names, or change this manually")
        else:
            self._report(use.node, use.dotted, "is not in this package", advise(use.dotted))

    def _decide_whole(
        self, aliases: Sequence[cst.ImportAlias], strings: Iterable[tuple[str, cst.CSTNode]]
    ) -> None:
        """Decide about `import infernet_ml.….module`, whose names are used with their full path.

        An import is kept if an unchanged string has its path, because the string may be evaluated. A string
        that is a whole statement, such as a docstring, is never evaluated.
        """
        homes = {HOMES[alias.evaluated_name] for alias in aliases if alias.evaluated_name in HOMES}
        left, new = [], set()
        for use in self._whole_uses:
            moved = _find_in(homes, use.dotted)
            if moved:
                node = self._cut(use.node, len(moved.rest.split(".")) - 1)
                self.replacements[node] = moved.new
                new.add(moved.module)
            else:
                left.append(use.dotted)
                self._report_use(use, None)
        for use in self._unbound_uses:
            left.append(use.dotted)
            self._report_use(use, None)
        for dotted, modules in self._decide_strings(homes, strings):
            left += dotted
            new |= modules
        for alias in aliases:
            name = alias.evaluated_name
            home = HOMES.get(name)
            if home is None:
                self.bindings[alias] = KEPT
                self._report(alias, f"import {name}", "is not in this package", advise(name))
            else:
                needed = any(f"{dotted}.".startswith(f"{name}.") or _has_modules(dotted) for dotted in left)
                wanted = not needed or any(f"{home}.".startswith(f"{module}.") for module in new)
                self.bindings[alias] = Binding(keep=needed, modules=(home,) if wanted else ())

    def _decide_strings(
        self, homes: Collection[str], strings: Iterable[tuple[str, cst.CSTNode]]
    ) -> Iterator[tuple[list[str], set[str]]]:
        """Yield, for each string, the names that are kept in it and the modules of those that change."""
        for node in self._whole_strings:
            found = _PATH_IN_STRING.findall(_evaluate(node))
            moves = [moved for path in found if (moved := _find_in(homes, path))]
            if len(moves) == len(found) and self._replace_in_string(node, moves):
                yield [], {moved.module for moved in moves}
            else:
                yield found or [OLD_PACKAGE], set()
                if not _IN_STRING.search(_evaluate(node)):  # others are reported as strings
                    self._report(node, OLD_PACKAGE, "is in a quoted annotation", "write the new name")
        for text, node in strings:
            if node not in self.replacements and not isinstance(self._parents.get(node), cst.Expr):
                yield _IN_STRING.findall(text), set()

    def _replace_in_string(self, node: cst.CSTNode, moves: Sequence[Moved]) -> bool:
        """Replace the names in a quoted annotation, if they are written literally in it."""
        if not isinstance(node, cst.SimpleString) or len(_PATH_IN_STRING.findall(node.value)) != len(moves):
            return False
        names = iter(f"{moved.new}{moved.rest}" for moved in moves)
        self.replacements[node] = _PATH_IN_STRING.sub(lambda _: next(names), node.value)
        return True

    @staticmethod
    def _cut(node: cst.CSTNode, attributes: int) -> cst.CSTNode:
        """Return a chain of attributes without the last `attributes` ones."""
        for _ in range(attributes):
            if isinstance(node, cst.Attribute):
                node = node.value
        return node


class _Finder(cst.CSTVisitor):
    """Finds all imports, and all strings."""

    def __init__(self) -> None:
        super().__init__()
        self.imports: list[cst.Import] = []
        self.from_imports: list[cst.ImportFrom] = []
        self.strings: list[tuple[str, cst.CSTNode]] = []

    def visit_Import(self, node: cst.Import) -> bool:  # noqa: N802 - libcst's names
        self.imports.append(node)
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:  # noqa: N802
        if is_old(_module_of(node)):
            self.from_imports.append(node)
        return False

    def visit_SimpleString(self, node: cst.SimpleString) -> None:  # noqa: N802
        value = node.evaluated_value
        self.strings.append((value if isinstance(value, str) else "", node))

    def visit_FormattedStringText(self, node: cst.FormattedStringText) -> None:  # noqa: N802
        self.strings.append((node.value, node))


def aliases_of(statement: _ImportStatement) -> Sequence[cst.ImportAlias]:
    """Return the names in an import statement; a star import has none."""
    return () if isinstance(statement.names, cst.ImportStar) else statement.names


def _module_of(statement: cst.ImportFrom) -> str:
    """Return the module that names are imported from; empty for a relative import."""
    if statement.relative or statement.module is None:
        return ""
    return get_full_name_for_node(statement.module) or ""


def _meaning(statement: object, alias: cst.ImportAlias) -> str:
    """Return the full name of the imported object."""
    if isinstance(statement, cst.ImportFrom):
        return f"{_module_of(statement)}.{alias.evaluated_name}"
    return alias.evaluated_name


def _find_alias(statement: object, local: str) -> cst.ImportAlias | None:
    """Return the part of an import statement that binds a name."""
    if not isinstance(statement, cst.Import | cst.ImportFrom):
        return None
    for alias in aliases_of(statement):
        bound = alias.evaluated_alias or alias.evaluated_name
        whole = isinstance(statement, cst.Import) and alias.asname is None
        if bound == local or (whole and bound.startswith(f"{local}.")):
            return alias
    return None


def _find_in_string(node: cst.CSTNode, local: str, meaning: str) -> Iterator[_Use]:
    """Find the uses of a name in a quoted annotation."""
    for match in re.finditer(rf"(?<![\w.]){re.escape(local)}((?:\.\w+)*)", _evaluate(node)):
        yield _Use(node, f"{meaning}{match[1]}")


def _evaluate(node: cst.CSTNode) -> str:
    """Return the value of a string literal; empty for everything else."""
    value = node.evaluated_value if isinstance(node, cst.SimpleString | cst.ConcatenatedString) else None
    return value if isinstance(value, str) else ""


def _find_in(homes: Iterable[str], dotted: str) -> Moved | None:
    """Return the new place of a name, if it is in one of the modules that will be imported."""
    moved = find(dotted)
    return moved if moved and any(f"{home}.".startswith(f"{moved.module}.") for home in homes) else None


def _has_modules(name: str) -> bool:
    """Return whether a name is a package of infernet-ml with modules in `HOMES`."""
    return any(known.startswith(f"{name}.") for known in HOMES)

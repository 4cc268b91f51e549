"""The survey of one source text: what becomes of each import of infernet-ml, from how its names are used."""

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

_IN_TEXT: Final = re.compile(rf"\b{OLD_PACKAGE}(?:\.\w+)+|^{OLD_PACKAGE}$")
_PATH_IN_TEXT: Final = re.compile(rf"(?<![\w.]){OLD_PACKAGE}(?:\.\w+)*")
_ImportStatement: TypeAlias = cst.Import | cst.ImportFrom


@dataclass(frozen=True, order=True)
class Problem:
    """A place that has to be changed by hand.

    Attributes:
        line: Number of the line, from 1.
        what: What is there.
        why: Why it stays as it is.
        hint: What to do.
    """

    line: int
    what: str
    why: str
    hint: str

    def __str__(self) -> str:
        """Describe the problem on one line, without its place."""
        return f"{self.what}: {self.why}; {self.hint}"


@dataclass(frozen=True)
class Binding:
    """What one name in an import statement becomes.

    Attributes:
        keep: Whether the name stays in the statement as it is.
        from_module: The module that the name is imported from instead.
        modules: Modules that are imported instead, or beside it.
    """

    keep: bool = False
    from_module: str | None = None
    modules: tuple[str, ...] = ()


KEPT: Final = Binding(keep=True)
_TEXTS: Final = (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)


@dataclass(frozen=True)
class _Use:
    """A place at which an imported name is used.

    Attributes:
        node: The whole chain of attributes there.
        dotted: What it means, from `infernet_ml` on.
    """

    node: cst.CSTNode
    dotted: str


class Survey:
    """Looks at every import of infernet-ml and at every use of what it binds, and decides.

    Attributes:
        bindings: What becomes of each name in an import statement.
        replacements: Names with their whole path that change, and annotations in quotes, and what to.
        problems: What is left to do by hand.
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
        self._whole_texts: list[cst.CSTNode] = []  # the same, in annotations in quotes
        self._unbound_uses: list[_Use] = []  # through nothing that is imported here

    def decide(self) -> None:
        """Fill the attributes."""
        finder = _Finder()
        self._wrapper.module.visit(finder)
        self._collect_uses()
        whole = [alias for statement in finder.imports for alias in statement.names if alias.asname is None]
        self._decide_whole([alias for alias in whole if is_old(alias.evaluated_name)], finder.texts)
        for statement in finder.imports:
            for alias in statement.names:
                if alias.asname is not None and is_old(alias.evaluated_name):
                    self.bindings[alias] = self._decide_module(alias, alias.evaluated_name)
        for from_import in finder.from_imports:
            self._decide_from(from_import)
        for text, node in finder.texts:
            for match in () if node in self.replacements else _IN_TEXT.finditer(text):
                line = self._line(node) + text.count("\n", 0, match.start())
                why = "what a text is for shows only when it is used"
                self.problems.append(Problem(line, f"the text {match[0]!r}", why, advise(match[0])))

    # --- what is used ---

    def _collect_uses(self) -> None:
        scopes = {scope for scope in self._wrapper.resolve(ScopeProvider).values() if scope is not None}
        for scope in scopes:
            for assignment in scope.assignments:
                if isinstance(assignment, ImportAssignment):
                    self._collect_uses_of(assignment)
            for access in scope.accesses:  # which another module binds, if any does
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
            if not isinstance(access.node, _TEXTS):
                uses.append(_Use(*self._extend(access.node, meaning)))
            elif is_whole:
                self._whole_texts.append(access.node)
            else:
                uses += _find_in_text(access.node, assignment.name, meaning)

    def _extend(self, node: cst.CSTNode, dotted: str) -> tuple[cst.CSTNode, str]:
        """Follow the attributes of a name that are written behind it."""
        parent = self._parents.get(node)
        while isinstance(parent, cst.Attribute) and parent.value is node:
            node, dotted = parent, f"{dotted}.{parent.attr.value}"
            parent = self._parents.get(node)
        return node, dotted

    def _line(self, node: cst.CSTNode) -> int:
        return self._positions[node].start.line

    # --- what becomes of it ---

    def _report(self, node: cst.CSTNode, what: str, why: str, hint: str) -> None:
        self.problems.append(Problem(self._line(node), what, why, hint))

    def _decide_from(self, statement: cst.ImportFrom) -> None:
        module = _module_of(statement)
        if isinstance(statement.names, cst.ImportStar):
            why = "a star does not say which names are used"
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
        """Decide about a module that is bound to one name of its own."""
        home = HOMES.get(name)
        if home is None:
            if _has_modules(name):
                self._report(alias, name, "is divided in another way here", "import the names that are used")
            else:
                self._report(alias, name, "is not in this package", advise(name))
            return KEPT
        in_the_way = [use for use in self._uses[alias] if not self._is_in(home, use)]
        for use in in_the_way:
            self._report_use(use, home)
        return KEPT if in_the_way else Binding(modules=(home,))

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
            self._report(use.node, use.dotted, why, "use its names, or change this by hand")
        else:
            self._report(use.node, use.dotted, "is not in this package", advise(use.dotted))

    def _decide_whole(
        self, aliases: Sequence[cst.ImportAlias], texts: Iterable[tuple[str, cst.CSTNode]]
    ) -> None:
        """Decide about `import infernet_ml.….module`, whose names are used with the whole path.

        An import stays where a text says its path and is not rewritten: the text may be evaluated. Those that
        stand alone, such as docstrings, are for readers only.
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
        for dotted, modules in self._decide_texts(homes, texts):
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

    def _decide_texts(
        self, homes: Collection[str], texts: Iterable[tuple[str, cst.CSTNode]]
    ) -> Iterator[tuple[list[str], set[str]]]:
        """Yield the names that stay in texts, and the modules of those that change, text by text."""
        for node in self._whole_texts:
            found = _PATH_IN_TEXT.findall(_evaluate(node))
            moves = [moved for path in found if (moved := _find_in(homes, path))]
            if len(moves) == len(found) and self._replace_in_text(node, moves):
                yield [], {moved.module for moved in moves}
            else:
                yield found or [OLD_PACKAGE], set()
                if not _IN_TEXT.search(_evaluate(node)):  # others are reported as texts
                    self._report(node, OLD_PACKAGE, "is in an annotation in quotes", "write the new name")
        for text, node in texts:
            if node not in self.replacements and not isinstance(self._parents.get(node), cst.Expr):
                yield _IN_TEXT.findall(text), set()

    def _replace_in_text(self, node: cst.CSTNode, moves: Sequence[Moved]) -> bool:
        """Put new names into an annotation in quotes, unless the old ones are not written there as such."""
        if not isinstance(node, cst.SimpleString) or len(_PATH_IN_TEXT.findall(node.value)) != len(moves):
            return False
        names = iter(f"{moved.new}{moved.rest}" for moved in moves)
        self.replacements[node] = _PATH_IN_TEXT.sub(lambda _: next(names), node.value)
        return True

    @staticmethod
    def _cut(node: cst.CSTNode, attributes: int) -> cst.CSTNode:
        """Return a chain of attributes without the last ones."""
        for _ in range(attributes):
            if isinstance(node, cst.Attribute):
                node = node.value
        return node


class _Finder(cst.CSTVisitor):
    """Finds imports of infernet-ml, and texts that name it."""

    def __init__(self) -> None:
        super().__init__()
        self.imports: list[cst.Import] = []
        self.from_imports: list[cst.ImportFrom] = []
        self.texts: list[tuple[str, cst.CSTNode]] = []

    def visit_Import(self, node: cst.Import) -> bool:  # noqa: N802 - libcst's names
        self.imports.append(node)
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:  # noqa: N802
        if is_old(_module_of(node)):
            self.from_imports.append(node)
        return False

    def visit_SimpleString(self, node: cst.SimpleString) -> None:  # noqa: N802
        value = node.evaluated_value
        self.texts.append((value if isinstance(value, str) else "", node))

    def visit_FormattedStringText(self, node: cst.FormattedStringText) -> None:  # noqa: N802
        self.texts.append((node.value, node))


def aliases_of(statement: _ImportStatement) -> Sequence[cst.ImportAlias]:
    """Return the names in an import statement; a star has none."""
    return () if isinstance(statement.names, cst.ImportStar) else statement.names


def _module_of(statement: cst.ImportFrom) -> str:
    """Return the module that names are imported from; nothing where it is relative."""
    if statement.relative or statement.module is None:
        return ""
    return get_full_name_for_node(statement.module) or ""


def _meaning(statement: object, alias: cst.ImportAlias) -> str:
    """Return the full name of what an import binds."""
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


def _find_in_text(node: cst.CSTNode, local: str, meaning: str) -> Iterator[_Use]:
    """Find the uses of a name in an annotation that is written as a text."""
    for match in re.finditer(rf"(?<![\w.]){re.escape(local)}((?:\.\w+)*)", _evaluate(node)):
        yield _Use(node, f"{meaning}{match[1]}")


def _evaluate(node: cst.CSTNode) -> str:
    """Return a text without its quotes; nothing where it is not known, or is no text."""
    value = node.evaluated_value if isinstance(node, cst.SimpleString | cst.ConcatenatedString) else None
    return value if isinstance(value, str) else ""


def _find_in(homes: Iterable[str], dotted: str) -> Moved | None:
    """Return where a name is here, if one of the modules that will be imported has it."""
    moved = find(dotted)
    return moved if moved and any(f"{home}.".startswith(f"{moved.module}.") for home in homes) else None


def _has_modules(name: str) -> bool:
    """Say whether a name is a package of infernet-ml that has modules which are here."""
    return any(known.startswith(f"{name}.") for known in HOMES)

"""Rewriting of one source file: its imports of infernet-ml, and the uses of the imported names.

Only what the survey has decided is changed. Everything else is kept and reported, so that no import is
migrated only in part.
"""

import ast
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import libcst as cst
from libcst.metadata import MetadataWrapper

from ritual_artifacts.migration.survey import KEPT, Binding, Problem, Survey, aliases_of

_TOO_DEEP: Final = "it is nested too deeply"


@dataclass(frozen=True)
class Rewritten:
    """The migrated source code of one file.

    Attributes:
        source: The source code, in its original encoding.
        problems: What must be changed manually, by line.
    """

    source: bytes
    problems: tuple[Problem, ...]


def rewrite(source: bytes) -> Rewritten:
    """Return the source with imports of this package instead of infernet-ml.

    Raises:
        SyntaxError: it is not valid Python, or not in its declared encoding.
    """
    _check_syntax(source)
    try:
        return _rewrite(source)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(error.message, ("", error.raw_line, error.raw_column, None)) from None
    except UnicodeDecodeError as error:
        raise SyntaxError(str(error)) from None
    except RecursionError:
        raise SyntaxError(_TOO_DEEP) from None


def _check_syntax(source: bytes) -> None:
    """Check the source with Python's own parser, because libcst crashes on code that is nested too deeply.

    Raises:
        SyntaxError: this interpreter cannot parse it.
    """
    with warnings.catch_warnings(action="ignore"):  # warnings about the user's code do not matter here
        try:
            ast.parse(source)
        except (MemoryError, RecursionError):
            raise SyntaxError(_TOO_DEEP) from None
        except ValueError as error:  # a NUL
            raise SyntaxError(str(error)) from None


def _rewrite(source: bytes) -> Rewritten:
    wrapper = MetadataWrapper(cst.parse_module(source))
    if wrapper.module.bytes != source:
        message = "it cannot be rewritten without other changes; it may have line endings of old Macs (CR)"
        raise SyntaxError(message)
    survey = Survey(wrapper)
    survey.decide()
    module = wrapper.module.visit(_Rewriter(survey.bindings, survey.replacements))
    return Rewritten(module.bytes, tuple(sorted(set(survey.problems))))


class _Rewriter(cst.CSTTransformer):
    """Makes the changes that the survey has decided."""

    def __init__(
        self, bindings: Mapping[cst.ImportAlias, Binding], replacements: Mapping[cst.CSTNode, str]
    ) -> None:
        super().__init__()
        self._bindings = bindings
        self._replacements = replacements
        self._made: set[cst.BaseSmallStatement] = set()

    def visit_Import(self, node: cst.Import) -> bool:  # noqa: N802 - libcst's names
        del node
        return False  # its parts stay the original nodes, by which the bindings are found

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:  # noqa: N802
        del node
        return False

    def leave_Attribute(  # noqa: N802
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        if original_node not in self._replacements:
            return updated_node
        new = cst.parse_expression(self._replacements[original_node])
        return new.with_changes(lpar=updated_node.lpar, rpar=updated_node.rpar)

    def leave_SimpleString(  # noqa: N802
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        return updated_node.with_changes(value=self._replacements.get(original_node, updated_node.value))

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        if not any(self._is_touched(statement) for statement in original_node.body):
            return updated_node
        if len(updated_node.body) > 1:
            return updated_node.with_changes(body=self._replace_all(updated_node.body))
        first, *others = self._replace(updated_node.body[0])
        lines = [cst.SimpleStatementLine([statement]) for statement in others]
        return cst.FlattenSentinel([updated_node.with_changes(body=[first]), *lines])

    def leave_SimpleStatementSuite(  # noqa: N802
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        if not any(self._is_touched(statement) for statement in original_node.body):
            return updated_node
        return updated_node.with_changes(body=self._replace_all(updated_node.body))

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:  # noqa: N802
        del original_node
        return updated_node.with_changes(body=list(self._without_repeats(updated_node.body)))

    def leave_IndentedBlock(  # noqa: N802
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        del original_node
        return updated_node.with_changes(body=list(self._without_repeats(updated_node.body)))

    def _is_touched(self, statement: cst.BaseSmallStatement) -> bool:
        return isinstance(statement, cst.Import | cst.ImportFrom) and any(
            self._bindings.get(alias, KEPT) != KEPT for alias in aliases_of(statement)
        )

    def _replace_all(self, statements: Iterable[cst.BaseSmallStatement]) -> list[cst.BaseSmallStatement]:
        replaced: list[cst.BaseSmallStatement] = []
        for statement in statements:
            parts = self._replace(statement) if self._is_touched(statement) else [statement]
            between = [part.with_changes(semicolon=_SEMICOLON) for part in parts[:-1]]
            replaced += [*between, parts[-1].with_changes(semicolon=statement.semicolon)]
        return replaced

    def _replace(self, statement: cst.BaseSmallStatement) -> list[cst.BaseSmallStatement]:
        if isinstance(statement, cst.ImportFrom):
            return self._replace_from(statement)
        if isinstance(statement, cst.Import):
            return [self._replace_import(statement)]
        return [statement]

    def _replace_import(self, statement: cst.Import) -> cst.Import:
        names: list[cst.ImportAlias] = []
        for alias in statement.names:
            binding = self._bindings.get(alias, KEPT)
            if binding.keep:
                names.append(alias)
            for module in binding.modules:
                new = alias.with_changes(name=cst.parse_expression(module))
                if not any(new.deep_equals(other.with_changes(comma=new.comma)) for other in names):
                    names.append(new)
        made = statement.with_changes(names=_join(names))
        self._made.add(made)
        return made

    def _replace_from(self, statement: cst.ImportFrom) -> list[cst.BaseSmallStatement]:
        groups: dict[str | None, list[cst.ImportAlias]] = defaultdict(list)
        modules = []
        for alias in aliases_of(statement):
            binding = self._bindings.get(alias, KEPT)
            if binding.modules:
                local = alias.evaluated_alias or alias.evaluated_name
                modules.append(_import_as(binding.modules[0], local))
            else:
                groups[binding.from_module].append(alias)
        parts: list[cst.BaseSmallStatement] = []
        last = aliases_of(statement)[-1]
        for module, names in groups.items():
            tail = last.comma if statement.rpar else cst.MaybeSentinel.DEFAULT
            changed = statement.with_changes(names=_join(names, tail))
            if module is not None:
                changed = changed.with_changes(module=cst.parse_expression(module))
            parts.append(changed)
        return [*parts, *modules]

    def _without_repeats(self, body: Iterable[cst.BaseStatement]) -> Iterator[cst.BaseStatement]:
        """Leave out a new import that repeats another one of its block, unless it has a comment."""
        seen: list[cst.BaseSmallStatement] = []
        for line in body:
            if (
                isinstance(line, cst.SimpleStatementLine)
                and line.body[0] in self._made
                and len(line.body) == 1
            ):
                repeated = any(line.body[0].deep_equals(other) for other in seen)
                seen.append(line.body[0])
                if repeated and not line.leading_lines and line.trailing_whitespace.comment is None:
                    continue
            yield line


_SEMICOLON: Final = cst.Semicolon(whitespace_after=cst.SimpleWhitespace(" "))


def _import_as(module: str, local: str) -> cst.Import:
    """Return `import module as local`."""
    name = cst.parse_expression(module)
    if not isinstance(name, cst.Name | cst.Attribute):
        raise TypeError(module)
    return cst.Import([cst.ImportAlias(name, cst.AsName(cst.Name(local)))])


def _join(
    names: Sequence[cst.ImportAlias], tail: cst.Comma | cst.MaybeSentinel = cst.MaybeSentinel.DEFAULT
) -> list[cst.ImportAlias]:
    """Put commas between names, and `tail` after the last one."""
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    between = [
        name if isinstance(name.comma, cst.Comma) else name.with_changes(comma=comma) for name in names[:-1]
    ]
    return [*between, names[-1].with_changes(comma=_end_with(names[-1].comma, tail))]


def _end_with(
    own: cst.Comma | cst.MaybeSentinel, tail: cst.Comma | cst.MaybeSentinel
) -> cst.Comma | cst.MaybeSentinel:
    """Return a trailing comma like `tail`, with the comment that follows `own`."""
    space = own.whitespace_after if isinstance(own, cst.Comma) else None
    if not isinstance(space, cst.ParenthesizedWhitespace) or space.first_line.comment is None:
        return tail
    end = tail.whitespace_after if isinstance(tail, cst.Comma) else None
    if not isinstance(end, cst.ParenthesizedWhitespace):
        return own
    changed = space.with_changes(indent=end.indent, last_line=end.last_line)
    return own.with_changes(whitespace_after=changed) if isinstance(own, cst.Comma) else tail

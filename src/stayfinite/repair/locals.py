"""Looking through a local variable: `e = exp(x)`, used further down in the same function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from stayfinite.repair.scope import bound_names, enclosing_function, own_nodes
from stayfinite.repair.source import SourceFile

Position = tuple[int, int]


class Locals:
    """The variables of the function around one expression."""

    def __init__(self, source: SourceFile, node: ast.AST) -> None:
        self._source = source
        self._function = enclosing_function(source, node)

    @cached_property
    def _bindings(self) -> dict[str, list[ast.AST]]:
        found: dict[str, list[ast.AST]] = {}
        if self._function is not None:
            for name, node in bound_names(self._function):
                found.setdefault(name, []).append(node)
        return found

    def definition(self, use: ast.expr) -> ast.Assign | None:
        """The only assignment of the name `use`, if moving its value to `use` changes nothing."""
        if not isinstance(use, ast.Name) or not isinstance(use.ctx, ast.Load):
            return None
        bindings = self._bindings.get(use.id, [])
        statement = self._source.parents.get(bindings[0]) if len(bindings) == 1 else None
        if not isinstance(statement, ast.Assign) or statement.targets != bindings:
            return None
        first, last = _end(statement), _start(use)
        if first > last:
            return None
        for name in ast.walk(statement.value):
            if isinstance(name, ast.Name):
                changes = (_start(node) for node in self._bindings.get(name.id, []))
                if any(first < change < last for change in changes):
                    return None
        return statement

    def value(self, node: ast.expr) -> ast.expr:
        """What `node` stands for: the assigned value for a name with a `definition`."""
        statement = self.definition(node)
        return node if statement is None else statement.value

    def uses(self, node: ast.AST) -> Iterator[ast.Name]:
        """Where the variable is read that `node` is the whole value of."""
        statement = self._source.parents.get(node)
        if self._function is None or not isinstance(statement, ast.Assign):
            return
        for use in own_nodes(self._function):
            if isinstance(use, ast.Name) and self.definition(use) is statement:
                yield use

    def is_bound_before(self, name: str, place: ast.expr | ast.stmt) -> bool:
        """Whether `name` means the same at `place` as later: bound above it, or not local."""
        return all(_start(node) < _start(place) for node in self._bindings.get(name, []))


def _start(node: ast.AST) -> Position:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _end(node: ast.stmt) -> Position:
    return node.end_lineno or node.lineno, node.end_col_offset or 0

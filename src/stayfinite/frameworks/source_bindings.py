"""The names that statements of the user bind, and those that they read before."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run in the frame of `scope` itself."""
    stack = [scope]
    while stack:
        node = stack.pop()
        yield node
        inner = [n for n in ast.iter_child_nodes(node) if not isinstance(n, SCOPES)]
        if isinstance(node, ast.comprehension):
            inner.remove(node.target)  # a variable of the comprehension
        stack += inner


def stored_names(target: ast.AST) -> list[str]:
    """The names in the target of an assignment."""
    return [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]


def bound_names(statement: ast.stmt) -> set[str]:
    """The names that a statement binds in its own frame."""
    found: set[str] = set()
    nodes = [statement, *itertools.islice(own_nodes(statement), 1, None)]
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(child.name)
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        found = {statement.name}
    return found


def read_first(
    statements: list[ast.stmt], certain: frozenset[str]
) -> tuple[set[str], frozenset[str]]:
    """The names that are read where they are not certainly bound; those certainly bound after."""
    read: set[str] = set()
    for statement in statements:
        parts = [
            value
            for name in ("test", "iter", "items", "subject", "value")
            for value in _as_list(getattr(statement, name, None))
        ]
        blocks = [
            block
            for name in ("body", "orelse", "finalbody")
            if (block := getattr(statement, name, None))
        ]
        blocks += [branch.body for branch in _handlers(statement)]
        blocks += [branch.body for branch in _cases(statement)]
        if isinstance(statement, SCOPES) or not blocks:
            read |= loaded_names(statement) - certain
            certain |= bound_names(statement)
            continue
        for each in parts:
            read |= loaded_names(each) - certain
        inside = certain
        if isinstance(statement, ast.For):
            inside = certain | set(stored_names(statement.target))
        if isinstance(statement, ast.With):
            inside = certain | {
                n
                for item in statement.items
                if item.optional_vars is not None
                for n in stored_names(item.optional_vars)
            }
        after = []
        for block in blocks:
            found, bound = read_first(block, inside)
            read |= found
            after.append(bound)
        if isinstance(statement, ast.With):
            certain = after[0]
        elif isinstance(statement, ast.If) and len(after) == 2:
            certain |= after[0] & after[1]
        elif isinstance(statement, ast.Try) and not statement.orelse:
            ends = [after[0], *after[1 + bool(statement.finalbody) :]]
            certain |= frozenset.intersection(*ends)
    return read, certain


def loaded_names(node: ast.AST, hidden: frozenset[str] = frozenset()) -> set[str]:
    """The names that are read anywhere in `node`, also in a function that it defines.

    Without the names in `hidden`, and without those that a comprehension has for itself.
    """
    if isinstance(node, ast.Name):
        is_read = isinstance(node.ctx, ast.Load) and node.id not in hidden
        return {node.id} if is_read else set()
    if isinstance(node, _COMPREHENSIONS):
        own = [name for each in node.generators for name in stored_names(each.target)]
        hidden = hidden.union(own)
    found: set[str] = set()
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        found.add(node.target.id)
    for child in ast.iter_child_nodes(node):
        found |= loaded_names(child, hidden)
    return found


def _handlers(statement: ast.stmt) -> list[ast.ExceptHandler]:
    return statement.handlers if isinstance(statement, ast.Try) else []


def _cases(statement: ast.stmt) -> list[ast.match_case]:
    return statement.cases if isinstance(statement, ast.Match) else []


def _as_list(value: object) -> list[ast.AST]:
    parts = value if isinstance(value, list) else [value]
    return [part for part in parts if isinstance(part, ast.AST)]

"""The assignments of a function that are never read."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef
Store = ast.Assign | ast.AnnAssign | ast.AugAssign


def dead_stores(function: Function | ast.Module, may_go: Callable[[Store], bool]) -> list[Store]:
    """The assignments of a single name of a function whose value is overwritten or dropped unread.

    In a module, those of a name that nothing of the file reads.

    Those that `may_go` refuses are kept, and with them what they read. An assignment is dead also
    where only dead ones read it.
    """
    dead: list[Store] = []
    while True:
        found = [store for store in _Liveness(function, dead).dead if may_go(store)]
        if len(found) == len(dead):
            return dead
        dead = found


class _Liveness:
    """One backward walk, in which the statements of `ignored` read nothing."""

    def __init__(self, function: Function | ast.Module, ignored: Sequence[Store]) -> None:
        self._ignored = ignored
        self._kept = _captured(function)
        self.dead: list[Store] = []
        self._block(function.body, set())
        self.dead = list(dict.fromkeys(self.dead))

    def _block(self, statements: Sequence[ast.stmt], live: set[str]) -> set[str]:
        for statement in reversed(statements):
            live = self._statement(statement, live)
        return live

    def _statement(self, statement: ast.stmt, live: set[str]) -> set[str]:
        if statement in self._ignored:
            self.dead.append(statement)  # type: ignore[arg-type]
            return live
        name = stored_name(statement)
        if name is not None:
            if name not in live and name not in self._kept:
                self.dead.append(statement)  # type: ignore[arg-type]
            value = set(_reads(statement.value))  # type: ignore[attr-defined]
            is_read = isinstance(statement, ast.AugAssign)
            return (live if is_read else live - {name}) | value
        if isinstance(statement, ast.Return | ast.Raise):
            return set(_reads(statement))
        if isinstance(statement, ast.If):
            taken = self._block(statement.body, set(live))
            other = self._block(statement.orelse, set(live))
            return taken | other | set(_reads(statement.test))
        if isinstance(statement, ast.For | ast.While | ast.Try | ast.With | ast.Match):
            # What is read anywhere inside may be read after any statement inside.
            inside = live | set(_reads(statement, self._ignored))
            for block in _blocks(statement):
                self._block(block, set(inside))
            return inside
        return live | set(_reads(statement))


def stored_name(statement: ast.stmt) -> str | None:
    """The local name that a statement does nothing but assign."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AugAssign) or (
        isinstance(statement, ast.AnnAssign) and statement.value is not None
    ):
        target = statement.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(statement):
        if node is statement or isinstance(node, ast.ExceptHandler | ast.match_case):
            for field in ("body", "orelse", "finalbody"):
                block = getattr(node, field, None)
                if isinstance(block, list) and block:
                    yield block


def _reads(node: ast.AST, ignored: Sequence[ast.AST] = ()) -> Iterator[str]:
    """The names that a node reads, without the statements of `ignored` inside it."""
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load | ast.Del):
            yield part.id
        elif isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            yield part.target.id
        stack += [child for child in ast.iter_child_nodes(part) if child not in ignored]


def _captured(function: Function | ast.Module) -> set[str]:
    """Names that other functions see: of nested functions, `global` and `nonlocal`."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
        elif node is not function and isinstance(node, Function | ast.Lambda | ast.ClassDef):
            found.update(_reads(node))
    return found

"""The loop around a line of the user's code: its AST, and which names its body reads.

A `SourceLoop` is found by the position of a running frame. It is known by its number among the
loops of the file, so that the same loop is found in a patched text of the file.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType

from executing import Source

from stayfinite.frameworks.source_bindings import (
    bound_names,
    loaded_names,
    own_nodes,
    read_first,
    stored_names,
)
from stayfinite.graph.running_loops import loops_in
from stayfinite.graph.source import definition

Statement = ast.For | ast.While


@dataclass(frozen=True, eq=False)
class SourceLoop:
    """One `for` or `while` of the user's.

    Attributes:
        code: The code of the frame that runs it.
        node: Its AST.
        number: Its number among the loops of its file.
        targets: The names that its header binds.
        read: Names that its body reads before it has certainly bound them.
        bound: Names that its body binds.
        names: Every name of its body and header.
    """

    code: CodeType
    node: Statement
    number: int
    targets: tuple[str, ...]
    read: frozenset[str]
    bound: frozenset[str]
    names: frozenset[str]

    @property
    def file(self) -> str:
        """The file as the running code names it."""
        return self.code.co_filename

    @property
    def line(self) -> int:
        """The line of its header."""
        return self.node.lineno

    @property
    def is_of_module(self) -> bool:
        """Whether its names are globals of its module."""
        return self._own is None

    @functools.cached_property
    def first_line(self) -> int:
        """The line of the first statement of its body."""
        return self.node.body[0].lineno

    @functools.cached_property
    def taken(self) -> tuple[str, ...]:
        """The names that its body, without loops inside it, binds to `next(...)`."""
        own = [node for node in own_nodes(self.node) if isinstance(node, ast.Assign)]
        inner = {
            id(node)
            for loop in own_nodes(self.node)
            if loop is not self.node and isinstance(loop, Statement)
            for node in ast.walk(loop)
        }
        names = [n for node in own if id(node) not in inner for n in taken_names(node)]
        return tuple(dict.fromkeys(names))

    @functools.cached_property
    def wanted(self) -> tuple[str, ...]:
        """What its body reads or takes and its header binds, among the variables of its frame."""
        names = sorted({*(self.read & self.names), *self.targets, *self.taken})
        return tuple(n for n in names if self._own is None or n in self._own)

    @functools.cached_property
    def globals_read(self) -> tuple[str, ...]:
        """Of a loop in a function: what its body reads that is no variable of its frame."""
        return () if self._own is None else tuple(sorted(self.read - self._own))

    @functools.cached_property
    def _own(self) -> frozenset[str] | None:
        """The variables of its frame; None for a module, whose variables are its globals."""
        code = self.code
        if not code.co_flags & inspect.CO_OPTIMIZED:
            return None
        return frozenset((*code.co_varnames, *code.co_cellvars, *code.co_freevars))

    def bound_in_header(self, names: Iterable[str]) -> bool:
        """Whether one of `names` is bound by the header."""
        return any(name in self.targets for name in names)

    def bound_before(self, line: int) -> set[str]:
        """The names that statements of the body bind which begin before `line`."""
        early = [statement for statement in self.node.body if statement.lineno < line]
        return {name for statement in early for name in bound_names(statement)}

    @functools.cached_property
    def written(self) -> frozenset[str]:
        """The names whose value its body writes to in place, if it is a tensor: `total += loss`."""
        return frozenset(name for statement in self.node.body for name in written_names(statement))

    def written_before_alone(self, line: int) -> tuple[str, ...]:
        """Those of them that only statements write to which begin before `line`."""
        found = self._written_before_alone.get(line)
        if found is None:
            late = [statement for statement in self.node.body if statement.lineno >= line]
            after = {name for statement in late for name in written_names(statement)}
            found = self._written_before_alone[line] = tuple(sorted(self.written - after))
        return found

    @functools.cached_property
    def _written_before_alone(self) -> dict[int, tuple[str, ...]]:
        """The names by line: they are asked for in each step of a training."""
        return {}

    def tail(self, line: int) -> list[ast.stmt]:
        """The statements after `line` that bind anew what the next iteration reads.

        `state = state.detach()` after the update. Where the next iteration begins, their names have
        the values that they bind. A statement is left out if nothing of the others needs it.
        """
        # The step before an update in a branch is several iterations, each from its beginning.
        early = self.bound if self.is_in_branch(line) else self.bound_before(line)
        wanted = self.read & early
        found: list[ast.stmt] = []
        for statement in reversed(_after(self.node.body, line)):
            bound = bound_names(statement)
            if bound & wanted:
                found.insert(0, statement)
                wanted |= loaded_names(statement) & self.bound
        return found

    @functools.cached_property
    def counted(self) -> tuple[str, int] | None:
        """The name and the step of a header such as `for step in range(100)`; None for others."""
        match self.node:
            case ast.For(ast.Name(name), ast.Call(ast.Name("range"), [_, _, by])):
                step = literal_number(by)
                return None if step is None else (name, step)
            case ast.For(ast.Name(name), ast.Call(ast.Name("range"))):
                return name, 1
        return None

    def is_in_branch(self, line: int) -> bool:
        """Whether `line` is in a branch of its body, which some iterations leave out."""
        return any(isinstance(s, ast.If) and _has_line([s], line) for s in self.node.body)

    def is_in_header(self, line: int) -> bool:
        """Whether `line` is that of the header, where the next item is drawn."""
        return self.node.lineno <= line < self.first_line


def _after(block: list[ast.stmt], line: int) -> list[ast.stmt]:
    """The statements that follow `line` in a block, those in the branch around it first."""
    found: list[ast.stmt] = []
    for statement in block:
        if statement.lineno > line:
            found.append(statement)
        elif isinstance(statement, ast.If) and line <= (statement.end_lineno or 0):
            branches = (statement.body, statement.orelse)
            found += [
                s for branch in branches if _has_line(branch, line) for s in _after(branch, line)
            ]
    return found


def _has_line(block: list[ast.stmt], line: int) -> bool:
    return any(s.lineno <= line <= (s.end_lineno or s.lineno) for s in block)


def literal_number(node: ast.expr) -> int | None:
    """The integer that is written as `node`, with its sign; None where it is none."""
    match node:
        case ast.Constant(int() as value):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() as value)):
            return -value
    return None


def written_names(statement: ast.stmt) -> set[str]:
    """The names whose value a statement writes to in place, if it is a tensor."""
    found = set()
    for node in itertools.chain([statement], own_nodes(statement)):
        match node:
            case ast.AugAssign(ast.Name(name) | ast.Subscript(ast.Name(name))):
                found.add(name)
            case ast.Call(ast.Attribute(ast.Name(name), attr)) if _is_in_place(attr):
                found.add(name)
            case ast.Assign([ast.Subscript(ast.Name(name))]):
                found.add(name)
    return found


def _is_in_place(method: str) -> bool:
    return method.endswith("_") and not method.startswith("_")


def taken_names(statement: ast.Assign) -> list[str]:
    """The names that an assignment of `next(...)` binds; empty for any other."""
    match statement:
        case ast.Assign([target], ast.Call(ast.Name("next"))) if _has_names_alone(target):
            return stored_names(target)
        case _:
            return []


def _has_names_alone(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(_has_names_alone(element) for element in target.elts)
    return isinstance(target, ast.Name)


def named_in_header(node: ast.While) -> list[ast.NamedExpr]:
    """Where the header of a `while` binds names: `while (batch := next(batches, None)):`."""
    return [each for each in own_nodes(node.test) if isinstance(each, ast.NamedExpr)]


def innermost_loop(
    code: CodeType,
    line: int,
    *,
    in_header: bool,
    around: SourceLoop | None = None,
    may_yield: bool = False,
) -> SourceLoop | None:
    """The innermost loop of `code` whose body, or with `in_header` body or header, has `line`.

    With `around` only a loop around this one, whose body may be on the line of its header. With
    `may_yield` its body may have statements such as `yield loss`, whose value nothing reads.

    None where there is none, where the source is not there, and for a body that otherwise yields
    or awaits.
    """
    tree = Source.for_filename(code.co_filename).tree
    if tree is None:
        return None
    scope = _scope(tree, code)
    found: Statement | None = None
    for node in own_nodes(scope) if scope is not None else ():
        if not isinstance(node, Statement) or (around is not None and node.lineno >= around.line):
            continue
        first = node.lineno if in_header else node.body[0].lineno
        last = node.body[-1].end_lineno or node.body[-1].lineno
        if first <= line <= last and (found is None or node.lineno >= found.lineno):
            found = node
    if found is None or _leaves_the_function(found, may_yield=may_yield):
        return None
    numbers = {id(node): number for number, node in enumerate(loops_in(tree))}
    return _described(code, code.co_filename, numbers[id(found)])


def _scope(tree: ast.Module, code: CodeType) -> ast.AST | None:
    if code.co_name == "<module>":
        return tree
    found = definition(ast.walk(tree), code)
    return None if isinstance(found, ast.Lambda) else found


def _leaves_the_function(loop: Statement, *, may_yield: bool) -> bool:
    """Whether its body cannot be a function by itself."""
    nodes = list(own_nodes(loop))
    statements = [n.value for n in nodes if may_yield and isinstance(n, ast.Expr)]
    told = {id(value) for value in statements if isinstance(value, ast.Yield)}
    leaving = ast.Yield | ast.YieldFrom | ast.Await | ast.AsyncFor | ast.AsyncWith
    return any(isinstance(node, leaving) and id(node) not in told for node in nodes)


# The file is part of the key: code of two cells is equal where their text is.
@functools.lru_cache(maxsize=256)
def _described(code: CodeType, filename: str, number: int) -> SourceLoop:
    tree = Source.for_filename(filename).tree
    assert tree is not None
    node = loops_in(tree)[number]
    own = [node.target] if isinstance(node, ast.For) else [e.target for e in named_in_header(node)]
    targets = tuple(name for target in own for name in stored_names(target))
    bound = {name for statement in node.body for name in bound_names(statement)}
    read, _ = read_first(node.body, frozenset(targets))
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return SourceLoop(
        code, node, number, targets, frozenset(read), frozenset(bound), frozenset(names)
    )

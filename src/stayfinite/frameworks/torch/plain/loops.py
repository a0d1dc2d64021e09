"""The loop around a line of the user's code: its AST, and which names its body reads.

A `SourceLoop` is found by the position of a running frame. It is known by its number among the
loops of the file, so that the same loop is found in a patched text of the file.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType

from executing import Source

from stayfinite.graph.running_loops import loops_in
from stayfinite.graph.source import definition

Statement = ast.For | ast.While
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


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

    @functools.cached_property
    def first_line(self) -> int:
        """The line of the first statement of its body."""
        return self.node.body[0].lineno

    @functools.cached_property
    def wanted(self) -> tuple[str, ...]:
        """What its body reads and its header binds, among the variables of its frame."""
        names = sorted({*(self.read & self.names), *self.targets})
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

    def tail(self, line: int) -> list[ast.stmt]:
        """The statements after `line` that bind anew what the next iteration reads.

        `state = state.detach()` after the update. Where the next iteration begins, their names have
        the values that they bind. A statement is left out if nothing of the others needs it.
        """
        wanted = self.read & self.bound_before(line)
        found: list[ast.stmt] = []
        for statement in reversed(self.node.body):
            if statement.lineno <= line:
                break
            bound = bound_names(statement)
            if bound & wanted:
                found.insert(0, statement)
                wanted |= _loaded(statement) & self.bound
        return found

    def is_in_header(self, line: int) -> bool:
        """Whether `line` is that of the header, where the next item is drawn."""
        return self.node.lineno <= line < self.first_line


@dataclass(frozen=True, eq=False)
class Spot:
    """A position in code, with what is the same each time it is reached.

    Attributes:
        code: The code. It is kept, so that its identity is not given to another.
        line: The line.
        at: The innermost loop whose body or header is there.
        around: The innermost loop whose body is there.
        in_header: Whether the next item of `at` is drawn there.
        wanted: The names of `at` that are wanted there, with those that the rest of its body needs.
    """

    code: CodeType
    line: int
    at: SourceLoop | None
    around: SourceLoop | None
    in_header: bool
    wanted: tuple[str, ...]


# By identity, since the hash of a code object is computed from all of it each time.
_SPOTS: dict[tuple[int, int], Spot] = {}
_MAX_SPOTS = 4096


def spot_of(frame: FrameType) -> Spot:
    """Where a frame is."""
    code, instruction = frame.f_code, frame.f_lasti
    key = (id(code), instruction)
    spot = _SPOTS.get(key)
    if spot is None:
        if len(_SPOTS) >= _MAX_SPOTS:
            _SPOTS.clear()
        line = _line(code, instruction)
        at = _innermost(code, line, in_header=True)
        around = _innermost(code, line, in_header=False)
        in_header = at is not None and at.is_in_header(line)
        wanted = () if at is None else _wanted(at, line)
        spot = _SPOTS[key] = Spot(code, line, at, around, in_header, wanted)
    return spot


def _wanted(loop: SourceLoop, line: int) -> tuple[str, ...]:
    read, _ = read_first(loop.tail(line), frozenset())
    return tuple(dict.fromkeys((*loop.wanted, *sorted(read & loop.bound))))


def _line(code: CodeType, instruction: int) -> int:
    position = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    return (position[0] if position else None) or code.co_firstlineno


def _innermost(code: CodeType, line: int, *, in_header: bool) -> SourceLoop | None:
    tree = Source.for_filename(code.co_filename).tree
    if tree is None:
        return None
    scope = _scope(tree, code)
    found: Statement | None = None
    for node in _own_nodes(scope) if scope is not None else ():
        if not isinstance(node, Statement):
            continue
        first = node.lineno if in_header else node.body[0].lineno
        last = node.body[-1].end_lineno or node.body[-1].lineno
        if first <= line <= last and (found is None or node.lineno >= found.lineno):
            found = node
    if found is None or _leaves_the_function(found):
        return None
    numbers = {id(node): number for number, node in enumerate(loops_in(tree))}
    return _described(code, numbers[id(found)])


def _scope(tree: ast.Module, code: CodeType) -> ast.AST | None:
    if code.co_name == "<module>":
        return tree
    found = definition(ast.walk(tree), code)
    return None if isinstance(found, ast.Lambda) else found


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run in the frame of `scope` itself."""
    stack = [scope]
    while stack:
        node = stack.pop()
        yield node
        stack += [n for n in ast.iter_child_nodes(node) if not isinstance(n, _SCOPES)]


def _leaves_the_function(loop: Statement) -> bool:
    """Whether its body cannot be a function by itself."""
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom | ast.Await | ast.AsyncFor | ast.AsyncWith)
        for node in _own_nodes(loop)
    )


@functools.lru_cache(maxsize=256)
def _described(code: CodeType, number: int) -> SourceLoop:
    tree = Source.for_filename(code.co_filename).tree
    assert tree is not None
    node = loops_in(tree)[number]
    target = node.target if isinstance(node, ast.For) else None
    targets = tuple(_stored(target)) if target is not None else ()
    bound = {name for statement in node.body for name in bound_names(statement)}
    read, _ = read_first(node.body, frozenset(targets))
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return SourceLoop(
        code, node, number, targets, frozenset(read), frozenset(bound), frozenset(names)
    )


def _stored(target: ast.AST) -> list[str]:
    return [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]


def bound_names(statement: ast.stmt) -> set[str]:
    """The names that a statement binds in its own frame."""
    found: set[str] = set()
    nodes = [statement, *itertools.islice(_own_nodes(statement), 1, None)]
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
        if isinstance(statement, _SCOPES) or not blocks:
            read |= _loaded(statement) - certain
            certain |= bound_names(statement)
            continue
        for each in parts:
            read |= _loaded(each) - certain
        inside = certain
        if isinstance(statement, ast.For):
            inside = certain | set(_stored(statement.target))
        if isinstance(statement, ast.With):
            inside = certain | {
                n
                for item in statement.items
                if item.optional_vars is not None
                for n in _stored(item.optional_vars)
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


def _loaded(node: ast.AST) -> set[str]:
    """The names that are read anywhere in `node`, also in a function that it defines."""
    found = {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    augmented = [n.target for n in ast.walk(node) if isinstance(n, ast.AugAssign)]
    found |= {target.id for target in augmented if isinstance(target, ast.Name)}
    return found


def _handlers(statement: ast.stmt) -> list[ast.ExceptHandler]:
    return statement.handlers if isinstance(statement, ast.Try) else []


def _cases(statement: ast.stmt) -> list[ast.match_case]:
    return statement.cases if isinstance(statement, ast.Match) else []


def _as_list(value: object) -> list[ast.AST]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]  # type: ignore[list-item]

"""Writing a rewritten formula into the file it came from, and checking what was written."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from stayfinite.repair.api import NoSpellingError
from stayfinite.repair.edit import Edit, Replacement
from stayfinite.repair.errors import RepairError
from stayfinite.repair.extraction import Extraction, ExtractionError, SourceOrigin
from stayfinite.repair.extraction.frames import Patched
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.formula import BINARY, OTHER, REDUCTIONS, UNARY, Node, replaced
from stayfinite.repair.scope import enclosing_function
from stayfinite.repair.source import SourceFile
from stayfinite.repair.writing.changes import CannotChangeError, Changes, common, is_conditional
from stayfinite.repair.writing.compare import differing, same, smallest_differing
from stayfinite.repair.writing.inlining import with_bodies
from stayfinite.repair.writing.liveness import Function, Store, dead_stores
from stayfinite.repair.writing.naming import with_names
from stayfinite.repair.writing.printer import LINE, WIDTHS, CannotPrintError, Printer
from stayfinite.repair.writing.spelling import Speller
from stayfinite.repair.writing.text import needed, precedence

_MAX_TRIES = 12
_REFUSALS = (CannotChangeError, CannotPrintError, NoSpellingError, ExtractionError)


class CannotWriteError(RepairError):
    """No edit of the source computes the rewritten formula."""


@dataclass(frozen=True)
class Written:
    """An edit, the changes that it consists of if they are of one place, and the formula with it.

    `root` is the rewritten formula that was asked for; where the edited function is called more
    than once, it is changed at all calls.
    """

    edit: Edit
    changes: Changes | None
    root: Node


def available(extraction: Extraction) -> frozenset[str]:
    """The operations that the user's library can spell at the failing expression."""
    origin = extraction.origins[extraction.failing][0]
    speller = Speller(origin.source, origin.expression)
    ops = (*UNARY, *BINARY, *REDUCTIONS, *OTHER)
    return frozenset(op for op in ops if speller.can_spell(op))


def write(extraction: Extraction, rewritten: Node) -> Written:
    """The smallest edit after which the function computes `rewritten` where it computes the root.

    The edited source is extracted again, and only an edit that gives the wanted formula counts.

    Example:
        >>> written = write(extraction, rewrite.root)
        >>> print(Patch.start(written.edit.source).then(written.edit).diff())

    Raises:
        CannotWriteError: no place is found where the new expression can be written.
    """
    try:
        return _with_names(extraction, rewritten)
    except CannotWriteError:
        for inlined in with_bodies(extraction, rewritten):
            with contextlib.suppress(CannotWriteError):
                written = _with_names(inlined.extraction, inlined.rewritten)
                if written.edit.source.path == inlined.source.path:
                    return _joined(inlined.source, written)
        raise


def _with_names(extraction: Extraction, rewritten: Node) -> Written:
    """The smallest edit, else one that first gives a name to what a call gives."""
    try:
        return _written(extraction, rewritten)
    except CannotWriteError:
        for source, named in with_names(extraction, rewritten):
            with contextlib.suppress(CannotWriteError):
                written = _written(named, rewritten)
                if written.edit.source.path == source.path:
                    return _joined(source, written)
            # A ratio of two heads hides the logits of both.
            for second, both in with_names(named, rewritten):
                with contextlib.suppress(CannotWriteError):
                    written = _written(both, rewritten)
                    if written.edit.source.path == second.path == source.path:
                        return _joined(source, written)
        raise


def _joined(source: SourceFile, written: Written) -> Written:
    """An edit of a text that was edited before, as one edit of `source`."""
    old, new = source.text, written.edit.apply()
    start, end = common(old, new)
    piece = Replacement(start, len(old) - end, new[start : len(new) - end])
    edit = Edit(source, written.edit.kind, (piece,))
    return Written(edit, None, written.root)


def _written(extraction: Extraction, rewritten: Node) -> Written:
    reasons: list[str] = []
    tries = 0
    for old, new in _pairs(extraction, rewritten):
        for origin in _origins(extraction, old):
            if tries == _MAX_TRIES:
                break
            try:
                tries += 1
                return _Attempt(extraction, rewritten, origin, old, new).run()
            except (
                CannotChangeError,
                CannotPrintError,
                NoSpellingError,
                ExtractionError,
            ) as error:
                reasons.append(str(error))
    why = "; ".join(dict.fromkeys(filter(None, reasons))) or "no expression of the file computes it"
    raise CannotWriteError(f"the new formula cannot be written: {why}")


def _pairs(extraction: Extraction, rewritten: Node) -> list[tuple[Node, Node]]:
    """What to replace by what, the best place first: the smallest, and the first evaluated."""
    order: dict[Node, int] = {}
    for position, (_, node) in enumerate(extraction.evaluated):
        order.setdefault(node, position)
    smallest = smallest_differing(extraction.root, rewritten)
    smallest.sort(key=lambda pair: order.get(pair[0], len(order)))
    around = list(reversed(differing(extraction.root, rewritten)))
    return list(dict.fromkeys([*smallest[:2], *around]))


def _origins(extraction: Extraction, node: Node) -> Iterator[SourceOrigin]:
    """The places to edit for another value of `node`: what computes it before what reads it."""
    found: dict[ast.AST, SourceOrigin] = {}
    for origin in extraction.origins.get(node, ()):
        # The target of `x /= y` is read too, but has no expression of its own for that.
        if origin.expression in origin.source.parents:
            found.setdefault(origin.expression, origin)
    yield from sorted(found.values(), key=lambda o: isinstance(o.expression, ast.Name))


class _Attempt:
    """One place and one new formula for it."""

    def __init__(
        self, extraction: Extraction, rewritten: Node, origin: SourceOrigin, old: Node, new: Node
    ) -> None:
        self._extraction = extraction
        self._rewritten = rewritten
        self._origin = origin
        self._old = old
        self._new = new

    def run(self) -> Written:
        """The checked edit."""
        reason = "the edited source computes another formula"
        for may_assign in (True, False):
            changes = self._changes(may_assign)
            after = changes.after
            dead = self._newly_dead(changes, after)
            if dead:
                changes = Changes(
                    changes.source,
                    changes.node,
                    changes.text,
                    changes.lines,
                    dead,
                    changes.imports,
                )
                after = changes.after
            root = self._root(changes, after)
            if root is not None:
                return Written(changes.edit("formula"), changes, root)
            if not changes.lines:
                break
        raise CannotPrintError(reason)

    def _changes(self, may_assign: bool) -> Changes:
        origin, expression = self._origin, self._origin.expression
        source = origin.source
        is_lambda = isinstance(origin.moment.statement, ast.Lambda)
        methods = self._prefers_methods()
        library = "torch" if methods and self._extraction.has_torch_methods else None
        may_assign = may_assign and not is_lambda and not is_conditional(source, expression)
        start, _ = source.range_of(expression)
        line = source.text.rfind("\n", 0, start) + 1
        before = start - line
        indent = before - len(source.text[line:start].lstrip())
        for width in WIDTHS:
            speller = Speller(source, expression, methods, library)
            printer = Printer(self._extraction, origin, speller, may_assign, width)
            text = printer.print(self._new).text
            longest = max([before + len(text), *(indent + len(x) for x in printer.lines)])
            if longest <= LINE or not may_assign:
                break
        self._printed = text
        if isinstance(expression, ast.AugAssign):
            text = f"{source.text_of(expression.target)} = {text}"
        elif precedence(text) < needed(source.parents.get(expression), expression):
            # `libcst` keeps parentheses of the user's own.
            text = text if source.is_grouped(expression) else f"({text})"
        return Changes(source, expression, text, printer.lines, (), speller.imports)

    def _prefers_methods(self) -> bool:
        """Whether the user calls methods of tensors rather than functions."""
        calls = [
            origin.expression
            for origin, node in self._extraction.evaluated
            if isinstance(origin.expression, ast.Call) and node.op in (*UNARY, *REDUCTIONS)
        ]
        methods = [
            call
            for call in calls
            if isinstance(call.func, ast.Attribute)
            and any(call.func.value is o.expression for o, _ in self._extraction.evaluated)
        ]
        return 2 * len(methods) > len(calls)

    def _newly_dead(self, changes: Changes, after: SourceFile) -> list[ast.stmt]:
        """The statements of the text before that are never read in the text after."""
        before = enclosing_function(changes.source, changes.node) or changes.source.tree
        if isinstance(before, ast.Lambda):
            return []
        edited = Patched(changes.source, after)
        now = after.tree if isinstance(before, ast.Module) else edited.body(before)
        assert isinstance(now, Function | ast.Module)
        stores = {ast.dump(s): s for s in ast.walk(before) if isinstance(s, Store)}

        def may_go(store: Store) -> bool:
            """A statement of the user's that only computes, and leaves its block not empty."""
            own = stores.get(ast.dump(store))
            return (
                own is not None
                and self._is_pure(changes.source, own)
                and _is_alone(changes.source, own)
            )

        known = {ast.dump(store) for store in dead_stores(before, lambda _: True)}
        dead = {ast.dump(store) for store in dead_stores(now, may_go)} - known
        return [s for s in ast.walk(before) if isinstance(s, Store) and ast.dump(s) in dead]

    def _is_pure(self, source: SourceFile, statement: Store) -> bool:
        value = statement.value
        return value is not None and all(
            place_of(source, part) in self._extraction.pure_calls
            for part in ast.walk(value)
            if isinstance(part, ast.Call)
        )

    def _root(self, changes: Changes, after: SourceFile) -> Node | None:
        """The root with the edit, if it is the wanted formula and everything else is the same."""
        interpreter = self._extraction.again(changes.source, after, _imported(changes))
        olds = [
            node for origin, node in self._extraction.evaluated if origin.expression is changes.node
        ]
        wanted = ast.dump(ast.parse(self._printed, mode="eval").body)
        body = Patched(changes.source, after).body(self._origin.moment.frame.body)
        news = [
            node
            for origin, node in interpreter.evaluated
            if origin.moment.frame.body is body and ast.dump(origin.expression) == wanted
        ]
        if len(olds) != len(news) or self._old not in olds:
            return None
        place = olds.index(self._old)
        if not same(_undone(news[place], news[:place], olds[:place]), self._new):
            return None
        for root in interpreter.roots():
            if same(root, self._rewritten):
                return root
            # A function that is called more than once is rewritten at all calls.
            if self._differs_at(olds) and same(_undone(root, news, olds), self._extraction.root):
                return root
        return None

    def _differs_at(self, olds: list[Node]) -> bool:
        """Whether the rewritten formula differs from the root at these nodes only."""
        pairs = smallest_differing(self._extraction.root, self._rewritten)
        places = set(olds)
        return len(places) > 1 and all(old in places for old, _ in pairs)


def _imported(changes: Changes) -> dict[str, object]:
    """What the new imports bind; they import what is loaded already."""
    names: dict[str, object] = {}
    exec("\n".join(changes.imports), names)
    return names


def _undone(root: Node, news: list[Node], olds: list[Node]) -> Node:
    """`root` with every rewritten call as it was."""
    for new, old in reversed(list(zip(news, olds, strict=True))):
        if new is not old:
            root = replaced(root, new, old)
    return root


def _is_alone(source: SourceFile, statement: ast.stmt) -> bool:
    """Whether the block of the statement has others."""
    parent = source.parents[statement]
    blocks = [getattr(parent, name, None) for name in ("body", "orelse", "finalbody")]
    return any(isinstance(b, list) and statement in b and len(b) > 1 for b in blocks)

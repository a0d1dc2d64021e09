"""A rewriting at the other places of the function that do the same to another operand.

A triplet loss takes one square root for the positive and one for the negative, so a fix edits both.
The step that failed shows one of them only.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Container, Iterator

from stayfinite.repair.edit import Edit, Replacement
from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.rewrites import Facts, Site
from stayfinite.repair.scope import Scope
from stayfinite.repair.siblings import siblings
from stayfinite.repair.source import SourceFile, compile_module
from stayfinite.repair.writing.changes import CannotChangeError, Changes, common, is_conditional
from stayfinite.repair.writing.text import needed, precedence


def repeated(changes: Changes, places: Container[ast.AST]) -> Edit | None:
    """The edit at all of `places` that are written alike; None where there is no other one.

    Args:
        changes: The edit of one place, a function of one operand.
        places: The expressions at which the same can happen.
    """
    site = Site(changes.source, changes.node, Facts())
    first, operand = site.operation, None if site.operation is None else site.operation.critical
    if first is None or operand is None or not isinstance(changes.node, ast.expr):
        return None
    after, num_places = changes.after, 1
    for node in siblings(site, "guard"):
        other = recognise(site.scope, node)
        if node not in places or not isinstance(node, ast.expr):
            continue
        if other is None or not _alike(first, other):
            continue
        again = _again(changes, after, node, operand, other)
        if again is not None:
            after, num_places = again, num_places + 1
    if num_places == 1:
        return None
    old, new = changes.source.text, after.text
    start, end = common(old, new)
    piece = Replacement(start, len(old) - end, new[start : len(new) - end])
    return Edit(changes.source, "formula", (piece,), num_places)


def _alike(first: Operation, other: Operation) -> bool:
    """Whether two expressions differ in their operand only."""
    one, two = first.critical, other.critical
    if one is None or two is None or not isinstance(first.node, ast.expr):
        return False
    return ast.dump(_Put(one, two).visit(copy.deepcopy(first.node))) == ast.dump(other.node)


def _again(
    changes: Changes, after: SourceFile, node: ast.expr, operand: ast.expr, other: Operation
) -> SourceFile | None:
    """The file with the change at the place of `other` too."""
    place = _found(changes.source, after, node)
    if place is None or other.critical is None:
        return None
    if changes.lines and is_conditional(after, place):
        return None
    put = _Put(operand, other.critical)
    lines = [put.visit(ast.parse(line)) for line in changes.lines]
    text = put.visit(ast.parse(changes.text, mode="eval").body)
    left = _names(operand) - _names(node)
    if not put.count or any(left & _names(tree) for tree in (*lines, text)):
        return None
    scope = Scope(after, place)
    renamed = {name: scope.free_name(name) for tree in lines for name in _stored(tree)}
    for tree in (*lines, text):
        for part in ast.walk(tree):
            if isinstance(part, ast.Name):
                part.id = renamed.get(part.id, part.id)
    written = ast.unparse(text)
    if precedence(written) < needed(after.parents.get(place), place):
        written = f"({written})"
    also = Changes(after, place, written, [ast.unparse(line) for line in lines])
    try:
        found = also.after
        compile_module(found.text, found.path)
    except (CannotChangeError, SyntaxError, ValueError):
        return None
    return found


def _found(before: SourceFile, after: SourceFile, node: ast.expr) -> ast.expr | None:
    """The expression in the file with the first change."""
    same = list(_equal(before, node))
    now = list(_equal(after, node))
    return now[same.index(node)] if len(same) == len(now) else None


def _equal(source: SourceFile, node: ast.expr) -> Iterator[ast.expr]:
    wanted = ast.dump(node)
    for other in ast.walk(source.tree):
        if type(other) is type(node) and ast.dump(other) == wanted:
            yield other


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _stored(tree: ast.AST) -> set[str]:
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


class _Put(ast.NodeTransformer):
    """Puts `new` in the place of what is written as `old`."""

    def __init__(self, old: ast.expr, new: ast.expr) -> None:
        self._old = ast.dump(old)
        self._new = new
        self.count = 0

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.dump(node) == self._old:
            self.count += 1
            return copy.deepcopy(self._new)
        visited: ast.AST = self.generic_visit(node)
        return visited

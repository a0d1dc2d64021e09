"""Removing the assignment of a variable that a rewrite has left without readers."""

from __future__ import annotations

import ast

from stayfinite.repair.edit import Replacement
from stayfinite.repair.rewrites.site import Site


def deletion(site: Site, statement: ast.Assign, replaced: ast.expr) -> list[Replacement]:
    """The removal of `statement`'s lines, if only `replaced` reads its variable.

    The variable could stay, but it would still be computed, non-finite, for nothing.
    """
    target = statement.targets[0]
    inside = set(ast.walk(replaced))
    if not isinstance(target, ast.Name):
        return []
    if any(read not in inside for read in site.locals.reads(target.id)):
        return []
    block = getattr(site.source.parents[statement], "body", [])
    if statement in block and len(block) == 1:
        return []
    text = site.source.text
    start, end = site.source.range_of(statement)
    line_start = site.source.line_starts[statement.lineno - 1]
    line_starts = [*site.source.line_starts, len(text)]
    line_end = line_starts[statement.end_lineno or statement.lineno]
    rest = text[end:line_end].strip()
    if text[line_start:start].strip() or (rest and not rest.startswith("#")):
        return []  # not alone on its lines
    return [Replacement(line_start, line_end, "")]

"""Removing the assignments of variables that a rewrite has left without readers."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from stayfinite.repair.edit import Replacement
from stayfinite.repair.rewrites.site import Site


def deletions(
    site: Site, statements: Iterable[ast.Assign], replaced: Iterable[ast.expr]
) -> Iterator[Replacement]:
    """The removal of those `statements` whose variables only the `replaced` formulas have read.

    They could stay, but they would still be computed, non-finite, for nothing.
    """
    left = list(statements)
    gone = {node for formula in replaced for node in ast.walk(formula)}
    dead: list[ast.Assign] = []
    while found := [s for s in left if all(read in gone for read in _reads(site, s))]:
        dead += found
        left = [statement for statement in left if statement not in found]
        for statement in found:
            gone.update(ast.walk(statement))
    for statement in dead:
        block = getattr(site.source.parents[statement], "body", [])
        lines = _own_lines(site, statement)
        if lines is not None and any(other not in dead for other in block):
            yield Replacement(*lines, "")


def _reads(site: Site, statement: ast.Assign) -> list[ast.Name]:
    target = statement.targets[0]
    return site.locals.reads(target.id) if isinstance(target, ast.Name) else []


def _own_lines(site: Site, statement: ast.Assign) -> tuple[int, int] | None:
    """The lines of a statement, if nothing but a comment stands on them too."""
    text = site.source.text
    start, end = site.source.range_of(statement)
    line_starts = [*site.source.line_starts, len(text)]
    line_start = line_starts[statement.lineno - 1]
    line_end = line_starts[statement.end_lineno or statement.lineno]
    rest = text[end:line_end].strip()
    is_alone = not text[line_start:start].strip() and (not rest or rest.startswith("#"))
    return (line_start, line_end) if is_alone else None

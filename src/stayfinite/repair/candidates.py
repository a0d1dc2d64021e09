"""From an expression and what is wrong with it to the edits worth trying, best first."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.api import NoSpellingError
from stayfinite.repair.edit import Replacement, TemplateEdit, insert_imports, overlap
from stayfinite.repair.expression import Expression, expressions_in
from stayfinite.repair.rewrites import MECHANISMS, Facts, Site, Template
from stayfinite.repair.siblings import siblings
from stayfinite.repair.source import compile_module

_MAX_INNER = 4  # operations to try inside an expression that is none itself


def candidates(
    expression: Expression, mechanism: str, facts: Facts | None = None
) -> list[TemplateEdit]:
    """The edits that may repair `expression`, in the order in which to try them.

    Where the function does the same thing at other places too, the edit of all of them comes
    before the edit of the one. An edit may not work: run the step with it.

    Args:
        expression: what failed, of the text that is to be edited.
        mechanism: one of `MECHANISMS`, for example `"singular-gradient"`.
        facts: dtype and range of the critical operand.

    Example:
        >>> for edit in candidates(expression, "singular-gradient", Facts("float32", 0.0, 4.2)):
        ...     print(edit.num_places, edit.does)
        2 BoundAdded(part=<BoundedPart.ARGUMENT: 1>, of='sqrt', low='0', high=None)
        1 BoundAdded(part=<BoundedPart.ARGUMENT: 1>, of='sqrt', low='0', high=None)

    Raises:
        ValueError: `mechanism` is not known.
    """
    if mechanism not in MECHANISMS:
        raise ValueError(f"expected one of {sorted(MECHANISMS)}, received {mechanism!r}")
    facts = facts or Facts()
    found: dict[str, TemplateEdit] = {}
    for node in _places(expression, mechanism, facts):
        site = Site(expression.source, node, facts)
        for rewrite in _rewrites(site, mechanism):
            for edit in _edits(expression, site, rewrite, mechanism):
                if edit is not None and _compiles(edit):
                    found.setdefault(edit.apply(), edit)
    return list(found.values())


def _places(expression: Expression, mechanism: str, facts: Facts) -> list[ast.expr | ast.AugAssign]:
    """The expression; if there is nothing to do with it, the operations inside it."""
    if _rewrites(Site(expression.source, expression.node, facts), mechanism):
        return [expression.node]
    useful = (
        n
        for n in expressions_in(expression.node)
        if _rewrites(Site(expression.source, n, facts), mechanism)
    )
    return [node for node, _ in zip(useful, range(_MAX_INNER), strict=False)]


def _rewrites(site: Site, mechanism: str) -> list[Template]:
    found: list[Template] = []
    try:
        for rewrite in MECHANISMS[mechanism](site):
            found.append(rewrite)
    except NoSpellingError:
        pass  # what was found before still stands
    return found


def _edits(
    expression: Expression, site: Site, rewrite: Template, mechanism: str
) -> Iterator[TemplateEdit | None]:
    group = [rewrite]
    for node in siblings(site, rewrite.kind):
        other = _rewrites(Site(site.source, node, site.facts), mechanism)
        same = next((r for r in other if r.kind == rewrite.kind), None)
        if same is not None and not overlap(p for r in (*group, same) for p in r.replacements):
            group.append(same)
    if len(group) > 1:
        yield _edit(expression, site, group)
    yield _edit(expression, site, [rewrite])


def _edit(expression: Expression, site: Site, group: list[Template]) -> TemplateEdit | None:
    imports = dict.fromkeys(line for rewrite in group for line in rewrite.imports)
    pieces: list[Replacement] = [p for rewrite in group for p in rewrite.replacements]
    pieces += insert_imports(site.source, site.node, imports)
    if overlap(pieces):
        return None
    return TemplateEdit(
        site.source,
        group[0].kind,
        tuple(sorted(pieces)),
        len(group),
        does=group[0].does,
        function=expression.function,
    )


def _compiles(edit: TemplateEdit) -> bool:
    try:
        compile_module(edit.apply(), edit.source.path)
    except (SyntaxError, ValueError):
        return False
    return True

"""A singular matrix: a small multiple of the identity is added to it.

This changes the value, in healthy steps as well, so it is a choice of the user's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.api import NoSpellingError
from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import FormWritten, NewForm
from stayfinite.repair.rewrites.site import Site, Template

SHIFT = "shift"


def rewrites(site: Site) -> Iterator[Template]:
    """`cholesky(k)` -> `cholesky(k + 1e-6 * eye(k.shape[-1]))`; then a larger number."""
    call, least = site.node, site.facts.shift
    if not isinstance(call, ast.Call) or least is None:
        return
    # A method of a tensor has no tensor to take, apart from the right-hand side of `solve`.
    is_method = isinstance(call.func, ast.Attribute) and site.scope.path(call.func) is None
    if is_method and isinstance(call.func, ast.Attribute):
        matrix: ast.expr = call.func.value
    elif call.args:
        matrix = call.args[0]
    else:
        return
    first, again = site.twice(matrix, "matrix")
    first = first if first != again else site.atom(matrix)
    again = again if again.isidentifier() else site.atom(matrix)
    for power in (least, least + 2):
        shifted = f"{first} + 1e{power} * {_identity(site, again)}"
        start, end = site.source.grouped_range(matrix)
        pieces = [Replacement(start, end, f"({shifted})" if is_method else shifted)]
        does = FormWritten(NewForm.SHIFTED_MATRIX, number=f"1e{power}")
        yield site.rewrite(SHIFT, does, pieces)


def _identity(site: Site, matrix: str) -> str:
    prefix, _, _ = site.calls.spell("where").text.rpartition(".")
    if not prefix:
        raise NoSpellingError("eye")
    options = f", device={matrix}.device" if site.api.family == "torch" else ""
    return f"{prefix}.eye({matrix}.shape[-1]{options})"

"""`1 - sigmoid(x)` as `sigmoid(-x)` and the like, also through bounds."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.engine import log_domain
from stayfinite.repair.engine.complement_forms import without_differences
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.formula import Node


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """The formula without such differences; then what the log domain makes of it."""
    whole = without_differences(root)
    if whole is root:
        return
    yield whole, "complement", ()
    for formula, rule, assumptions in log_domain.proposals(context, whole):
        yield formula, f"complement, {rule}", assumptions

"""A row of scores that is all -inf: keep the scores finite, and the softmax of the row is even."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.rewrites import division_by_zero, guards, log_of_zero
from stayfinite.repair.rewrites.site import Rewrite, Site, spelled


def rewrites(site: Site) -> Iterator[Rewrite]:
    """The repairs of one operation, best first."""
    operation = site.operation
    if operation is None:
        return
    if operation.name in ("softmax", "log_softmax", "logsumexp"):
        emit, x = site.emitter(), operation.arguments["x"]
        bound = "-3e4" if site.facts.dtype == "float16" else "-1e9"
        pieces = guards.at_least(site, emit, operation, x, bound)
        description = f"keep the scores that `{spelled(operation)}` sees finite"
        yield site.rewrite("guard", description, pieces, emit)
    yield from division_by_zero.rewrites(site)
    yield from log_of_zero.rewrites(site)

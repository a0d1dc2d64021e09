"""The argument of a logarithm is 0: use the stable function, else keep the argument above 0."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.rewrites import guards, stable
from stayfinite.repair.rewrites.site import Site, Template, spelled


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    operation = site.operation
    if operation is None or operation.name not in ("log", "log2", "log10", "log1p"):
        return
    yield from stable.rewrites(site)
    x = operation.arguments["x"]
    if operation.name == "log1p":
        bounds, floor = [f"-1 + {site.limits.margin}"], "-1"
    else:
        bounds, floor = [site.limits.logarithm, site.limits.lowest], "0"
    for bound in dict.fromkeys(bounds):
        emit = site.emitter()
        pieces = guards.at_least(site, emit, operation, x, bound)
        description = f"keep the argument of `{spelled(operation)}` above {floor}"
        yield site.rewrite("guard", description, pieces, emit)

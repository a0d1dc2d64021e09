"""Clamps around one operand, which keep what is inside it with its line breaks and comments."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from stayfinite.repair.edit import Replacement
from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites.site import Site


@dataclass(frozen=True)
class Clamp:
    """A clamp of `operand` of `operation`, or of its part `inner` while the rest goes.

    Only tensors of PyTorch have methods such as `x.sqrt()`, so they have `clamp` too.
    """

    site: Site
    operation: Operation
    operand: ast.expr
    inner: ast.expr | None = None

    def at_least(self, bound: str) -> list[Replacement]:
        """Every element at least `bound`."""
        return self._around(f"min={bound}", lambda x: self.site.calls.at_least(x, bound))

    def at_most(self, bound: str) -> list[Replacement]:
        """Every element at most `bound`."""
        return self._around(f"max={bound}", lambda x: self.site.calls.at_most(x, bound))

    def between(self, low: str, high: str) -> list[Replacement]:
        """Every element inside the bounds."""
        return self._around(f"{low}, {high}", lambda x: self.site.calls("clip", x, low, high))

    def _around(self, bounds: str, template: Callable[[str], str]) -> list[Replacement]:
        site, operand, inner = self.site, self.operand, self.inner or self.operand
        if not self.operation.is_receiver(operand):
            return site.wrap(operand, template, inner)
        start, end = site.source.grouped_range(operand)
        if inner is operand:
            return [Replacement(end, end, f".clamp({bounds})")]
        return [Replacement(start, end, f"{site.atom(inner)}.clamp({bounds})")]


def assigned(site: Site, base: str) -> list[Replacement]:
    """`x **= p` -> `x = base ** p`."""
    assert isinstance(site.node, ast.AugAssign)
    target_end = site.source.range_of(site.node.target)[1]
    value_end = site.source.grouped_range(site.node.value)[1]
    return [Replacement(target_end, value_end, f" = {base} ** {site.atom(site.node.value)}")]

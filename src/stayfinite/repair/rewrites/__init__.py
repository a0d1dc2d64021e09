"""The rewrites, by mechanism: each is a function from a site to the ways to write it better.

A mechanism is called as the cause that it repairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stayfinite.repair.rewrites import (
    division_by_zero,
    empty_reduction,
    fully_masked_row,
    half_overflow,
    log_of_zero,
    masked_branch,
    overflow,
    singular_gradient,
)
from stayfinite.repair.rewrites.site import Facts, Site, Template

__all__ = ["MECHANISMS", "Facts", "Site", "Template"]

MECHANISMS: dict[str, Callable[[Site], Iterator[Template]]] = {
    "division-by-zero": division_by_zero.rewrites,
    "empty-reduction": empty_reduction.rewrites,
    "fully-masked-row": fully_masked_row.rewrites,
    "half-overflow": half_overflow.rewrites,
    "log-of-zero": log_of_zero.rewrites,
    "masked-branch": masked_branch.rewrites,
    "overflow": overflow.rewrites,
    "singular-gradient": singular_gradient.rewrites,
}

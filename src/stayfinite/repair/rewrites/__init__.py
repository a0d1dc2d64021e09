"""The rewrites, by mechanism: each is a function from a site to its rewrites. A mechanism has the
name of the cause that it repairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from stayfinite.repair.rewrites import empty_reduction, guards, half_precision, masks, matrices
from stayfinite.repair.rewrites.guards import ONE_FOR_ZERO
from stayfinite.repair.rewrites.matrices import SHIFT
from stayfinite.repair.rewrites.site import Facts, Site, Template

__all__ = ["MECHANISMS", "ONE_FOR_ZERO", "SHIFT", "Facts", "Site", "Template"]

MECHANISMS: dict[str, Callable[[Site], Iterator[Template]]] = {
    **{
        name: partial(guards.rewrites, mechanism=name)
        for name in (guards.DIVISION, guards.LOGARITHM, guards.OVERFLOW, guards.SINGULAR)
    },
    "empty-reduction": empty_reduction.rewrites,
    "fully-masked-row": masks.fully_masked_row,
    "half-overflow": half_precision.rewrites,
    "masked-branch": masks.masked_branch,
    "out-of-domain": matrices.rewrites,
}

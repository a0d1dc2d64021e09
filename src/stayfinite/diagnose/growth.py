"""How much values have grown: over steps, and from layer to layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.values import as_float, summary_of
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import unwrapped, upstream
from stayfinite.numerics.functions import STRUCTURAL, Growth, PoleKind, Trait, row

# Limits on the values upstream, and on their size: one run of the step summarises them all.
_NEAREST = 60
_MAX_ELEMENTS = 8_000_000
_ORDINARY = 1e5
# A weight or a value may start at 0.
SMALLEST_WEIGHT = 0.1
_SMALLEST_VALUE = 1.0


@dataclass(frozen=True)
class ValueGrowth:
    """Largest magnitudes now, and on the same batch with the state of `steps` steps before.

    `operands` are those of the failing op, `values` these and what they were computed from nearby.
    `leader` is the weight that has grown by the largest factor. `steps` is None where no earlier
    state is known; the earlier values are then 0.
    """

    steps: int | None
    operands: float
    operands_before: float
    values: float
    values_before: float
    leader: str | None
    leader_now: float
    leader_before: float

    def weights_grew(self, factor: float) -> bool:
        """Whether a weight has grown by `factor`; without an earlier state, is that large."""
        if self.steps is None:
            return self.leader_now > 1e3 * factor
        return self.leader_now > factor * max(self.leader_before, SMALLEST_WEIGHT)


def measured(evidence: Evidence, op: Op) -> ValueGrowth:
    """The growth at the root op."""
    trace, earlier = evidence.trace, evidence.earlier
    near = [v for v in _near(evidence, op) if v not in trace.constants]
    operands = [v for v in op.operands if v not in trace.constants]
    weights = [leaf for leaf in trace.leaves.values() if leaf.role == "weight"]
    wanted = list(dict.fromkeys([*operands, *near, *(leaf.value for leaf in weights)]))
    now = sizes_of(evidence, wanted)
    arrays = None if earlier is None else earlier.fetch(wanted)
    before = {v: summary_of(array).largest for v, array in (arrays or {}).items()}
    name, large, small = None, 0.0, 0.0
    for leaf in weights:
        size, then = now[leaf.value], before.get(leaf.value, 0.0)
        if size / max(then, SMALLEST_WEIGHT) > large / max(small, SMALLEST_WEIGHT):
            name, large, small = leaf.name, size, then
    return ValueGrowth(
        steps=None if earlier is None or arrays is None else earlier.num_steps,
        operands=largest_of(now, operands),
        operands_before=largest_of(before, operands),
        values=largest_of(now, [*operands, *near]),
        values_before=max(largest_of(before, [*operands, *near]), _SMALLEST_VALUE),
        leader=name,
        leader_now=large,
        leader_before=small,
    )


def depends_on_weights(evidence: Evidence, op: Op) -> bool:
    """Whether anything that is trained goes into the op."""
    leaves = (leaf for value in op.operands for leaf in evidence.trace.leaves_of(value))
    return any(leaf.role in ("weight", "optimizer") for leaf in leaves)


def is_sum_or_product(evidence: Evidence, op: Op) -> bool:
    """Whether the op can leave its range only with operands that are large themselves."""
    if op.name == "power":
        exponent = as_float(evidence.values[op.operands[1]]) if len(op.operands) > 1 else None
        return exponent is not None and bool(np.all(np.abs(exponent) <= 4.0))
    if op.name == "divide":
        divisor = np.abs(as_float(evidence.values[op.operands[-1]]))
        return bool(divisor.size and divisor.min() >= 1e-6)
    return row(op.name).growth is Growth.POLYNOMIAL


def is_made_by_one_op(evidence: Evidence, op: Op) -> bool:
    """Whether one function nearby made the large value of ordinary ones."""
    trace = evidence.trace
    path = [o for v in op.operands for o in upstream(trace, v, max_ops=_NEAREST)]
    makers = [o for o in dict.fromkeys(path) if _is_steep(o) and o.phase == "forward"]
    values = dict.fromkeys(v for o in makers for v in (*o.operands, o.results[0]))
    sizes = sizes_of(evidence, [v for v in values if _is_small(evidence, v)])
    for maker in makers:
        came_in = max((sizes.get(v, 0.0) for v in maker.operands), default=0.0)
        if came_in <= _ORDINARY and sizes.get(maker.results[0], 0.0) > 1e5 * _ORDINARY:
            return True
    return False


def _is_steep(op: Op) -> bool:
    """Whether the result may be large where the operands are ordinary."""
    function = row(op.name)
    by_division = function.pole is not None and function.pole.kind is PoleKind.DIVISION
    return function.growth is Growth.STEEP or by_division


@dataclass(frozen=True)
class Depth:
    """The size of the input, the largest value before the op, and the products in between."""

    came_in: float
    largest: float
    num_products: int


def through_layers(evidence: Evidence, op: Op) -> Depth | None:
    """How the values grow from the batch to the op; None with fewer than 2 products between."""
    trace = evidence.trace
    path = dict.fromkeys(o for v in op.operands for o in upstream(trace, v))
    products = [o for o in (*path, op) if _multiplies_weight(trace, o)]
    if len(products) < 2:
        return None
    leaves = [leaf for leaf in trace.leaves.values() if leaf.role == "input"]
    wanted = [*op.operands, *(leaf.value for leaf in leaves)]
    sizes = sizes_of(evidence, wanted)
    return Depth(
        largest_of(sizes, [leaf.value for leaf in leaves]),
        largest_of(sizes, list(op.operands)),
        len(products),
    )


def _multiplies_weight(trace: Graph, product: Op) -> bool:
    if not row(product.name).has(Trait.CONTRACTS):
        return False
    sources = [trace.leaves.get(unwrapped(trace, v, STRUCTURAL)) for v in product.operands]
    return any(leaf is not None and leaf.role == "weight" for leaf in sources)


def _near(evidence: Evidence, op: Op) -> list[int]:
    """Floating-point values upstream of the op, nearest first."""
    found: dict[int, None] = {}
    for value in op.operands:
        for made_by in upstream(evidence.trace, value, max_ops=_NEAREST):
            for result in made_by.results:
                known = evidence.trace.values[result]
                fits = _is_small(evidence, result) and len(found) < _NEAREST
                if "float" in known.dtype and fits:
                    found[result] = None
    return list(found)


def _is_small(evidence: Evidence, value: int) -> bool:
    return evidence.values.num_elements(value) <= _MAX_ELEMENTS


def sizes_of(evidence: Evidence, values: list[int]) -> dict[int, float]:
    """The largest finite magnitude in each of `values`, in one run of the step."""
    evidence.values.summarise(values)
    return {value: evidence.values.summary(value).largest for value in values}


def largest_of(sizes: dict[int, float], values: list[int]) -> float:
    """The largest of `sizes` among `values`; 0 where none is known."""
    return max((sizes.get(value, 0.0) for value in values), default=0.0)

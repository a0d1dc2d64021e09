"""`divergence`: values grew, over steps or from layer to layer, until an op overflowed."""

from __future__ import annotations

from stayfinite.diagnose import growth
from stayfinite.diagnose.elements import finite_operands, largest_magnitude
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.growth import GrowthInLoop, GrowthOverLayers, GrowthOverSteps
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.growth import ValueGrowth
from stayfinite.graph.graph import Op
from stayfinite.numerics import dtypes
from stayfinite.numerics.functions import Trait, row

# The factor between a value made large by one op and one that grew over many steps.
_FAR = 1e3
_RUNAWAY = 1e6


def match(evidence: Evidence) -> Finding | None:
    """The operands of the root op had grown over steps, or from layer to layer."""
    op = evidence.op
    if op is None or not op.operands or not finite_operands(evidence, op):
        return None
    if op.phase == "statistics" or not growth.depends_on_weights(evidence, op):
        return None
    if row(op.name).has(Trait.LOOP):
        return _through_loop(evidence, op)
    grown = growth.measured(evidence, op)
    if not _is_far(evidence, op, grown) or growth.is_made_by_one_op(evidence, op):
        return None
    # Where targets are made by the model itself, they have grown along with it.
    grew = grown.values_before <= grown.values / _FAR or grown.weights_grew(_RUNAWAY)
    if grown.steps is None or not grew:
        return _through_layers(evidence, op, grown)
    if op.phase == "update" and not grown.weights_grew(_FAR):
        return None  # the gradients alone: a factor on the loss, not the training
    return _over_steps(evidence, op, grown, grown.steps)


def _is_far(evidence: Evidence, op: Op, grown: ValueGrowth) -> bool:
    """Whether the values at the failing op are larger than in any usable training."""
    largest = dtypes.largest(evidence.dtype(op.results[0]))
    if growth.is_sum_or_product(evidence, op):
        # With the factor of a sum of as many terms as a batch or a layer may have.
        return bool(grown.operands > largest**0.5 / 1e4)
    # exp, log and functions with a pole also fail on ordinary values.
    return grown.values > min(_RUNAWAY, largest**0.5) and grown.weights_grew(_FAR)


def _over_steps(evidence: Evidence, op: Op, grown: ValueGrowth, num_steps: int) -> Finding:
    weight, now, before = None, grown.values, grown.values_before
    if grown.leader is not None and grown.weights_grew(10.0):
        weight, now, before = grown.leader, grown.leader_now, grown.leader_before
    facts = GrowthOverSteps(
        weight=weight,
        before=before,
        now=now,
        num_steps=num_steps,
        factor=(now / max(before, growth.SMALLEST_WEIGHT)) ** (1.0 / num_steps),
        operand=grown.operands,
        operand_before=grown.operands_before,
        dtype=evidence.dtype(op.results[0]),
    )
    return Finding(cause="divergence", facts=facts, op=op.name)


def _through_layers(evidence: Evidence, op: Op, grown: ValueGrowth) -> Finding | None:
    """The values are large from the first step on, and grow from one layer to the next."""
    if op.phase == "update" or not growth.is_sum_or_product(evidence, op):
        return None
    depth = growth.through_layers(evidence, op)
    if depth is None or depth.largest < _RUNAWAY * max(1.0, depth.came_in):
        return None
    facts = GrowthOverLayers(
        came_in=depth.came_in,
        largest=depth.largest,
        num_products=depth.num_products,
        operand=grown.operands,
        dtype=evidence.dtype(op.results[0]),
    )
    return Finding(cause="divergence", facts=facts, op=op.name)


def _through_loop(evidence: Evidence, op: Op) -> Finding | None:
    """A recurrence with weights that begins with ordinary values.

    A library's recurrent layer has no pole, so its values have grown. A loop of the user counts
    only if the step is finite in float64.
    """
    is_of_library = not op.stack
    if op.phase == "update" or not (is_of_library or evidence.finite_wider()):
        return None
    if max(largest_magnitude(evidence.values[value]) for value in op.operands) > _RUNAWAY:
        return None
    return Finding(cause="divergence", facts=GrowthInLoop(), op=op.name)

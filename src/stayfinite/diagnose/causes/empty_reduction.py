"""`empty-reduction`: a mean, a maximum or a minimum of no elements."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice

import numpy as np

from stayfinite.diagnose.elements import finite_operands, largest_magnitude
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.extremes import is_by_group, results_of_nothing
from stayfinite.diagnose.facts.expressions import EmptyCount, ExtremeOfNothing, NothingToReduce
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.poles import zero_divisor
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import unwrapped, upstream
from stayfinite.numerics import dtypes
from stayfinite.numerics.functions import STRUCTURAL, Trait, having, row

# Through these a divisor is still a sum of the same elements.
_LINEAR = STRUCTURAL | {"add", "subtract", "maximum", "clip", "stack", "gather", "where"}
_COUNTED = having(Trait.COMPARES, Trait.LOGICAL) | {"any", "all", "one_hot"}
# A sum of these is an energy, a norm or a softmax denominator, not a count or a sum of weights.
_NOT_WEIGHTS = {"square", "power", "exp", "absolute", "sqrt", "log"}
_SUMMED = {Trait.SUMS, Trait.ADDS_TO}
_MAX_OPS = 12


def match(evidence: Evidence) -> Finding | None:
    """A reduction of nothing, or 0 / 0 whose divisor is a count or a sum of weights."""
    op = evidence.op
    if op is None or op.phase == "backward":
        return None
    return _of_nothing(evidence, op) or _extreme(evidence, op) or _by_empty_count(evidence, op)


def _of_nothing(evidence: Evidence, op: Op) -> Finding | None:
    if not row(op.name).has(Trait.AVERAGES):
        return None
    if not op.operands or not finite_operands(evidence, op):
        return None
    if not np.isnan(as_float(evidence.results_of(op))).any():
        return None
    operand = op.operands[0]
    limit = dtypes.largest(evidence.dtype(operand)) ** 0.5
    if largest_magnitude(evidence.values[operand]) > limit:
        return None
    return Finding(
        cause="empty-reduction",
        facts=NothingToReduce(evidence.trace.values[operand].shape),
        op=op.name,
        mechanism="empty-reduction",
    )


def _extreme(evidence: Evidence, op: Op) -> Finding | None:
    empty = results_of_nothing(evidence)
    if empty is None:
        return None
    results = as_float(evidence.results_of(op))[empty]
    return Finding(
        cause="empty-reduction",
        facts=ExtremeOfNothing(float(results[0]), is_by_group(op), results.size, empty.size),
        op=op.name,
        samples=evidence.samples(op.results[0], empty),
        mechanism="empty-reduction",
    )


def _by_empty_count(evidence: Evidence, op: Op) -> Finding | None:
    met = zero_divisor(evidence)
    if met is None or op.name != "divide":
        return None
    summands = _summands(evidence.trace, op.operands[1])
    is_mean = len(summands) == 1
    is_weights = all(_is_weights(evidence, op, summand, is_mean) for summand in summands)
    if not (summands and is_weights) and not _is_shape(evidence, op):
        return None
    divisor = as_float(evidence.operand(op, 1))
    at_zero = evidence.bad(op.results[0]) & (divisor == 0)
    finite = divisor[np.isfinite(divisor)]
    is_whole = bool((finite == np.rint(finite)).all())
    return Finding(
        cause="empty-reduction",
        facts=EmptyCount(int(at_zero.sum()), at_zero.size, is_whole),
        op=op.name,
        samples=met.samples,
        critical=met.critical,
        mechanism="empty-reduction",
        operand=met.position,
    )


def _is_shape(evidence: Evidence, op: Op) -> bool:
    """Whether the divisor is known from the shape of the batch, and the sum has no elements."""
    if evidence.trace.leaves_of(op.operands[1]) or _is_of_numbers(evidence, op.operands[1]):
        return False
    total, divisor = (as_float(evidence.operand(op, position)) for position in (0, 1))
    if total.size > 1 and not _summands(evidence.trace, op.operands[0]):
        return False  # a number of the settings may be 0, too
    total, divisor = np.broadcast_arrays(total, divisor)
    return bool((total[divisor == 0] == 0).all())


def _is_of_numbers(evidence: Evidence, value: int) -> bool:
    """Whether `value` is computed from an array of floating-point numbers, which no shape is."""
    values = evidence.trace.values
    return any(
        math.prod(values[operand].shape) > 1 and not values[operand].dtype.startswith("int")
        for made_by in islice(upstream(evidence.trace, value), _MAX_OPS)
        for operand in made_by.operands
    )


def _summands(trace: Graph, divisor: int) -> list[int]:
    """What the divisor is the sum of, if it is a sum, a count, or a sum of such.

    A sum by group may be one that the elements of each group are added to.
    """
    frontier, found = deque([divisor]), []
    for _ in range(_MAX_OPS):
        if not frontier:
            break
        made_by = trace.producer.get(unwrapped(trace, frontier.popleft(), STRUCTURAL))
        if made_by is None:
            continue
        if row(made_by.name).has(Trait.SUMS) and made_by.operands:
            found.append(unwrapped(trace, made_by.operands[0], STRUCTURAL))
        elif row(made_by.name).has(Trait.ADDS_TO) and made_by.operands:
            begin, *_, added = made_by.operands
            frontier.append(begin)
            found.append(unwrapped(trace, added, STRUCTURAL))
        elif made_by.name in _LINEAR or _by_constant(trace, made_by):
            frontier.extend(made_by.operands)
    return list(dict.fromkeys(found))


def _by_constant(trace: Graph, op: Op) -> bool:
    return op.name in ("multiply", "divide") and any(v in trace.constants for v in op.operands)


def _is_weights(evidence: Evidence, op: Op, summand: int, is_mean: bool) -> bool:
    """Whether the values under a sum are a mask or weights, and not the numerator itself.

    Without `is_mean` the divisor is a sum of several sums, as `sum(p) + sum(q)` is.
    """
    trace = evidence.trace
    made_by = trace.producer.get(summand)
    leaf = trace.leaves.get(summand)
    if leaf is not None and leaf.role == "sample_weight":
        return True
    if made_by is not None and (made_by.name in _NOT_WEIGHTS or _is_square(made_by)):
        return False
    if evidence.dtype(summand).startswith(("bool", "int", "uint")):
        return True
    if made_by is not None and made_by.name in _COUNTED:
        return True
    numerator = unwrapped(trace, op.operands[0], STRUCTURAL)
    if numerator == summand:
        return False  # `x / sum(x)` normalises
    over = trace.producer.get(numerator)
    if (
        is_mean
        and over is not None
        and (_SUMMED & row(over.name).traits or over.name in ("add", "multiply"))
    ):
        return True  # `sum(w * x) / sum(w)` is a mean
    binary = as_float(evidence.values.loaded(summand))
    return bool(np.isin(binary, (0.0, 1.0)).all())


def _is_square(op: Op) -> bool:
    return op.name == "multiply" and len(op.operands) == 2 and op.operands[0] == op.operands[1]

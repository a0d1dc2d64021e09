"""Infinities that were written on purpose, and the op at which they became a NaN.

A mask has -inf for the scores that a softmax must ignore, and the logarithm of 0 is -inf in
log-space models by design. Such a value is a fault only if the next ops make NaN of it.
"""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.values import as_float, is_minus_infinity
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import consumers_of, depends_on, nearest_downstream
from stayfinite.incident import Phase
from stayfinite.numerics.functions import STRUCTURAL, PoleKind, row

# A `where` may choose a NaN on purpose; arithmetic with one is a mistake.
_ARITHMETIC = {"add", "divide", "multiply", "subtract", "matmul", "dot_general", "power"}

# Ops that an infinity is followed through, ops summarised in one run, and the limit of both.
_MAX_STEPS = 16
_PLANNED_STEPS = 8
_PLANNED_OPS = 200
_MAX_CONSUMERS = 40


def is_written(evidence: Evidence) -> bool:
    """Whether the root only passes on an infinity that is written in the code or in the batch."""
    op, leaf = evidence.op, evidence.leaf
    if leaf is not None:
        array = as_float(evidence.values[leaf.value])
        bad = array[~np.isfinite(array)]
        is_of_batch = leaf.role in ("input", "target", "sample_weight")
        return is_of_batch and bool(is_minus_infinity(bad).all())
    if op is None or op.phase == "backward":
        return False
    constants = [v for v in op.operands if v in evidence.trace.constants]
    written = any(bool(evidence.bad(v).any()) for v in constants)
    reader = arithmetic_reader(evidence.trace, op)
    is_scale = reader is not None and is_scaled_by_infinity(evidence, reader)
    return (written and not is_scale) or not op.operands


def may_be_intended(evidence: Evidence) -> bool:
    """Whether later ops may accept the infinity at the root on purpose."""
    op = evidence.op
    if op is None or op.phase == "backward" or is_written(evidence):
        return is_written(evidence)
    pole = row(op.name).pole
    if pole is not None and pole.kind is PoleKind.LOGARITHM:
        return True
    # The sum of two masks of the lowest number: no weight is upstream of it.
    result = as_float(evidence.results_of(op))
    only_masks = bool(is_minus_infinity(result[~np.isfinite(result)]).all())
    return only_masks and not depends_on(evidence.trace, op.results[0], "weight")


def arithmetic_reader(trace: Graph, op: Op) -> Op | None:
    """The arithmetic that `op` is, or that reads its result where `op` only shapes a constant."""
    readers = [op]
    while readers:
        found = next((reader for reader in readers if reader.name in _ARITHMETIC), None)
        if found is not None:
            return found
        shaping = [reader for reader in readers if reader.name in STRUCTURAL]
        readers = [
            reader
            for shaper in shaping
            for reader in trace.consumers.get(shaper.results[0], ())
            if reader.phase == "forward"
        ]
    return None


def is_scaled_by_infinity(evidence: Evidence, op: Op) -> bool:
    """Whether the op multiplies numbers of the step, none of them 0, with an infinity.

    That is no mask, while ones of some shape times an infinity are the values of a mask.
    """
    if op.name not in ("multiply", "divide") or len(op.operands) != 2:
        return False
    computed = [value for value in op.operands if evidence.trace.leaves_of(value)]
    evidence.values.load(computed)
    arrays = [as_float(evidence.values[value]) for value in computed]
    return bool(arrays) and all(np.isfinite(n).all() and (n != 0).all() for n in arrays)


def first_nan(evidence: Evidence) -> Op | None:
    """The first op downstream of the root that made NaN out of numbers and infinities.

    None where the root holds NaN itself, or where no NaN is near.
    """
    start = _start(evidence)
    if start is None or np.isnan(as_float(evidence.values[start])).any():
        return None
    # The derivative of the first op may be nearer than the op that failed before it.
    return _first_nan(evidence, start, ("forward",)) or _first_nan(evidence, start, None)


def is_absorbed(evidence: Evidence) -> bool:
    """Whether the root is an infinity on purpose that later ops make finite, without any NaN."""
    if not may_be_intended(evidence):
        return False
    start = _start(evidence)
    if start is None or np.isnan(as_float(evidence.values[start])).any():
        return False
    return all(_walk(evidence, start, phases, is_beside=True)[1] for phases in (("forward",), None))


def _start(evidence: Evidence) -> int | None:
    op, leaf = evidence.op, evidence.leaf
    return op.results[0] if op is not None else leaf.value if leaf is not None else None


def _first_nan(evidence: Evidence, start: int, phases: tuple[Phase, ...] | None) -> Op | None:
    return _walk(evidence, start, phases)[0]


def _walk(
    evidence: Evidence, start: int, phases: tuple[Phase, ...] | None, *, is_beside: bool = False
) -> tuple[Op | None, bool]:
    """The first op that makes NaN of what is downstream of `start`.

    Also whether nothing else came of it: each infinity ended in a number, and none in a sink. With
    `is_beside`, derivatives that read another non-finite value are not followed.
    """
    values, sinks = evidence.values, set(evidence.trace.sinks())
    frontier, is_in_sink = [start], False
    reached = {start}
    for _ in range(_MAX_STEPS):
        is_in_sink = is_in_sink or not sinks.isdisjoint(frontier)
        readers = consumers_of(evidence.trace, frontier, phases)
        if not readers or len(readers) > _MAX_CONSUMERS:
            return None, not readers and not is_in_sink
        if not values.is_summarised(reader.results[0] for reader in readers):
            planned = nearest_downstream(
                evidence.trace, frontier, phases, max_steps=_PLANNED_STEPS, max_ops=_PLANNED_OPS
            )
            values.summarise(op.results[0] for op in planned)
        frontier = []
        for reader in sorted(readers, key=lambda op: op.index):
            found = values.summary(reader.results[0])
            is_derivative = is_beside and reader.phase == "backward"
            if is_derivative and not found.is_finite and _reads_other(evidence, reader, reached):
                continue
            if found.has_nan:
                if _reads_nan(evidence, reader):
                    continue  # as an infinity that a later layer reads, too
                return reader, False
            if not found.is_finite:
                frontier.append(reader.results[0])
                reached.add(reader.results[0])
        if not frontier:
            return None, not is_in_sink
    return None, False


def _reads_nan(evidence: Evidence, reader: Op) -> bool:
    evidence.values.summarise(reader.operands)
    return any(evidence.values.summary(operand).has_nan for operand in reader.operands)


def _reads_other(evidence: Evidence, reader: Op, reached: set[int]) -> bool:
    """Whether an op reads a non-finite value that is none of `reached`."""
    others = [operand for operand in reader.operands if operand not in reached]
    evidence.values.summarise(others)
    return not all(evidence.values.summary(operand).is_finite for operand in others)

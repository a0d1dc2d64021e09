"""`half-overflow`: as `overflow`, but only in float16 or bfloat16."""

from __future__ import annotations

import dataclasses

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import LiteralOutOfRange, MaskOutOfRange
from stayfinite.diagnose.finding import Critical, Finding
from stayfinite.diagnose.infinities import first_nan
from stayfinite.diagnose.masked_rows import fully_masked_row
from stayfinite.diagnose.ranges import exceeded, fits_float32, literal_out_of_range
from stayfinite.graph.graph import Op
from stayfinite.numerics import dtypes


def match(evidence: Evidence) -> Finding | None:
    """The root leaves the range of a half-precision dtype, and float32 has room for it."""
    op, found = evidence.op, exceeded(evidence)
    if op is None:
        return None
    if found is None:
        return _literal(evidence, op)
    op = found.op
    if evidence.dtype(op.results[0]) not in dtypes.HALF or not fits_float32(evidence, op):
        return None
    return Finding(
        cause="half-overflow",
        facts=dataclasses.replace(found.facts, float32_holds=True),
        op=op.name,
        samples=found.samples,
        critical=Critical(op.operands[found.position], found.samples),
        mechanism="half-overflow",
        operand=found.position,
    )


def match_masked_row(evidence: Evidence) -> Finding | None:
    """A mask that is finite in float32 is -inf in this dtype, and fills a row of scores."""
    found = fully_masked_row(evidence)
    if found is None or not found.by_range:
        return None
    return Finding(
        cause="half-overflow",
        facts=MaskOutOfRange(evidence.dtype(found.value)),
        op=found.function,
        samples=found.samples,
        critical=Critical(found.value, found.samples),
        mechanism="fully-masked-row",
    )


def _literal(evidence: Evidence, op: Op) -> Finding | None:
    """A number of the code, -1e9 for a mask, that is an infinity in this dtype."""
    number = literal_out_of_range(evidence, op)
    if number is None:
        return None
    dtype = evidence.dtype(op.results[0])
    nan = first_nan(evidence)
    value = op.results[0] if nan is None else nan.results[0]
    evidence.values.load([value])
    return Finding(
        cause="half-overflow",
        facts=LiteralOutOfRange(number, dtype, dtypes.largest(dtype)),
        op=op.name,
        samples=evidence.samples(value, evidence.bad(value)),
        mechanism="half-overflow",
    )

"""Whether a non-finite value is multiplied with a mask that is 0 there.

Such a product is meant to discard the value, and is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op
from stayfinite.graph.walk import depends_on, unwrapped
from stayfinite.numerics.functions import STRUCTURAL, Trait, row

# Functions between a value and its product with the mask.
_BEFORE_MASK = STRUCTURAL | {
    "absolute",
    "add",
    "exp",
    "multiply",
    "negative",
    "power",
    "square",
    "subtract",
}
_MASK_STEPS = 6


@dataclass(frozen=True)
class _MaskFactor:
    """A factor that may be a mask: it has to be 0 at the bad elements of `masked`.

    `binary` is the value that has to hold nothing but 0 and 1, where that is not known yet.
    """

    product: Op
    masked: int
    mask: int
    binary: int | None


def masked_by_product(evidence: Evidence, op: Op) -> bool:
    """Whether a mask is 0 wherever the result of `op`, or what was made of it, is not finite.

    One-hot labels of a cross entropy are zeros and ones too, but no mask. A mask comes from a
    comparison, or is an array of the batch.
    """
    if op.name == "multiply" and _zero_times_infinity(evidence, op):
        return True
    factors = list(_factors_after(evidence, op))
    values = evidence.values
    values.load(
        v
        for factor in factors
        for v in (factor.masked, factor.mask, factor.binary)
        if v is not None
    )
    return any(_is_zero_where_bad(evidence, factor) for factor in factors)


def _zero_times_infinity(evidence: Evidence, op: Op) -> bool:
    """`(1 - mask) * -inf`, written to mask: one operand is an infinity, the other 0 there."""
    left, right = (as_float(evidence.operand(op, position)) for position in (0, 1))
    if left.shape != right.shape:
        return False
    return bool(((left == 0) & np.isinf(right) | (right == 0) & np.isinf(left)).any())


def _factors_after(evidence: Evidence, op: Op) -> Iterator[_MaskFactor]:
    """The factors of products downstream of `op` that have the form of a mask."""
    frontier = [op.results[0]]
    for _ in range(_MASK_STEPS):
        readers = [c for v in frontier for c in evidence.trace.consumers.get(v, [])]
        frontier = []
        for reader in readers:
            if reader.phase == "backward":
                continue
            if reader.name == "multiply" and len(reader.operands) == 2:
                yield from _factors_of(evidence, reader, op)
            if reader.name in _BEFORE_MASK:
                frontier.append(reader.results[0])


def _factors_of(evidence: Evidence, product: Op, op: Op) -> Iterator[_MaskFactor]:
    for position in (0, 1):
        for mask in dict.fromkeys(_multiplied(evidence, product.operands[1 - position])):
            source = _mask_source(evidence, mask)
            if source is False or _is_made_of(evidence, op, mask):
                continue
            binary = None if source is True else source
            yield _MaskFactor(product, product.operands[position], mask, binary)


def _is_zero_where_bad(evidence: Evidence, factor: _MaskFactor) -> bool:
    bad = evidence.bad(factor.masked)
    shape = evidence.trace.values[factor.product.results[0]].shape
    if not bad.any():
        return False
    if factor.binary is not None and not _is_binary(evidence.values[factor.binary]):
        return False
    mask = as_float(evidence.values[factor.mask])
    try:
        zero = np.broadcast_to(mask, shape)[np.broadcast_to(bad, shape)] == 0
    except ValueError:
        return False
    return bool(zero.all())


def _multiplied(evidence: Evidence, value: int) -> list[int]:
    """`value`, and what it is a product of: a mask may have been multiplied with weights before."""
    trace = evidence.trace
    found = [value]
    for factor in found:
        made_by = trace.producer.get(unwrapped(trace, factor, STRUCTURAL))
        if made_by is not None and made_by.name == "multiply" and len(found) < _MASK_STEPS:
            found += made_by.operands
    return found


def _is_made_of(evidence: Evidence, op: Op, mask: int) -> bool:
    """Whether `op` failed for the zeros of the mask itself, as a degree of an adjacency matrix.

    If the mask itself caused the 0 of a divisor, the division is the mistake.
    """
    source = unwrapped(evidence.trace, mask, STRUCTURAL - {"slice"})
    leaves = [leaf.value for v in op.operands for leaf in evidence.trace.leaves_of(v)]
    return source in leaves


def _mask_source(evidence: Evidence, value: int) -> bool | int:
    """Whether `value` is a mask by its origin; a value that has to be 0 or 1 if that decides."""
    trace = evidence.trace
    sliced = False
    for _ in range(_MASK_STEPS):
        source = unwrapped(trace, value, STRUCTURAL - {"slice"})
        made_by = trace.producer.get(source)
        if made_by is None:
            leaf = trace.leaves.get(source)
            if leaf is None or leaf.role == "weight":
                return False
            # A mask may be packed into the targets, as a part of them.
            return leaf.role in ("input", "sample_weight") or sliced
        function = row(made_by.name)
        if function.has(Trait.LOGICAL):
            return True
        if function.has(Trait.COMPARES):
            return _compares_with_one_number(evidence, made_by)
        if made_by.name in ("slice", "gather"):
            sliced = True
        elif not _has_constant(evidence, made_by):
            return False if depends_on(trace, source, "weight", "target") else source
        value = _varying(evidence, made_by)
    return False


def _is_binary(array: np.ndarray) -> bool:
    return bool(np.isin(as_float(array), (0.0, 1.0)).all())


def _compares_with_one_number(evidence: Evidence, comparison: Op) -> bool:
    """`x > 0` and not `labels == arange(classes)`, which is one-hot."""
    for value in comparison.operands:
        array = evidence.trace.constants.get(unwrapped(evidence.trace, value, STRUCTURAL))
        if array is not None and array.size and bool((array == array.flat[0]).all()):
            return True
    return False


def _has_constant(evidence: Evidence, op: Op) -> bool:
    """`1 - mask`, `mask * 1.0`: a number and the mask."""
    if op.name not in ("subtract", "multiply"):
        return False
    constants = evidence.trace.constants
    return any(unwrapped(evidence.trace, v, STRUCTURAL) in constants for v in op.operands)


def _varying(evidence: Evidence, op: Op) -> int:
    constants = evidence.trace.constants
    varying = [v for v in op.operands if unwrapped(evidence.trace, v, STRUCTURAL) not in constants]
    return varying[0] if varying else op.operands[0]

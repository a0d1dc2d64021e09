"""Which recorded input is which operand, of a function whose operations read them in any order."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from stayfinite.repair.engine.evaluate import FLOATING, BadFormula, Evaluation
from stayfinite.repair.extraction.formulas import Formulas
from stayfinite.repair.extraction.recorded import RecordedArray, RecordedCall
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.formula import Node, leaf

_MOST_INPUTS = 4
# Float32 of a framework against float32 of NumPy, with some digits lost in between.
_TOLERANCE = 1e-3


def put_in_order(
    evaluation: RecordedCall,
    num_operands: int,
    formula: Callable[[Formulas, Sequence[Node]], Node],
    fetch: Callable[[Iterable[int]], Mapping[int, np.ndarray]],
) -> RecordedCall:
    """An evaluation with its inputs in the order of the operands; without inputs if not known.

    That is the order in which the recorded result is that of the function. The order of use is
    taken first, so that it stays for a function that is the same in both orders.

    Args:
        evaluation: What was recorded.
        num_operands: The number of operands, each of which is one of the inputs.
        formula: The node of the function for some operands.
        fetch: The arrays of some values.
    """
    inputs, result = evaluation.inputs, evaluation.result
    if result is None or len(inputs) != num_operands or num_operands > _MOST_INPUTS:
        return replace(evaluation, inputs=())
    tried = [
        (order, root, operands)
        for order in itertools.permutations(inputs)
        for root, operands in _formula(order, formula)
    ]
    # A large formula has no node, and its arrays are not needed.
    values = [result.value, *(recording.value for recording in inputs)]
    arrays = fetch(values) if tried else {}
    if all(value in arrays for value in values):
        for order, root, operands in tried:
            known = {
                operand: arrays[recording.value]
                for operand, recording in zip(operands, order, strict=True)
            }
            value = _value(root, known)
            if value is not None and _is_same(value, arrays[result.value]):
                return replace(evaluation, inputs=order, is_ordered=True)
    return replace(evaluation, inputs=())


def _formula(
    order: Sequence[RecordedArray], formula: Callable[[Formulas, Sequence[Node]], Node]
) -> Iterator[tuple[Node, list[Node]]]:
    """The node of the function for operands of these shapes, if it has one."""
    formulas, operands = Formulas(contracts=True), []
    for number, recording in enumerate(order):
        operand = leaf(f"operand {number}", recording.role)
        formulas.shapes[operand] = recording.shape
        formulas.dtypes[operand] = recording.dtype
        operands.append(operand)
    with contextlib.suppress(CannotReadError, KeyError):
        yield formula(formulas, operands), operands


def _value(root: Node, arrays: Mapping[Node, np.ndarray]) -> np.ndarray | None:
    try:
        return np.asarray(Evaluation(FLOATING["jax"], arrays).value(root))
    except BadFormula:
        return None


def _is_same(value: np.ndarray, recorded: np.ndarray) -> bool:
    """Whether two results are the same where the recorded one is finite, and that is somewhere."""
    if value.shape != recorded.shape:
        return False
    a, b = value.astype(np.float64), recorded.astype(np.float64)
    finite = np.isfinite(b)
    if not finite.any():
        return False
    scale = float(np.abs(b[finite]).max())
    atol = 1e-2 * _TOLERANCE * scale
    return bool(np.allclose(a[finite], b[finite], rtol=_TOLERANCE, atol=atol))

"""Which arrays of a step are non-finite whenever another one is: a guard need not read the other.

A gradient with a NaN gives a moment with a NaN, and that a weight with one. This is read off the
operations between them: the sum, the product and the root of a number that is not finite are not
finite either, whatever the other operand is, since infinity times 0 is NaN. An operation that is
not listed here ends the chain, and the array is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax.extend import core as jex

from stayfinite.frameworks.jax.numbered_operations import NumberedOperation, NumberedProgram

# Operations whose result is not finite where one of these operands is not: of the first so many.
_NUM_OPERANDS = {
    "abs": 1,
    "add": 2,
    "add_any": 2,
    "broadcast_in_dim": 1,
    "convert_element_type": 1,
    "copy": 1,
    "copy_p": 1,
    "div": 1,
    "integer_pow": 1,
    "mul": 2,
    "neg": 1,
    "reduce_sum": 1,
    "reshape": 1,
    "sqrt": 1,
    "square": 1,
    "squeeze": 1,
    "sub": 2,
    "transpose": 1,
}


@dataclass(frozen=True)
class _Operation:
    """What a non-finite result of an operation says of its operands.

    Attributes:
        results: What it makes.
        marking: The operands of which each makes every result non-finite; of a choice, its cases.
        is_choice: Whether the result is one of several operands.
    """

    results: tuple[int, ...]
    marking: tuple[int, ...]
    is_choice: bool


def arrays_to_read(jaxpr: jex.ClosedJaxpr, wanted: Sequence[int], covering: set[int]) -> list[int]:
    """The results of a step to be read, so that no wanted one is non-finite unnoticed.

    Args:
        jaxpr: The step.
        wanted: The numbers of its results that have to be finite.
        covering: Those of them that may stand for others.
    """
    program = NumberedProgram.of(jaxpr)
    operations, results = list(map(_marks, program.operations)), program.results
    made_by = {value: operation for operation in operations for value in operation.results}
    read: list[int] = []
    # Inputs of the step among the results, as gradients that another call has computed.
    given: list[tuple[int, int | None]] = []
    # By value, the wanted results that it is.
    asked: dict[int, list[int]] = {}
    for number in wanted:
        value = results[number]
        if not jnp.issubdtype(jaxpr.out_avals[number].dtype, jnp.inexact):
            continue
        if value in made_by:
            asked.setdefault(value, []).append(number)
        else:
            given.append((number, value))
    noticed: set[int] = set()
    # From the last operation on, so that every use of a value was seen before the value itself.
    for operation in reversed(operations):
        for value in operation.results:
            if value in asked and value not in noticed:
                read.append(asked[value][0])
                if covering & set(asked[value]):
                    noticed.add(value)
        if noticed.isdisjoint(operation.results):
            continue
        if operation.is_choice:
            noticed |= _marking_each(operation.marking, made_by)
        else:
            noticed |= set(operation.marking)
    read += [number for number, value in given if value not in noticed]
    return sorted(read)


def _marking_each(cases: Sequence[int], made_by: Mapping[int, _Operation]) -> set[int]:
    """The values that make every one of `cases` non-finite: one of these is chosen as a whole."""
    found: list[set[int]] = []
    for case in cases:
        marking, waiting = {case}, [case]
        while waiting:
            operation = made_by.get(waiting.pop())
            if operation is not None and not operation.is_choice:
                new = set(operation.marking) - marking
                marking |= new
                waiting += new
        found.append(marking)
    return set.intersection(*found) if found else set()


def _marks(operation: NumberedOperation) -> _Operation:
    is_choice = operation.eqn.primitive.name == "select_n"
    return _Operation(operation.results, _marking(operation.eqn, operation.operands), is_choice)


def _marking(eqn: Any, operands: Sequence[int | None]) -> tuple[int, ...]:
    """The operands of which each makes the result non-finite; of a choice, its cases."""
    name = eqn.primitive.name
    if not all(jnp.issubdtype(result.aval.dtype, jnp.inexact) for result in eqn.outvars):
        return ()
    if name == "select_n":
        # A case that is a constant is finite.
        cases = operands[1:]
        is_whole = eqn.invars[0].aval.shape == () and None not in cases
        return tuple(case for case in cases if case is not None) if is_whole else ()
    if name == "integer_pow" and eqn.params["y"] <= 0:
        return ()
    return tuple(n for n in operands[: _NUM_OPERANDS.get(name, 0)] if n is not None)

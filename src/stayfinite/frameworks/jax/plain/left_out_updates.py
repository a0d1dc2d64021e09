"""Whether a step leaves out an update by itself where a gradient is not finite.

`jmp.select_tree(jmp.all_finite(grads), new, old)`, `jnp.where(jnp.isfinite(norm), new, old)`, or
`lax.cond` on the like: non-finite gradients are then a part of the training, as when a dynamic loss
scale is looked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jax.extend import core as jex

from stayfinite.frameworks.jax import private


@dataclass(frozen=True)
class _NumberedOperation:
    """An operation of a step whose calls are resolved. Its values are known by numbers.

    Attributes:
        name: Its primitive.
        operands: Its operands; None for a constant.
        results: What it makes.
        kept: Of a choice, for each result the values that it may be unchanged.
    """

    name: str
    operands: tuple[int | None, ...]
    results: tuple[int, ...]
    kept: tuple[frozenset[int | None], ...]


def leaves_out_bad(jaxpr: jex.ClosedJaxpr, num_gradients: int, weights: Mapping[int, int]) -> bool:
    """Whether each weight stays as it was where a test for finite gradients says so.

    Args:
        jaxpr: The step; its first results are the gradients.
        num_gradients: The number of these.
        weights: The numbers of the results that are new weights, each with that of its input.
    """
    if not num_gradients or not weights:
        return False
    numbers = itertools.count()
    operations: list[_NumberedOperation] = []
    inputs = [next(numbers) for _ in jaxpr.jaxpr.invars]
    results = _resolve(jaxpr.jaxpr, inputs, numbers, operations)
    from_gradients = {number for number in results[:num_gradients] if number is not None}
    from_tests: set[int] = set()
    made_by: dict[int, tuple[_NumberedOperation, int]] = {}
    for operation in operations:
        made_by |= {number: (operation, n) for n, number in enumerate(operation.results)}
        operands = {number for number in operation.operands if number is not None}
        is_test = operation.name == "is_finite" and not operands.isdisjoint(from_gradients)
        if is_test or not operands.isdisjoint(from_tests):
            from_tests |= set(operation.results)
        if not operands.isdisjoint(from_gradients):
            from_gradients |= set(operation.results)

    def is_left_out(after: int | None, before: int) -> bool:
        if after is None or after not in made_by:
            return False
        operation, n = made_by[after]
        return operation.operands[0] in from_tests and before in operation.kept[n]

    return all(is_left_out(results[after], inputs[before]) for after, before in weights.items())


def _resolve(
    jaxpr: Any,
    inputs: Sequence[int | None],
    numbers: Iterator[int],
    operations: list[_NumberedOperation],
) -> list[int | None]:
    held: dict[Any, int | None] = dict(zip(jaxpr.invars, inputs, strict=True))

    def number_of(atom: Any) -> int | None:
        return None if isinstance(atom, jex.Literal) else held.get(atom)

    for eqn in jaxpr.eqns:
        operands = [number_of(atom) for atom in eqn.invars]
        call = private.closed_call_of(eqn)
        if call is not None and len(call[0].invars) == len(operands):
            results = _resolve(call[0], operands, numbers, operations)
        else:
            new = [next(numbers) for _ in eqn.outvars]
            kept = tuple(_kept(eqn, operands, n) for n in range(len(new)))
            operations.append(
                _NumberedOperation(eqn.primitive.name, tuple(operands), tuple(new), kept)
            )
            results = list(new)
        held.update(zip(eqn.outvars, results, strict=True))
    return [number_of(atom) for atom in jaxpr.outvars]


def _kept(eqn: Any, operands: list[int | None], number: int) -> frozenset[int | None]:
    """The operands that a result may be, as one of several cases."""
    if eqn.primitive.name == "select_n":
        return frozenset(operands[1:])
    if eqn.primitive.name != "cond":
        return frozenset()
    found = set()
    for branch in eqn.params["branches"]:
        given = dict(zip(branch.jaxpr.invars, operands[1:], strict=True))
        result = branch.jaxpr.outvars[number]
        found.add(None if isinstance(result, jex.Literal) else given.get(result))
    return frozenset(found)

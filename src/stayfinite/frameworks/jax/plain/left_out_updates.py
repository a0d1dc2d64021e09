"""Whether a step leaves out an update by itself where a gradient is not finite.

`jmp.select_tree(jmp.all_finite(grads), new, old)`, `jnp.where(jnp.isfinite(norm), new, old)`, or
`lax.cond` on the like: non-finite gradients are then a part of the training, as when a dynamic loss
scale is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from jax.extend import core as jex

from stayfinite.frameworks.jax.numbered_operations import NumberedOperation, NumberedProgram


def leaves_out_bad(jaxpr: jex.ClosedJaxpr, num_gradients: int, weights: Mapping[int, int]) -> bool:
    """Whether each weight stays as it was where a test for finite gradients says so.

    Args:
        jaxpr: The step; its first results are the gradients.
        num_gradients: The number of these.
        weights: The numbers of the results that are new weights, each with that of its input.
    """
    if not num_gradients or not weights:
        return False
    program = NumberedProgram.of(jaxpr)
    inputs, results = program.inputs, program.results
    from_gradients = {number for number in results[:num_gradients] if number is not None}
    from_tests: set[int] = set()
    made_by: dict[int, tuple[NumberedOperation, int]] = {}
    for operation in program.operations:
        made_by |= {number: (operation, n) for n, number in enumerate(operation.results)}
        operands = {number for number in operation.operands if number is not None}
        is_test = operation.eqn.primitive.name == "is_finite"
        reads_gradients = not operands.isdisjoint(from_gradients)
        if (is_test and reads_gradients) or not operands.isdisjoint(from_tests):
            from_tests |= set(operation.results)
        if reads_gradients:
            from_gradients |= set(operation.results)

    def is_left_out(after: int | None, before: int) -> bool:
        if after is None or after not in made_by:
            return False
        operation, n = made_by[after]
        return operation.operands[0] in from_tests and before in _kept(operation, n)

    return all(is_left_out(results[after], inputs[before]) for after, before in weights.items())


def _kept(operation: NumberedOperation, number: int) -> frozenset[int | None]:
    """The operands that a result may be, as one of several cases."""
    eqn, operands = operation.eqn, operation.operands
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

"""The arrays that flow into an expression, in the order of its operands where that is known."""

from __future__ import annotations

from collections.abc import Sequence

from stayfinite.graph.graph import Op

# Operations that read the array first, then its indices, whatever was computed of these before.
_INDEXING = frozenset("dynamic_slice gather".split())
# What makes the shapes and dtypes of operands alike.
_VIEWS = frozenset("broadcast_to cast expand_dims identity reshape squeeze".split())


def operand_order(run: Sequence[Op], result: int | None) -> tuple[list[int], bool]:
    """What the ops of one evaluation read, and whether it is in the order of the operands.

    JAX makes the shapes of operands alike before the operation itself, so the second may be used
    first. The order is then that of the operation. A function that is several operations may read
    its operands in any order, as `clip` does on JAX. The operands of `where` have another order
    there than those of the function.

    Args:
        run: The ops. What only a derivative needs may be among them.
        result: The value that the expression has.
    """
    made = {value: op for op in run for value in op.results}
    main = run[-1] if result is None else made[result]
    while len(main.operands) == 1 and main.operands[0] in made:
        main = made[main.operands[0]]
    if main.name in _INDEXING:
        found: dict[int, None] = {}
        for operand in main.operands:
            _read_by(operand, made, found)
        return list(found), True
    order = []
    for operand in main.operands:
        while operand in made and made[operand].name in _VIEWS and made[operand].operands:
            operand = made[operand].operands[0]
        order.append(operand)
    if main.name == "where" or any(operand in made for operand in order):
        return [operand for op in run for operand in op.operands], False
    return order, True


def _read_by(value: int, made: dict[int, Op], found: dict[int, None]) -> None:
    """Add what a value is computed of, in the order of its use."""
    op = made.get(value)
    if op is None:
        found.setdefault(value)
        return
    for operand in op.operands:
        _read_by(operand, made, found)

"""Where it began: the ops that made a harmful non-finite value out of finite ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar


class Unit(Protocol):
    """An op, or a run of ops, on numbered values."""

    @property
    def operands(self) -> tuple[int, ...]:
        """Values read."""
        ...

    @property
    def results(self) -> tuple[int, ...]:
        """Values made."""
        ...


U = TypeVar("U", bound=Unit)


def roots(
    units: Sequence[U], is_bad: Callable[[int], bool], sinks: Iterable[int]
) -> tuple[list[U], set[int]]:
    """The units that made a bad value which reached a bad sink, from operands that were not bad.

    A bad value that a mask or a comparison took out again on its way is harmless and not
    followed: the walk goes back from the bad sinks and through bad values only.

    Args:
        units: In the order of execution.
        is_bad: Whether a value has a non-finite element.
        sinks: Values that must be finite.

    Returns:
        The units, in order, and every bad value on the way from them to the sinks.
    """
    harmful = {sink for sink in sinks if is_bad(sink)}
    found: list[U] = []
    for unit in reversed(units):
        if not harmful.intersection(unit.results):
            continue
        bad_operands = [operand for operand in unit.operands if is_bad(operand)]
        harmful.update(bad_operands)
        if not bad_operands:
            found.append(unit)
    return found[::-1], harmful

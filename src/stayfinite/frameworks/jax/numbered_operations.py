"""The operations of a JAX program with its calls resolved, and its values as numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jax.extend import core as jex

from stayfinite.frameworks.jax import private


@dataclass(frozen=True)
class NumberedOperation:
    """An operation of a program whose calls are resolved. Its values are known by numbers.

    Attributes:
        eqn: The equation.
        operands: Its operands; None for a constant.
        results: What it makes.
    """

    eqn: Any
    operands: tuple[int | None, ...]
    results: tuple[int, ...]


@dataclass(frozen=True)
class NumberedProgram:
    """A program whose calls are resolved.

    Attributes:
        operations: Its operations in their order.
        inputs: The numbers of its inputs.
        results: The numbers of its results; None for a constant.
    """

    operations: tuple[NumberedOperation, ...]
    inputs: tuple[int, ...]
    results: tuple[int | None, ...]

    @classmethod
    def of(cls, jaxpr: jex.ClosedJaxpr) -> NumberedProgram:
        """The operations of `jaxpr`, and of what it calls."""
        numbers = itertools.count()
        operations: list[NumberedOperation] = []
        inputs = tuple(next(numbers) for _ in jaxpr.jaxpr.invars)
        results = _resolve(jaxpr.jaxpr, inputs, numbers, operations)
        return cls(tuple(operations), inputs, tuple(results))


def _resolve(
    jaxpr: Any,
    inputs: Sequence[int | None],
    numbers: Iterator[int],
    operations: list[NumberedOperation],
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
            new = tuple(next(numbers) for _ in eqn.outvars)
            operations.append(NumberedOperation(eqn, tuple(operands), new))
            results = list(new)
        held.update(zip(eqn.outvars, results, strict=True))
    return [number_of(atom) for atom in jaxpr.outvars]

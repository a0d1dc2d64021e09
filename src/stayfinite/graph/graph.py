"""A training step as a graph of ops, the same for all frameworks.

Ops compute values from values. Leaves are the inputs of the step (batch, weights, moving
statistics, optimizer variables); sinks are its outputs (loss, gradients, new state). The graph
holds no arrays except constants; a `Step` computes the arrays that a rule needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Literal

import numpy as np

from stayfinite.incident import Phase

Role = Literal["input", "target", "sample_weight", "weight", "statistics", "optimizer", "metric"]


@dataclass(frozen=True)
class Span:
    """The user's own expression. Lines count from 1, columns from 0 in UTF-8 bytes, as in `ast`.

    `code` is the live code object with the expression; a repair finds the function by it.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    function: str
    code: CodeType | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Value:
    """An array of the step. `batch_axis` is the axis that runs over the samples of the batch."""

    id: int
    shape: tuple[int, ...]
    dtype: str
    batch_axis: int | None = None


@dataclass(frozen=True)
class Leaf:
    """An input of the step, with the name that its owner gives it."""

    value: int
    role: Role
    name: str


@dataclass(frozen=True)
class Op:
    """One primitive operation.

    Attributes:
        name: Canonical name, the same for all frameworks.
        span: The user's expression, the first of `stack`. Without user code on the stack, the
            expression that created `owner`.
        stack: The user's call path, innermost first.
        callers: The user's call path, innermost first, also where a library object is at work.
        differentiates: Index of the forward op whose derivative this is, if the framework gives it.
        is_derivative: Whether this op is all of that derivative, as TensorFlow's `SqrtGrad`.
        owner: Without user code on the stack, the library object whose `call` has the op.
        library: The expression of the innermost library of models or losses, such as
            `transformers`, that the user's last expression calls, or a trainer.
    """

    index: int
    name: str
    phase: Phase
    operands: tuple[int, ...]
    results: tuple[int, ...]
    layer: str | None
    span: Span | None
    stack: tuple[Span, ...] = ()
    differentiates: int | None = None
    is_derivative: bool = False
    owner: object | None = field(default=None, compare=False, repr=False)
    library: Span | None = None
    callers: tuple[Span, ...] = ()


@dataclass
class Graph:
    """The graph of one step. `num_samples` is the batch size, `observed` what the step logs."""

    ops: list[Op]
    values: dict[int, Value]
    leaves: dict[int, Leaf]
    constants: dict[int, np.ndarray]
    loss: int | None
    gradients: dict[str, int]
    new_state: dict[str, int]
    num_samples: int | None
    observed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.producer = {result: op for op in self.ops for result in op.results}
        self.consumers: dict[int, list[Op]] = {}
        for op in self.ops:
            for operand in op.operands:
                self.consumers.setdefault(operand, []).append(op)

    def sinks(self) -> list[int]:
        """Return the outputs, which decide whether the step is bad: loss, gradients, new state."""
        first = [] if self.loss is None else [self.loss]
        return first + list(self.gradients.values()) + list(self.new_state.values())

    def leaves_of(self, value: int) -> list[Leaf]:
        """Return every leaf that `value` was computed from."""
        seen: set[int] = set()
        found: list[Leaf] = []
        stack = [value]
        while stack:
            current = stack.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in self.leaves:
                found.append(self.leaves[current])
            elif current in self.producer:
                stack.extend(self.producer[current].operands)
        return found

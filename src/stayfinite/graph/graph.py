"""A training step op by op, in the terms that all backends share.

A `Graph` is a graph: ops make values out of values; leaves are what came in (batch, weights,
moving statistics, optimizer variables); sinks are what training keeps (loss, gradients, new
state). It holds no arrays: a backend's `Replay` fetches the few that a question needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Literal

import numpy as np

from stayfinite.incident import Phase

Role = Literal["input", "target", "sample_weight", "weight", "statistics", "optimizer", "metric"]


@dataclass(frozen=True)
class Span:
    """The user's own expression. Lines count from 1, columns from 0 in UTF-8 bytes, as in `ast`.

    `code` is the live code object that held it, so that a repair can find the function again.
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
    """A value that came into the step from outside, under the name its owner gives it."""

    value: int
    role: Role
    name: str


@dataclass(frozen=True)
class Op:
    """One primitive operation.

    `name` is canonical over the backends. `stack` is the user's call path, innermost first, and
    starts with `span`; where no user code is on the stack, `span` is the line that created the
    library object whose `call` holds the op, and `stack` is empty. `differentiates` is the index of
    the forward op whose derivative this is, where the framework tells. `owner` is that library
    object, where `stack` is empty.
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
    owner: Any = field(default=None, compare=False, repr=False)


@dataclass
class Graph:
    """The graph of one step; see the module docstring. `num_samples` is the batch size."""

    ops: list[Op]
    values: dict[int, Value]
    leaves: dict[int, Leaf]
    constants: dict[int, np.ndarray]
    loss: int | None
    gradients: dict[str, int]
    new_state: dict[str, int]
    num_samples: int | None

    def __post_init__(self) -> None:
        self.producer = {result: op for op in self.ops for result in op.results}
        self.consumers: dict[int, list[Op]] = {}
        for op in self.ops:
            for operand in op.operands:
                self.consumers.setdefault(operand, []).append(op)

    def sinks(self) -> list[int]:
        """Values whose finiteness decides whether the step was good, in the order of the step."""
        first = [] if self.loss is None else [self.loss]
        return first + list(self.gradients.values()) + list(self.new_state.values())

    def leaves_of(self, value: int) -> list[Leaf]:
        """Every leaf that `value` was computed from."""
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

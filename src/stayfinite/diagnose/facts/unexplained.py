"""Facts of a step that no other rule explains."""

from __future__ import annotations

from dataclasses import dataclass

from stayfinite.diagnose.facts.kind import Kind


@dataclass(frozen=True)
class UnexplainedOp:
    """An op gave a non-finite result for no known reason."""

    kind: Kind
    has_operands: bool
    num_bad: int
    size: int


@dataclass(frozen=True)
class UnexplainedInput:
    """An input is non-finite, and no rule is about inputs of its role."""

"""The operations at which a step on JAX failed: found over segments, then op by op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from stayfinite.frameworks.jax.capture import TracedStep
from stayfinite.frameworks.jax.executor import Executor, ProgramRun
from stayfinite.frameworks.jax.host_data import is_finite
from stayfinite.frameworks.step import Roots, at_fault
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import roots


@dataclass(frozen=True)
class RootSearch:
    """What the search reads.

    Attributes:
        graph: The step op by op.
        traced: The same, with its program.
        executor: Runs it.
        inputs: The arrays of its inputs, in their order.
        survey: A run of it that kept what was finite.
        precision: The steps are run inside it.
    """

    graph: Graph
    traced: TracedStep
    executor: Executor
    inputs: list[Any]
    survey: ProgramRun
    precision: Callable[[], AbstractContextManager[None]]

    def roots(self, bad_state: Sequence[str], may_keep_infinity: Sequence[int]) -> Roots:
        """The non-finite leaves and the failing ops.

        Args:
            bad_state: Names of the new state that is not finite.
            may_keep_infinity: Positions, among the inputs, of those that may hold an infinity.
        """
        survey, traced = self.survey, self.traced
        numbers = traced.program.inputs
        bad_leaves = {
            number
            for number, array in zip(numbers, self.inputs, strict=True)
            if number in traced.leaves and not is_finite(array)
        }

        def is_bad(value: int) -> bool:
            return value in bad_leaves or not survey.finite.get(value, True)

        segments = self.executor.segments
        kept = {n for name, n in self.graph.new_state.items() if name not in bad_state}
        sinks = [sink for sink in self.graph.sinks() if sink not in kept]
        coarse, harmful = roots(segments, is_bad, sinks)
        found: list[Op] = []
        for segment in coarse:
            index = segments.index(segment)
            if index not in survey.suspects:
                continue
            inside = self._roots_inside(index, is_bad)
            if not inside:
                self.executor.go_one_by_one(index)
                inside = self._roots_inside(index, is_bad)
            found.extend(inside)
        leaves = [traced.leaves[number] for number in numbers if number in bad_leaves]
        reached = [leaf for leaf in leaves if leaf.value in harmful]
        return Roots(at_fault(reached, found, self._without_nan(may_keep_infinity)), found)

    def _without_nan(self, positions: Sequence[int]) -> set[int]:
        numbered = list(zip(self.traced.program.inputs, self.inputs, strict=True))
        held = [numbered[position] for position in positions]
        return {number for number, array in held if not bool(jnp.isnan(array).any())}

    def _roots_inside(self, index: int, is_bad: Callable[[int], bool]) -> list[Op]:
        bad: set[int] = set()
        ops = self.graph.ops

        def visit(number: int, _: list[Any], results: list[Any]) -> None:
            named = zip(ops[number].results, results, strict=True)
            bad.update(value for value, result in named if not is_finite(result))

        segment = self.executor.segments[index]
        with self.precision():
            self.executor.step_through(index, self.survey.suspects[index], visit)
        inside = ops[segment.first : segment.first + len(segment.equations)]
        sinks = [v for v in segment.results if is_bad(v) and v in bad]
        return roots(inside, lambda value: value in bad, sinks)[0]

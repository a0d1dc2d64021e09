"""The arrays of the failing step, found by the expression of the user's that made them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from stayfinite.graph.graph import Graph, Op, Span
from stayfinite.repair.extraction.operand_order import operand_order
from stayfinite.repair.extraction.recorded import ExpressionSpan, RecordedArray, RecordedCall
from stayfinite.repair.formula import LeafRole

_COMPREHENSIONS = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")


class GraphRecorded:
    """The forward pass of a graph. Each question for an expression is answered by its next run.

    Args:
        graph: the failing step.
        fetch: the arrays of some of its values, as `Step.fetch`.
        failing: the index of the op that failed. Of several calls of a function, the one that holds
            it is then the first to be answered for. In a loop that is the first call that made a
            bad value out of finite operands, whichever call the failure was traced to.
    """

    def __init__(
        self,
        graph: Graph,
        fetch: Callable[[Iterable[int]], dict[int, np.ndarray]],
        failing: int | None = None,
    ) -> None:
        self._graph = graph
        self._passed = False
        self._fetch = fetch
        self._ends: dict[tuple[str, int, int], list[tuple[Op, int, tuple[Span, ...]]]] = {}
        self._used: dict[tuple[ExpressionSpan, ...], int] = {}
        self._lines: set[tuple[str, int]] = set()
        # JAX keeps what only derivatives need between the ops of the forward pass.
        forward = [op for op in graph.ops if op.phase not in ("backward", "update")]
        self._order = {op.index: position for position, op in enumerate(forward)}
        self._failing = self._first_failing(forward, failing)
        for op in forward:
            stack = _without_comprehensions(op.callers or op.stack)
            for depth, span in enumerate(stack):
                key = span.file, span.end_line, span.end_column
                self._ends.setdefault(key, []).append((op, depth, stack))
                self._lines.update((span.file, n) for n in range(span.line, span.end_line + 1))

    def evaluation(self, stack: Sequence[ExpressionSpan]) -> RecordedCall | None:
        """The next run of ops under `stack`; None after the last."""
        key = tuple(stack)
        found = self._ops(stack)
        used = self._used.get(key)
        if used is None:
            used = self._before_failing(found)
        run = self._first_run([op for op in found if op.index > used]) or self._first_run(found)
        if not run:
            return None
        self._used[key] = run[-1].index
        return self._evaluation(run)

    def _before_failing(self, ops: list[Op]) -> int:
        """The last op to leave out, so that the next run is of the call that failed.

        That call has begun before the failing op, and goes on after it.
        """
        if self._failing is None:
            return -1
        skipped = -1
        while run := self._first_run([op for op in ops if op.index > skipped]):
            if any(op.index == self._failing for op in run):
                self._passed = True
                return skipped
            following = [op for op in ops if op.index > run[-1].index]
            is_last = not following or following[0].index > self._failing
            if run[0].index > self._failing or (is_last and not self._passed):
                return skipped
            skipped = run[-1].index
        return -1

    def _first_failing(self, forward: list[Op], failing: int | None) -> int | None:
        """The first run of the failing expression that is bad on finite operands."""
        op = next((op for op in forward if op.index == failing), None)
        if op is None or not op.stack:
            return failing
        runs = [
            other
            for other in forward
            if other.name == op.name and other.stack == op.stack and other.index < op.index
        ]
        values = [value for run in runs for value in (*run.operands, *run.results)]
        arrays = self._fetch(dict.fromkeys(values)) if runs else {}
        for run in runs:
            if _finite(arrays, run.operands) and not _finite(arrays, run.results):
                return run.index
        return failing

    def touches(self, file: str, first_line: int, last_line: int) -> bool:
        """Whether the forward pass computed anything in these lines."""
        return any((file, line) in self._lines for line in range(first_line, last_line + 1))

    def leaf(self, name: str) -> RecordedArray | None:
        """The input or target of this name."""
        for value, leaf in self._graph.leaves.items():
            if leaf.name == name and leaf.role in ("input", "target"):
                return self._recording(value)
        return None

    def has_constant(self, array: np.ndarray) -> bool:
        """Whether the graph has it as a constant."""
        return any(
            constant.shape == array.shape and np.array_equal(constant, array)
            for constant in self._graph.constants.values()
        )

    def arrays(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """Fetched by running the step once more."""
        return self._fetch(list(dict.fromkeys(values)))

    def fresh(self) -> GraphRecorded:
        """The same graph, from its first op."""
        again = copy.copy(self)
        again._used = {}
        again._passed = False
        return again

    def _ops(self, stack: Sequence[ExpressionSpan]) -> list[Op]:
        place = stack[0]
        found = []
        for op, depth, spans in self._ends.get((place.file, *place.end), []):
            below = spans[depth : depth + len(stack)]
            if len(below) == len(stack) and all(
                outer.matches(span) for outer, span in zip(stack, below, strict=True)
            ):
                found.append(op)
        return found

    def _first_run(self, ops: list[Op]) -> list[Op]:
        """The ops up to the first that is not next in the order of the forward pass."""
        run: list[Op] = []
        for op in ops:
            if run and self._order[op.index] > self._order[run[-1].index] + 1:
                break
            run.append(op)
        return self._without_repetitions(run)

    def _without_repetitions(self, run: list[Op]) -> list[Op]:
        """The first evaluation of a run that has several, as of a call in a comprehension.

        Each has the same ops, reads nothing of the others, and gives what is used after the run.
        """
        names = [op.name for op in run]
        members = {op.index for op in run}
        for length in range(1, len(run) // 2 + 1):
            if len(run) % length or names != names[:length] * (len(run) // length):
                continue
            parts = [run[start : start + length] for start in range(0, len(run), length)]
            if all(self._is_separate(part, members) for part in parts):
                return parts[0]
        return run

    def _is_separate(self, part: list[Op], members: set[int]) -> bool:
        """Whether what some ops of a run give is used, and by none of its other ops."""
        own = {op.index for op in part}
        users = [
            user.index
            for op in part
            for value in op.results
            for user in self._graph.consumers.get(value, [])
            if user.phase != "backward" and user.index not in own
        ]
        last = {
            user.index
            for value in part[-1].results
            for user in self._graph.consumers.get(value, [])
            if user.phase != "backward"
        }
        return bool(last) and members.isdisjoint(users)

    def _evaluation(self, run: list[Op]) -> RecordedCall:
        inside = {result for op in run for result in op.results}
        inputs: dict[int, None] = {}
        result = self._result(run)
        order, is_ordered = operand_order(run, None if result is None else result.value)
        for operand in order:
            if operand not in inside and operand not in self._graph.constants:
                inputs[operand] = None
        recordings = tuple(self._recording(value) for value in inputs)
        return RecordedCall(recordings, result, is_ordered)

    def _result(self, run: list[Op]) -> RecordedArray | None:
        """The last value that the forward pass goes on with, else the last one."""
        members = {op.index for op in run}
        last: int | None = None
        for op in run:
            for value in op.results:
                users = [
                    user
                    for user in self._graph.consumers.get(value, [])
                    if user.index not in members and user.phase != "backward"
                ]
                if users or value == self._graph.loss:
                    last = value
        if last is None and run[-1].results:
            last = run[-1].results[0]
        return None if last is None else self._recording(last)

    def _recording(self, value: int) -> RecordedArray:
        about = self._graph.values[value]
        role = self._role(value, about.dtype)
        leaf = self._graph.leaves.get(value)
        is_held = leaf is not None and leaf.role not in ("input", "target", "sample_weight")
        return RecordedArray(value, about.shape, about.dtype, role, about.batch_axis, is_held)

    def _role(self, value: int, dtype: str) -> LeafRole:
        if dtype.startswith("bool"):
            return LeafRole.MASK
        if dtype.startswith(("int", "uint")):
            return LeafRole.INTEGER
        if any(leaf.role == "weight" for leaf in self._graph.leaves_of(value)):
            return LeafRole.VARIABLE
        return LeafRole.DATA


def _finite(arrays: dict[int, np.ndarray], values: Iterable[int]) -> bool:
    known = [arrays[value] for value in values if value in arrays]
    return all(bool(np.isfinite(array.astype(np.float64)).all()) for array in known)


def _without_comprehensions(stack: tuple[Span, ...]) -> tuple[Span, ...]:
    """The stack in which a comprehension has no frame of its own, as from Python 3.12 on."""
    kept: list[Span] = []
    skip = False
    for span in stack:
        if not skip:
            kept.append(span)
        skip = span.function.endswith(_COMPREHENSIONS)
    return tuple(kept)

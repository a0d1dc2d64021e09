"""A step that counts its runs, to show the progress of an explanation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Outcome, Roots, Step
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Graph


class CountedStep(Step):
    """The step `step`; `count` is called before each run of it, and of what it is changed to."""

    def __init__(self, step: Step, count: Callable[[], None]) -> None:
        self._step = step
        self._count = count

    @property
    def subject(self) -> Subject:
        """The training that the step belongs to."""
        return self._step.subject

    @property
    def batch(self) -> Batch:
        """The batch of the step."""
        return self._step.batch

    @property
    def state(self) -> State:
        """The state before the step."""
        return self._step.state

    @property
    def trace(self) -> Graph:
        """The step op by op."""
        return self._step.trace

    def roots(self) -> Roots:
        """The roots of the step."""
        return self._step.roots()

    def fetch(self, values: Iterable[int]) -> dict[int, np.ndarray]:
        """The arrays of a few values."""
        return self._step.fetch(values)

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The whole state before the step."""
        return self._step.state_arrays()

    def run(self, change: Change) -> Outcome:
        """Run the step with one thing changed, and count it."""
        self._count()
        return self._step.run(change)

    def after(self) -> State:
        """The whole state after the step."""
        return self._step.after()

    def changed(self, change: Change) -> CountedStep:
        """The step with one thing changed, which counts with this one."""
        return CountedStep(self._step.changed(change), self._count)

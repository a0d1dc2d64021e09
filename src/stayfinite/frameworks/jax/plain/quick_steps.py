"""Quick steps in a row: what has to be done for each of them, and nothing else.

While a step is on its way, the code of the guard is in no cache. So its cost is the number of its
instructions and objects, each of which has to come from memory, and not what they take in a test
of their own. A step is made and noted here; everything else is done after a few of them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from stayfinite.frameworks.hand_written import NOT_MADE
from stayfinite.frameworks.jax.plain.arguments import ArgumentsForm
from stayfinite.frameworks.jax.plain.compiled_step import CompiledStep, OtherFormError
from stayfinite.frameworks.jax.plain.step_record import FIRST_BAD
from stayfinite.frameworks.jax.plain.trees import array_class
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.recorder import StepCount

# To read a record takes about as long as the call of a short step.
_STEPS_BETWEEN_LOOKS = 4


class QuickSteps:
    """Makes the next steps of a program, up to a number.

    Args:
        compiled: The program.
        count: Counts the steps.

    Attributes:
        record: The record of the last one.
        latest: The arrays and the structure of what it has returned.
    """

    def __init__(self, compiled: CompiledStep, count: StepCount) -> None:
        self._compiled = compiled
        self._count = count
        self._whole = compiled.whole
        self._array_class = array_class()
        self._flatten = jax.tree_util.default_registry.flatten
        self._form: ArgumentsForm | None = None
        self._batch: Callable[[Any], tuple[Any, ...]] | None = None
        self._batches: list[tuple[Any, ...]] = []
        self._num_left = self._num_positional = 0
        self.record: Any = None
        self.latest: Any = None

    def begin(self, record: Any, number: int) -> None:
        """Up to so many steps may be made, the first after one with this record."""
        form = self._compiled.form
        if form is not self._form:
            self._form, self._batch = form, _bare_batch(self._compiled)
            self._num_positional = 0 if form is None else form.num_positional
        self.record, self._num_left = record, number

    def end(self) -> list[StepData]:
        """Make no further step until `begin`; the batches of the steps that were made."""
        batches, form = self._batches, self._form
        self._batches, self._num_left = [], 0
        self.record = self.latest = None
        return [] if form is None else [StepData(batch, form) for batch in batches]

    def __call__(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make the step of a call: what it returns, or `NOT_MADE`."""
        left, record = self._num_left, self.record
        if left % _STEPS_BETWEEN_LOOKS == 0 and (
            not left or (record.is_ready() and np.asarray(record).item(FIRST_BAD) >= 0)
        ):
            return NOT_MADE
        batch = None
        if self._batch is not None and not keywords and len(args) == self._num_positional:
            batch, concrete = self._batch(args), self._array_class
            for array in batch:
                if type(array) is not concrete:
                    batch = None
                    break
        if batch is None:
            data = self._compiled.batch_of(args, keywords)
            if data is None:
                return NOT_MADE
            batch = data.arrays
        try:
            result, self.record = self._whole(record, args, keywords)
        except OtherFormError:
            return NOT_MADE
        # The program may change what it is given, as by `pop`.
        self.latest = self._flatten(result)
        self._num_left = left - 1
        self._count.num_steps += 1
        self._batches.append(batch)
        return result


def _bare_batch(compiled: CompiledStep) -> Callable[[Any], tuple[Any, ...]] | None:
    """Gives the batch of positional arguments; None unless each argument of it is one array."""
    form, batch = compiled.form, compiled.batch
    if form is None or not batch or len(form.labels) != form.num_positional:
        return None
    if any(structure is not None for _, structure in batch):
        return None
    positions = [position for position, _ in batch]
    if len(positions) == 1:
        return operator.itemgetter(slice(positions[0], positions[0] + 1))
    return operator.itemgetter(*positions)

"""The place of a `fit` in its data, and how another `fit` gets to the same place.

A place is the epoch, the number of steps done in it, and the random states at the moment at which
its batches began. From there the batches that were seen are drawn once more. Where the order of an
epoch is drawn inside a pipeline of TensorFlow, or nothing is known of the source, the epochs before
are drawn, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.keras import random_states
from stayfinite.frameworks.keras.private_epochs import EpochIterator
from stayfinite.frameworks.keras.sources import Sources, SourceState


@dataclass(frozen=True)
class DataOrigin:
    """The moment before the first batch of an iterator over batches.

    Attributes:
        random: The random states.
        source: The state of the user's data set.
        is_begun: Whether the iterator had been made by then.
    """

    random: dict[str, np.ndarray]
    source: SourceState
    is_begun: bool


@dataclass(frozen=True)
class DataPlace:
    """Where a `fit` is between two steps.

    Attributes:
        epoch: Counted from 0.
        calls: Calls of the train function in this epoch.
        num_epochs: Epochs that were drawn before this one.
        num_drawn: Batches drawn before this epoch from the iterator that is under way.
        origin: Of this iterator.
        begin: The random states before the first epoch.
    """

    epoch: int
    calls: int
    num_epochs: int
    num_drawn: int
    origin: DataOrigin
    begin: dict[str, np.ndarray]


class Epochs:
    """Follows the epochs of one `fit`.

    Args:
        iterator: Of this `fit`.
        at_place: Called between two steps, with whether a step is sure to follow.
        resumed: Called at the place where the `fit` goes on, before its first step.
        start: That place; None to begin at the beginning.

    Attributes:
        epoch: Set by the callback.
    """

    def __init__(
        self,
        iterator: EpochIterator,
        at_place: Callable[[bool], None],
        resumed: Callable[[], None],
        start: DataPlace | None,
    ) -> None:
        self.epoch = 0
        self._iterator = iterator
        self._at_place = at_place
        self._resumed = resumed
        self._start = start
        self._sources = Sources(iterator.source)
        self._calls = 0
        self._num_epochs = -1
        self._num_drawn = 0
        self._origin: DataOrigin | None = None
        self._begin: dict[str, np.ndarray] | None = None
        iterator.replace(self._enumerate)

    def place(self) -> DataPlace:
        """Where the `fit` is now."""
        assert self._origin is not None and self._begin is not None
        return DataPlace(
            self.epoch, self._calls, self._num_epochs, self._num_drawn, self._origin, self._begin
        )

    def place_after_end(self) -> DataPlace:
        """Where a `fit` of more epochs would be after the last one of this."""
        assert self._origin is not None and self._begin is not None
        origin, num_drawn = self._origin, self._num_drawn
        if self._iterator.under_way is None:
            random, source = random_states.present(), self._sources.present()
            origin, num_drawn = DataOrigin(random, source, self._iterator.is_begun), 0
        else:
            num_drawn += self._calls * self._iterator.steps_per_execution
        return DataPlace(self.epoch + 1, 0, self._num_epochs + 1, num_drawn, origin, self._begin)

    def not_exact(self) -> str | None:
        """What cannot be repeated exactly in another process, for the user; None if all can."""
        kind = self._iterator.adapter
        if kind == "GeneratorDataAdapter":
            return (
                "the position of a generator cannot be saved: as many batches are drawn again, "
                "which is exact only if it gives the same ones; pass a PyDataset for an exact one"
            )
        if keras.backend.backend() == "tensorflow" and self._iterator.shuffles:
            from stayfinite.frameworks.tensorflow import seeds

            if not seeds.is_set():
                return (
                    "TensorFlow has no seed, so the order of shuffled arrays cannot be repeated; "
                    "call keras.utils.set_random_seed first for an exact one"
                )
        if self._sources.has_workers:
            return (
                "data is made by several workers: random numbers that they draw cannot be "
                "repeated; pass workers=1 for an exact one"
            )
        return None

    def _enumerate(self) -> Iterator[Any]:
        start, self._start = self._start, None
        before, under_way = random_states.present(), self._iterator.under_way
        if start is None:
            origin = DataOrigin(before, self._sources.present(), self._iterator.is_begun)
            self._begin = self._begin or before
            batches = self._iterator.plain()
        else:
            origin, self._begin = start.origin, start.begin
            batches = self._go_to(start)
            self._calls, self._num_epochs = start.calls, start.num_epochs - 1
            self._num_drawn = start.num_drawn
        self._num_epochs += 1
        is_first = True
        # The numbers of a call of the train function, and last the iterator that it draws from.
        for step in batches:
            if is_first and start is not None:
                self._origin = origin
                self._resumed()
            else:
                if is_first:
                    self._note_origin(origin, is_new=under_way is None or step[-1] is not under_way)
                self._at_place(self._iterator.knows_its_end)
            is_first = False
            yield step
            self._calls += 1

    def _note_origin(self, origin: DataOrigin, *, is_new: bool) -> None:
        if is_new:
            self._origin, self._num_drawn = origin, 0
        else:
            self._num_drawn += self._calls * self._iterator.steps_per_execution
        self._calls = 0

    def _go_to(self, place: DataPlace) -> Iterator[Any]:
        """The rest of the epoch of `place`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras, on the end of the data
            random_states.restore(place.begin)
            is_there = self._draw_epochs(place.num_epochs)
        self._sources.restore(place.origin.source)
        under_way = None
        if place.origin.is_begun and not is_there:
            under_way = self._iterator.begin_under_way(place.num_drawn)
        random_states.restore(place.origin.random)
        if place.num_drawn and not is_there:
            under_way = under_way or self._iterator.begin_under_way(place.num_drawn)
            self._draw(under_way, place.num_drawn)
        batches = self._iterator.plain()
        for _ in range(place.calls):
            self._draw(next(batches)[-1], self._iterator.steps_per_execution)
        return batches

    def _draw_epochs(self, number: int) -> bool:
        """Draw the batches of the epochs before, where their order is not known without it.

        Returns whether it did so, so that an iterator of several epochs is at its place.
        """
        kind = self._iterator.adapter
        is_arrays = kind == "ArrayDataAdapter"
        if is_arrays and keras.backend.backend() != "tensorflow":
            return False
        if kind not in ("ArrayDataAdapter", "TFDatasetAdapter", "GeneratorDataAdapter"):
            return False
        # Arrays are ordered once an iterator.
        only_first = is_arrays and not self._iterator.spans_epochs
        for _ in range(number):
            with self._iterator.until_exhausted():
                for n, step in enumerate(self._iterator.plain()):
                    if not (only_first and n):
                        self._draw(step[-1], self._iterator.steps_per_execution, to_end=False)
        return number > 0

    def _draw(self, batches: Iterator[Any], number: int, *, to_end: bool = True) -> None:
        for _ in range(number):
            try:
                next(batches)
            except StopIteration:
                if not to_end:
                    raise
                return  # the last steps of an epoch are fewer than those of one call

"""The place of a `fit` in its data, and how another `fit` gets to the same place.

A place is the epoch, the number of steps done in it, and the random states at the moment at which
its batches began. From there the batches that were seen are drawn once more. Where the order of an
epoch is drawn inside a pipeline of TensorFlow, or nothing is known of the source, the epochs before
are drawn, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.data_limits import DataLimit, NotExact
from stayfinite.frameworks.keras import prepared_batches, random_states
from stayfinite.frameworks.keras.private_epochs import EpochIterator
from stayfinite.frameworks.keras.sources import Sources, SourceState


@dataclass(frozen=True)
class DataMoment:
    """What the next batches come of.

    Attributes:
        random: The random states.
        source: The state of the user's data set.
        prepared: Batches that workers have made ahead; None if they cannot be kept.
    """

    random: dict[str, np.ndarray]
    source: SourceState
    prepared: SourceState | None


@dataclass(frozen=True)
class DataOrigin:
    """The beginning of an iterator over batches.

    Attributes:
        first_batch: The moment before its first batch.
        making: The moment before it was made, for one that is made at the end of the epoch before.
    """

    first_batch: DataMoment
    making: DataMoment | None


@dataclass(frozen=True)
class DataPlace:
    """Where a `fit` is between two steps.

    Attributes:
        epoch: Counted from 0.
        calls: Calls of the train function in this epoch.
        num_epochs: Epochs that were drawn before this one.
        num_drawn: Batches drawn before this epoch from the iterator that is under way.
        origin: Of this iterator.
        source: The state of the user's data set at this place, for an iterator of several epochs:
            the data set may change between two of them.
        begin: The random states before the first epoch.
    """

    epoch: int
    calls: int
    num_epochs: int
    num_drawn: int
    origin: DataOrigin
    source: SourceState | None
    begin: dict[str, np.ndarray]


class Epochs:
    """Follows the epochs of one `fit`.

    Args:
        iterator: Of this `fit`.
        at_place: Called between two steps, with whether a step is sure to follow.
        resumed: Called at the place where the `fit` goes on, before its first step, with the names
            of the random generators that the data draw from, which are at their place.
        start: That place; None to begin at the beginning.

    Attributes:
        epoch: Set by the callback.
    """

    def __init__(
        self,
        iterator: EpochIterator,
        at_place: Callable[[bool], None],
        resumed: Callable[[Collection[str]], None],
        start: DataPlace | None,
    ) -> None:
        self.epoch = 0
        self._iterator = iterator
        self._at_place = at_place
        self._resumed = resumed
        self._start = start
        is_pipeline = iterator.adapter == "TFDatasetAdapter"  # its state is not in attributes
        self._sources = Sources(None if is_pipeline else iterator.source)
        self._calls = 0
        self._num_epochs = -1
        self._num_drawn = 0
        self._origin: DataOrigin | None = None
        self._making: DataMoment | None = None
        self._begin: dict[str, np.ndarray] | None = None
        iterator.replace(self._enumerate)

    def place(self) -> DataPlace:
        """Where the `fit` is now."""
        assert self._origin is not None
        return self._place(self.epoch, self._calls, self._num_epochs, self._num_drawn, self._origin)

    def place_after_end(self) -> DataPlace:
        """Where a `fit` of more epochs would be after the last one of this."""
        assert self._origin is not None
        origin, num_drawn = self._origin, self._num_drawn
        if self._iterator.under_way is None:
            origin, num_drawn = self._new_origin(), 0
        else:
            num_drawn += self._calls * self._iterator.steps_per_execution
        return self._place(self.epoch + 1, 0, self._num_epochs + 1, num_drawn, origin)

    def _place(
        self, epoch: int, calls: int, num_epochs: int, num_drawn: int, origin: DataOrigin
    ) -> DataPlace:
        assert self._begin is not None
        changes_between = self._iterator.spans_epochs and not self._is_drawn_by_a_thread
        source = self._sources.present() if changes_between else None
        return DataPlace(epoch, calls, num_epochs, num_drawn, origin, source, self._begin)

    @property
    def _is_drawn_by_a_thread(self) -> bool:
        """Whether the user's code is called ahead of the steps, at a moment that is not known."""
        is_tensorflow = keras.backend.backend() == "tensorflow"
        return is_tensorflow and self._iterator.adapter == "PyDatasetAdapter"

    def _moment(self) -> DataMoment:
        queue = self._iterator.prepared
        prepared = None if queue is None else prepared_batches.waiting(queue)
        return DataMoment(random_states.present(), self._sources.present(), prepared)

    def _new_origin(self) -> DataOrigin:
        """Of the iterator that the next epoch begins with."""
        return DataOrigin(self._moment(), self._making if self._iterator.is_begun else None)

    def _go_to_moment(self, moment: DataMoment) -> None:
        self._sources.restore(moment.source)
        random_states.restore(moment.random)
        queue = self._iterator.prepared
        if queue is not None and moment.prepared is not None:
            prepared_batches.put_back(queue, moment.prepared)

    def not_exact(self) -> NotExact | None:
        """What cannot be repeated exactly in another process; None if all can."""
        if self._iterator.adapter == "GeneratorDataAdapter":
            return NotExact(DataLimit.GENERATOR)
        if keras.backend.backend() == "tensorflow" and self._iterator.shuffles:
            from stayfinite.frameworks.tensorflow import seeds

            if not seeds.is_set():
                return NotExact(DataLimit.NO_SEED)
        if self._is_drawn_by_a_thread and self._iterator.spans_epochs:
            return NotExact(DataLimit.DRAWN_AHEAD)
        if self._sources.has_lasting_workers:
            return NotExact(DataLimit.LASTING_WORKERS)
        iterator = self._sources.iterator()
        if iterator is not None:
            return NotExact(DataLimit.ITERATOR, iterator)
        return NotExact(DataLimit.WORKERS) if self._sources.has_workers else None

    def _enumerate(self) -> Iterator[Any]:
        start, self._start = self._start, None
        before, under_way = random_states.present(), self._iterator.under_way
        if start is None:
            origin = self._new_origin()
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
                self._resumed(self._drawn_from(origin.first_batch.random))
            else:
                if is_first:
                    self._note_origin(origin, is_new=under_way is None or step[-1] is not under_way)
                self._at_place(self._iterator.knows_its_end)
            is_first = False
            yield step
            self._calls += 1
            if self._iterator.ends_now:
                self._making = self._moment()

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
        origin, under_way = place.origin, None
        if origin.making is not None and not is_there:
            self._go_to_moment(origin.making)
            under_way = self._iterator.begin_under_way(place.num_drawn)
        self._go_to_moment(origin.first_batch)
        if place.num_drawn and not is_there:
            under_way = under_way or self._iterator.begin_under_way(place.num_drawn)
            self._draw(under_way, place.num_drawn)
        batches = self._iterator.plain()
        for _ in range(place.calls):
            self._draw(next(batches)[-1], self._iterator.steps_per_execution)
        if place.source is not None:
            self._sources.restore(place.source)
        return batches

    def _drawn_from(self, before: dict[str, np.ndarray]) -> set[str]:
        """The random generators that a thread draws from, and may do now."""
        if not (self._is_drawn_by_a_thread and self._calls):
            return set()
        return random_states.different(before, random_states.present())

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

"""A `keras.utils.PyDataset` whose draws depend on nothing but seed, epoch and batch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class SeededDataset(keras.utils.PyDataset):
    """The epoch of a data set, and random numbers from it: the same for any number of workers.

    The epoch is counted when Keras ends a pass over the data. On JAX and PyTorch the first `fit` of
    Keras 3.15 makes a pass of its own to learn the shapes: it would train from epoch 1 on, and with
    several workers begin with the batches that this pass had fetched. And it shuffles the order of
    the batches once more, from Python's own `random`. For a training that is the same everywhere:

        model.test_on_batch(*dataset[0])  # now all shapes are known
        model.reset_metrics()
        dataset.epoch = 0  # or that with which a training goes on
        model.fit(dataset, shuffle=False)

    Args:
        seed: A whole number, 0 or more.
        same_every_epoch: Whether every epoch is like epoch 0, as for a validation.
        workers: As of `keras.utils.PyDataset`, with `use_multiprocessing` and `max_queue_size`.
    """

    def __init__(self, seed: int, same_every_epoch: bool, **workers: Any) -> None:
        super().__init__(**workers)
        if not isinstance(seed, int) or seed < 0:
            raise ValueError(f"`seed` must be a whole number, 0 or more. Received: seed={seed!r}")
        self.seed = seed
        self.same_every_epoch = same_every_epoch
        self.epoch = 0
        self._is_within_epoch = False
        self._plan: tuple[int, Any] | None = None

    @property
    def epoch(self) -> int:
        """Number of the epoch that is drawn, from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        if value < 0:
            raise ValueError(f"`epoch` must be 0 or more. Received: epoch={value}")
        self._epoch = int(value)

    def on_epoch_begin(self) -> None:
        """Called by Keras before a pass over the data."""
        self._is_within_epoch = True

    def on_epoch_end(self) -> None:
        """Called by Keras after a pass, and once more before the first of a `fit`."""
        if self._is_within_epoch:
            self._epoch += 1
        self._is_within_epoch = False

    def _drawn_epoch(self) -> int:
        return 0 if self.same_every_epoch else self._epoch

    def _of_epoch(self) -> Any:
        """What `_drawn` gives for this epoch, drawn once."""
        epoch, plan = self._drawn_epoch(), self._plan
        if plan is None or plan[0] != epoch:
            plan = self._plan = (epoch, self._drawn())
        return plan[1]

    def _drawn(self) -> Any:
        raise NotImplementedError

    def _random(self, *numbers: int) -> np.random.Generator:
        """Random numbers for this epoch, and within it for these numbers."""
        return np.random.default_rng([self.seed, self._drawn_epoch(), *numbers])

    def _mirrored(self, batch_index: int, num_images: int) -> np.ndarray:
        """For each image of a batch whether it is mirrored: half of them."""
        return self._random(1, batch_index).random(num_images) < 0.5

    def _checked_index(self, batch_index: int) -> int:
        # `IndexError` is what ends a `for` over a sequence.
        if not 0 <= batch_index < len(self):
            raise IndexError(f"expected a batch from 0 to {len(self) - 1}; received {batch_index}")
        return int(batch_index)

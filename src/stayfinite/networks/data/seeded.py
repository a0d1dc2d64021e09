"""A `keras.utils.PyDataset` whose draws depend on seed, epoch and batch only."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class SeededDataset(keras.utils.PyDataset):
    """Counts the epochs and gives random numbers for each, the same for any number of workers.

    The epoch is increased when Keras ends a pass over the data. On JAX and PyTorch, the first `fit`
    of Keras 3.15 makes an additional pass to learn the shapes. Training would then start with epoch
    1 and, with several workers, with the batches fetched by that pass. `fit` also shuffles the
    order of the batches with Python's `random`. For the same training on every backend:

        model.test_on_batch(*dataset[0])  # makes all shapes known
        model.reset_metrics()
        dataset.epoch = 0  # or the epoch with which a training continues
        model.fit(dataset, shuffle=False)

    Args:
        seed: A whole number, 0 or more.
        same_every_epoch: Whether every epoch equals epoch 0, as for a validation.
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
        """The number of the current epoch, from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        if value < 0:
            raise ValueError(f"`epoch` must be 0 or more. Received: epoch={value}")
        self._epoch = int(value)

    def on_epoch_begin(self) -> None:
        """Note the beginning of a pass over the data."""
        self._is_within_epoch = True

    def on_epoch_end(self) -> None:
        """Count the epoch. Keras also calls this before the first pass of a `fit`."""
        if self._is_within_epoch:
            self._epoch += 1
        self._is_within_epoch = False

    def _drawn_epoch(self) -> int:
        return 0 if self.same_every_epoch else self._epoch

    def _of_epoch(self) -> Any:
        """Return what `_drawn` returns for this epoch; it is called once for each epoch."""
        epoch, plan = self._drawn_epoch(), self._plan
        if plan is None or plan[0] != epoch:
            plan = self._plan = (epoch, self._drawn())
        return plan[1]

    def _drawn(self) -> Any:
        """Draw the batches of the epoch."""
        raise NotImplementedError

    def _random(self, *numbers: int) -> np.random.Generator:
        """Return a generator seeded with the seed, the epoch and `numbers`."""
        return np.random.default_rng([self.seed, self._drawn_epoch(), *numbers])

    def _mirrored(self, batch_index: int, num_images: int) -> np.ndarray:
        """Draw which images of a batch are mirrored, each with probability 1/2."""
        return self._random(1, batch_index).random(num_images) < 0.5

    def _checked_index(self, batch_index: int) -> int:
        # An `IndexError` ends a `for` loop over a sequence.
        if not 0 <= batch_index < len(self):
            raise IndexError(f"expected a batch from 0 to {len(self) - 1}; received {batch_index}")
        return int(batch_index)

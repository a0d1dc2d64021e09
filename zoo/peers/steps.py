"""Which training step a process is in, so that a peer that does not say it is not judged less."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.probing_torch import OptimizerSteps, watch


@dataclass
class Steps:
    """`done` steps ended in `fit` and `train_on_batch`, or of the optimizers of a loop over
    PyTorch; None before the first of them began.

    `stopped_at` is noted by a peer that lets the script go on.
    """

    done: int | None = None
    stopped_at: int | None = None

    @property
    def at_the_end(self) -> int | None:
        """The step of the alarm, now that the script has ended."""
        return self.done if self.stopped_at is None else self.stopped_at

    def count(self) -> None:
        """From now on, count the steps of this process. In a loop over JAX, nobody counts them."""
        backend = os.environ["ZOO_BACKEND"]
        if backend == "plain-torch":
            watch(_Counting(self))
        elif backend != "plain-jax":
            self._count_calls_of_train_step()

    def _count_calls_of_train_step(self) -> None:
        """A callback would count, too, but makes Keras wait for the logs of every step."""
        import keras

        trainer = next(kind for kind in keras.Model.__mro__ if "make_train_function" in vars(kind))
        make = trainer.make_train_function

        def make_train_function(model: Any, *args: Any, **options: Any) -> Any:
            made = make(model, *args, **options)
            if not getattr(model.train_function, "counts_steps", False):
                model.train_function = self._counted(model.train_function, model)
            return made

        trainer.make_train_function = make_train_function

    def _counted(self, function: Callable[..., Any], model: Any) -> Callable[..., Any]:
        def train_function(*args: Any) -> Any:
            done = self.done = self.done or 0
            result = function(*args)
            self.done = done + model.steps_per_execution
            return result

        train_function.counts_steps = True  # type: ignore[attr-defined]
        return train_function


class _Counting(OptimizerSteps):
    """Counts the steps of optimizers, of which it records none."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(step=-1)
        self._steps = steps
        steps.done = 0

    def differentiate(self, tensors: Any) -> None:
        """A loss that is not recorded is not read."""

    def count(self) -> None:
        """Count one step."""
        super().count()
        self._steps.done = self.num_done

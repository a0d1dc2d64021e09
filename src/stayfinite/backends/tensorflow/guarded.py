"""`model.train_step` with the sentinel inside, as Keras makes a function of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from stayfinite.backends import keras_private
from stayfinite.backends.tensorflow import private
from stayfinite.backends.tensorflow.journal import Journal, all_finite
from stayfinite.backends.tensorflow.judged import JudgedStep, state_variables
from stayfinite.backends.tensorflow.sentinel import Sentinel
from stayfinite.backends.tensorflow.watching import watched


def guarded(model: Any, sentinel: Sentinel, *, whole: bool) -> Callable[[Any], Any]:
    """`model.train_step` with the sentinel: returns `(logs, count, data)`.

    The batch comes out again because it is drawn inside the compiled function.

    Args:
        model: Held weakly, since it holds what is made of the result.
        sentinel: Noted in by each step.
        whole: Judge the step by the state after it and undo it, at the price of a second copy of
            the state. Right for every train step, and needed where state is changed after the
            update, as by two optimizers in one step.
    """
    known = weakref.ref(model)

    def guarded_step(data: Any) -> Any:
        model = known()
        step = WholeStep(model, sentinel) if whole else JudgedStep(model, sentinel)
        with watched(step):
            logs = model.train_step(data)
        return logs, sentinel.note(step.finish()), data

    return guarded_step


def is_plain(model: Any) -> bool:
    """Whether train step and optimizer are Keras's own, so that nothing follows the update."""
    base, scaled = keras_private.BaseOptimizer, keras_private.LossScaleOptimizer
    own_step = getattr(model.train_step, "__func__", None) is private.TensorFlowTrainer.train_step
    return own_step and getattr(type(model.optimizer), "apply", None) in (base.apply, scaled.apply)


class WholeStep:
    """A `Watcher` that lets everything happen, and puts the state back where that was bad."""

    def __init__(self, model: Any, sentinel: Sentinel) -> None:
        self._model = model
        self._alive = sentinel.count >= 0
        self._judged: list[Any] = []
        self._journal = Journal()
        self._journal.save(state_variables(model))

    def differentiating(self, loss: Any) -> None:
        """See `Watcher`."""
        if self._journal.here():
            self._judged.append(loss)

    def assigning(self, variable: Any) -> None:
        """See `Watcher`."""
        self._journal.save([variable])

    def applying(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> None:
        """See `Watcher`."""
        self._journal.save([*variables, *optimizer.variables])
        if self._journal.here() and not hasattr(optimizer, "inner_optimizer"):
            self._judged.extend(grads)
        apply()

    def finish(self) -> Any:
        """The step is made; returns whether it was good."""
        metrics = list(self._model.metrics_variables)
        good = self._alive & all_finite([*self._judged, *self._journal.new(metrics)])
        tf.cond(good, lambda: None, lambda: self._journal.restore(metrics))
        return good

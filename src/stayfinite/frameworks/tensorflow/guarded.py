"""`model.train_step` with the sentinel inside, as Keras makes a function of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.tensorflow.guard_eager import JudgedStep
from stayfinite.frameworks.tensorflow.guard_graph import WholeStep
from stayfinite.frameworks.tensorflow.guard_sentinel import Sentinel
from stayfinite.frameworks.tensorflow.watching import watched


def guarded(model: Any, sentinel: Sentinel, *, everything: bool) -> Callable[[Any], Any]:
    """`model.train_step` with the sentinel: returns `(logs, count, data)`.

    The batch comes out again because it is drawn inside the compiled function.

    Args:
        model: Held weakly, since it holds what is made of the result.
        sentinel: Noted in by each step.
        everything: See `WholeStep`.
    """
    known = weakref.ref(model)

    def guarded_step(data: Any) -> Any:
        model: Any = known()
        step: JudgedStep | WholeStep
        if tf.executing_eagerly() and is_plain(model):
            step = JudgedStep(model, sentinel)
        else:
            step = WholeStep(model, sentinel, everything=everything)
        with watched(step):
            logs = model.train_step(data)
        return logs, sentinel.note(step.finish()), data

    return guarded_step


def is_plain(model: Any) -> bool:
    """Whether train step and optimizer are Keras's own, so that nothing follows the update."""
    base, scaled = keras_private.BaseOptimizer, keras_private.LossScaleOptimizer
    own_step = keras_private.has_own_step(model)
    return own_step and getattr(type(model.optimizer), "apply", None) in (base.apply, scaled.apply)

"""Values of variables before a step changed them, to be put back where the step was bad.

Reading costs no memory by itself: a tensor shares the buffer of its variable until that is written
to in place.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.tensorflow import bounds, private


def all_finite(tensors: list[Any]) -> Any:
    """Whether every element of the floating-point tensors is finite."""
    dense = [bounds.dense(t) for t in tensors]
    verdicts = [tf.reduce_all(tf.math.is_finite(t)) for t in dense if t.dtype.is_floating]
    return tf.reduce_all(tf.stack(verdicts)) if verdicts else tf.constant(True)


class Journal:
    """Values of variables before the step assigned them, to be put back."""

    def __init__(self) -> None:
        self._graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        self.old: dict[int, tuple[tf.Variable, Any]] = {}

    def here(self) -> bool:
        """Whether an op made now belongs to the step itself, not to a branch or loop in it."""
        return self._graph is None or tf.compat.v1.get_default_graph() is self._graph

    def save(self, variables: list[Any]) -> None:
        """Read the variables that have not been read yet."""
        with self._at_the_step():
            for variable in map(private.raw, variables):
                if id(variable) not in self.old:
                    self.old[id(variable)] = (variable, variable.read_value())

    def collapsed(self, optimizers: list[Any]) -> list[Any]:
        """For each optimizer with a loss scale: `keras_private.has_collapsed`."""
        scaling = [o for o in optimizers if isinstance(o, keras_private.LossScaleOptimizer)]
        scales = [self.old[id(private.raw(o.dynamic_scale))] for o in scaling]
        return [keras_private.has_collapsed(before, v.read_value()) for v, before in scales]

    def new(self, apart_from: list[Any]) -> list[Any]:
        """The present values, without those of some variables."""
        others = {id(private.raw(variable)) for variable in apart_from}
        return [v.read_value() for key, (v, _) in self.old.items() if key not in others]

    def restore(self, apart_from: list[Any]) -> None:
        """Put the old values back, but for those of some variables."""
        others = {id(private.raw(variable)) for variable in apart_from}
        for key, (variable, value) in self.old.items():
            if key not in others:
                variable.assign(value)

    def _at_the_step(self) -> AbstractContextManager[Any]:
        # A tensor of a branch could not be used outside of it.
        return contextlib.nullcontext() if self._graph is None else self._graph.as_default()

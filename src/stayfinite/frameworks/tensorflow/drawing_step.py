"""A compiled step that draws its own batch, and also gives that batch.

It does what the train function of Keras does, which returns a `tf.experimental.Optional`. To make
one, ask it and take it apart takes longer than the step of a small network. Without it, a step with
a guard may be faster than one without. The batch comes out of the function around the step, where
it is not copied, as it would be if XLA gave it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from stayfinite.frameworks.subject import Compilation
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.private_loops import once_in_loop
from stayfinite.frameworks.tensorflow.step_outputs import StepOutputs


class DrawingStep:
    """Makes a step on the next batch of an iterator, or on one that is given; an eager one on that.

    Args:
        compilation: How the step is compiled.
        step: Makes a step on a batch; returns a dictionary.

    Attributes:
        form: The `element_spec` of the data set that a given batch came from; None where that is
            not known. Keras traces its step on it, and of a size that it leaves open the program
            computes what it would else have as a constant, with other last digits.
    """

    def __init__(self, compilation: Compilation, step: Callable[[Any], dict[str, Any]]) -> None:
        self.form: Any = None
        self._traced_form: Any = None
        self._on_batch = private.make_function(compilation, step)
        self._has_loop = compilation.steps_per_execution > 1
        self._in_loop: Any = None
        self._outputs = StepOutputs()
        self._is_eager = compilation.eager
        # Keras's own one has the same options.
        self._compiled = tf.function(self._joined, reduce_retracing=True, autograph=False)

    def __call__(self, source: Any) -> tuple[dict[str, Any], Any]:
        """Make a step on a batch of `source`, an iterator of `tf.data` or a list of one batch.

        Returns what the step returned, and the batch.
        """
        if isinstance(source, list):
            if self.form != self._traced_form and not self._is_eager:
                return self._in_form(source[0])
            if self._in_loop is not None:
                return self._outputs.parted(self._in_loop(source[0]).get_value())
            return self._on_batch(source), source[0]
        return self._outputs.parted(self._compiled(source))

    def _joined(self, iterator: Any) -> dict[str, Any]:
        self.form = self._traced_form = iterator.element_spec
        data = drawn_from(iterator)
        return self._outputs.joined(self._on_batch([data]), data)

    def _in_form(self, data: Any) -> tuple[dict[str, Any], Any]:
        """Make a step on a batch, traced on `form`; later batches find that trace."""
        form, self._traced_form, self._in_loop = self.form, self.form, None
        if not _suits(form, data):
            return self._on_batch([data]), data

        def given(data: Any) -> dict[str, Any]:
            return self._outputs.joined(self._on_batch([data]), data)

        function = once_in_loop(given) if self._has_loop else given
        traced = tf.function(function, input_signature=[form], autograph=False)
        result = traced(data)
        if self._has_loop:
            self._in_loop, result = traced, result.get_value()
        return self._outputs.parted(result)


def drawn_from(iterator: Any) -> Any:
    """The next batch of an iterator of `tf.data`."""
    return keras.tree.map_structure(_without_optional, iterator.get_next())


def _without_optional(leaf: Any) -> Any:
    """None where a data set has nothing, as Keras gives it to a step."""
    return None if isinstance(leaf, tf.experimental.Optional) else leaf


def _suits(form: Any, data: Any) -> bool:
    """Whether `data` is a batch of tensors of the data set with this `element_spec`."""
    try:
        tf.nest.assert_same_structure(form, data)
    except (TypeError, ValueError):
        return False
    return all(
        isinstance(spec, tf.TensorSpec) and tf.is_tensor(leaf) and spec.is_compatible_with(leaf)
        for spec, leaf in zip(tf.nest.flatten(form), tf.nest.flatten(data), strict=True)
    )

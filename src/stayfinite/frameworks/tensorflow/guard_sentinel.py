"""The sentinel on TensorFlow: the flag on the device, and the values to put back in a bad step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.keras import loss_scales
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.found_models import layer_variables
from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.tensorflow import bounds, private
from stayfinite.frameworks.tensorflow.state import value_of


class TensorFlowSentinel:
    """The flag on the device.

    `count` is the number of good steps, and `~count` once a step was bad: it then stays so.
    `bounded` says that the state is known to be within the limits of `bounds`. `trained` has what
    is known of the variables of its steps.
    """

    def __init__(self) -> None:
        self.trained = TrainedVariables()
        with tf.init_scope():
            self.count = tf.Variable(0, dtype=tf.int64, trainable=False, name="num_good_steps")
            self.bounded = tf.Variable(False, trainable=False, name="bounded")

    def reset(self) -> None:
        """No step has been seen."""
        self.count.assign(0)
        self.bounded.assign(False)

    def took_back_last(self) -> bool:
        """Whether the last step was the first bad one; if so, it is forgotten."""
        count = int(self.count.numpy())
        if count < 0:
            self.count.assign(~count)
        return count < 0

    def note(self, good: Any, suspect: Any) -> Any:
        """Count a step; returns its report, two numbers of type int64.

        The first is the new count, the second the number of this step if it is a suspect, or -1.

        Args:
            good: False once a step was bad.
            suspect: Whether a loss scale skipped the step on a batch that is not finite.
        """
        count = self.count.read_value()
        after = tf.where(good, count + 1, tf.minimum(count, ~count))
        self.count.assign(after)
        return tf.stack([after, tf.where(good & suspect, count, -1)])


class SentinelFlag:
    """The first bad step since the sentinel was made, from the reports of its steps.

    Args:
        reports: The reports of one or several steps; see `TensorFlowSentinel.note`.
        is_bad: Asked whether a suspect is bad, with its number.
    """

    def __init__(self, reports: list[Any], is_bad: Callable[[int], bool]) -> None:
        self._reports = reports
        self._is_bad = is_bad

    def is_ready(self) -> bool:
        """Whether reading it would not wait, as far as is known."""
        # TensorFlow does not say whether a tensor of a GPU has been computed.
        return "CPU" in self._reports[-1].device

    def __int__(self) -> int:
        for report in self._reports:
            count, suspect = report.numpy().tolist()
            if count < 0:
                return int(~count)
            if suspect >= 0 and self._is_bad(suspect):
                return int(suspect)
        return -1


def all_finite(tensors: list[Any]) -> Any:
    """Whether every element of the floating-point tensors is finite."""
    dense = [bounds.dense(t) for t in tensors]
    verdicts = [tf.reduce_all(tf.math.is_finite(t)) for t in dense if t.dtype.is_floating]
    return tf.reduce_all(tf.stack(verdicts)) if verdicts else tf.constant(True)


def _without_kept_infinities(after: Any, before: Any) -> Any:
    kept = tf.math.is_inf(after) & tf.equal(after, before)
    return tf.where(kept, tf.zeros_like(after), after)


class TrainedVariables:
    """The variables whose values say whether a step was bad.

    These are what an optimizer writes to, and the variables of layers. A step may also assign
    those of metrics, and numbers that it only reports: they may be NaN in a healthy training.
    """

    def __init__(self) -> None:
        # Variables by identity, which are kept so that no other gets the same one.
        self._known: dict[int, tuple[Any, bool]] = {}

    def add(self, variables: list[Any]) -> None:
        """An optimizer writes to `variables`."""
        self._known.update({id(v): (v, True) for v in map(private.raw, variables)})

    def among(self, variables: list[tf.Variable], subject: Subject) -> set[int]:
        """The identities of those of `variables` that are judged."""
        unknown = [v for v in variables if id(v) not in self._known]
        if unknown:
            state = [*subject.trainable_variables, *subject.non_trainable_variables]
            held = {id(private.raw(v)) for v in (*state, *layer_variables())}
            self._known.update({id(v): (v, id(v) in held) for v in unknown})
        return {id(v) for v in variables if self._known[id(v)][1]}


class VariableValues:
    """Values of variables before the step assigned them, to be put back where it was bad.

    Reading alone takes no memory: a tensor shares the buffer of its variable until that is written
    to in place.
    """

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
                    self.old[id(variable)] = (variable, value_of(variable))

    def collapsed(self, optimizers: list[Any]) -> list[Any]:
        """For each optimizer with a loss scale: `loss_scales.has_collapsed`."""
        scales = self._scales(optimizers)
        return [loss_scales.has_collapsed(before, v.read_value()) for v, before in scales]

    def skipped(self, optimizers: list[Any]) -> list[Any]:
        """For each optimizer with a loss scale: `loss_scales.has_fallen`."""
        scales = self._scales(optimizers)
        return [loss_scales.has_fallen(before, v.read_value()) for v, before in scales]

    def _scales(self, optimizers: list[Any]) -> list[tuple[tf.Variable, Any]]:
        scaling = [o for o in optimizers if isinstance(o, keras_private.LossScaleOptimizer)]
        return [self.old[id(private.raw(o.dynamic_scale))] for o in scaling]

    def new(self, apart_from: list[Any]) -> list[Any]:
        """The present values, without those of some variables."""
        others = {id(private.raw(variable)) for variable in apart_from}
        return [value_of(v) for key, (v, _) in self.old.items() if key not in others]

    def judged(self, subject: Subject, trained: TrainedVariables) -> list[Any]:
        """`new` of the variables in `trained`, and with 0 for infinities that one may keep.

        These are the variables of `Subject.may_keep_infinity`.
        """
        judged = trained.among([variable for variable, _ in self.old.values()], subject)
        present = {key: pair for key, pair in self.old.items() if key in judged}
        if not present:
            return []
        variables = [*subject.trainable_variables, *subject.non_trainable_variables]
        positions = subject.may_keep_infinity()
        may_keep = {id(private.raw(variables[position])) for position in positions}
        return [
            _without_kept_infinities(value_of(variable), before)
            if key in may_keep and variable.dtype.is_floating
            else value_of(variable)
            for key, (variable, before) in present.items()
        ]

    def restore(self, apart_from: list[Any]) -> None:
        """Put the old values back, but for those of some variables."""
        others = {id(private.raw(variable)) for variable in apart_from}
        for key, (variable, value) in self.old.items():
            if key not in others:
                variable.assign(value)

    def _at_the_step(self) -> AbstractContextManager[Any]:
        # A tensor of a branch could not be used outside of it.
        return contextlib.nullcontext() if self._graph is None else self._graph.as_default()

"""An eager train step that is checked before its update.

Loss, gradients and the variables that the forward pass assigned are reduced to one boolean, and the
update is in a condition on it. So no second copy of the weights is needed, unless the numbers are
so large that the update could overflow (`bounds.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.tensorflow import bounds
from stayfinite.frameworks.tensorflow.guard_sentinel import (
    TensorFlowSentinel,
    VariableValues,
    all_finite,
)


class GuardedEagerStep:
    """A `Watcher` that puts the update into a condition: it is made only if all is finite.

    With `keeps_metrics` a bad step leaves the metrics as they were, too.
    """

    def __init__(
        self, subject: Subject, sentinel: TensorFlowSentinel, *, keeps_metrics: bool
    ) -> None:
        self._keeps_metrics = keeps_metrics
        self._subject = subject
        self._sentinel = sentinel
        self._values = VariableValues()
        self._losses: list[Any] = []
        self._good: Any = None

    def differentiating(self, loss: Any) -> None:
        """Check the loss."""
        self._losses.append(loss)

    def assigning(self, variable: Any) -> None:
        """Keep the old value."""
        self._values.save([variable])

    def applying(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> None:
        """Make the update only if loss, gradients and assigned values are finite."""
        alive = self._sentinel.count >= 0
        way = tf.where(alive, 1, 0)
        ways: list[Callable[[], Any]] = [
            self._frozen,
            lambda: self._careful(optimizer, grads, variables, apply),
        ]
        if bounds.is_provable(optimizer, variables):
            way = tf.where(alive & self._is_quick(optimizer, grads), 2, way)
            ways.append(lambda: _applied(apply))
        self._good = tf.switch_case(way, ways)

    def finish(self) -> Any:
        """End the step; returns whether it was good."""
        if self._good is None:
            alive = self._sentinel.count >= 0
            self._good = alive & all_finite([*self._losses, *self._assigned()])
            tf.cond(self._good, _nothing, lambda: self._values.restore(self._metrics()))
        if self._keeps_metrics and not self._good:
            # They are updated after the update that was not made.
            self._values.restore([])
        return self._good

    def is_suspect(self, data: Any) -> Any:
        """Whether a bad step may have a finite loss: not here, where no ops are fused."""
        return tf.constant(False)

    def _is_quick(self, optimizer: Any, grads: list[Any]) -> Any:
        """Whether everything is finite, and the update will be; with as few ops as possible."""
        size = bounds.half_square_sum([*grads, bounds.learning_rate_term(optimizer)])
        quick = self._sentinel.bounded & (size <= bounds.gradient_limit(optimizer))
        floating = [t for t in (*self._losses, *self._assigned()) if t.dtype.is_floating]
        if floating:
            quick &= tf.math.is_finite(bounds.half_square_sum(floating))
        return quick

    def _careful(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> Any:
        checked = [*self._losses, *self._assigned()]
        if not hasattr(optimizer, "inner_optimizer"):
            checked += grads

        def applied_on_copy() -> Any:
            copy = VariableValues()
            copy.save([*variables, *optimizer.variables])
            apply()
            good = all_finite(copy.new([]))
            for collapsed in copy.collapsed([optimizer]):
                good &= ~collapsed
            self._sentinel.bounded.assign(bounds.is_bounded(optimizer, variables))

            def undo() -> None:
                copy.restore([])
                self._values.restore(self._metrics())

            tf.cond(good, _nothing, undo)
            return good

        return tf.cond(all_finite(checked), applied_on_copy, self._frozen)

    def _frozen(self) -> Any:
        self._values.restore(self._metrics())
        return tf.constant(False)

    def _assigned(self) -> list[Any]:
        return self._values.judged(self._subject, self._sentinel.trained)

    def _metrics(self) -> list[Any]:
        # Metrics keep the bad step, so that they agree with the progress bar.
        return list(self._subject.metrics_variables)


def _applied(apply: Callable[[], None]) -> Any:
    apply()
    return tf.constant(True)


def _nothing() -> None:
    return None

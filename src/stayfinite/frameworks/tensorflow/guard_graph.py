"""A compiled train step that is checked by its new state and undone if that is bad.

The update itself is unchanged: a condition around it, or one more reader of a gradient, changes
which ops are fused, and with it the last bit of healthy trainings. Variables are read before the
step overwrites them, and restored in one branch of a condition at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_bounds import row_of
from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.tensorflow import bounds, private, private_functions
from stayfinite.frameworks.tensorflow.guard_eager import GuardedEagerStep
from stayfinite.frameworks.tensorflow.guard_sentinel import (
    TensorFlowSentinel,
    VariableValues,
    all_finite,
)
from stayfinite.frameworks.tensorflow.unread_loss import computed_again
from stayfinite.frameworks.tensorflow.watching import watched


class Unsuited(BaseException):
    """The train step writes to state without a call that a `Watcher` sees: all state must be read.

    Not an `Exception`: the user's own `except Exception` must not swallow it.
    """


class GuardedGraphStep:
    """A `Watcher` that restores the state after a bad step.

    Args:
        subject: The training.
        sentinel: Has the flag of earlier steps.
        everything: Read the whole state first, also what no watch sees being written.
        keeps_metrics: Whether a bad step leaves the metrics as they were, too.
    """

    def __init__(
        self,
        subject: Subject,
        sentinel: TensorFlowSentinel,
        *,
        everything: bool,
        keeps_metrics: bool,
    ) -> None:
        self._subject = subject
        self._trained = sentinel.trained
        self._alive = sentinel.count >= 0
        self._checked: list[Any] = []
        self._applied: list[Any] = []
        self._values = VariableValues()
        self._everything = everything
        self._keeps_metrics = keeps_metrics
        state = lasting(subject)
        self._num_variables = len(state)
        if everything:
            self._values.save(state)

    def differentiating(self, loss: Any) -> None:
        """Check the loss."""
        if self._values.here():
            self._checked.append(computed_again(loss, after=self._alive))

    def assigning(self, variable: Any) -> None:
        """Keep the old value."""
        self._values.save([variable])

    def applying(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> None:
        """Keep what the update will change, and make it."""
        written = [*variables, *optimizer.variables]
        self._values.save(written)
        self._trained.add(written)
        if self._values.here():
            self._applied.append(optimizer)
            if _hides(optimizer):
                self._checked.extend(grads)
        apply()

    def finish(self) -> Any:
        """End the step; returns whether it was good."""
        self.require_seen_writes()
        # Else metrics keep the bad step, so that they agree with the progress bar.
        metrics = [] if self._keeps_metrics else list(self._subject.metrics_variables)
        judged = self._values.judged(self._subject, self._trained)
        floating = _floating([*self._checked, *judged])
        alive = self._alive
        for collapsed in self._values.collapsed(self._applied):
            alive &= ~collapsed

        def judged_exactly() -> Any:
            good = alive & all_finite(floating)
            tf.cond(good, lambda: None, lambda: self._values.restore(metrics))
            return good

        # The sum may overflow. It is one condition, as each has a cost also where it is not taken.
        quick = alive & tf.math.is_finite(bounds.half_square_sum(floating))
        return private.rarely(quick, lambda: tf.constant(True), judged_exactly)

    def require_seen_writes(self) -> None:
        """Raise `Unsuited` where the step writes to state that was not read before."""
        if not self._everything and self._is_written_unseen():
            raise Unsuited

    def is_suspect(self, data: Any) -> Any:
        """Whether a loss scale skipped the step on a batch that is not finite; after `finish`.

        A fused `relu` makes 0 of NaN, so that the loss can be finite and the gradients are not.
        """
        skipped = self._values.skipped(self._applied)
        if not skipped:
            return tf.constant(False)
        leaves = tf.nest.flatten(data, expand_composites=True)
        tensors = [leaf for leaf in leaves if tf.is_tensor(leaf)]
        usual = ~tf.reduce_any(tf.stack(skipped))
        return private.rarely(usual, lambda: tf.constant(False), lambda: ~all_finite(tensors))

    def _is_written_unseen(self) -> bool:
        state = [private.raw(v) for v in lasting(self._subject)]
        if len(state) != self._num_variables:
            # Ending this trace would leave its new variables without values; the next trace checks.
            return False
        unseen = [v for v in state if id(v) not in self._values.old]
        return private_functions.is_written(tf.compat.v1.get_default_graph(), unseen)


def lasting(subject: Subject) -> list[Any]:
    """Every variable that must not change in a bad step, as far as it has been made."""
    slots = [v for optimizer in subject.optimizers for v in optimizer.variables]
    return [*subject.trainable_variables, *subject.non_trainable_variables, *slots]


def _hides(optimizer: Any) -> bool:
    """Whether a non-finite gradient may leave a finite state behind."""
    if isinstance(optimizer, keras_private.LossScaleOptimizer):
        return False  # it skips non-finite gradients itself; this is not a bad step
    clips = (optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue)
    row = row_of(optimizer)
    keeps = row is not None and row.keeps_bad_gradients
    return not keeps or any(clip is not None for clip in clips)


def _floating(tensors: list[Any]) -> list[Any]:
    return [tensor for tensor in map(bounds.dense, tensors) if tensor.dtype.is_floating]


def guarded(
    subject: Subject,
    sentinel: TensorFlowSentinel,
    *,
    everything: bool,
    keeps_metrics: bool = False,
) -> Callable[[Any], dict[str, Any]]:
    """The train step with the sentinel: returns a dictionary of `logs` and `report`.

    Args:
        subject: The training.
        sentinel: Noted in by each step.
        everything: Read the whole state first, also what no watch sees being written.
        keeps_metrics: Whether a bad step leaves the metrics as they were, too.
    """

    def guarded_step(data: Any) -> dict[str, Any]:
        step: GuardedEagerStep | GuardedGraphStep
        if tf.executing_eagerly() and ends_in_update(subject):
            step = GuardedEagerStep(subject, sentinel, keeps_metrics=keeps_metrics)
        else:
            step = GuardedGraphStep(
                subject, sentinel, everything=everything, keeps_metrics=keeps_metrics
            )
        with watched(step):
            logs = subject.train_step(data)
        good = step.finish()
        report = sentinel.note(good, step.is_suspect(data))
        return {"logs": logs, "report": report}

    return guarded_step


def ends_in_update(subject: Subject) -> bool:
    """Whether train step and optimizer are Keras's own, so that nothing follows the update."""
    base, scaled = keras_private.BaseOptimizer, keras_private.LossScaleOptimizer
    if not subject.uses_default_train_step:
        return False
    return getattr(type(subject.optimizers[0]), "apply", None) in (base.apply, scaled.apply)

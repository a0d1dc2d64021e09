"""Keras as the library of a step: its loss and gradients while it is traced, its loss scales.

Every train step passes its gradients to `Optimizer.apply`, so that method is watched. The loss is
read before it enters the mean that Keras shows: that mean is a sum, divided, and overflows while
the loss itself is finite.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.library import Scope, SeenGradients, SeenLoss
from stayfinite.frameworks.jax.unrolled import unrolled_loops
from stayfinite.frameworks.keras import calls, loss_scales, own_values
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.state import State, Tensor
from stayfinite.frameworks.subject import Subject

# A longer loop is not unrolled, because the program would be too large to replay.
MAX_TIME_STEPS = 100


class KerasLibrary:
    """The `StepLibrary` of Keras."""

    judges_loss = True

    @contextlib.contextmanager
    def watched(self, seen: SeenGradients, *, scaled_too: bool = False) -> Iterator[SeenLoss]:
        """Gradients by `watched_gradients`; the loss is the one that Keras adds to its mean."""
        with watched_gradients(seen, scaled_too=scaled_too), _watched_loss() as loss:
            yield loss

    @contextlib.contextmanager
    def traced(self, subject: Subject, batch: Batch, scope: Scope) -> Iterator[None]:
        """Each call of a Keras object in its scope, and short recurrences and loops unrolled.

        What the step counts in Python is as before, so that each trace has the same numbers.
        """
        keras_private.note_shardings(subject.train_step)
        with (
            own_values.kept(subject),
            calls.entered(scope),
            unrolled_loops(),
            _unrolled(subject, batch),
        ):
            yield

    def loss_scales(self, subject: Subject) -> list[int]:
        """Those of `LossScaleOptimizer`."""
        return loss_scales.positions(subject.optimizers)

    def learning_rates(self, names: Sequence[str]) -> list[str]:
        """Variables of this name; a schedule is no variable."""
        return [name for name in names if name.endswith("learning_rate")]

    def has_spent_scale(self, subject: Subject, state: State) -> bool:
        """Whether the scale is at its minimum."""
        return any(loss_scales.is_spent(state.optimizer[n]) for n in self.loss_scales(subject))

    def has_collapsed(self, before: Any, after: Any) -> Any:
        """Whether a step halved a loss scale that was already at its minimum."""
        return loss_scales.has_collapsed(before, after)

    def collapsed_scales(
        self, subject: Subject, before: Sequence[Tensor], after: Callable[[int], Tensor]
    ) -> list[str]:
        """The paths of their variables."""
        return loss_scales.collapsed_scales(subject.optimizers, before, after)


KERAS = KerasLibrary()


@contextlib.contextmanager
def watched_gradients(seen: SeenGradients, *, scaled_too: bool = False) -> Iterator[None]:
    """Call `seen(gradients, variables)` for each outermost update inside the block.

    The gradients under a `LossScaleOptimizer` are not shown unless asked for: non-finite ones are
    its normal way of finding the scale, and it skips the update by itself.
    """
    level = private.trace_level()
    depth = 0

    def show(optimizer: Any, grads: Any, variables: Any) -> None:
        owned = keras_private.variables_of(optimizer) if variables is None else variables
        pairs = [(g, v) for g, v in zip(grads, owned, strict=False) if g is not None]
        seen([g for g, _ in pairs], [v for _, v in pairs])

    def showing(plain: Callable[..., Any]) -> Callable[..., Any]:
        def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
            nonlocal depth
            if depth == 0 and private.same_trace_level(level):
                show(self, grads, trainable_variables)
            depth += 1
            try:
                return plain(self, grads, trainable_variables)
            finally:
                depth -= 1

        return apply

    def showing_scaled(plain: Callable[..., Any]) -> Callable[..., Any]:
        def stateless_apply(self: Any, own: Any, grads: Any, trainable_variables: Any) -> Any:
            nonlocal depth
            if scaled_too and depth == 0 and private.same_trace_level(level):
                show(self, grads, None)
            depth += 1
            try:
                return plain(self, own, grads, trainable_variables)
            finally:
                depth -= 1

        return stateless_apply

    with replaced(
        [
            (keras_private.BaseOptimizer, "apply", showing),
            (keras_private.LossScaleOptimizer, "stateless_apply", showing_scaled),
        ]
    ):
        yield


@contextlib.contextmanager
def _watched_loss() -> Iterator[SeenLoss]:
    """Note the loss of each train step that is traced inside the block, without a loss scale."""
    level = private.trace_level()
    seen = SeenLoss()

    def notify(loss: Any) -> None:
        if private.same_trace_level(level):
            seen.add(loss)

    with keras_private.losses_seen(notify):
        yield seen


@contextlib.contextmanager
def _unrolled(subject: Subject, batch: Batch) -> Iterator[None]:
    """Recurrent layers unroll inside the block, if the sequences are short.

    A `scan` is one op without positions inside. Unrolled, each time step has ops of its
    own, with lines, layers and samples. The values are the same: a loop over the same cell.
    """
    longest = max((shape[1] for shape in batch.shapes() if len(shape) > 1), default=None)
    layers: list[Any] = [
        layer
        for layer in subject.layers()
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]
    if longest is None or longest > MAX_TIME_STEPS:
        layers = []
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False

"""Observes what any train step differentiates, applies and assigns.

While a step is traced, or run eagerly, these methods of TensorFlow and Keras are watched, so that
no assumption about the train step itself is needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import CodeType
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.keras.patches import Replacement, replaced
from stayfinite.frameworks.recorder import StepCount
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.guard_sentinel import VariableValues

# True while a step is watched or made again: no update in it is one of a hand-written loop.
_IS_WATCHED: ContextVar[bool] = ContextVar("_IS_WATCHED", default=False)


def is_watched() -> bool:
    """Whether a step that is made now, in this thread, is watched already."""
    return _IS_WATCHED.get()


@contextlib.contextmanager
def without_watch() -> Iterator[None]:
    """Inside the block, no step of a hand-written loop is watched."""
    token = _IS_WATCHED.set(True)
    try:
        yield
    finally:
        _IS_WATCHED.reset(token)


class Applying(NamedTuple):
    """A `tf.function` that only applies gradients: its code, and the count of its steps."""

    code: CodeType | None
    steps: StepCount


# Set while such a function is run as it is.
_APPLIED_BY: ContextVar[Applying | None] = ContextVar("_APPLIED_BY", default=None)


def applied_by() -> Applying | None:
    """The function around the updates of now that computes no gradients; None without one."""
    return _APPLIED_BY.get()


@contextlib.contextmanager
def applying_by(function: Applying) -> Iterator[None]:
    """Inside the block, updates are applied by `function`; their gradients come from outside."""
    token = _APPLIED_BY.set(function)
    try:
        yield
    finally:
        _APPLIED_BY.reset(token)


class AppliedCount:
    """How often such functions were called.

    Attributes:
        value: The number of calls.
    """

    def __init__(self) -> None:
        self.value = 0


# One for the process: what an eager loop has noted belongs to the step that ended with the call.
APPLIED = AppliedCount()


class PartialSteps(Protocol):
    """What notes steps that are several calls."""

    def begin(self, written: Sequence[Any] = (), before: VariableValues | None = None) -> None:
        """A function is about to compute gradients that it does not apply.

        Args:
            written: The variables that it assigns.
            before: The values of such variables, where the call is over.
        """
        ...

    def assigned(self) -> list[Any]:
        """The variables that were assigned since the step began."""
        ...


# Told of compiled functions that are a part of a step.
PARTIAL_STEPS: list[PartialSteps] = []


# What is traced now, in any thread: a list that gets a value for each update of a replica.
_REPLICA_UPDATES: list[list[None]] = []


@contextlib.contextmanager
def updates_of_replicas() -> Iterator[list[None]]:
    """Inside the block, updates that threads of a strategy trace are added to the list."""
    found: list[None] = []
    _REPLICA_UPDATES.append(found)
    try:
        yield found
    finally:
        _REPLICA_UPDATES.remove(found)


def note_replica_update() -> None:
    """An optimizer is applied. In a thread of a strategy, nothing else watches it."""
    if _REPLICA_UPDATES and not is_watched() and tf.distribute.has_strategy():
        _REPLICA_UPDATES[-1].append(None)


class Watcher(Protocol):
    """Called for each loss, update and assignment of a train step."""

    def differentiating(self, loss: Any) -> None:
        """A loss is about to be differentiated by a variable; unscaled under loss scaling."""
        ...

    def applying(
        self, optimizer: Any, grads: list[Any], variables: list[Any], apply: Callable[[], None]
    ) -> None:
        """An optimizer was given gradients. `apply()` makes its update, in the place of it."""
        ...

    def assigning(self, variable: Any) -> None:
        """A Keras variable is about to be assigned."""
        ...


@contextlib.contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Call `watcher` for the train step inside the block.

    Only the outer of two nested optimizers is reported: non-finite gradients under a
    `LossScaleOptimizer` are its normal way of finding the scale.
    """
    hooks = _Hooks(watcher)
    base, scaled = keras_private.BaseOptimizer, keras_private.LossScaleOptimizer
    methods: list[tuple[type, str, Replacement]] = [
        (tf.GradientTape, "gradient", hooks.gradient),
        (base, "apply", hooks.apply),
        (scaled, "apply", hooks.apply),
        (base, "scale_loss", hooks.scale_loss),
        (scaled, "scale_loss", hooks.scale_loss),
        (keras_private.owner_of(keras.Variable, "assign"), "assign", hooks.assign),
    ]
    with without_watch(), replaced(methods):
        yield


class _Hooks:
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._unscaled: list[tuple[Any, Any]] = []
        self._depth = 0

    def gradient(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def gradient(tape: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            # A penalty on the gradients of an input is a part of the loss, not the loss.
            if any(isinstance(s, keras.Variable | tf.Variable) for s in _flat(sources)):
                for root in _flat(target):
                    self._watcher.differentiating(self._judged(root))
            return plain(tape, target, sources, *args, **kwargs)

        return gradient

    def _judged(self, root: Any) -> Any:
        return next((loss for scaled, loss in self._unscaled if scaled is root), root)

    def scale_loss(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def scale_loss(optimizer: Any, loss: Any) -> Any:
            scaled = plain(optimizer, loss)
            self._unscaled.append((scaled, loss))
            return scaled

        return scale_loss

    def apply(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> None:
            if self._depth:
                plain(optimizer, grads, trainable_variables)
                return
            grads = list(grads)
            given = None if trainable_variables is None else list(trainable_variables)

            def update() -> None:
                self._depth += 1
                try:
                    plain(optimizer, grads, given)
                finally:
                    self._depth -= 1

            known = given if given is not None else keras_private.variables_of(optimizer)
            pairs = given_pairs(grads, known)
            if not pairs or not _is_built(optimizer, known):
                update()
                return
            gradients, variables = map(list, zip(*pairs, strict=True))
            self._watcher.applying(optimizer, gradients, variables, update)

        return apply

    def assign(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def assign(variable: Any, value: Any) -> Any:
            if not self._depth:
                self._watcher.assigning(variable)
            return plain(variable, value)

        return assign


def given_pairs(grads: Sequence[Any], variables: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each gradient as a tensor, `tf.Variable` or `tf.IndexedSlices`, with its variable.

    A variable without a gradient is left out. Keras takes arrays of NumPy, numbers, lists and its
    own variables as gradients, too.
    """
    pairs = zip(map(private.raw, grads), variables, strict=False)
    return [
        (g if tf.is_tensor(g) else tf.convert_to_tensor(g), v) for g, v in pairs if g is not None
    ]


def _is_built(optimizer: Any, variables: list[Any]) -> bool:
    """Build the optimizer as its `apply` would: no variable can be made inside a condition."""
    if not optimizer.built and variables:
        # Of a model that is built by this very step the weights have no values yet outside of it,
        # and an optimizer may begin with a copy of them.
        outside = tf.init_scope() if _have_values(variables) else contextlib.nullcontext()
        with outside:
            build_slots(optimizer, variables)
    return bool(optimizer.built)


def _have_values(variables: list[Any]) -> bool:
    with tf.init_scope():
        return all(bool(private.raw(v).is_initialized()) for v in variables)


def _flat(tree: Any) -> list[Any]:
    return list(tf.nest.flatten(tree))

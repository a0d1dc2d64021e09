"""Hand-written loops that apply an optimizer of Keras outside of any `tf.function`.

Each such update is judged before it is made, as in an eager step of `fit`. A bad one is left out.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.tensorflow import bounds, private, private_random
from stayfinite.frameworks.tensorflow.bad_update import BadUpdate, MadeUpdate, Method, bad_update
from stayfinite.frameworks.tensorflow.eager_step import places_now
from stayfinite.frameworks.tensorflow.found_loop import FoundLoop
from stayfinite.frameworks.tensorflow.guard_eager import GuardedEagerStep
from stayfinite.frameworks.tensorflow.guard_sentinel import TensorFlowSentinel, VariableValues
from stayfinite.frameworks.tensorflow.step_notes import EagerNotes, GeneratorProbe
from stayfinite.frameworks.tensorflow.watching import (
    APPLIED,
    PARTIAL_STEPS,
    PartialSteps,
    given_pairs,
    is_watched,
    note_replica_update,
    without_watch,
)
from stayfinite.graph.running_loops import running

# Of several optimizers, so many updates are kept at most, to find those of one step.
MAX_UPDATES = 16


class UpdateListener(Protocol):
    """What is done with each update."""

    def made(self) -> None:
        """A good update was made."""
        ...

    def bad(self, update: BadUpdate) -> None:
        """A bad update was left out. It raises where the loop ends."""
        ...


def install(listener: UpdateListener) -> Callable[[], None]:
    """Judge each update from now on; returns what ends that."""
    updates = _Updates(listener)
    base, scaled = keras_private.BaseOptimizer, keras_private.LossScaleOptimizer
    hooks: list[tuple[Any, str, Callable[[Method], Method]]] = [
        (tf.GradientTape, "__enter__", updates.record),
        (tf.GradientTape, "gradient", updates.gradient),
        (base, "scale_loss", updates.scale_loss),
        (scaled, "scale_loss", updates.scale_loss),
        (base, "apply", updates.apply),
        (scaled, "apply", updates.apply),
        *((owner, name, updates.assign) for owner, name in private.assignments()),
        *((o.owner, o.name, updates.drawing(o.name)) for o in private_random.random_operations()),
    ]
    plain = [(owner, name, getattr(owner, name)) for owner, name, _ in hooks]
    for (owner, name, make), (_, _, method) in zip(hooks, plain, strict=True):
        setattr(owner, name, functools.wraps(method)(make(method)))

    PARTIAL_STEPS.append(updates)

    def undo() -> None:
        PARTIAL_STEPS.remove(updates)
        for owner, name, method in plain:
            setattr(owner, name, method)

    return undo


class _Optimizer:
    """The updates of one optimizer so far."""

    def __init__(self) -> None:
        self.sentinel = TensorFlowSentinel()
        self.subject = FoundLoop(lambda: None, "step", xla=False)
        self.num_updates = 0


class _Updates(threading.local, PartialSteps):
    """The updates of one thread."""

    def __init__(self, listener: UpdateListener) -> None:
        self._listener = listener
        self._optimizers: weakref.WeakKeyDictionary[Any, _Optimizer] = weakref.WeakKeyDictionary()
        self._made: list[MadeUpdate] = []
        self._probe = GeneratorProbe()
        self._notes = EagerNotes(self._probe.now())
        # Calls of compiled functions that have ended steps.
        self._num_applied = APPLIED.value
        # Losses under a scale, each with the one without.
        self._scaled: list[tuple[Any, Any]] = []
        # Inside an update, or in an operation that is noted as one.
        self._is_busy = False

    @property
    def _is_ignored(self) -> bool:
        return self._is_busy or not tf.executing_eagerly() or is_watched()

    @property
    def _is_in_loop(self) -> bool:
        """Whether there is an eager loop. Else nothing is kept, such as weights before a load."""
        return self._notes.is_recording or bool(self._optimizers)

    def record(self, plain: Method) -> Method:
        def record(tape: Any) -> Any:
            self.begin()
            return plain(tape)

        return record

    def begin(self, written: Sequence[Any] = (), before: VariableValues | None = None) -> None:
        """Gradients are about to be computed."""
        if self._is_ignored:
            return
        if self._num_applied != APPLIED.value:
            self._num_applied = APPLIED.value
            self._notes, self._scaled = EagerNotes(self._probe.now()), []
        self._notes.begins_to_record()
        if before is not None:
            self._notes.had(before)
        for variable in written:
            self._notes.assigns(variable)

    def assigned(self) -> list[Any]:
        """The variables that the user's code assigned since the step began."""
        return [] if self._num_applied != APPLIED.value else self._notes.assigned_variables()

    def gradient(self, plain: Method) -> Method:
        def gradient(tape: Any, target: Any, sources: Any, *args: Any, **options: Any) -> Any:
            if not self._is_ignored:
                losses = [loss for loss in tf.nest.flatten(target) if tf.is_tensor(loss)]
                self._notes.losses += map(self._unscaled, losses)
            return plain(tape, target, sources, *args, **options)

        return gradient

    def scale_loss(self, plain: Method) -> Method:
        def scale_loss(optimizer: Any, loss: Any) -> Any:
            scaled = plain(optimizer, loss)
            if not self._is_ignored:
                self._scaled.append((scaled, loss))
            return scaled

        return scale_loss

    def _unscaled(self, loss: Any) -> Any:
        return next((before for scaled, before in self._scaled if scaled is loss), loss)

    def assign(self, plain: Method) -> Method:
        def assign(variable: Any, *args: Any, **options: Any) -> Any:
            if self._is_in_loop and not self._is_ignored:
                self._notes.assigns(variable)
            return plain(variable, *args, **options)

        return assign

    def drawing(self, kind: str) -> Callable[[Method], Method]:
        def make(plain: Method) -> Method:
            def draw(*args: Any, **options: Any) -> Any:
                if not self._is_in_loop or self._is_ignored:
                    return plain(*args, **options)
                self._is_busy = True
                try:
                    value = plain(*args, **options)
                finally:
                    self._is_busy = False
                self._notes.drew(kind, value)
                return value

            return draw

        return make

    def apply(self, plain: Method) -> Method:
        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            if self._is_ignored:
                note_replica_update()
                return plain(optimizer, grads, trainable_variables)
            grads = list(grads)
            given = None if trainable_variables is None else list(trainable_variables)
            known = keras_private.variables_of(optimizer) if given is None else given
            pairs = given_pairs(grads, known)
            if not pairs:
                return plain(optimizer, grads, given)
            build_slots(optimizer, known)
            self._is_busy = True
            try:
                bad = self._applied(optimizer, pairs, lambda: plain(optimizer, grads, given))
            finally:
                self._is_busy = False
            if bad is None:
                self._listener.made()
            else:
                body = bad.call.body
                is_running = contextlib.nullcontext() if body is None else running(body)
                with without_watch(), private_random.random_numbers_kept(), is_running:
                    self._listener.bad(bad)
            return None

        return apply

    def _applied(
        self, optimizer: Any, pairs: list[tuple[Any, Any]], update: Callable[[], None]
    ) -> BadUpdate | None:
        """Make a good update; a bad one is left out and returned."""
        so_far = self._optimizers.setdefault(optimizer, _Optimizer())
        if so_far.num_updates % bounds.STEPS == 0:
            # The user's code may have set the weights.
            so_far.sentinel.bounded.assign(False)
        so_far.num_updates += 1
        gradients, variables = map(list, zip(*pairs, strict=True))
        subject = so_far.subject
        subject.note_update(optimizer, variables)
        made = MadeUpdate(optimizer, gradients, variables, self._notes)
        if len(self._optimizers) > 1:
            made.before.save([*variables, *optimizer.variables])
            made.places = places_now()
        step = GuardedEagerStep(subject, so_far.sentinel, keeps_metrics=False)
        step.applying(optimizer, gradients, variables, update)
        is_good = bool(step.finish())
        self._notes, self._scaled = EagerNotes(self._probe.now()), []
        if is_good:
            if made.places:
                self._made = [*self._made[1 - MAX_UPDATES :], made]
            return None
        so_far.sentinel.reset()
        return bad_update(made, self._made)

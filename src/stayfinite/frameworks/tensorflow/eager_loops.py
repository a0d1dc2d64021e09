"""Hand-written loops that apply an optimizer of Keras outside of any `tf.function`.

Each such update is judged before it is made, as in an eager step of `fit`. A bad one is left out.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from stayfinite.frameworks.effects import suppressed
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.names import fresh, path_of
from stayfinite.frameworks.recorder import StepCount
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Outcome
from stayfinite.frameworks.subject import state_variables
from stayfinite.frameworks.tensorflow import bounds, private, private_random
from stayfinite.frameworks.tensorflow.eager_step import EagerCall, Place, eager_call, places_now
from stayfinite.frameworks.tensorflow.found_loop import FoundLoop
from stayfinite.frameworks.tensorflow.guard_eager import GuardedEagerStep
from stayfinite.frameworks.tensorflow.guard_sentinel import TensorFlowSentinel, VariableValues
from stayfinite.frameworks.tensorflow.random_draws import given
from stayfinite.frameworks.tensorflow.state import numpy_of
from stayfinite.frameworks.tensorflow.step_notes import EagerNotes, GeneratorProbe, joined
from stayfinite.frameworks.tensorflow.watching import (
    APPLIED,
    PARTIAL_STEPS,
    PartialSteps,
    applied_by,
    is_watched,
    note_replica_update,
    without_watch,
)
from stayfinite.graph.running_loops import running

Method = Callable[..., Any]


# Of several optimizers, so many updates are kept at most, to find those of one step.
MAX_UPDATES = 16


@dataclass(frozen=True)
class BadUpdate:
    """An update that was left out.

    Attributes:
        subject: The loop.
        call: The step, with its data.
        state: The state before the step.
        seen: Its loss and gradients.
        is_comparable: Whether a run of the step gives the same bits: a function that `tf.function`
            compiles may round in another way.
        continues: The count of the loop whose last step this is; None if it is one of its own.
    """

    subject: FoundLoop
    call: EagerCall
    state: State
    seen: Outcome
    is_comparable: bool
    continues: StepCount | None


@dataclass
class _Made:
    """An update, and what was noted since the one before.

    Of several optimizers with the values before it and its places.
    """

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]
    notes: EagerNotes
    before: VariableValues = field(default_factory=VariableValues)
    places: tuple[Place, ...] = ()


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
        self._made: list[_Made] = []
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
            pairs = [(g, v) for g, v in zip(grads, known, strict=False) if g is not None]
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
        made = _Made(optimizer, gradients, variables, self._notes)
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
        return self._bad_update(made)

    def _bad_update(self, bad: _Made) -> BadUpdate:
        """What is known of an update that was left out."""
        call = eager_call(bad.notes)
        updates = [*self._same_step(bad, call), bad]
        notes = bad.notes
        if len(updates) > 1:
            notes = joined([each.notes for each in updates])
            call = eager_call(notes)
        function = _made_again([each.optimizer for each in updates], call, notes)
        subject = FoundLoop(function, call.name, xla=False)
        for each in updates:
            subject.note_update(each.optimizer, each.variables)
        subject.find_models(lambda variable: False)
        subject.note_assigned([variable for variable, _ in call.assigned.old.values()])
        state = _state_before(subject, [call.assigned, *(each.before for each in updates)])
        others = {id(private.raw(v)) for v in subject.non_trainable_variables}
        assigned = bad.notes.assigned
        assigned.restore([v for v, _ in assigned.old.values() if id(v) not in others])
        is_comparable, applying = bool(notes.losses), applied_by()
        continues = None if applying is None else applying.steps
        return BadUpdate(subject, call, state, _outcome(updates), is_comparable, continues)

    def _same_step(self, bad: _Made, call: EagerCall) -> list[_Made]:
        """The updates by other optimizers that the step has made before."""
        found: list[_Made] = []
        for made in reversed(self._made):
            if made.optimizer is bad.optimizer or not call.holds(made.places):
                break
            found.insert(0, made)
        return found


def _state_before(subject: FoundLoop, noted: list[VariableValues]) -> State:
    """The state before the step; of `noted`, the first that has a variable is right."""
    held: dict[int, Any] = {}
    for values in noted:
        for key, (_, value) in values.old.items():
            held.setdefault(key, value)
    return State.of(
        [
            [held.get(id(raw), raw.read_value()) for raw in map(private.raw, group)]
            for group in state_variables(subject)
        ]
    )


def _made_again(optimizers: list[Any], call: EagerCall, notes: EagerNotes) -> Method:
    """The function of `call` on its own, in which other optimizers make no update."""

    def leaving_out(plain: Method) -> Method:
        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            inner = [getattr(known, "inner_optimizer", None) for known in optimizers]
            if not any(optimizer is known for known in (*optimizers, *inner)):
                return None
            return plain(optimizer, grads, trainable_variables)

        return apply

    def run(*args: Any, **keywords: Any) -> Any:
        notes.generators.restore()
        with (
            suppressed(),
            given(call.draws),
            replaced([(keras_private.BaseOptimizer, "apply", leaving_out)]),
        ):
            return call.function(*args, **keywords)

    return run


def _outcome(updates: list[_Made]) -> Outcome:
    found: dict[str, np.ndarray] = {}
    for made in updates:
        for gradient, variable in zip(made.gradients, made.variables, strict=True):
            found[fresh(path_of(variable), found)] = numpy_of(gradient)
    # As a run of the step has it: the first loss that is not finite, else the last one.
    losses = [float(np.mean(numpy_of(loss))) for made in updates for loss in made.notes.losses]
    bad = [loss for loss in losses if not math.isfinite(loss)]
    return Outcome((bad or losses[-1:] or [math.nan])[0], found, ())

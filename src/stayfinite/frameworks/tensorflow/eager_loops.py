"""Hand-written loops that apply an optimizer of Keras outside of any `tf.function`.

Each such update is judged before it is made, as in an eager step of `fit`. A bad one is left out.
"""

from __future__ import annotations

import functools
import math
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_settings import build_slots
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.names import fresh, path_of
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Outcome
from stayfinite.frameworks.subject import state_variables
from stayfinite.frameworks.tensorflow import bounds, private
from stayfinite.frameworks.tensorflow.eager_step import EagerCall, Place, eager_call, places_now
from stayfinite.frameworks.tensorflow.found_loop import FoundLoop
from stayfinite.frameworks.tensorflow.guard_eager import GuardedEagerStep
from stayfinite.frameworks.tensorflow.guard_sentinel import TensorFlowSentinel, VariableValues
from stayfinite.frameworks.tensorflow.state import numpy_of
from stayfinite.frameworks.tensorflow.watching import is_watched, without_watch

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
    """

    subject: FoundLoop
    call: EagerCall
    state: State
    seen: Outcome


@dataclass
class _Made:
    """An update, and what was differentiated since the one before.

    Of several optimizers with the values before it and its places.
    """

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]
    losses: list[Any]
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
        (tf.GradientTape, "gradient", updates.gradient),
        (base, "apply", updates.apply),
        (scaled, "apply", updates.scaled_apply),
        (keras_private.owner_of(keras.Variable, "assign"), "assign", updates.assign),
    ]
    plain = [(owner, name, getattr(owner, name)) for owner, name, _ in hooks]
    for (owner, name, make), (_, _, method) in zip(hooks, plain, strict=True):
        setattr(owner, name, functools.wraps(method)(make(method)))

    def undo() -> None:
        for owner, name, method in plain:
            setattr(owner, name, method)

    return undo


class _Optimizer:
    """The updates of one optimizer so far."""

    def __init__(self) -> None:
        self.sentinel = TensorFlowSentinel()
        self.subject = FoundLoop(lambda: None, "step", xla=False)
        self.num_updates = 0


class _Updates(threading.local):
    """The updates of one thread."""

    def __init__(self, listener: UpdateListener) -> None:
        self._listener = listener
        self._optimizers: weakref.WeakKeyDictionary[Any, _Optimizer] = weakref.WeakKeyDictionary()
        self._made: list[_Made] = []
        self._losses: list[Any] = []
        self._assigned = VariableValues()
        self._is_applying = False

    @property
    def _is_ignored(self) -> bool:
        return self._is_applying or not tf.executing_eagerly() or is_watched()

    def gradient(self, plain: Method) -> Method:
        def gradient(tape: Any, target: Any, sources: Any, *args: Any, **options: Any) -> Any:
            if not self._is_ignored:
                self._losses += [loss for loss in tf.nest.flatten(target) if tf.is_tensor(loss)]
            return plain(tape, target, sources, *args, **options)

        return gradient

    def assign(self, plain: Method) -> Method:
        def assign(variable: Any, value: Any) -> Any:
            if not self._is_ignored:
                self._assigned.save([variable])
            return plain(variable, value)

        return assign

    def scaled_apply(self, plain: Method) -> Method:
        """The scale leaves out bad updates itself."""

        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            outer, self._is_applying = self._is_applying, True
            try:
                return plain(optimizer, grads, trainable_variables)
            finally:
                self._is_applying = outer

        return apply

    def apply(self, plain: Method) -> Method:
        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            if self._is_ignored:
                return plain(optimizer, grads, trainable_variables)
            grads = list(grads)
            given = None if trainable_variables is None else list(trainable_variables)
            known = keras_private.variables_of(optimizer) if given is None else given
            pairs = [(g, v) for g, v in zip(grads, known, strict=False) if g is not None]
            if not pairs:
                return plain(optimizer, grads, given)
            build_slots(optimizer, known)
            self._is_applying = True
            try:
                bad = self._applied(optimizer, pairs, lambda: plain(optimizer, grads, given))
            finally:
                self._is_applying = False
            if bad is None:
                self._listener.made()
            else:
                with without_watch():
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
        made = _Made(optimizer, gradients, variables, self._losses)
        self._losses = []
        if len(self._optimizers) > 1:
            made.before.save([*variables, *optimizer.variables])
            made.places = places_now()
        step = GuardedEagerStep(subject, so_far.sentinel, keeps_metrics=False)
        step.applying(optimizer, gradients, variables, update)
        is_good = bool(step.finish())
        assigned, self._assigned = self._assigned, VariableValues()
        if is_good:
            if made.places:
                self._made = [*self._made[1 - MAX_UPDATES :], made]
            return None
        call = eager_call()
        updates = [*self._same_step(made, call), made]
        function = _only_updates_of([each.optimizer for each in updates], call.function)
        subject = FoundLoop(function, call.name, xla=False)
        for each in updates:
            subject.note_update(each.optimizer, each.variables)
        subject.find_models(lambda variable: False)
        kept = {id(private.raw(v)) for v in subject.non_trainable_variables}
        assigned.restore([v for v, _ in assigned.old.values() if id(v) not in kept])
        so_far.sentinel.reset()
        state = _state_before(subject, updates)
        return BadUpdate(subject, call, state, _outcome(updates))

    def _same_step(self, bad: _Made, call: EagerCall) -> list[_Made]:
        """The updates by other optimizers that the step has made before."""
        found: list[_Made] = []
        for made in reversed(self._made):
            if made.optimizer is bad.optimizer or not call.holds(made.places):
                break
            found.insert(0, made)
        return found


def _state_before(subject: FoundLoop, updates: list[_Made]) -> State:
    """The state before the first of `updates`."""
    held: dict[int, Any] = {}
    for made in updates:
        for key, (_, value) in made.before.old.items():
            held.setdefault(key, value)
    return State.of(
        [
            [held.get(id(raw), raw.read_value()) for raw in map(private.raw, group)]
            for group in state_variables(subject)
        ]
    )


def _only_updates_of(optimizers: list[Any], function: Method) -> Method:
    """`function`, in which other optimizers make no update."""

    def leaving_out(plain: Method) -> Method:
        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            if not any(optimizer is known for known in optimizers):
                return None
            return plain(optimizer, grads, trainable_variables)

        return apply

    def run(*args: Any, **keywords: Any) -> Any:
        with replaced([(keras_private.BaseOptimizer, "apply", leaving_out)]):
            return function(*args, **keywords)

    return run


def _outcome(updates: list[_Made]) -> Outcome:
    found: dict[str, np.ndarray] = {}
    for made in updates:
        for gradient, variable in zip(made.gradients, made.variables, strict=True):
            found[fresh(path_of(variable), found)] = numpy_of(gradient)
    # As a run of the step has it: the first loss that is not finite, else the last one.
    losses = [float(np.mean(numpy_of(loss))) for made in updates for loss in made.losses]
    bad = [loss for loss in losses if not math.isfinite(loss)]
    return Outcome((bad or losses[-1:] or [math.nan])[0], found, ())

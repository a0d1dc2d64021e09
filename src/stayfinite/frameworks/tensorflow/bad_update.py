"""What is known of an eager update that was left out: its step, its state and its gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stayfinite.frameworks.effects import suppressed
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.patches import replaced
from stayfinite.frameworks.names import fresh, path_of
from stayfinite.frameworks.recorder import StepCount
from stayfinite.frameworks.state import State
from stayfinite.frameworks.step import Outcome
from stayfinite.frameworks.subject import state_variables
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.eager_step import EagerCall, Place, eager_call
from stayfinite.frameworks.tensorflow.found_loop import FoundLoop
from stayfinite.frameworks.tensorflow.guard_sentinel import VariableValues
from stayfinite.frameworks.tensorflow.random_draws import given
from stayfinite.frameworks.tensorflow.state import numpy_of
from stayfinite.frameworks.tensorflow.step_notes import EagerNotes, joined
from stayfinite.frameworks.tensorflow.watching import applied_by

Method = Callable[..., Any]


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
class MadeUpdate:
    """An update, and what was noted since the one before.

    Of several optimizers with the values before it and its places.
    """

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]
    notes: EagerNotes
    before: VariableValues = field(default_factory=VariableValues)
    places: tuple[Place, ...] = ()


def bad_update(bad: MadeUpdate, earlier: Sequence[MadeUpdate]) -> BadUpdate:
    """What is known of an update that was left out.

    Args:
        bad: The update.
        earlier: Those before it, of which the last ones may be of the same step.
    """
    call = eager_call(bad.notes)
    updates = [*_same_step(bad, call, earlier), bad]
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


def _same_step(bad: MadeUpdate, call: EagerCall, earlier: Sequence[MadeUpdate]) -> list[MadeUpdate]:
    """The updates by other optimizers that the step has made before."""
    found: list[MadeUpdate] = []
    for made in reversed(earlier):
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


def _outcome(updates: list[MadeUpdate]) -> Outcome:
    found: dict[str, np.ndarray] = {}
    for made in updates:
        for gradient, variable in zip(made.gradients, made.variables, strict=True):
            found[fresh(path_of(variable), found)] = numpy_of(gradient)
    # As a run of the step has it: the first loss that is not finite, else the last one.
    losses = [float(np.mean(numpy_of(loss))) for made in updates for loss in made.notes.losses]
    bad = [loss for loss in losses if not math.isfinite(loss)]
    return Outcome((bad or losses[-1:] or [math.nan])[0], found, ())

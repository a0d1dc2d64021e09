"""Updates that a loop on JAX writes itself, by `jax.tree.map` or in a compiled function.

They are found where the new weights, which gradients led to, come back as the argument that was
differentiated. From then on such an update is judged before the program gets it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from stayfinite.frameworks.jax.plain.joined_step import JoinedStep, putting
from stayfinite.frameworks.jax.plain.operator_updates import OperatorUpdates
from stayfinite.frameworks.jax.plain.pure_calls import TAPE, PureCall, arrays_in, code_of, key_of
from stayfinite.frameworks.jax.plain.update_arrays import are_alike, are_finite, part_of
from stayfinite.frameworks.jax.plain.update_listener import GoodUpdate, JaxUpdateListener

Function = Callable[..., Any]


@dataclass(frozen=True)
class _Feedback:
    """How an update that the program has written itself comes back.

    Attributes:
        code: Of the function that is differentiated.
        position: Of the weights among its arguments.
        part: Which part of the result of the update they are; None for the whole.
    """

    code: CodeType | None
    position: int
    part: int | None


class OwnUpdates:
    """Finds and judges them.

    Args:
        listener: Told of each update.
        operators: Judges those by operators; told which functions it may forget.
    """

    def __init__(self, listener: JaxUpdateListener, operators: OperatorUpdates) -> None:
        self._listener = listener
        self._operators = operators
        self._known: dict[int, _Feedback] = {}

    def used(self, function: Function, args: Sequence[Any]) -> None:
        """A function that computes gradients is about to be called.

        New weights, which gradients led to, come back as the argument that was differentiated.
        """
        self._operators.used(function, args)
        for position, after in enumerate(args):
            arrays = arrays_in(after)
            call = TAPE.maker(arrays[0]) if arrays else None
            if call is None:
                continue
            feedback = _Feedback(code_of(function), position, part_of(call.out, after))
            if self._judge(feedback, after):
                # From now on it is judged before the program gets it.
                self._known[key_of(call.function, call.args)] = feedback
                self._operators.forget(function)

    def computed(self, call: PureCall) -> None:
        """A call was made that may compute new weights."""
        feedback = self._known.get(key_of(call.function, call.args))
        if feedback is not None:
            part = feedback.part
            self._judge(feedback, call.out if part is None else list(call.out)[part])

    def _judge(self, feedback: _Feedback, after: Any) -> bool:
        """Judge an update that the program has written itself; whether `after` is its result."""
        calls = TAPE.leading_to(after)
        befores = [
            call.args[feedback.position]
            for call in calls
            if call.is_gradient
            and code_of(call.function) is feedback.code
            and len(call.args) > feedback.position
        ]
        if not befores or not are_alike(befores[0], after):
            return False
        state = {"params": befores[0]}
        step = JoinedStep(calls, state, putting({"params": after}))
        TAPE.end_step(calls)
        gradients = step.gradients
        # Both in one program; most updates are good.
        if are_finite([after, gradients]):
            has_finite = True if gradients else None
            self._listener.made(GoodUpdate(state, step.batch, step.loss, has_finite))
        elif are_finite(after):
            self._listener.made(GoodUpdate(state, step.batch, step.loss, False))
        else:
            self._listener.bad([step])
        return True

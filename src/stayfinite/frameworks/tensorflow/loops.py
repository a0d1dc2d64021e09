"""Hand-written steps in a `tf.function` that apply an optimizer of Keras, guarded as they are.

The outermost call of each `tf.function` of the user's goes to a copy of it. Where the trace of the
copy applies an optimizer, the sentinel is in that trace, and the call is a guarded step. So the
first step is guarded, too, and variables that it makes are made once. The user's own function
keeps its traces, which a program may export.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import tensorflow as tf

from stayfinite.frameworks.hand_written import StepGuard
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.tensorflow import bounds, private_functions
from stayfinite.frameworks.tensorflow.guard_sentinel import (
    VariableValues,
    all_finite,
)
from stayfinite.frameworks.tensorflow.traced_loop import (
    NO_RESULT,
    Call,
    MadeStep,
    TracedLoop,
)
from stayfinite.frameworks.tensorflow.watching import (
    APPLIED,
    PARTIAL_STEPS,
    Applying,
    applying_by,
    is_watched,
)

# The attribute of a `tf.function` that has its copy.
_COPY = "_stayfinite_copy"


class StepFinder(Protocol):
    """What is done with each step that is found."""

    def guard(self, loop: TracedLoop) -> StepGuard:
        """The guard of a step, made once its first call was made."""
        ...

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """The step `name()` is not guarded."""
        ...


def install(finder: StepFinder) -> Callable[[], None]:
    """Guard each step that is the call of a `tf.function`; returns what ends that."""

    def hooked(plain: Call) -> Call:
        def call(function: Any, *args: Any, **keywords: Any) -> Any:
            is_outermost = tf.executing_eagerly() and not is_watched()
            if not is_outermost or tf.config.functions_run_eagerly():
                return plain(function, *args, **keywords)
            # In the function itself: both refer to its object, and may be deleted together.
            copy = vars(function).get(_COPY)
            if copy is None or copy.finder is not finder:
                copy = vars(function)[_COPY] = _Copy(function, plain, finder)
            return copy(function, args, keywords)

        return call

    return private_functions.hook_calls(hooked)


class _Copy:
    """Calls a copy of a `tf.function` of the user's."""

    def __init__(self, function: Any, plain: Call, finder: StepFinder) -> None:
        self._plain = plain
        self.finder = finder
        self._is_left_alone = private_functions.is_of_library(function)
        self._loop: TracedLoop | None = None
        self._guard: StepGuard | None = None

    def __call__(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        if self._is_left_alone:
            return self._plain(function, *args, **keywords)
        if self._loop is not None and self._guard is not None:
            if self._loop.applies_alone:
                if not are_finite(args, keywords, self._loop.read_of(_assigned())):
                    return self._given_bad(function, self._loop, self._guard, args, keywords)
                APPLIED.value += 1
            result = self._loop.call_in_series(args, keywords)
            return self._guard.call(args, keywords) if result is NO_RESULT else result
        given = VariableValues()
        if self._loop is None:
            self._loop = TracedLoop(function, self._plain)
            given.save(_assigned())
        is_first = not self._loop.differentiates_alone
        if not is_first:
            for steps in PARTIAL_STEPS:
                steps.begin(self._loop.written)
        result = self._loop.made(args, keywords)
        if not isinstance(result, MadeStep):
            if is_first and self._loop.differentiates_alone:
                for steps in PARTIAL_STEPS:
                    steps.begin(before=self._loop.before_trace)
            self._loop.before_trace.old.clear()
            if self._loop.has_unseen_update:
                self._is_left_alone, name = True, self._loop.function_name
                self.finder.left_alone(name, WhyNot(Obstacle.DISTRIBUTED))
            return result
        self._guard = self.finder.guard(self._loop)
        if self._loop.applies_alone and self._loop.sentinel.took_back_last():
            given.restore([])
            return self._applied_as_it_is(function, self._loop, args, keywords)
        self._loop.first = result
        APPLIED.value += self._loop.applies_alone
        return self._guard.call(args, keywords)

    def __reduce__(self) -> Any:
        """None in the place of it, where the program copies or pickles its function."""
        return (type(None), ())

    def _given_bad(
        self,
        function: Any,
        loop: TracedLoop,
        guard: StepGuard,
        args: tuple[Any, ...],
        keywords: Mapping[str, Any],
    ) -> Any:
        """Apply gradients that are not finite, by a function that does not compute them.

        If the step is bad, the function is called as it is: the update is then one of the loop
        around it, which says how the gradients were made.
        """
        given = VariableValues()
        given.save(_assigned())
        made = loop.made(args, keywords)
        if isinstance(made, MadeStep):
            if loop.sentinel.took_back_last():
                given.restore([])
                return self._applied_as_it_is(function, loop, args, keywords)
            APPLIED.value += 1
            loop.first = made
            return guard.call(args, keywords)
        return made

    def _applied_as_it_is(
        self,
        function: Any,
        loop: TracedLoop,
        args: tuple[Any, ...],
        keywords: Mapping[str, Any],
    ) -> Any:
        """Make an update by the user's function, not compiled."""
        step = private_functions.bound_function(function)
        with applying_by(Applying(private_functions.code_of(step), loop.count)):
            return step(*args, **keywords)


def _assigned() -> list[Any]:
    """The variables that were assigned since the present step began, which may be gradients."""
    return [variable for steps in PARTIAL_STEPS for variable in steps.assigned()]


def are_finite(
    args: tuple[Any, ...], keywords: Mapping[str, Any], variables: Iterable[Any] = ()
) -> bool:
    """Whether no tensor of a call, and none of `variables`, is known to be non-finite."""
    given = [*tf.nest.flatten((args, dict(keywords))), *(v.read_value() for v in variables)]
    tensors = [bounds.dense(each) for each in given if tf.is_tensor(each)]
    return bool(tf.math.is_finite(bounds.half_square_sum(_floating(tensors)))) or bool(
        all_finite(tensors)
    )


def _floating(tensors: list[Any]) -> list[Any]:
    return [tensor for tensor in tensors if tensor.dtype.is_floating]

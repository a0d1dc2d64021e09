"""A training on JAX without Keras, as a subject."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.files.arrays import write_arrays
from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.batch import ChangeError
from stayfinite.frameworks.change import HighestRate, LastingChange, LearningRate
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.hand_written import PlainStep
from stayfinite.frameworks.jax.guard_step import ArraysRead
from stayfinite.frameworks.jax.library import HasLibrary
from stayfinite.frameworks.jax.plain.batch_leaves import BatchLeaf, batch_leaves
from stayfinite.frameworks.jax.plain.compiled_step import CompiledStep
from stayfinite.frameworks.jax.plain.library import PlainLibrary
from stayfinite.frameworks.jax.plain.pure_calls import TAPE
from stayfinite.frameworks.jax.plain.pure_step import PureStep
from stayfinite.frameworks.jax.plain.step_calls import StepCalls
from stayfinite.frameworks.jax.plain.train_function import PlainTrainFunction
from stayfinite.frameworks.jax.plain.values import StateArray, StepData
from stayfinite.frameworks.loop_values import LoopValues
from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.optimizers import Optimizer
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import State, Variable
from stayfinite.frameworks.subject import Compilation, Subject, TrainFunction, TrainStep
from stayfinite.graph.graph import Role

_FIXED_RATE = WhyNot(Obstacle.UPDATES_INSIDE)


class Origins(Protocol):
    """The calls before each call of a step, where it is a step only with them."""

    def note(self, number: int, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """A call is about to be made, as step `number`."""
        ...

    def whole(self, failure: Failure) -> Failure:
        """A failure of the step as one of all its calls."""
        ...


class PlainJax(PlainStep, HasLibrary):
    """A step that returns its new state, or changes objects of `flax.nnx`.

    Args:
        step: The step, compiled or not.
        state: Names of the arguments that are the state; None to find them at the first call.

    Attributes:
        kept: The state of the last good step, once there was a bad one.
        origins: Knows the calls that give the step its gradients; None if it computes them.
        calls: Reads calls of the step, which it does not make.
        before_step: Called with subject, state and data before each step of any of them, if set.
    """

    before_step: Callable[[Subject, State, StepData], object] | None = None

    def __init__(self, step: Callable[..., Any], state: Sequence[str] | None) -> None:
        self.kept: State | None = None
        self.origins: Origins | None = None
        self._recorder: Recorder | None = None
        self._step = PureStep(step, [state] if isinstance(state, str) else state)
        self.calls = StepCalls(self._step)
        self.step_library: PlainLibrary = PlainLibrary(self._step)

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step with the arguments of the user's call; returns its result.

        Raises:
            UsageError: the state is not known.
            CannotGuardError: the step cannot be compiled.
            NonFiniteError: a step was bad.
        """
        assert self.train_function is not None
        if self.origins is not None and self._recorder is not None:
            self.origins.note(self._recorder.num_steps, args, keywords)
        is_seen_before = self.before_step is not None or self.origins is not None
        if not is_seen_before and isinstance(self.train_function, PlainTrainFunction):
            made = self.train_function.make_whole(args, keywords)
            if made is not None:
                return made[0]
        if not self._step.roles:
            TAPE.note_judged((args, keywords))
        call = self._step.arguments(args, keywords)
        (weights, others), data = self._step.calls.state_and_data(call)
        if self.before_step is not None:
            self.before_step(self, State.of([weights, others, [], []]), data)
        logs, new = self.train_function((weights, others, [], []), iter([data]))
        return self._step.result(call, logs["out"], new[0], new[1])

    def whole(self, failure: Failure) -> Failure:
        """`failure`, with the calls that gave the step its gradients."""
        function, state, data = self.train_function, failure.state, failure.bad.data
        if isinstance(function, PlainTrainFunction):
            is_same = functools.partial(function.is_same_program, state, data)
            failure = dataclasses.replace(failure, is_same_program=is_same)
        if self.origins is not None:
            return self.origins.whole(failure)
        if isinstance(data, StepData) and self._has_bad_gradients(data):
            why = WhyNot(Obstacle.GRADIENTS_FROM_OUTSIDE, self._step.name)
            return dataclasses.replace(failure, cannot_remake=why)
        return failure

    def _has_bad_gradients(self, data: StepData) -> bool:
        """Whether the step was given a gradient that is not finite."""
        given = self._step.gradients_given
        names = self._step.calls.batch_names(data.form)
        return any(
            not np.isfinite(np.asarray(array)).all()
            for name, array in zip(names, data.arrays, strict=True)
            if name.partition("/")[0] in given
        )

    @property
    def shows_gradient(self) -> bool:
        """Whether the step computes gradients of its state."""
        return self._step.shows_gradient

    def compiled_step(self, step: TrainStep, *, is_again: bool) -> CompiledStep:
        """The program of `step`, which is `train_step` with the sentinel.

        `is_again` is true for one that was compiled before, and reads what it read then.
        """
        return CompiledStep(self._step, step, is_again=is_again)

    def bad_loss(self) -> LoggedLoss | None:
        """The loss of a step of which it alone was not finite; once."""
        function = self.train_function
        return function.bad_loss() if isinstance(function, PlainTrainFunction) else None

    @property
    def skips_bad_updates(self) -> bool:
        """Whether the step leaves out a non-finite update by itself."""
        return self._step.skips_bad_updates

    @property
    def library(self) -> str:
        """JAX itself."""
        return "jax"

    def attach(self, recorder: Recorder, on_bad: OnBad, *, resumes: bool) -> GuardedFunction:
        """Have the step compiled with the sentinel inside, at its first call."""
        function = PlainTrainFunction(self, recorder, on_bad, resumes=resumes)
        self.train_function = function
        self._recorder = recorder
        return function

    def kept_alive(self) -> PlainJax:
        """The subject itself."""
        return self

    @property
    def name(self) -> str:
        """The name of the step."""
        return self._step.name

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return f"the step {self.name}()"

    def batch_leaves(self, data: StepData) -> list[BatchLeaf]:
        """The arrays of a batch without their values."""
        names = self._step.calls.batch_names(data.form)
        leaves = batch_leaves(names, [np.shape(array) for array in data.arrays])
        if self._step.is_on_each_device:
            return [dataclasses.replace(leaf, has_samples=False) for leaf in leaves]
        return leaves

    @property
    def trainable_variables(self) -> list[Variable]:
        """The arrays with respect to which the step differentiates."""
        return [StateArray(name) for name in self._step.weights]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other arrays of the state, those of its optimizers too."""
        return [StateArray(name) for name in self._step.others]

    @property
    def optimizers(self) -> list[Optimizer]:
        """None: an optimizer of optax is a part of the step."""
        return []

    @property
    def fixed_rate(self) -> WhyNot | None:
        """Why neither the learning rate nor the update as a whole can be scaled."""
        return None if self._rates() or self._step.shows_gradient else _FIXED_RATE

    def _rates(self) -> list[int]:
        """Where in the other state the learning rates are that no schedule sets in each step."""
        names = self._step.others
        return [names.index(name) for name in self.step_library.learning_rates(names)]

    @property
    def train_step(self) -> TrainStep:
        """The step as `(state, data)` to `(logs, state)`, with a state of four groups."""

        def step(state: Any, data: StepData) -> Any:
            out, weights, others = self._step(state[0], state[1], data)
            return {"out": out, "loss": out.loss()}, (weights, others, [], [])

        return step

    @property
    def compilation(self) -> Compilation:
        """A step is always compiled, by XLA."""
        return Compilation(eager=False, xla=True)

    def roles(self) -> list[list[Role]]:
        """Weights; statistics and slots of optimizers; none; none."""
        roles = self._step.roles
        others = [roles[name] for name in self._step.others]
        return [["weight"] * len(self._step.weights), others, [], []]

    def may_keep_infinity(self) -> list[int]:
        """All that is no slot, single numbers, and weights that held one from the beginning."""
        return self._step.may_be_infinite()

    def arrays_read(self) -> ArraysRead | None:
        """What shows whether gradients and new state are finite."""
        return self._step.arrays_read()

    def settings(self, values: Mapping[str, object]) -> AbstractContextManager[None]:
        """Not known: an optimizer of optax is closed."""
        raise ChangeError(WhyNot(Obstacle.COMPILED_SETTINGS))

    def scaled_learning_rates(self, factor: float) -> AbstractContextManager[None]:
        """Not known: the rate is a constant of the step. Its updates can be scaled."""
        raise ChangeError(_FIXED_RATE)

    def layer_path(self, chain: Sequence[object]) -> str | None:
        """None: the arrays have the names of their layers."""
        return None

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """Compile `step`, without donation."""
        function: TrainFunction = jax.jit(step or self.train_step)
        return function

    def loop_values(self, data: object) -> LoopValues | None:
        """Nothing beside the arguments, of which those that are no arrays belong to the form."""
        return LoopValues()

    def save_weights(self, path: Path) -> None:
        """Write the whole state of the last good step, by path."""
        assert self.kept is not None
        names = (*self._step.weights, *self._step.others)
        arrays = {
            name: np.asarray(value, order="C")
            for name, value in zip(names, self.kept.values, strict=True)
        }
        write_arrays(path, arrays)

    def lasting(self, change: LastingChange) -> Callable[[], None]:
        """Sets the learning rate in the state, or scales every update to come."""
        rates = self._rates()
        match change:
            case LearningRate(factor) if rates:
                return lambda: self._set_rates(lambda rate: rate * factor)
            case HighestRate(highest) if rates:
                return lambda: self._set_rates(lambda rate: jnp.minimum(rate, highest))
            case LearningRate(factor) if self.fixed_rate is None:
                return lambda: self._scale_updates(factor)
        raise ChangeError(self.fixed_rate or WhyNot(Obstacle.CONSTANT_RATE))

    def _scale_updates(self, factor: float) -> None:
        self._step.update_factor = factor * (self._step.update_factor or 1.0)

    def _set_rates(self, new: Callable[[Any], Any]) -> None:
        assert self.kept is not None
        weights, others, *rest = map(list, self.kept.groups)
        for number in self._rates():
            others[number] = new(others[number])
        self.kept = State.of([weights, others, *rest])

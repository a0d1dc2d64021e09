"""A step of the user's own as a function of a state and a batch, both lists of arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.jax.guard_step import ArraysRead
from stayfinite.frameworks.jax.plain import nnx_objects
from stayfinite.frameworks.jax.plain.arguments import (
    Arguments,
    ArgumentsForm,
    arguments_of,
    called,
    numbers_of,
    values_of_objects,
)
from stayfinite.frameworks.jax.plain.call_plans import CallPlans
from stayfinite.frameworks.jax.plain.mapped_steps import on_one_device
from stayfinite.frameworks.jax.plain.names_read import NamesRead, TracedNames
from stayfinite.frameworks.jax.plain.state_arguments import (
    StateArguments,
    find_state,
    to_read,
)
from stayfinite.frameworks.jax.plain.step_results import result_of
from stayfinite.frameworks.jax.plain.step_trace import CallProgram
from stayfinite.frameworks.jax.plain.trees import KeyPath, Numbers
from stayfinite.frameworks.jax.plain.uncompiled import (
    arrays_of_jit,
    is_pmapped,
    static_names,
    uncompiled,
)
from stayfinite.frameworks.jax.plain.values import ResultForm, StepData, StepResult
from stayfinite.frameworks.jax.state import scaled_update
from stayfinite.frameworks.names import argument_names
from stayfinite.graph.graph import Role

# A dynamic loss scale of flax, and `optax.apply_if_finite`.
_COUNTERS_OF_SKIPS = ("fin_steps", "notfinite_count")
# What JAX raises where a value of the batch or the state decides what is computed.
_NOT_TRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


class PureStep:
    """A step, and which of its arguments are the state.

    Args:
        step: The step, compiled or not.
        named: Names of the arguments that are the state; None to find them at the first call.

    Attributes:
        weights: Names of the weights, once there was a call.
        others: Names of the other arrays of the state.
        calls: Where the arrays of state and batch are in a call.
        skips_bad_updates: Whether the step leaves out a non-finite update by itself.
        traced_names: The name of each array of the state by its `id`, in the present trace.
        traced_gradients: In the present trace, the gradients that the step is given.
        from_gradients: The names of arguments that calls have made which compute gradients; set
            before the first call.
        is_on_one_device: Whether a step under `jax.pmap` is traced as one of one device.
        update_factor: What the update of each weight is multiplied by; None to leave it as it is.
    """

    def __init__(self, step: Callable[..., Any], named: Sequence[str] | None) -> None:
        self.function = uncompiled(step)
        self.weights: list[str] = []
        self.others: list[str] = []
        self.skips_bad_updates = False
        self.traced_names: dict[int, str] = {}
        self.traced_gradients: list[Any] = []
        self.from_gradients: frozenset[str] = frozenset()
        self.is_on_one_device = False
        self.update_factor: float | None = None
        self._named = named
        self._names = TracedNames()
        self._static = static_names(step)
        self._numbers = self._returned = arrays_of_jit(step)
        self._state: StateArguments | None = None
        self._program: CallProgram | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._forms: dict[ArgumentsForm, ArgumentsForm] = {}
        self._last_form: ArgumentsForm | None = None
        self.calls = CallPlans(self.weights, self.others)
        self._ordered_form: ResultForm | None = None
        self._order: list[int] = []
        self._labels: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}

    @contextlib.contextmanager
    def traced_in_training(self, data: StepData, *, is_again: bool) -> Iterator[None]:
        """Inside the block, the step is traced for a training.

        Args:
            data: Its batch.
            is_again: Whether this has to give the program that an earlier trace gave, if any.
        """
        key = _key_of(data)
        self._names.note(key, self.function)
        with self._names.of(key).bound() if is_again else contextlib.nullcontext():
            yield

    def names_read(self, data: StepData) -> NamesRead:
        """What the step read when it was traced in the training for such a batch."""
        return self._names.of(_key_of(data))

    @property
    def name(self) -> str:
        """The name of the function."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    @property
    def is_on_each_device(self) -> bool:
        """Whether the leading axis of each array is that of the devices, as under `jax.pmap`."""
        return is_pmapped(self.function) or getattr(self.function, "is_on_each_device", False)

    @property
    def roles(self) -> Mapping[str, Role]:
        """The role of each array of the state, by name."""
        return {} if self._state is None else self._state.roles

    @property
    def places(self) -> Mapping[str, KeyPath]:
        """Where in the result each argument comes back that is state, by its label."""
        return {} if self._state is None else self._state.places

    @property
    def shows_gradient(self) -> bool:
        """Whether the step makes one update of its own, and not several in a loop inside."""
        return self._state is not None and self._state.shows_gradient

    def may_be_infinite(self) -> list[int]:
        """The numbers of the arrays of the state, weights first, that may keep an infinity.

        A weight may that held one before the first step. A moment of an optimizer may not; a single
        number may, as the best loss so far.
        """
        roles, shapes = self.roles, self._shapes
        infinite = frozenset[str]() if self._state is None else self._state.infinite
        return [
            number
            for number, name in enumerate((*self.weights, *self.others))
            if name in infinite
            or roles[name] == "statistics"
            or (roles[name] != "weight" and shapes.get(name) == ())
        ]

    def arrays_read(self) -> ArraysRead | None:
        """What shows whether all gradients and the new state of the last traced call are finite."""
        if self._state is None or self._program is None:
            return None
        read = to_read(self.function, self._program, self._state, self._returned)
        names = (*self.weights, *self.others)
        positions = tuple(n for n, name in enumerate(names) if name in read.state)
        return ArraysRead(read.num_gradients, read.gradients, positions)

    def arguments(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Arguments:
        """The arguments of a call; the first one shows which are the state.

        Raises:
            UsageError: the state is not known.
            CannotGuardError: the step cannot be compiled.
            Exception: what the step raises.
        """
        if self._state is None:
            self._begin(args, keywords)
        return self._arguments(args, keywords)

    def _arguments(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Arguments:
        # JAX gives a compiled function its keywords in this order, whatever that of the call.
        keywords = dict(sorted(keywords.items()))
        key = len(args), tuple(keywords)
        if key not in self._labels:
            self._labels[key] = (*argument_names(self.function, len(args)), *keywords)
        call = arguments_of(
            self._labels[key],
            args,
            keywords,
            numbers=self._numbers,
            static=self._static,
            like=self._last_form,
        )
        if call.form is not self._last_form:
            # Equal forms are one object, which is the fastest to compare.
            call.form = self._last_form = self._forms.setdefault(call.form, call.form)
        return call

    @property
    def gradients_given(self) -> frozenset[str]:
        """The labels of the arguments that are gradients, of a step without its own."""
        return frozenset() if self._state is None else self._state.gradients_given

    def _begin(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        # A number may have been a static argument of the `jit` that was taken off.
        for numbers in list(Numbers)[list(Numbers).index(self._numbers) :]:
            self._numbers = numbers
            if numbers is Numbers.TRACED:
                self._returned = numbers
            call = self._arguments(args, keywords)
            try:
                state = find_state(
                    self.function, call, self._named, self.from_gradients, self._returned
                )
                break
            except (*_NOT_TRACEABLE, TypeError) as error:
                self._last_form = None
                if numbers is not Numbers.STATIC:
                    continue
                if not isinstance(error, _NOT_TRACEABLE):
                    raise
                raise CannotGuardError(
                    f"{self.name}() cannot be compiled by jax.jit, as a guarded step is: "
                    f"{str(error).strip().splitlines()[0]}"
                ) from error
        names = [name for name, _ in call.names() if name in state.roles]
        self._state, self._program = state, state.program
        named = zip(call.names(), call.arrays, strict=True)
        self._shapes = {name: np.shape(array) for (name, _), array in named}
        self.weights = [name for name in names if state.roles[name] == "weight"]
        self.others = [name for name in names if state.roles[name] != "weight"]
        self.calls = CallPlans(self.weights, self.others)
        self.skips_bad_updates = state.leaves_out_bad or skips_bad_updates(self.others)

    def has_plain_calls(self, form: ArgumentsForm) -> bool:
        """Whether JAX can take calls of this form, and their results, as they are."""
        return (
            self._numbers in (Numbers.WITH_BOOLEANS, Numbers.TRACED, self._returned)
            and not form.objects
            and not form.tree.has_static()
            and self._state is not None
            and self._state.returns_arrays
        )

    def call_of(
        self, weights: Sequence[Any], others: Sequence[Any], data: StepData
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the call with this state and this batch, which has no objects of nnx."""
        values, _ = data.form.tree.packed(self.calls.in_order(weights, others, data))
        first, labels = data.form.num_positional, data.form.labels
        return tuple(values[:first]), dict(zip(labels[first:], values[first:], strict=True))

    def __call__(
        self, weights: Sequence[Any], others: Sequence[Any], data: StepData
    ) -> tuple[StepResult, list[Any], list[Any]]:
        """Make the step: its result, and the two groups of the new state."""
        assert self._state is not None
        arrays = self.calls.in_order(weights, others, data)
        self._program = CallProgram.of(data.form, arrays)
        given = numbers_of(data.form, self._state.gradients_given)
        self.traced_gradients = [arrays[number] for number in given]
        names = (*self.weights, *self.others)
        held = zip(names, (*weights, *others), strict=True)
        self.traced_names = {id(array): name for name, array in held}
        step = on_one_device(self.function) if self.is_on_one_device else self.function
        result, objects = called(step, data.form, arrays)
        out, new = result_of(result, self._state.places, self._returned)
        if data.form.objects:
            new |= values_of_objects(data.form, objects)
        after_step = [new[name] for name in self.weights]
        if self.update_factor is not None:
            after_step = [
                scaled_update(before, moved, self.update_factor)
                for before, moved in zip(weights, after_step, strict=True)
            ]
        return out, after_step, [new[name] for name in self.others]

    def result(
        self, call: Arguments, out: StepResult, weights: Sequence[Any], others: Sequence[Any]
    ) -> Any:
        """What the user's call returns. Objects of nnx in the call get the new state."""
        if call.form.objects:
            values = (*weights, *others)
            state = dict(zip((*self.weights, *self.others), values, strict=True))
            named = zip(call.names(), call.arrays, strict=True)
            arrays = [state.get(name, array) for (name, _), array in named]
            after = call.form.tree.packed(arrays)[1]
            nnx_objects.update([call.values[n] for n in call.form.objects], after)
        return out.packed([*weights, *others], self._order_of(out.form))

    def _order_of(self, form: ResultForm) -> list[int]:
        # Compiled steps return the same object each time.
        if form is not self._ordered_form:
            self._ordered_form = form
            self._order = form.order([*self.weights, *self.others])
        return self._order


def _key_of(data: StepData) -> Any:
    # The state keeps its shapes.
    return data.form, tuple(np.shape(array) for array in data.arrays)


def skips_bad_updates(names: Iterable[str]) -> bool:
    """Whether a state with these names counts the updates that were left out."""
    return any(name.rpartition("/")[2] in _COUNTERS_OF_SKIPS for name in names)

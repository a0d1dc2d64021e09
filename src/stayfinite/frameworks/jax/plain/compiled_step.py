"""The compiled program of a guarded step.

A call is given to JAX as the user makes it, which takes it apart faster than code in Python. A call
with parts that JAX takes for no array, as a text or an object of `flax.nnx`, is taken apart before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.jax.host_data import own
from stayfinite.frameworks.jax.plain import step_record
from stayfinite.frameworks.jax.plain.arguments import ArgumentsForm
from stayfinite.frameworks.jax.plain.pure_step import PureStep
from stayfinite.frameworks.jax.plain.same_program import ProgramText
from stayfinite.frameworks.jax.plain.trees import (
    BARE,
    NOT_NUMERIC,
    TreeForm,
    array_class,
    taken_apart,
)
from stayfinite.frameworks.jax.plain.values import ResultForm, StepData, StepResult

# Bytes of what a step returns beside its state, which is kept until the next one is made, and of an
# array on the host, which is copied.
_MANY_BYTES = 2**20


class CompiledStep:
    """The program of `step`. The sentinel of its state is a record.

    Args:
        step: The step.
        guarded: The same with the sentinel, as a train step.
        is_again: Whether it was compiled before, and reads what it read then.

    Attributes:
        whole: Makes a step of a record and the arguments of a call: what the call returns, and the
            record after it. It raises `OtherFormError` if the call is of another form.
        form: That of the calls that are given to JAX as they are; None before the first of them.
        batch: The positions of the arguments that are their batch, with the structure of each; None
            for that of one array, or where an argument has arrays of the state as well.
    """

    def __init__(
        self, step: PureStep, guarded: Callable[..., Any], *, is_again: bool = False
    ) -> None:
        self._is_again = is_again
        self._step = step
        self._guarded = guarded
        self._array_class = array_class()
        self._apart = jax.jit(self._made_apart)
        self.whole = jax.jit(self._made_whole)
        self.form: ArgumentsForm | None = None
        self.batch: tuple[tuple[int, Any], ...] | None = None
        self._results: dict[TreeForm, ResultForm] = {}
        # The bytes of what the step returns beside its state.
        self._num_bytes_beside = 0

    def program(self, state: Any, data: StepData) -> ProgramText:
        """That of a step from a state with a record; it is traced if it was not before."""
        if self.form is None or data.form != self.form:
            return ProgramText.of(self._apart, (state, data), {})
        args, keywords = self._step.call_of(state[0], state[1], data)
        return ProgramText.of(self.whole, (state[4], args, keywords), {})

    def __call__(self, state: Any, data: StepData) -> Any:
        """Make a step from a state with a record: `(logs, state)`."""
        if self.form is None and self._step.has_plain_calls(data.form):
            self.form = data.form
            self.batch = self._step.calls.batch_arguments(data.form)
        if data.form != self.form:
            return self._apart(state, data)
        args, keywords = self._step.call_of(state[0], state[1], data)
        result, record = self.whole(state[4], args, keywords)
        out, weights, others = self.apart(result)
        return {"out": out}, (weights, others, [], [], record)

    def apart(self, result: Any) -> tuple[StepResult, list[Any], list[Any]]:
        """What a call returned: the result without the state, and the two groups of the state."""
        arrays, tree = taken_apart(result)
        form, weights, others = self._results[tree], self._step.weights, self._step.others
        places = dict(zip(form.order([*weights, *others]), arrays, strict=True))
        values = [places[place] for place in range(len(arrays))]
        first, last = len(weights), len(weights) + len(others)
        return StepResult(tuple(values[last:]), form), values[:first], values[first:last]

    def make_whole(
        self, record: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Any, Any] | None:
        """As `whole`; None if the call is of another form, and no step was made."""
        try:
            made: tuple[Any, Any] = self.whole(record, args, keywords)
        except OtherFormError:
            return None
        return made

    def batch_of(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> StepData | None:
        """The batch of a call, which no code of the user's can write to.

        None where the call has to be taken apart: it may be of another form, or has a batch on the
        host that is too large to be copied.
        """
        form = self.form
        if form is None or self._num_bytes_beside > _MANY_BYTES:
            return None
        if len(args) != form.num_positional or self.batch is None:
            return None
        values = args
        if len(form.labels) > len(args) or keywords:
            labels = form.labels[len(args) :]
            if labels != tuple(sorted(keywords)):
                return None
            values = (*args, *[keywords[label] for label in labels])
        concrete, arrays = self._array_class, list[Any]()
        for position, structure in self.batch:
            value = values[position]
            if structure is None and type(value) is concrete:
                arrays.append(value)
                continue
            leaves, found = jax.tree.flatten(value)
            if found != (BARE if structure is None else structure):
                return None
            for leaf in leaves:
                array = _owned(leaf, concrete)
                if array is None:
                    return None
                arrays.append(array)
        return StepData(tuple(arrays), form)

    def _made_whole(
        self, record: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        """Traced: the step on a call as the user makes it."""
        step = self._step
        call = step.arguments(args, keywords)
        if call.form != self.form:
            raise OtherFormError
        (weights, others), data = step.calls.state_and_data(call)
        logs, new = self._made_apart((weights, others, [], [], record), data)
        out = logs["out"]
        self._num_bytes_beside = sum([array.size * array.dtype.itemsize for array in out.arrays])
        result = step.result(call, out, new[0], new[1])
        self._results[taken_apart(result)[1]] = out.form
        return result, new[4]

    def _made_apart(self, state: Any, data: StepData) -> tuple[Any, Any]:
        """Traced: the step on a state with a record."""
        *groups, record = state
        with self._step.traced_in_training(data, is_again=self._is_again):
            (logs, _), new = self._guarded((*groups, step_record.sentinel_of(record)), data)
        after = step_record.extended(record, new[4], logs.pop("loss"))
        return logs, (*new[:4], after)


class OtherFormError(Exception):
    """A call that is traced is not of the form of the first one."""


def _owned(leaf: Any, concrete: type) -> Any:
    """An array of a batch that nothing else can write to; None for what may be no array."""
    kind = type(leaf)
    if kind is concrete:
        return leaf
    if kind is np.ndarray:
        is_fit = leaf.dtype.kind not in NOT_NUMERIC and leaf.nbytes <= _MANY_BYTES
        return own(leaf) if is_fit else None
    if kind is int or kind is float:
        return jnp.asarray(leaf)
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return None

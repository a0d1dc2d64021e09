"""A model's train step as a program with named inputs and outputs, and as a neutral `Graph`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.batch import ROLES, Batch
from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.capture_axes import axes_by_size, batch_axes
from stayfinite.frameworks.jax.capture_names import canonical
from stayfinite.frameworks.jax.capture_program import (
    JaxProgram,
    Scopes,
    flatten,
    is_backward,
    is_differentiated,
)
from stayfinite.frameworks.jax.library import library_of
from stayfinite.frameworks.jax.state import state_variables
from stayfinite.frameworks.loss_scale import are_gradients_asked_for
from stayfinite.frameworks.names import unique
from stayfinite.frameworks.recording.phases import phases
from stayfinite.frameworks.recording.places import locate
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject
from stayfinite.graph.graph import Graph, Leaf, Op, Role, Value
from stayfinite.incident import Phase

STATE_ROLES: tuple[Role, ...] = ("weight", "statistics", "optimizer", "metric")


@dataclass
class TracedStep:
    """A traced step: `program` and what its numbered values mean.

    `after` has the trainable, non-trainable and optimizer variables of the new state. `observed`
    are loss, logs and metrics: what they are computed from is the forward pass.
    """

    program: JaxProgram
    leaves: dict[int, Leaf]
    loss: int | None
    gradients: dict[str, int]
    new_state: dict[str, int]
    after: list[list[int]]
    observed: list[int]
    num_samples: int | None
    scopes: Scopes
    layer_path: Callable[[Sequence[object]], str | None]

    def graph(self, resized: JaxProgram | None = None) -> Graph:
        """The neutral form. Built on request, because a trial needs the program alone.

        `resized` is the program on another number of samples, which shows the axis of the batch.
        """
        return _GraphBuilder(self).graph(resized)


def trace_step(subject: Subject, state: State, batch: Batch) -> TracedStep:
    """The train step of `subject` on a state and a batch, as shapes only: nothing is run."""
    scopes = Scopes()
    names: list[str] = []
    library, train_step = library_of(subject), subject.train_step
    scaled_too = are_gradients_asked_for() or library.has_spent_scale(subject, state)

    def step(state: Any, data: Any) -> Any:
        grads: list[Any] = []

        def seen(values: list[Any], variables: list[Any]) -> None:
            grads.extend(values)
            names.extend(getattr(v, "path", str(i)) for i, v in enumerate(variables))

        with library.watched(seen, scaled_too=scaled_too) as shown:
            logs, new = train_step(state, data)
        return shown.of(logs), grads, [list(group) for group in new[:3]], (logs, new[3], shown.all)

    # As `fit` passes it: a tuple of lists.
    groups = tuple(list(group) for group in state.groups)
    with library.traced(subject, batch, scopes.entered), private.lines_of_derivatives():
        closed, shapes = jax.make_jaxpr(step, return_shape=True)(groups, batch.data)
    program = flatten(closed, step.__code__)
    numbers = iter(program.outputs)
    loss, grads, new, extra = jax.tree.map(lambda _: next(numbers), shapes)
    variables = state_variables(subject)
    state_names = unique([v.path for group in variables[:3] for v in group])
    new_state = dict(zip(state_names, jax.tree.leaves(new), strict=True))
    return TracedStep(
        program=program,
        leaves=_leaves(subject, state_names, batch, program),
        loss=loss,
        gradients=dict(zip(unique(names), grads, strict=True)),
        new_state={
            name: number
            for name, number in new_state.items()
            if jnp.issubdtype(program.avals[number].dtype, jnp.inexact)
        },
        after=new,
        observed=jax.tree.leaves((loss, extra)),
        num_samples=batch.num_samples,
        scopes=scopes,
        layer_path=subject.layer_path,
    )


def _leaves(
    subject: Subject, state_names: list[str], batch: Batch, program: JaxProgram
) -> dict[int, Leaf]:
    *_, slots, metrics = state_variables(subject)
    names = [*state_names, *[v.path for v in metrics]]
    roles: list[Role] = [role for group in subject.roles()[:2] for role in group]
    roles.extend("optimizer" for _ in slots)
    roles.extend("metric" for _ in metrics)
    roles += [leaf.role for leaf in batch.leaves]
    names += [leaf.name for leaf in batch.leaves]
    return {
        number: Leaf(number, role, name)
        for number, role, name in zip(program.inputs, roles, names, strict=True)
    }


class _GraphBuilder:
    def __init__(self, traced: TracedStep) -> None:
        self._traced = traced
        self._program = traced.program
        self._chains: dict[str, list[Any]] = {}

    def graph(self, resized: JaxProgram | None) -> Graph:
        program, traced = self._program, self._traced
        batch = [
            number
            for number, leaf in traced.leaves.items()
            if leaf.role in ROLES and _has_samples(program.avals[number].shape, traced.num_samples)
        ]
        axes = None
        if resized is not None and traced.num_samples is not None:
            axes = axes_by_size(program, resized, traced.num_samples)
        if axes is None:
            axes = batch_axes(program, batch)
        values = {
            number: Value(number, tuple(aval.shape), str(aval.dtype), axes.get(number))
            for number, aval in program.avals.items()
        }
        constants = {n: _as_numpy(v) for n, v in program.constants.items()}
        return Graph(
            ops=self._ops(),
            values=values,
            leaves=traced.leaves,
            constants={n: v for n, v in constants.items() if v is not None},
            loss=traced.loss,
            gradients=traced.gradients,
            new_state=traced.new_state,
            num_samples=traced.num_samples,
            observed=tuple(traced.observed),
        )

    def _ops(self) -> list[Op]:
        phase_of = self._phases()
        traced = self._traced
        ops = []
        for index, equation in enumerate(self._program.equations):
            chain = self._chain(equation.name_stack)
            place = equation.place
            span, stack, owner = locate(place.stack, place.in_library_object, chain)
            ops.append(
                Op(
                    index=index,
                    name=canonical(equation.primitive.name),
                    phase=phase_of[index],
                    operands=equation.operands,
                    results=equation.results,
                    layer=traced.layer_path(chain),
                    span=span,
                    stack=stack,
                    owner=owner,
                    callers=place.stack,
                )
            )
        return ops

    def _chain(self, name_stack: str) -> list[Any]:
        if name_stack not in self._chains:
            self._chains[name_stack] = self._traced.scopes.chain(name_stack)
        return self._chains[name_stack]

    def _phases(self) -> list[Phase]:
        equations, traced = self._program.equations, self._traced
        statistics = {leaf.name for leaf in traced.leaves.values() if leaf.role == "statistics"}
        observed = list(traced.observed)
        if not traced.gradients:
            # They are inside a `shard_map` or a loop: what was differentiated is forward.
            differentiated = (e for e in equations if is_differentiated(e.name_stack))
            observed += [result for equation in differentiated for result in equation.results]
        found = phases(
            equations,
            is_backward=lambda index: is_backward(equations[index].name_stack),
            observed=observed,
            gradients=traced.gradients.values(),
            statistics=[v for name, v in traced.new_state.items() if name in statistics],
        )
        # Of a function inside that is differentiated, the gradient may be all that is read.
        read = self._read()
        return [
            "forward" if phase == "update" and index not in read else phase
            for index, phase in enumerate(found)
        ]

    def _read(self) -> set[int]:
        """The numbers of the equations that a result of the step is computed from."""
        wanted = set(self._program.outputs)
        read: set[int] = set()
        for index, equation in reversed(list(enumerate(self._program.equations))):
            if not wanted.isdisjoint(equation.results):
                read.add(index)
                wanted.update(equation.operands)
        return read


def _has_samples(shape: tuple[int, ...], num_samples: int | None) -> bool:
    """Whether the leading axis of an array of the batch runs over its samples."""
    return bool(shape) and shape[0] == num_samples


def _as_numpy(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value)
    except TypeError:
        return None  # a typed random key has no NumPy form, and no rule reads one

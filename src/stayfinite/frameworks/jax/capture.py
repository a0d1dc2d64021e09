"""A model's train step as a program with named inputs and outputs, and as a neutral `Graph`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.jax import gradients, losses
from stayfinite.frameworks.jax.capture_axes import axes_by_size, batch_axes
from stayfinite.frameworks.jax.capture_program import Program, flatten
from stayfinite.frameworks.jax.names import canonical
from stayfinite.frameworks.jax.scopes import Scopes, is_backward
from stayfinite.frameworks.jax.unroll import unrolled
from stayfinite.frameworks.keras import batches
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.calls import layer_path
from stayfinite.frameworks.recording.locate import locate
from stayfinite.frameworks.recording.phases import phases
from stayfinite.graph.graph import Graph, Leaf, Op, Role, Value
from stayfinite.incident import Phase

STATE_ROLES: tuple[Role, ...] = ("weight", "statistics", "optimizer", "metric")


@dataclass
class Traced:
    """A traced step: `program` and what its numbered values mean.

    `after` is the new state in its own structure, without metrics. `observed` are loss, logs and
    metrics: what they are computed from is the forward pass.
    """

    program: Program
    leaves: dict[int, Leaf]
    loss: int | None
    gradients: dict[str, int]
    new_state: dict[str, int]
    after: Any
    observed: list[int]
    num_samples: int | None
    scopes: Scopes
    model: Any

    def trace(self, resized: Program | None = None) -> Graph:
        """The neutral form. Built on request, because a trial needs the program alone.

        `resized` is the program on another number of samples, which shows the axis of the batch.
        """
        return _Translator(self).trace(resized)


def trace_step(model: Any, state: Any, data: Any) -> Traced:
    """Graph `model.train_step` on a state and a batch, as shapes only: nothing is run."""
    scopes = Scopes()
    names: list[str] = []
    # Whether the scale is so small that a skipped step is a bad one.
    skipped = any(keras_private.is_spent(state[2][n]) for n in keras_private.loss_scales(model))

    def step(state: Any, data: Any) -> Any:
        grads: list[Any] = []

        def seen(_: Any, values: list[Any], variables: list[Any]) -> None:
            grads.extend(values)
            names.extend(getattr(v, "path", str(i)) for i, v in enumerate(variables))

        with gradients.watched(seen, scaled_too=skipped), losses.watched() as shown:
            logs, new = model.train_step(state, data)
        return shown.of(logs), grads, tuple(new[:3]), (logs, new[3])

    with scopes.active(), unrolled(model, _num_time_steps(data)):
        closed, shapes = jax.make_jaxpr(step, return_shape=True)(state, data)
    program = flatten(closed, step.__code__)
    numbers = iter(program.outputs)
    loss, grads, new, extra = jax.tree.map(lambda _: next(numbers), shapes)
    leaves = _name_leaves(model, state, data, program)
    new_state = dict(zip(_state_names(model), jax.tree.leaves(new), strict=True))
    inexact = {
        name: v
        for name, v in new_state.items()
        if jnp.issubdtype(program.avals[v].dtype, jnp.inexact)
    }
    return Traced(
        program=program,
        leaves=leaves,
        loss=loss,
        gradients=dict(zip(_unique(names), grads, strict=True)),
        new_state=inexact,
        after=new,
        observed=jax.tree.leaves((loss, extra)),
        num_samples=batches.num_samples(data),
        scopes=scopes,
        model=model,
    )


def _state_names(model: Any) -> list[str]:
    variables = [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
    ]
    return _unique([v.path for v in variables])


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return result


def _name_leaves(model: Any, state: Any, data: Any, program: Program) -> dict[int, Leaf]:
    names = _state_names(model) + [v.path for v in model.metrics_variables]
    roles: list[Role] = [role for group in keras_private.roles(model)[:2] for role in group]
    roles.extend("optimizer" for _ in state[2])
    roles.extend("metric" for _ in state[3])
    numbers = iter(program.inputs)
    leaves = {
        number: Leaf(number, role, name)
        for number, role, name in zip(numbers, roles, names, strict=False)
    }
    for number, (role, name, _) in zip(
        program.inputs[len(roles) :], batches.named_leaves(model, data), strict=True
    ):
        leaves[number] = Leaf(number, role, name)
    return leaves


def _num_time_steps(data: Any) -> int | None:
    lengths = [np.shape(leaf)[1] for leaf in jax.tree.leaves(data) if np.ndim(leaf) > 1]
    return max(lengths, default=None)


class _Translator:
    def __init__(self, traced: Traced) -> None:
        self._traced = traced
        self._program = traced.program
        self._chains: dict[str, list[Any]] = {}

    def trace(self, resized: Program | None) -> Graph:
        program, traced = self._program, self._traced
        batch = [n for n, leaf in traced.leaves.items() if leaf.role in batches.ROLES]
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
                    layer=layer_path(traced.model, chain),
                    span=span,
                    stack=stack,
                    owner=owner,
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
        return phases(
            equations,
            is_backward=lambda index: is_backward(equations[index].name_stack),
            observed=traced.observed,
            gradients=traced.gradients.values(),
            statistics=[v for name, v in traced.new_state.items() if name in statistics],
        )


def _as_numpy(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value)
    except TypeError:
        return None  # a typed random key has no NumPy form, and no rule asks for one

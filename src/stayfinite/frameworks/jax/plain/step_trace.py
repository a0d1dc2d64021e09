"""A step traced once on the shapes of a call, and what that shows of its arguments and results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
from jax.extend import core as jex

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.jax.plain.arguments import (
    ArgumentsForm,
    called,
    numbers_of,
    values_of_objects,
)
from stayfinite.frameworks.jax.plain.trees import KeyPath, Numbers, paths_of, taken_apart

Step = Callable[..., Any]


@dataclass(frozen=True)
class ArrayType:
    """The shape and dtype of an array of a call."""

    shape: tuple[int, ...]
    dtype: Any

    @classmethod
    def of(cls, tracer: Any) -> ArrayType:
        """That of an array or tracer."""
        return cls(tuple(tracer.shape), tracer.dtype)


@dataclass(frozen=True)
class CallProgram:
    """All of a call that decides what its step computes: its form, and the shapes of its arrays."""

    form: ArgumentsForm
    arrays: tuple[ArrayType, ...]

    @classmethod
    def of(cls, form: ArgumentsForm, arrays: Sequence[Any]) -> CallProgram:
        """That of a call with these arrays or tracers."""
        return cls(form, tuple(ArrayType.of(array) for array in arrays))


@dataclass
class StepTrace:
    """What a trace of the step shows. Arrays of the call are known by their number.

    The results of `jaxpr` are `num_gradients` gradients, then `outputs`, then `objects`: the arrays
    in objects of nnx after the step, by name.
    """

    inputs: list[ArrayType] = field(default_factory=list)
    differentiated: set[int] = field(default_factory=set)
    outputs: list[tuple[KeyPath, ArrayType]] = field(default_factory=list)
    unchanged: dict[KeyPath, int] = field(default_factory=dict)
    gradients: set[KeyPath] = field(default_factory=set)
    returns_arrays: bool = True
    num_gradients: int = 0
    objects: list[str] = field(default_factory=list)
    jaxpr: jex.ClosedJaxpr | None = None


def trace(
    step: Step,
    form: ArgumentsForm,
    values: Sequence[Any],
    gradients_given: frozenset[str],
    numbers: Numbers,
) -> StepTrace:
    """Trace a step.

    Args:
        step: The step, not compiled.
        form: The form of a call.
        values: Its arrays, or their shapes and dtypes.
        gradients_given: The labels of the arguments that are gradients, of a step without its own.
        numbers: Which numbers of Python are returned as arrays.

    Raises:
        Exception: what the step raises.
    """
    seen = StepTrace()

    def run(arrays: list[Any]) -> list[Any]:
        places = {id(array): n for n, array in enumerate(arrays)}
        seen.inputs = [ArrayType.of(array) for array in arrays]
        level = private.trace_level()
        gradients: list[Any] = []

        def notify(_: Any, arguments: Any, __: Any, found: Any) -> None:
            if private.same_trace_level(level):
                inputs = (places.get(id(leaf)) for leaf in jax.tree.leaves(arguments))
                seen.differentiated |= {n for n in inputs if n is not None}
                gradients.extend(jax.tree.leaves(found))

        with private.gradients_seen(notify):
            result, of_objects = called(step, form, arrays)
        arrays_after, tree = taken_apart(result, numbers)
        seen.returns_arrays = not tree.has_static()
        paths = paths_of(result)
        for position, after in zip(tree.arrays(), arrays_after, strict=True):
            seen.outputs.append((paths[position], ArrayType.of(after)))
            if id(after) in places:
                seen.unchanged[paths[position]] = places[id(after)]
            if any(after is gradient for gradient in gradients):
                seen.gradients.add(paths[position])
        objects = values_of_objects(form, of_objects) if form.objects else {}
        if not seen.differentiated:
            gradients.extend(arrays[n] for n in numbers_of(form, gradients_given))
        seen.num_gradients, seen.objects = len(gradients), list(objects)
        return [*gradients, *arrays_after, *objects.values()]

    seen.jaxpr = jax.make_jaxpr(run)(list(values))
    return seen

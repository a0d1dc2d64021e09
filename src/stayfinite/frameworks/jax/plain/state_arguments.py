"""Which arguments of a step are its state, and where they come back among its results.

The step is traced once on shapes. An argument is part of the state if its tree, shapes and dtypes
come back and it is one of these:

- the step differentiates with respect to one of its arrays, or it holds a state of optax;
- it is a tree of several arrays, not all of which come back as they were;
- it is an integer or a random key.

A bare floating-point array that is not differentiated may as well be a prediction with the shape of
the batch, so it has to be named. It is state where it has the shape of a weight, and a gradient and
the array before lead to it, as to a momentum. A step without a gradient of its own, as one with a
loop inside, shows no difference: every argument that comes back is state.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from stayfinite.errors import UsageError
from stayfinite.frameworks.jax.plain.arguments import (
    Arguments,
)
from stayfinite.frameworks.jax.plain.results_read import (
    ArraysToRead,
    keeps_old_weights,
    to_be_read,
)
from stayfinite.frameworks.jax.plain.step_trace import (
    ArrayType,
    CallProgram,
    Step,
    StepTrace,
    trace,
)
from stayfinite.frameworks.jax.plain.trees import (
    KeyPath,
    Numbers,
    joined,
    name_of,
)
from stayfinite.frameworks.jax.plain.values import holds_infinity
from stayfinite.graph.graph import Role

# What an update calls the gradients that it is given.
_NAMES_OF_GRADIENTS = re.compile(
    r"(g|gs|dp|dparams|updates?|.*grads?|.*gradients?)$", re.IGNORECASE
)


@dataclass(frozen=True)
class StateArguments:
    """The state of a step.

    Attributes:
        roles: The role of each array of it, by name.
        places: The key path in the result at which each argument comes back, by its label. Objects
            of nnx have none.
        shows_gradient: Whether an array of it is differentiated outside of the loops of the step.
        returns_arrays: Whether all that the step returns are arrays.
        marked: The names of the state that is never infinite on purpose.
        infinite: The names of the weights that held an infinity before the first step.
        gradients_given: The labels of the arguments that are gradients, of a step without its own.
        program: The call that has shown this.
        to_read: What has to be read of that call.
        leaves_out_bad: Whether the step leaves out an update by itself where a gradient is not
            finite.
    """

    roles: dict[str, Role]
    places: dict[str, KeyPath]
    shows_gradient: bool
    returns_arrays: bool
    marked: frozenset[str]
    infinite: frozenset[str]
    gradients_given: frozenset[str]
    program: CallProgram
    to_read: ArraysToRead
    leaves_out_bad: bool


def find_state(
    step: Step,
    call: Arguments,
    named: Sequence[str] | None,
    from_gradients: frozenset[str] = frozenset(),
    numbers: Numbers = Numbers.TRACED,
) -> StateArguments:
    """The state of `step` as a call of it shows it.

    Args:
        step: The step, not compiled.
        call: Its arguments.
        named: The labels that the user has given; None to find them.
        from_gradients: The labels of arguments that calls have made which compute gradients.
        numbers: Which numbers of Python are returned as arrays.

    Raises:
        UsageError: no argument comes back, or one that was named does not.
        Exception: what the step raises.
    """
    names = call.names()
    of_label: dict[str, list[int]] = {}
    for number, (_, label) in enumerate(names):
        of_label.setdefault(label, []).append(number)
    known = from_gradients or {label for label in of_label if _NAMES_OF_GRADIENTS.match(label)}
    given = frozenset(known & of_label.keys() if named is None else ())
    seen = trace(step, call.form, call.arrays, given, numbers)
    if seen.differentiated and not from_gradients:
        given = frozenset()
    objects = {call.form.labels[n] for n in call.form.objects}
    optax = {number for number, (name, _) in enumerate(names) if _is_slot(name)}
    optax |= _of_optax(call, names)
    # Weights have the tree of their gradients, and may have that of a slot of their optimizer.
    by_size = sorted(of_label, key=lambda label: (label in given, -len(of_label[label])))
    places = _places(seen, {k: of_label[k] for k in by_size if k not in objects}, names)
    if named is None:
        bare = {label for name, label in names if name == label}
        kept = {
            label: place
            for label, place in places.items()
            if _is_state(of_label[label], seen, optax, place, label in bare)
        }
    else:
        # An argument without arrays, as the state of a plain `optax.sgd`, may be named.
        empty = {label for label in call.form.labels if label not in of_label}
        _require(named, call, {*places, *objects, *empty})
        kept = {label: places[label] for label in named if label in places}
    if not kept and not objects:
        raise UsageError(_no_state(step, call, seen, of_label, names))
    held = [n for label, ns in of_label.items() if label in kept or label in objects for n in ns]
    trained = seen.differentiated & set(held)
    roles = {names[n][0]: _role(n, seen, optax, trained) for n in sorted(held)}
    shapes = {names[n][0]: seen.inputs[n].shape for n in held}
    infinite = frozenset(
        names[n][0]
        for n in held
        if roles[names[n][0]] == "weight" and holds_infinity(call.arrays[n])
    )
    # A single number, as the best loss so far, may hold an infinity on purpose.
    marked = frozenset(
        name
        for name, role in roles.items()
        if (role == "weight" and name not in infinite) or (role == "optimizer" and shapes[name])
    )
    return StateArguments(
        roles,
        kept,
        bool(trained),
        seen.returns_arrays,
        marked,
        infinite,
        frozenset() if seen.differentiated else given,
        CallProgram(call.form, tuple(seen.inputs)),
        to_be_read(seen, kept, roles, marked),
        keeps_old_weights(seen, kept, {names[n][0]: n for n in sorted(trained)}),
    )


def to_read(
    step: Step, program: CallProgram, state: StateArguments, numbers: Numbers
) -> ArraysToRead:
    """What has to be read of a call, which may compute something else than the first one did.

    Args:
        step: The step, not compiled.
        program: The call.
        state: The state of the step, as the first call has shown it.
        numbers: Which numbers of Python are returned as arrays.
    """
    if program == state.program:
        return state.to_read
    arrays = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in program.arrays]
    seen = trace(step, program.form, arrays, state.gradients_given, numbers)
    return to_be_read(seen, state.places, state.roles, state.marked)


def _places(
    seen: StepTrace, of_label: dict[str, list[int]], names: list[tuple[str, str]]
) -> dict[str, KeyPath]:
    """Where each argument comes back, in the order of `of_label` and of the results."""
    candidates: dict[KeyPath, dict[str, ArrayType]] = {}
    # A step may return its gradients, which have the tree of the weights. A state of an optimizer
    # may have them beside other arrays.
    is_of_gradients: dict[KeyPath, bool] = {}
    for path, array in seen.outputs:
        for length in range(len(path) + 1):
            place, is_gradient = path[:length], path in seen.gradients
            candidates.setdefault(place, {})[name_of(path[length:])] = array
            is_of_gradients[place] = is_of_gradients.get(place, True) and is_gradient
    places: dict[str, KeyPath] = {}
    for label, numbers in of_label.items():
        wanted = {_inside(names[n][0], label): seen.inputs[n] for n in numbers}
        fitting = [
            place
            for place, found in candidates.items()
            if found == wanted
            and not is_of_gradients[place]
            and not any(_overlap(place, taken) for taken in places.values())
        ]
        # Weights and their moving average have the same tree; a result may have their names.
        alike = [place for place in fitting if place and name_of(place[-1:]) == label]
        # So may a slot of an optimizer, deeper in the result than the weights.
        for place in [*alike, *sorted(fitting, key=len)][:1]:
            places[label] = place
    return places


def _is_state(
    numbers: list[int], seen: StepTrace, optax: set[int], place: KeyPath, is_bare: bool
) -> bool:
    if not seen.differentiated or (seen.differentiated | optax) & set(numbers):
        return True
    if is_bare:
        array = seen.inputs[numbers[0]]
        is_float = jnp.issubdtype(array.dtype, jnp.inexact)
        if is_float and array.shape in {seen.inputs[n].shape for n in seen.differentiated}:
            return _is_slot_of_step(numbers[0], seen, place)
        return not is_float and not (len(array.shape) > 0 and array.shape != (2,))
    after = [path for path, _ in seen.outputs if path[: len(place)] == place]
    return any(path not in seen.unchanged for path in after)


def _is_slot_of_step(number: int, seen: StepTrace, place: KeyPath) -> bool:
    """Whether a gradient and the input `number` lead to the array at `place`."""
    assert seen.jaxpr is not None
    jaxpr, first = seen.jaxpr.jaxpr, seen.num_gradients
    gradients = {id(atom) for atom in jaxpr.outvars[:first]}
    of_gradients, of_input = set(gradients), {id(jaxpr.invars[number])}
    for eqn in jaxpr.eqns:
        for found in (of_gradients, of_input):
            if any(id(atom) in found for atom in eqn.invars):
                found |= {id(result) for result in eqn.outvars}
    paths = [path for path, _ in seen.outputs]
    after = id(jaxpr.outvars[first + paths.index(place)])
    return after in of_gradients and after in of_input


def _role(number: int, seen: StepTrace, optax: set[int], trained: set[int]) -> Role:
    if number in optax:
        return "optimizer"
    is_float = jnp.issubdtype(seen.inputs[number].dtype, jnp.inexact)
    # Without a gradient at the level of the step it is not seen what is trained.
    return "weight" if number in trained or (not trained and is_float) else "statistics"


def _is_slot(name: str) -> bool:
    return "opt_state" in name.split("/")


def _of_optax(call: Arguments, names: list[tuple[str, str]]) -> set[int]:
    """The arrays inside a state of optax."""
    found: set[str] = set()
    for label, value in zip(call.form.labels, call.values, strict=True):
        for path, leaf in jax.tree_util.tree_flatten_with_path(value, is_leaf=_is_optax)[0]:
            if _is_optax(leaf):
                found.add(joined(label, name_of(path)))
    return {
        number
        for number, (name, _) in enumerate(names)
        if any(name == prefix or name.startswith(f"{prefix}/") for prefix in found)
    }


def _is_optax(value: Any) -> bool:
    module = type(value).__module__.partition(".")[0]
    return module == "optax" and isinstance(value, tuple)


def _require(named: Sequence[str], call: Arguments, known: set[str]) -> None:
    for label in named:
        if label not in call.form.labels:
            raise UsageError(
                f"state={list(named)!r} has {label!r}, which is no argument of the step; it has "
                f"{list(call.form.labels)}"
            )
        if label not in known:
            raise UsageError(
                f"the argument {label!r} of the step does not come back among its results with the "
                "same tree, shapes and dtypes; return its new value"
            )


def _no_state(
    step: Step,
    call: Arguments,
    seen: StepTrace,
    of_label: dict[str, list[int]],
    names: list[tuple[str, str]],
) -> str:
    what = getattr(step, "__name__", type(step).__name__)
    trained = [label for label, ns in of_label.items() if seen.differentiated & set(ns)]
    subject = f"the argument {trained[0]!r}" if trained else "no argument"
    verb = "does not come back" if trained else "comes back"
    return (
        f"{subject} of {what}() {verb} among its results with the same tree, shapes and dtypes, so "
        "its state is not known; return the new state, as in `return params, opt_state, loss`, and "
        "name it where it is one array: guarded(step, state=('params', 'opt_state'))"
    )


def _inside(name: str, label: str) -> str:
    return name[len(label) + 1 :]


def _overlap(one: KeyPath, other: KeyPath) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]

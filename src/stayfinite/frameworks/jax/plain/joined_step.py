"""A step in several calls as one function of its state and its batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.jax.plain.pure_calls import TAPE, PureCall, arrays_in
from stayfinite.frameworks.jax.plain.trees import KeyPath, name_of
from stayfinite.frameworks.jax.plain.uncompiled import is_pmapped, uncompiled
from stayfinite.frameworks.jax.plain.update_arrays import are_finite
from stayfinite.frameworks.names import argument_names, fresh

# The new state of a step: by the results of its calls, and by the last of them.
NewState = Callable[[Callable[[Any], Any], Any], Mapping[str, Any]]


class JoinedStep:
    """Calls in a row, as a function of keywords: the state, and the batch.

    Args:
        calls: The calls, in their order.
        state: The state before them, by name.
        new_state: Gives the state after them. It is called with a function that puts new results
            into a tree of old ones, and with the result of the last call.

    Attributes:
        state: The state before the calls, by name.
        batch: The arrays that are neither state nor the result of a call, by name of the argument.
    """

    def __init__(
        self, calls: Sequence[PureCall], state: Mapping[str, Any], new_state: NewState
    ) -> None:
        self._calls = calls
        self.state = dict(state)
        self._new_state = new_state
        named = [call.name for call in calls if call.name]
        self.__name__ = named[-1] if named else "step"
        self.batch = batch_of(calls, state)

    @property
    def is_on_each_device(self) -> bool:
        """Whether one of the calls has the axis of the devices first, as under `jax.pmap`."""
        return any(is_pmapped(uncompiled(call.function)) for call in self._calls)

    @functools.cached_property
    def loss(self) -> Any:
        """The first loss in training that is not finite, else the last; None without any."""
        losses = [loss for call in self._calls if (loss := _loss_of(call)) is not None]
        bad = [loss for loss in losses if not np.isfinite(np.asarray(loss, "float32"))]
        return next(iter([*bad, *reversed(losses)]), None)

    @property
    def gradients(self) -> list[Any]:
        """The gradients that calls give to others; none of one call that makes the update too."""
        read = {id(array) for call in self._calls for array in call.inputs}
        found = [array for c in self._calls if c.is_gradient for array in arrays_in(c.out)]
        return [array for array in found if id(array) in read]

    @property
    def batch_of_updates(self) -> dict[str, Any]:
        """What is read by calls that compute no gradients, and made by no call."""
        of_gradients = batch_of([call for call in self._calls if call.is_gradient], self.state)
        known = {id(array) for array in arrays_in(of_gradients)}
        arrays = enumerate(arrays_in(self.batch))
        return {str(number): array for number, array in arrays if id(array) not in known}

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the step that was made."""
        return {**self.state, **self.batch}

    def __call__(self, **given: Any) -> dict[str, Any]:
        """Make the calls again: the new state by name, and the loss."""
        return self._made(given, PureCall.made_again, [])

    def fails_again(self) -> bool:
        """Make the calls again as they were compiled: whether a result is not finite."""
        results: list[Any] = []
        after = self._made(self.arguments, _as_compiled, results)
        return not are_finite([after, results])

    def is_same_program(self) -> bool | None:
        """Whether the calls that are traced again are what the training has run, as far as known.

        A function that reads something else than when it was compiled is another one.
        """
        known = [call.is_same_program() for call in self._calls if call.names is not None]
        return False if False in known else (None if None in known or not known else True)

    def _made(
        self, given: Mapping[str, Any], make: Callable[..., Any], results: list[Any]
    ) -> dict[str, Any]:
        """Make the calls by `make`, and put the results of those that compute gradients last."""
        after: dict[int, Any] = {}

        def put(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: after.get(id(leaf), leaf), tree)

        for name, before in self.arguments.items():
            _pair(after, before, given[name])
        result = None
        for call in self._calls:
            args, keywords = put((call.args, dict(call.keywords)))
            result = make(call, args, keywords)
            if call.is_gradient:
                results.append(result)
            for out in call.given() if call.out is not None else ():
                _pair(after, out, result)
        found = dict(self._new_state(put, result))
        return found if self.loss is None else {**found, "loss": put(self.loss)}


def _as_compiled(call: PureCall, args: Any, keywords: Any) -> Any:
    return TAPE.made(call.function, args, keywords)


def batch_of(calls: Sequence[PureCall], state: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays that calls are given beside the state and results of each other, by argument."""
    known = {id(array) for array in arrays_in(dict(state))}
    found: dict[str, Any] = {}
    for call in calls:
        labels = argument_names(uncompiled(call.function), len(call.args))
        for label, value in (*zip(labels, call.args, strict=True), *call.keywords.items()):
            own = [array for array in arrays_in(value) if id(array) not in known]
            if not own:
                continue
            known |= {id(array) for array in own}
            found[fresh(label, {*found, *state})] = _with_arrays(value, own)
        known |= {id(array) for given in call.given() for array in arrays_in(given)}
    return found


def at_places(places: Mapping[str, KeyPath], state: Mapping[str, Any]) -> NewState:
    """The new state of a step whose last call returns it, each part at its place."""

    def new_state(_: Callable[[Any], Any], result: Any) -> dict[str, Any]:
        leaves = jax.tree_util.tree_flatten_with_path(result)[0]
        found = {}
        for label, place in places.items():
            inside = [leaf for path, leaf in leaves if path[: len(place)] == place]
            found[label] = jax.tree.unflatten(jax.tree.structure(state[label]), inside)
        return found

    return new_state


def _with_arrays(value: Any, arrays: list[Any]) -> Any:
    """`value` if it has these arrays and no other leaf, else a dict of them by their path."""
    wanted = {id(array) for array in arrays}
    leaves = jax.tree_util.tree_flatten_with_path(value)[0]
    if all(id(leaf) in wanted for _, leaf in leaves):
        return value
    return {name_of(path): leaf for path, leaf in leaves if id(leaf) in wanted}


def _pair(after: dict[int, Any], old: Any, new: Any) -> None:
    for before, now in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True):
        if isinstance(before, jax.Array | np.ndarray):
            after.setdefault(id(before), now)


def _loss_of(call: PureCall) -> Any:
    """The first number among the results of a call that computes gradients."""
    if not call.is_gradient:
        return None
    return next((a for a in arrays_in(call.out) if a.shape == () and _is_float(a)), None)


def _is_float(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def putting(new: Mapping[str, Any]) -> NewState:
    """The new state of calls whose results are these trees, by name."""
    return lambda put, _: {label: put(tree) for label, tree in new.items()}


def ways(
    whole: JoinedStep, gradients: Iterable[PureCall], calls: Iterable[PureCall]
) -> list[JoinedStep]:
    """What explains a bad update, the best first: all its calls, or one that computes gradients.

    Args:
        whole: All calls.
        gradients: The calls that have computed gradients.
        calls: Those of them that led to the update by others that are noted.
    """
    known = {id(call) for call in calls}
    # Operations between the calls are not seen. What they gave is no batch.
    foreign = whole.batch_of_updates
    if any(id(call) in known for call in gradients) and (not foreign or are_finite(foreign)):
        return [whole]
    bad = [call for call in gradients if not are_finite(call.out)]
    state = whole.state
    alone = [JoinedStep([call], state, lambda put, _: put(state)) for call in bad]
    return [*alone, whole]

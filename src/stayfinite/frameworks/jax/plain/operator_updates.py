"""Updates that a program writes itself by operations on arrays, outside of `jax.jit`.

Which operations make the new weights is not known before: arrays have no other trace of where they
come from. So the first calls that compute gradients are watched: where each of the new weights was
a weight minus or plus something, as in `[p - rate * g for ...]`, the operators are looked at from
then on after a call whose gradients are not finite, and the update is told before it is bound.

Other updates, as by `p.at[...].add(...)`, are not seen as they are made. If the weights of a call
are not finite after one with bad gradients, the update between them is told there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import jax
import numpy as np

from stayfinite.frameworks.jax.plain.joined_step import JoinedStep
from stayfinite.frameworks.jax.plain.pure_calls import TAPE, PureCall, arrays_in, code_of
from stayfinite.frameworks.jax.plain.uncompiled import uncompiled
from stayfinite.frameworks.jax.plain.update_arrays import are_finite
from stayfinite.frameworks.jax.plain.update_listener import GoodUpdate, JaxUpdateListener
from stayfinite.frameworks.names import argument_names

# First calls of a function that show whether its weights come back from operators.
_WATCHED_CALLS = 3
_SCALINGS = ("__mul__", "__rmul__", "__truediv__")
_COMMUTATIVE = ("__add__", "__radd__", "__mul__", "__rmul__")
_OPERATORS = ("__sub__", "__rsub__", "__add__", "__radd__", *_SCALINGS)


@dataclass
class _WeightsOfFunction:
    """The weights of the function that is differentiated.

    Attributes:
        num_watched: The calls so far that were watched to find them.
        positions: Which of its arguments they are; None as long as that is not known.
        last: Its last call; None once the update after it was told.
        is_bad: Whether the gradients of that call were not finite.
        is_updated: Whether updates of another kind were seen, which this module judges late.
        is_elsewhere: Whether another module judges its updates.
    """

    num_watched: int = 0
    positions: tuple[int, ...] | None = None
    last: PureCall | None = None
    is_bad: bool = False
    is_updated: bool = False
    is_elsewhere: bool = False


@dataclass
class _WatchedOperators:
    """What operators are looked at for: the call before, and what came of its arguments so far."""

    call: PureCall
    is_bad: bool
    known: dict[int, Any] = field(default_factory=dict)
    is_told: bool = False


class OperatorUpdates:
    """Finds and judges updates by operations on arrays.

    Args:
        listener: Told of each update.
    """

    def __init__(self, listener: JaxUpdateListener) -> None:
        self._listener = listener
        self._weights: dict[CodeType, _WeightsOfFunction] = {}
        # Results that may be new weights, which are kept so that no other gets the same id.
        self._results: dict[int, Any] = {}
        self._watch: _WatchedOperators | None = None
        self._undo: list[Callable[[], None]] = []

    def close(self) -> None:
        """Judge no further update."""
        self._stop_watching()
        self._weights.clear()
        self._results.clear()

    def used(self, function: Any, args: Sequence[Any]) -> None:
        """A function that computes gradients is about to be called with weights that no call made.

        They may be the result of an update.
        """
        self._stop_watching()
        code = code_of(function)
        weights = None if code is None else self._weights.get(code)
        if weights is None or weights.last is None:
            return
        if weights.positions is None:
            weights.positions = self._positions(args) or None
            if weights.positions is not None:
                self._results.clear()
        before, positions = weights.last, weights.positions or _alike(weights.last)
        given = [args[position] for position in positions if position < len(args)]
        if not given or not _is_changed(before.args, args, positions):
            return
        if weights.positions is None:
            if TAPE.comes_from(given) or code in TAPE.judged_elsewhere:
                return
            weights.is_updated = True
        weights.last = None
        step = _step(before, positions)
        TAPE.end_step([before])
        if weights.is_bad and not are_finite(given):
            self._listener.bad([step], is_applied=True)
            return
        self._listener.made(GoodUpdate(step.state, step.batch, step.loss))

    def computed(self, call: PureCall) -> None:
        """Gradients were computed."""
        code = code_of(call.function)
        if code is None:
            return
        weights = self._weights.setdefault(code, _WeightsOfFunction())
        if weights.is_elsewhere or code in TAPE.judged_elsewhere:
            return
        if weights.positions is None and weights.num_watched == _WATCHED_CALLS:
            if self._results:
                self._results.clear()
            # One more call shows whether its arguments change.
            weights.last = call
            weights.is_bad = weights.is_updated and not are_finite(call.out)
            return
        weights.num_watched += weights.positions is None
        # Of several calls on the same weights, the first one that was bad is the step.
        known = self._watch
        is_same = known is not None and known.is_bad and _share_inputs(known.call, call)
        weights.last = call
        is_bad = weights.is_bad = not are_finite(call.out)
        if not is_same and (is_bad or weights.positions is None):
            self._look_at(_WatchedOperators(call, is_bad))

    def forget(self, function: Any) -> None:
        """The weights of this function come back in another way."""
        code = code_of(function)
        if code is not None:
            self._weights[code] = _WeightsOfFunction(_WATCHED_CALLS, is_elsewhere=True)

    def _positions(self, args: Sequence[Any]) -> tuple[int, ...]:
        """The arguments all of whose arrays are results of operators."""
        found = []
        for position, value in enumerate(args):
            arrays = arrays_in(value)
            if arrays and all(id(array) in self._results for array in arrays):
                found.append(position)
        return tuple(found)

    def _look_at(self, watch: _WatchedOperators) -> None:
        self._stop_watching()
        watch.known = {id(array): array for array in watch.call.inputs}
        arrays = [array for array in watch.call.inputs if isinstance(array, jax.Array)]
        arrays += [array for array in arrays_in(watch.call.out) if isinstance(array, jax.Array)]
        self._watch = watch
        for owner in {type(array) for array in arrays}:
            for name in _OPERATORS:
                self._hook(owner, name)

    def _hook(self, owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def operator(this: Any, other: Any) -> Any:
            watch = self._watch
            if watch is None or TAPE.is_ignored:
                return plain(this, other)
            before, change = (other, this) if name == "__rsub__" else (this, other)
            if name in _COMMUTATIVE and id(before) not in watch.known:
                before, change = change, before
            if id(before) not in watch.known:
                return plain(this, other)
            if name in _SCALINGS:
                # Weights times a rate of decay. Of two arrays it may be any product.
                if np.ndim(change):
                    return plain(this, other)
            elif watch.is_bad and self._is_update(watch.call, before, change):
                self._tell(watch)
                return before
            result = TAPE.made(plain, (this, other), {})
            if isinstance(result, jax.Array):
                watch.known[id(result)] = self._results[id(result)] = result
            return result

        setattr(owner, name, operator)
        self._undo.append(lambda: setattr(owner, name, plain))

    def _stop_watching(self) -> None:
        self._watch = None
        while self._undo:
            self._undo.pop()()

    def _is_update(self, call: PureCall, weight: Any, change: Any) -> bool:
        """Whether `change` is an update by a gradient of `call` that is not finite."""
        if not isinstance(change, jax.Array | np.ndarray) or change.shape != weight.shape:
            return False
        gradients = [array for array in arrays_in(call.out) if array.shape == weight.shape]
        return not are_finite(change) and not are_finite(gradients)

    def _tell(self, watch: _WatchedOperators) -> None:
        """The bad update after `watch.call` is about to be made."""
        if watch.is_told:
            return
        watch.is_told = True
        code = code_of(watch.call.function)
        weights = self._weights[code] if code is not None else _WeightsOfFunction()
        weights.last = None
        positions = weights.positions or _alike(watch.call)
        TAPE.end_step([watch.call])
        self._listener.bad([_step(watch.call, positions)])


def _step(call: PureCall, positions: tuple[int, ...]) -> JoinedStep:
    """The call alone, as operations after it are not kept; its weights are the state."""
    labels = argument_names(uncompiled(call.function), len(call.args))
    if len(positions) == 1:
        labels[positions[0]] = "params"
    names = [labels[position] for position in positions]
    trees = [call.args[position] for position in positions]
    state = dict(zip(names, trees, strict=True))

    def new_state(put: Callable[[Any], Any], result: Any) -> dict[str, Any]:
        # The rate is not known. A gradient that is not finite is what marks a weight.
        weights, structure = jax.tree.flatten(put(trees))
        gradients = _gradients(weights, jax.tree.leaves(result))
        pairs = zip(weights, gradients, strict=True)
        after = structure.unflatten([weight + 0 * gradient for weight, gradient in pairs])
        return dict(zip(names, after, strict=True))

    return JoinedStep([call], state, new_state)


def _gradients(weights: Sequence[Any], found: Sequence[Any]) -> Sequence[Any]:
    """Those leaves of a result that have the shapes of the weights, or the weights themselves."""
    shapes = [np.shape(weight) for weight in weights]
    for first in reversed(range(len(found) - len(shapes) + 1)):
        part = found[first : first + len(shapes)]
        if [np.shape(leaf) for leaf in part] == shapes:
            return part
    return weights


def _alike(call: PureCall) -> tuple[int, ...]:
    """The arguments whose arrays have the shapes of results."""
    shapes = [array.shape for array in arrays_in(call.out)]
    found = []
    for position, value in enumerate(call.args):
        arrays = arrays_in(value)
        if arrays and all(array.shape in shapes for array in arrays):
            found.append(position)
    return tuple(found)


def _is_changed(before: Sequence[Any], after: Sequence[Any], positions: tuple[int, ...]) -> bool:
    arrays = [arrays_in([args[n] for n in positions if n < len(args)]) for args in (before, after)]
    return [id(array) for array in arrays[0]] != [id(array) for array in arrays[1]]


def _share_inputs(one: PureCall, other: PureCall) -> bool:
    known = {id(array) for array in one.inputs}
    return any(id(array) in known for array in other.inputs)

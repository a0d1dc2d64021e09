"""A proof, without looking at weights or slots, that an update of a built-in optimizer is finite.

Looking at every weight and slot after each update would read the whole state once more, and
keeping the old ones would hold it twice. But for the optimizers below, how far one step can move
anything follows from the size of the gradients and from how large everything was before. So sizes
are measured once, carried on by arithmetic on three numbers, and measured again only where that no
longer suffices or somebody else wrote to the state. Far more is allowed for than can happen: the
limit is 1e30, and float32 ends at 3e38.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from stayfinite.frameworks.torch import finite_checks, private

_LIMIT = 1e30
# Its square, and the sum of squares that clipping by norm takes, stay below the limit.
_LARGEST_GRADIENT = math.sqrt(_LIMIT)
_SMALLEST_EPSILON = 1e-30
# In float32, one minus what is closer to 1 may be 0.
_LARGEST_FRACTION = 0.99999


@dataclass(frozen=True)
class _Move:
    """How far a step moves a weight at most, through values how large, and its slots after it."""

    weight: float
    slots: float


_Rule = Callable[[Any, float, float, float], _Move]
_BEYOND = _Move(math.inf, math.inf)


class Proof:
    """What is known about the size of the weights and slots of one optimizer."""

    def __init__(self, optimizer: Any) -> None:
        name = next((n for n, c in private.OPTIMIZERS.items() if type(optimizer) is c), None)
        self._rule = None if name is None else _RULES[name]
        self._optimizer = optimizer
        self._variables: list[Any] = []
        self._slots: list[Any] = []
        self._all: list[Any] = []
        self._num_own = -1
        self._version: int | None = None
        self._apart: list[Any] = []
        self._sizes = (math.inf, math.inf, math.inf)
        self._after = self._sizes

    def holds(self, variables: list[Any], gradient: float) -> bool:
        """Whether an update of `variables` by gradients up to `gradient` leaves all finite."""
        rule = self._rule
        if rule is None or not math.isfinite(gradient) or not self._known(variables):
            return False
        if private.version(self._all) != self._version:
            self._measure()
        if self._moves(rule, gradient):
            return True
        self._measure()
        return self._moves(rule, gradient)

    def applied(self) -> None:
        """The update that `holds` was asked about has been made, and nothing else."""
        self._version = private.version(self._all)
        self._sizes = self._after

    def _moves(self, rule: _Rule, gradient: float) -> bool:
        optimizer, (weights, slots, apart) = self._optimizer, self._sizes
        rate = learning_rate(optimizer)
        decay = 0.0 if optimizer.weight_decay is None else optimizer.weight_decay * rate
        scale = optimizer.loss_scale_factor
        if not (0 <= decay <= 1 and abs(rate) < _LIMIT):
            return False
        if scale is not None:
            gradient *= max(1.0, 1 / scale) if scale > 0 else math.inf
        if optimizer.gradient_accumulation_steps:
            apart = gradient = gradient + apart
        if not gradient < _LARGEST_GRADIENT:
            return False
        move = rule(optimizer, abs(rate), gradient, slots)
        weights += move.weight
        if optimizer.use_ema:
            if not 0 <= optimizer.ema_momentum <= 1:
                return False
            weights = apart = max(weights, apart)
        self._after = (weights, max(slots, move.slots), apart)
        return all(0 <= size < _LIMIT for size in self._after)

    def _known(self, variables: list[Any]) -> bool:
        """Note which variables it is about; false where one of them is not of the common kind."""
        same = len(variables) == len(self._variables) and all(map(_is, variables, self._variables))
        if same and len(self._optimizer._variables) == self._num_own:
            return True
        optimizer = self._optimizer
        counters = [optimizer._learning_rate, optimizer._iterations]
        apart = private.averages_and_sums(optimizer)
        self._apart = apart
        self._slots = [v for v in optimizer.variables if not _among(v, [*counters, *apart])]
        self._variables = list(variables)
        self._num_own = len(optimizer._variables)
        self._all = [*variables, *self._slots, *apart]
        self._version = None
        common = all(
            v.constraint is None and not getattr(v, "overwrite_with_gradient", False)
            for v in variables
        )
        if not common or any(_dtype(v) not in ("float32", "float64") for v in self._all):
            self._rule = None
        return self._rule is not None

    def _measure(self) -> None:
        tensors = [private.tensor_of(v) for v in self._slots]
        self._sizes = (
            finite_checks.norm([private.tensor_of(v) for v in self._variables]),
            # No slot of squares is below 0 but by hand; its square root would be NaN.
            finite_checks.norm(tensors) if self._squares_are_positive() else math.inf,
            finite_checks.norm([private.tensor_of(v) for v in self._apart]),
        )
        self._version = private.version(self._all)

    def _squares_are_positive(self) -> bool:
        squares = [
            private.tensor_of(slot)
            for name in _SQUARES
            for slot in getattr(self._optimizer, name, ())
            if slot is not None
        ]
        return all(bool((t >= 0).all()) for t in squares)


def learning_rate(optimizer: Any) -> float:
    """The learning rate of the next update; NaN where asking for it might change something."""
    rate = optimizer._learning_rate
    if isinstance(rate, private.Variable):
        return float(private.tensor_of(rate).item())
    if isinstance(rate, float):
        return rate
    if type(rate).__module__.startswith("keras."):
        return float(keras.ops.convert_to_numpy(optimizer._get_current_learning_rate()))
    return math.nan


def _dtype(variable: Any) -> str:
    return str(keras.backend.standardize_dtype(private.tensor_of(variable).dtype))


def _among(variable: Any, others: list[Any]) -> bool:
    return any(variable is other for other in others)


def _is(one: Any, other: Any) -> bool:
    return one is other


_SQUARES = ("_velocities", "_velocity_hats", "_accumulators", "_u")


def _sgd(o: Any, rate: float, g: float, slots: float) -> _Move:
    if not 0 <= o.momentum <= 1:
        return _BEYOND
    momentum = slots + rate * g
    return _Move(rate * g + momentum, momentum)


def _adam(o: Any, rate: float, g: float, slots: float) -> _Move:
    if not _is_fraction(o.beta_1, o.beta_2) or not o.epsilon >= _SMALLEST_EPSILON:
        return _BEYOND
    after = max(slots, g, g * g)
    return _Move(after * rate / (1 - o.beta_1) / o.epsilon, after)


def _nadam(o: Any, rate: float, g: float, slots: float) -> _Move:
    move = _adam(o, rate, g, slots)
    if move is _BEYOND:
        return move
    # The bias corrections divide each average once more.
    return _Move(2 * move.weight / (1 - o.beta_2), move.slots)


def _adamax(o: Any, rate: float, g: float, slots: float) -> _Move:
    return _adam(o, rate, g, slots)


def _rmsprop(o: Any, rate: float, g: float, slots: float) -> _Move:
    # Centered, it takes the root of a difference, which rounding can make negative.
    if o.centered or not _is_fraction(o.rho, o.momentum) or not o.epsilon >= _SMALLEST_EPSILON:
        return _BEYOND
    move = rate * g / math.sqrt(o.epsilon) + (slots if o.momentum else 0.0)
    return _Move(move, max(slots, g * g, move if o.momentum else 0.0))


def _adagrad(o: Any, rate: float, g: float, slots: float) -> _Move:
    if not o.epsilon >= _SMALLEST_EPSILON:
        return _BEYOND
    return _Move(rate * g / math.sqrt(o.epsilon), slots + g * g)


def _lion(o: Any, rate: float, g: float, slots: float) -> _Move:
    if not _is_fraction(o.beta_1, o.beta_2):
        return _BEYOND
    return _Move(rate, max(slots, g))


def _is_fraction(*numbers: Any) -> bool:
    return all(0 <= number <= _LARGEST_FRACTION for number in numbers)


_RULES: dict[str, _Rule] = {
    "adagrad": _adagrad,
    "adam": _adam,
    "adamax": _adamax,
    "adamw": _adam,
    "lion": _lion,
    "nadam": _nadam,
    "rmsprop": _rmsprop,
    "sgd": _sgd,
}

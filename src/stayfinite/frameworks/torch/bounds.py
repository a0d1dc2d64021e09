"""Bounds on the weights and slots of one optimizer, without reading them at every step.

Sizes are measured once and carried on by `keras/optimizer_bounds.py`. They are measured again
where the bounds no longer suffice, or where something else has written to the state.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from stayfinite.frameworks.keras import optimizer_bounds
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.optimizer_bounds import Sizes
from stayfinite.frameworks.keras.optimizer_table import Row
from stayfinite.frameworks.torch import finite_checks, private


class Proof:
    """Bounds on the weights and slots of one optimizer."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._row: Row | None = None
        self._variables: list[Any] = []
        self._slots: dict[str, list[Any]] = {}
        self._all: list[Any] = []
        self._num_own = -1
        self._version: int | None = None
        self._sizes = self._after = Sizes(math.inf, {})

    def holds(self, variables: list[Any], gradient: float) -> bool:
        """Whether an update leaves everything finite.

        Args:
            variables: The Keras variables that are updated.
            gradient: A bound on the magnitude of their gradients.
        """
        if not math.isfinite(gradient) or not self._known(variables):
            return False
        if private.version(self._all) != self._version:
            self._measure()
        if self._stays_finite(gradient):
            return True
        self._measure()
        return self._stays_finite(gradient)

    def applied(self) -> None:
        """Take over the bounds of the update that `holds` was called for."""
        self._version = private.version(self._all)
        self._sizes = self._after

    def _stays_finite(self, gradient: float) -> bool:
        bounds = optimizer_bounds.bounds_of(self._optimizer, self._variables)
        if bounds is None:
            return False
        after = bounds.after_update(self._sizes, gradient, learning_rate(self._optimizer))
        if after is not None:
            self._after = after
        return after is not None

    def _known(self, variables: list[Any]) -> bool:
        """Note its variables. False where they are not of the common kind."""
        same = len(variables) == len(self._variables) and all(map(_is, variables, self._variables))
        optimizer = self._optimizer
        if same and len(optimizer.variables) == self._num_own:
            return self._row is not None
        self._variables = list(variables)
        self._num_own = len(optimizer.variables)
        self._version = None
        row = optimizer_bounds.row_of(optimizer)
        slots = None if row is None else optimizer_bounds.slots_of(optimizer, row)
        self._slots = slots or {}
        self._all = [*variables, *(v for slot in self._slots.values() for v in slot)]
        common = all(_dtype(v) in ("float32", "float64") for v in self._all)
        self._row = row if common and slots is not None else None
        return self._row is not None

    def _measure(self) -> None:
        assert self._row is not None
        sizes = {name: _norm(slot) for name, slot in self._slots.items()}
        for name in self._row.never_negative:
            if any(bool((private.tensor_of(v) < 0).any()) for v in self._slots.get(name, ())):
                sizes[name] = math.inf
        self._sizes = Sizes(_norm(self._variables), sizes)
        self._version = private.version(self._all)


def learning_rate(optimizer: Any) -> float:
    """The learning rate of the next update; NaN where reading it may have side effects."""
    rate = keras_private.learning_rate_of(optimizer)
    if isinstance(rate, keras.Variable):
        return float(private.tensor_of(rate).item())
    if keras_private.is_keras_schedule(rate):
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    return math.nan


def _norm(variables: list[Any]) -> float:
    return finite_checks.norm([private.tensor_of(v) for v in variables])


def _dtype(variable: Any) -> str:
    return str(keras.backend.standardize_dtype(private.tensor_of(variable).dtype))


def _is(one: Any, other: Any) -> bool:
    return one is other

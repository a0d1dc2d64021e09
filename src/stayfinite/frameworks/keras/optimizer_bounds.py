"""How far one update of each Keras optimizer can move weights and slots, as one table.

Keeping the state before every update, and reading the state after it, would cost a copy and one
more pass. With the table, the guard can prove before an update that its result is finite. It needs
upper bounds on gradients, weights and slots only.

An optimizer is found by the identity of its class, never by the name of the class. An optimizer
that is not in the table, a setting outside the listed range, and a Keras version that the table
was not checked with, have no bound: the guard then keeps the old state and looks at the new one.
`tests/frameworks/test_optimizer_bounds.py` holds each row against real updates.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from stayfinite.frameworks.keras.optimizer_table import (
    AVERAGE,
    COMMON_SETTINGS,
    GRADIENT_SUM,
    REST,
    TABLE,
    UNIT,
    Bound,
    Row,
    UpdateSizes,
)

# The releases whose updates were held against the table.
CHECKED_KERAS = frozenset({(3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (3, 15)})
# No size may reach it. float32 ends at 3.4e38; the distance is for rounding and for values inside
# an update that are larger than its result.
LIMIT = 1e30
# An update squares its gradients.
LARGEST_GRADIENT = math.sqrt(LIMIT)

_COUNTERS = ("iteration", "learning_rate")


def row_of(optimizer: Any) -> Row | None:
    """The row of an optimizer; None for any class that is not Keras's own, and other releases."""
    if _keras_version() not in CHECKED_KERAS:
        return None
    return _rows().get(type(optimizer))


def slots_of(optimizer: Any, row: Row) -> dict[str, list[Any]] | None:
    """The variables of a built optimizer by the name of their slot, the two counters left out.

    None if the slot of a variable is not found, so that no slot is left out.
    """
    names = sorted([name for name in row.slots if name != REST] + [AVERAGE, GRADIENT_SUM])
    found: dict[str, list[Any]] = {}
    for variable in optimizer.variables:
        if variable.name in _COUNTERS:
            continue
        # Adagrad of Keras 3.8 leaves the name of the weight out.
        ends = [name for name in names if f"_{variable.name}".endswith(f"_{name}")]
        found.setdefault(max(ends, key=len, default=REST), []).append(variable)
    rest = found.get(REST, [])
    counts = {len(variables) for name, variables in found.items() if name != REST}
    if len(counts) > 1 or len(rest) != (1 if REST in row.slots else 0):
        return None
    return found


@dataclass(frozen=True)
class Sizes:
    """Upper bounds on the magnitude of the weights, and of each slot by its name."""

    weights: float
    slots: Mapping[str, float]

    def are_safe(self) -> bool:
        """Whether all are known to be finite, and below the limit."""
        return all(0 <= size < LIMIT for size in (self.weights, *self.slots.values()))


@dataclass(frozen=True)
class Bounds:
    """A row with the present settings of one optimizer, all in their ranges.

    Attributes:
        row: The row.
        move: Its bound on the change of a weight.
        settings: The settings that the row lists.
        decay: The weight decay; 0 where it is off.
        unscale: What a gradient is multiplied by at most before it is used.
    """

    row: Row
    move: Bound
    settings: tuple[tuple[str, float], ...]
    decay: float
    unscale: float

    def after_update(self, sizes: Sizes, gradient: float, rate: float) -> Sizes | None:
        """Bounds on the state after one update; None where there is none.

        Args:
            sizes: Bounds on the state before the update.
            gradient: A bound on the magnitude of the gradients that `apply` is given.
            rate: The learning rate, or the largest one.
        """
        if not (math.isfinite(rate) and 0 <= self.decay * rate <= 1):
            return None
        gradient *= self.unscale
        slots = dict(sizes.slots)
        if GRADIENT_SUM in slots:
            gradient = slots[GRADIENT_SUM] = gradient + slots[GRADIENT_SUM]
        if not (0 <= gradient < LARGEST_GRADIENT and sizes.are_safe()):
            return None
        before = {name: slots.get(name, 0.0) for name in self.row.slots}
        update = UpdateSizes(dict(self.settings), abs(rate), gradient, before)
        weights = sizes.weights + self.move(update)
        for name, bound in self.row.slots.items():
            if name in slots:
                # A step that only adds to the sum of gradients leaves the other slots as they are.
                kept = slots[name] if GRADIENT_SUM in slots else 0.0
                slots[name] = max(bound(update), kept)
        if AVERAGE in slots:
            weights = slots[AVERAGE] = max(weights, slots[AVERAGE])
        after = Sizes(weights, slots)
        return after if after.are_safe() else None


def bounds_of(optimizer: Any, variables: Sequence[Any]) -> Bounds | None:
    """The bounds on updates of `variables` by `optimizer`; None where there are none.

    Args:
        optimizer: A Keras optimizer, not a `LossScaleOptimizer`.
        variables: The Keras variables that it updates.
    """
    row = row_of(optimizer)
    if row is None or row.move is None:
        return None
    settings = tuple([(name, getattr(optimizer, name)) for name in row.settings])
    common = {name: getattr(optimizer, name) for name in COMMON_SETTINGS}
    in_range = all(row.settings[name].holds(value) for name, value in settings) and all(
        value is None or COMMON_SETTINGS[name].holds(value) for name, value in common.items()
    )
    averaged = not optimizer.use_ema or UNIT.holds(optimizer.ema_momentum)
    plain = all(
        variable.constraint is None and not getattr(variable, "overwrite_with_gradient", False)
        for variable in variables
    )
    if not (in_range and averaged and plain):
        return None
    scale = common["loss_scale_factor"]
    return Bounds(
        row=row,
        move=row.move,
        settings=settings,
        decay=common["weight_decay"] or 0.0,
        unscale=1.0 if scale is None else max(1.0, 1 / scale),
    )


def _keras_version() -> tuple[int, ...]:
    return tuple(int(part) for part in keras.__version__.split(".")[:2])


@functools.cache
def _rows() -> dict[type, Row]:
    # On PyTorch the public class makes an object of another one.
    return {type(row.optimizer.__new__(row.optimizer)): row for row in TABLE}

"""The update of each Keras optimizer as bounds on sizes: the table of `optimizer_bounds`.

A row holds for the class itself, in the ranges of its settings. To add a row, read `update_step` of
the optimizer and, on PyTorch, `_parallel_update_step`; `tests/frameworks/test_optimizer_bounds.py`
then holds it against real updates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

AVERAGE = "average"
GRADIENT_SUM = "gradient_accumulator"
# The name of a variable of the optimizer that belongs to no weight.
REST = ""


@dataclass(frozen=True)
class SettingRange:
    """The numbers from `low` to `high`, both included."""

    low: float
    high: float

    def holds(self, value: object) -> bool:
        """Whether `value` is a Python number in the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high


# In float32, one minus a number closer to 1 may be 0.
_FRACTION = SettingRange(0.0, 0.99999)
_EPSILON = SettingRange(1e-30, 1e6)
UNIT = SettingRange(0.0, 1.0)


@dataclass(frozen=True)
class UpdateSizes:
    """The operands of the formulas of the table, for one update. All sizes are upper bounds.

    Attributes:
        settings: The value of each setting that the row lists.
        rate: Magnitude of the learning rate.
        gradient: Magnitude of the gradients, after unscaling and accumulation.
        before: Magnitude of each slot before the update, by name; 0 where there is no such slot.
    """

    settings: Mapping[str, float]
    rate: float
    gradient: float
    before: Mapping[str, float]


Bound = Callable[[UpdateSizes], float]


@dataclass(frozen=True, eq=False)
class Row:
    """What is known about one optimizer.

    Attributes:
        optimizer: The public Keras class.
        keeps_bad_gradients: A non-finite gradient always leaves a non-finite weight or slot.
        settings: The range of each setting in which the bounds hold.
        slots: For each slot name, a bound on the slot after an update.
        never_negative: Slots that a square root is taken of, or that are divided by.
        move: A bound on the change of a weight; None where none is known.
    """

    optimizer: Any
    keeps_bad_gradients: bool
    settings: Mapping[str, SettingRange] = field(default_factory=dict)
    slots: Mapping[str, Bound] = field(default_factory=dict)
    never_negative: tuple[str, ...] = ()
    move: Bound | None = None


def _largest(slot: str) -> Bound:
    """An average of the slot and the gradient."""
    return lambda u: max(u.before[slot], u.gradient)


def _largest_square(slot: str) -> Bound:
    """An average of the slot and the squared gradient."""
    return lambda u: max(u.before[slot], u.gradient**2)


def _adam_move(u: UpdateSizes) -> float:
    momentum = max(u.before["momentum"], u.gradient)
    return u.rate * momentum / (1 - u.settings["beta_1"]) / u.settings["epsilon"]


def _nadam_move(u: UpdateSizes) -> float:
    # Its corrections of the bias divide by one minus a product of fractions.
    return 2 * _adam_move(u) if u.before[REST] <= 1 else math.inf


def _sgd_momentum(u: UpdateSizes) -> float:
    return u.settings["momentum"] * u.before["momentum"] + u.rate * u.gradient


def _rmsprop_step(u: UpdateSizes) -> float:
    return u.rate * u.gradient / math.sqrt(u.settings["epsilon"])


def _rmsprop_momentum(u: UpdateSizes) -> float:
    return u.settings["momentum"] * u.before["momentum"] + _rmsprop_step(u)


_BETAS = {"beta_1": _FRACTION, "beta_2": _FRACTION}

_ADAM: dict[str, Any] = {
    "keeps_bad_gradients": True,
    "settings": {**_BETAS, "epsilon": _EPSILON},
    "slots": {
        "momentum": _largest("momentum"),
        "velocity": _largest_square("velocity"),
        "velocity_hat": lambda u: max(
            u.before["velocity_hat"], u.before["velocity"], u.gradient**2
        ),
    },
    "never_negative": ("velocity", "velocity_hat"),
    "move": _adam_move,
}

TABLE: tuple[Row, ...] = (
    Row(
        keras.optimizers.SGD,
        keeps_bad_gradients=True,
        settings={"momentum": UNIT},
        slots={"momentum": _sgd_momentum},
        move=lambda u: u.rate * u.gradient + _sgd_momentum(u),
    ),
    Row(keras.optimizers.Adam, **_ADAM),
    Row(keras.optimizers.AdamW, **_ADAM),
    Row(
        keras.optimizers.Adamax,
        keeps_bad_gradients=True,
        settings={**_BETAS, "epsilon": _EPSILON},
        slots={"momentum": _largest("momentum"), "norm": _largest("norm")},
        never_negative=("norm",),
        move=_adam_move,
    ),
    Row(
        keras.optimizers.Nadam,
        keeps_bad_gradients=True,
        settings={**_BETAS, "epsilon": _EPSILON},
        slots={
            "momentum": _largest("momentum"),
            "velocity": _largest_square("velocity"),
            REST: lambda u: u.before[REST],
        },
        never_negative=("velocity", REST),
        move=_nadam_move,
    ),
    Row(
        keras.optimizers.RMSprop,
        keeps_bad_gradients=True,
        # Centered, it takes the root of a difference, which rounding can make negative.
        settings={
            "rho": UNIT,
            "momentum": UNIT,
            "epsilon": _EPSILON,
            "centered": SettingRange(False, False),
        },
        slots={"velocity": _largest_square("velocity"), "momentum": _rmsprop_momentum},
        never_negative=("velocity",),
        move=lambda u: _rmsprop_step(u) + _rmsprop_momentum(u),
    ),
    Row(
        keras.optimizers.Adagrad,
        keeps_bad_gradients=True,
        settings={"epsilon": _EPSILON},
        slots={"accumulator": lambda u: u.before["accumulator"] + u.gradient**2},
        never_negative=("accumulator",),
        move=_rmsprop_step,
    ),
    Row(
        keras.optimizers.Lion,
        # The sign of an infinite gradient is 1.
        keeps_bad_gradients=False,
        settings={"beta_1": SettingRange(1e-6, 1.0), "beta_2": UNIT},
        slots={"momentum": _largest("momentum")},
        move=lambda u: u.rate,
    ),
    Row(keras.optimizers.Adadelta, keeps_bad_gradients=True),
)

# What every Keras optimizer takes. None means that the setting is off.
COMMON_SETTINGS: dict[str, SettingRange] = {
    "weight_decay": SettingRange(0.0, 1e6),
    "clipnorm": SettingRange(1e-6, 1e6),
    "global_clipnorm": SettingRange(1e-6, 1e6),
    "clipvalue": SettingRange(1e-10, 1e6),
    "loss_scale_factor": SettingRange(1e-10, 1e10),
    "gradient_accumulation_steps": SettingRange(1, 1e6),
}

"""Why a step cannot be made again or changed. The words: `report/wording/obstacles.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Obstacle(Enum):
    """What stands against it. `name`, `of` and `number` are of `WhyNot`."""

    # The code of the step.
    NO_LOOP = auto()
    NO_LOOP_WITH_SOURCE = auto()
    NO_LOOP_NOR_FUNCTION = auto()
    NO_CODE_OF_PROGRAM = auto()
    NO_SOURCE = auto()  # of the file `name`
    FUNCTION_NOT_FOUND = auto()  # `name`
    FUNCTION_TAKES_ANY = auto()  # `name` takes any arguments, or yields
    ARGUMENT_DELETED = auto()  # `name`, by the function `of`
    BARE_SUPER = auto()
    GRADIENTS_FROM_OUTSIDE = auto()  # of the guarded function `name`
    NOT_COMPILED = auto()
    DISTRIBUTED = auto()  # by tf.distribute
    # Its data.
    NO_EARLIER_UPDATE = auto()
    TOO_MANY_BATCHES = auto()  # more than `number`
    LOOP_WRITES_BATCH = auto()
    TRAINER_WRITES_BATCH = auto()
    ARGUMENT_DRAWS_BATCH = auto()  # `name`
    # Its processes and optimizers.
    VALUES_FROM_PROCESSES = auto()
    GRADIENTS_OVER_PROCESSES = auto()
    SHARDED_WEIGHTS = auto()
    SHARDED_STEP = auto()
    SEVERAL_EVALUATIONS = auto()
    SEVERAL_OPTIMIZERS = auto()
    # A run of it.
    BODY_WITHOUT_UPDATE = auto()
    CALLS_WITHOUT_UPDATE = auto()  # `name` says which
    NO_UPDATE_AGAIN = auto()
    NON_FINITE_AGAIN = auto()
    MORE_BATCHES_AGAIN = auto()
    MORE_ITEMS_AGAIN = auto()  # as `name`
    TIME_LIMIT = auto()  # of `number` seconds
    LONG_RUN = auto()  # of `number` seconds
    # Another learning rate or setting.
    NO_OPTIMIZER = auto()
    UPDATES_INSIDE = auto()  # in a loop of the compiled step
    CONSTANT_RATE = auto()
    COMPILED_SETTINGS = auto()


@dataclass(frozen=True)
class WhyNot:
    """An obstacle, with the names and the number that it is about."""

    obstacle: Obstacle
    name: str | None = None
    of: str | None = None
    number: float | None = None

    def __str__(self) -> str:
        """The obstacle and what it is about, for a traceback: `no source: train.py`."""
        about = [str(each) for each in (self.name, self.of, self.number) if each is not None]
        return ": ".join([self.obstacle.name.lower().replace("_", " "), *about])

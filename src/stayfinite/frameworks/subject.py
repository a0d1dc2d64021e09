"""What is guarded: anything that trains by steps on a state of variables.

The other rooms read a training through this Protocol only. A training of another library is
guarded by a class that implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from stayfinite.frameworks.changeable import Changeable
from stayfinite.frameworks.optimizers import Optimizer
from stayfinite.frameworks.state import Variable
from stayfinite.graph.graph import Role

if TYPE_CHECKING:
    from stayfinite.frameworks.base import GuardedFunction, OnBad
    from stayfinite.frameworks.failure import Failure, Files
    from stayfinite.frameworks.loop_values import LoopValues
    from stayfinite.frameworks.recorder import Recorder
    from stayfinite.frameworks.state import RandomState

# Called with structures of the framework, which have no common type.
TrainStep = Callable[..., Any]
TrainFunction = Callable[..., Any]


class Layer(Protocol):
    """A part of a model. Its settings are attributes."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


@dataclass(frozen=True)
class HeldArray:
    """A place that holds an array: the name `attribute` in a layer, an object, a closure, a module.

    `owner` is the path of the layer, the class or variable of the object, the function of the
    closure, or the name of the module. A `name` of the user's loop has none.
    """

    attribute: str
    kind: Literal["layer", "object", "closure", "module", "name"]
    owner: str


@dataclass(frozen=True)
class Compilation:
    """How a step is compiled.

    Attributes:
        eager: Whether it is run as it is.
        xla: Whether XLA compiles it; "auto" where Keras decides.
        steps_per_execution: Steps that one call of the train function makes.
        strategy: The distribution strategy of TensorFlow; None for the one in use.
    """

    eager: bool
    xla: bool | str = False
    steps_per_execution: int = 1
    strategy: object | None = None


class Subject(Changeable, Protocol):
    """A training: its variables and optimizers, its step, and its names."""

    train_function: TrainFunction | None
    """Makes a step when it is called; None until it has been made."""

    @property
    def library(self) -> str:
        """The library of the training: "keras", or the framework of a loop without Keras."""
        ...

    def attach(self, recorder: Recorder, on_bad: OnBad, *, resumes: bool) -> GuardedFunction:
        """Put the sentinel into the train function; see `Backend.attach`.

        Raises:
            CannotGuardError: the training is of a kind that cannot be guarded.
        """
        ...

    def kept_alive(self) -> Subject:
        """The same subject, with which the model cannot be deleted."""
        ...

    @property
    def name(self) -> str:
        """The name of the model. The paths of its layers begin with it."""
        ...

    @property
    def kind(self) -> str:
        """The class of the model, for messages."""
        ...

    @property
    def input_names(self) -> list[str] | None:
        """The names of the inputs of the model; None where they have none."""
        ...

    @property
    def is_built(self) -> bool:
        """Whether the weights have been made."""
        ...

    @property
    def trainable_variables(self) -> list[Variable]:
        """The weights that the step trains."""
        ...

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Moving statistics, random seeds and frozen weights."""
        ...

    @property
    def metrics_variables(self) -> list[Variable]:
        """Metrics. They are reset before each replay and never checked."""
        ...

    @property
    def optimizers(self) -> Sequence[Optimizer]:
        """Every optimizer, that of the training first.

        One inside a `LossScaleOptimizer` is not listed. Empty where the step has no object for it,
        as with optax, whose settings are part of the compiled step.
        """
        ...

    @property
    def train_step(self) -> TrainStep:
        """One step on a batch, or on a state and a batch, not compiled."""
        ...

    @property
    def uses_default_train_step(self) -> bool:
        """Whether the train step is Keras's own, so that only metrics follow the update."""
        ...

    @property
    def uses_default_metrics(self) -> bool:
        """Whether the metrics are updated by Keras alone."""
        ...

    @property
    def compilation(self) -> Compilation:
        """How the step is compiled."""
        ...

    def roles(self) -> list[list[Role]]:
        """The role of each variable of a state, in its four groups."""
        ...

    def may_keep_infinity(self) -> list[int]:
        """Positions, among trainable and then other variables, of those of the user's own code.

        They may hold an infinity on purpose.
        """
        ...

    def layer_path(self, chain: Sequence[object]) -> str | None:
        """The path of the innermost layer in `chain`, library objects at work, outermost first.

        None outside every layer.
        """
        ...

    def layers(self) -> list[Layer]:
        """Every layer, nested ones too."""
        ...

    def layer(self, path: str) -> Layer | None:
        """The layer with this path, as in `Op.layer` and the names of the state."""
        ...

    def holder_of(
        self, array: np.ndarray, codes: Sequence[CodeType], data: object
    ) -> HeldArray | None:
        """What holds an array that is no variable; None where that is not found.

        `codes` is the code of the functions that read it, `data` that of the step.
        """
        ...

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """Set and return the train function of `train_step`, or of another `step`."""
        ...

    def reset_metrics(self) -> None:
        """Set the metrics to their initial values."""
        ...

    def metrics_result(self) -> dict[str, object]:
        """The present values of the metrics, by name."""
        ...

    def forget_functions(self) -> None:
        """Have the functions for evaluation and prediction compiled again at their next use."""
        ...

    def state_was_stored(self) -> None:
        """Called when the variables have been set to the values of a state inside a step."""
        ...

    def stored_state_is_given_away(self) -> None:
        """Called after that, when a step is about to be made that takes the arrays over."""
        ...

    def config(self) -> dict[str, object] | None:
        """What the training can be made of again without its source; None where it cannot.

        Raises:
            Exception: what the classes of the user raise.
        """
        ...

    def loop_values(self, data: object) -> LoopValues | None:
        """What a step of a loop reads beside its batch and its state; None where that is all."""
        return None

    def with_loop_values(
        self, data: object, values: LoopValues, random: RandomState | None
    ) -> object:
        """`data` with the values of another step, and the random state of its beginning."""
        return data

    def whole(self, failure: Failure) -> Failure:
        """`failure`, with what belongs to its step and was computed before the compiled step."""
        return failure

    def prepare(self, data: object) -> None:
        """Make what the first step would make: slots of the optimizer, and metrics.

        Args:
            data: A batch as the train step takes it; its shapes decide.

        Raises:
            Exception: what the model raises on such a batch.
        """
        ...

    @property
    def weights_file(self) -> str:
        """The name of the file that `save_weights` writes."""
        ...

    def save_weights(self, path: Path) -> None:
        """Write the weights as a file that the library of the training reads.

        Raises:
            Exception: what saving the model raises.
        """
        ...

    def files_of(self, data: object, batch: int | None) -> tuple[Files, ...] | None:
        """The files of each sample of a batch, or None where they are not known.

        Args:
            data: The batch, as the train step was given it.
            batch: Its number within the epoch.

        Raises:
            Exception: what the data set of the user raises.
        """
        ...

    def whole_iteration(self) -> AbstractContextManager[None] | None:
        """Inside the block, a step is made with the other updates of its iteration.

        None where there are none, or where they are not known.
        """
        return None

    @property
    def is_iteration_whole(self) -> bool:
        """Whether the runs in such blocks have made each update that belongs to the iteration."""
        return True


def state_variables(subject: Subject) -> list[list[Variable]]:
    """The variables of a state: trainable, non-trainable, of all optimizers, of metrics."""
    return [
        subject.trainable_variables,
        subject.non_trainable_variables,
        [variable for optimizer in subject.optimizers for variable in optimizer.variables],
        subject.metrics_variables,
    ]

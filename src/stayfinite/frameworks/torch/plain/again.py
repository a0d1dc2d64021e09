"""How the failing step of a loop is made once more.

An `Again` runs the code of the user on a `LoopData`, up to the update. The hooks call `Making`
meanwhile: it gives the saved batches, leaves out updates whose result the weights already have,
notes loss and gradients, and ends the run after the update.

A trainer of another library implements `Again` by a call of its own step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.engine import StepWatcher
from stayfinite.frameworks.torch.plain import verdict
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.optimizer import (
    TorchOptimizer,
    clip,
    dense_gradient,
    gradients_of,
    parameters_of,
)
from stayfinite.frameworks.torch.plain.other_updates import UpdatesOfRun, note
from stayfinite.strict import caught, is_internal


class StepMade(BaseException):
    """The step is done; what follows the update is not run.

    Not an `Exception`: the user's own `except Exception` must not swallow it.
    """


class Again(Protocol):
    """How the failing step is made once more."""

    @property
    def described(self) -> str:
        """What is run: `the loop at train.py:36`."""
        ...

    def make(self, data: LoopData) -> None:
        """Run the step on `data`. `StepMade` ends it after the update.

        Raises:
            CannotRemakeError: it cannot be run.
            StepMade: the update was made.
        """
        ...


class NoLoop:
    """No loop was found around the update."""

    described = "nothing"

    def make(self, data: LoopData) -> None:
        """Never."""
        raise CannotRemakeError(data.missing or WhyNot(Obstacle.NO_LOOP))


class Sharded:
    """A step in which each process has a part of the weights."""

    described = "nothing"

    def make(self, data: LoopData) -> None:
        """Never."""
        raise CannotRemakeError(WhyNot(Obstacle.SHARDED_STEP))


class NoUpdateError(CannotRemakeError):
    """The code of the user ended before the update."""


class Making:
    """What is told of a step that is made again; a `listeners.Replayer`.

    Args:
        optimizer: The optimizer of the failing step.
        num_updates: Its updates before that, in the same iteration, that are left out.
        watcher: Notes loss and gradients.
        clipped: Clippings to try.
        data: Has the batches that loaders give.
        others: Notes the other updates of the iteration, which is then made to its end; None where
            the run ends with the step.

    Attributes:
        num_drawn: How many of these batches were drawn.
        has_bad_gradients: Whether the update of the failing step was given a gradient that is not
            finite.
        at_update: Is called before the update of the failing step.
    """

    def __init__(
        self,
        optimizer: TorchOptimizer,
        num_updates: int,
        watcher: StepWatcher,
        clipped: dict[str, float],
        data: LoopData,
        others: UpdatesOfRun | None = None,
    ) -> None:
        self._optimizer = optimizer
        self._others = others
        self._left_out = num_updates
        self._watcher = watcher
        self._clipped = clipped
        self._draws = iter(
            [(iteration, name) for iteration in data.iterations for name in iteration.draws]
        )
        self._is_last = False
        self._num_losses = 0
        self.num_drawn = 0
        self.has_bad_gradients = False
        self.at_update: Callable[[], None] = lambda: None

    def draw(self) -> Any:
        """The next of the saved batches.

        Raises:
            CannotRemakeError: there is no further one.
            StepMade: there is none, and the step is made.
        """
        self.num_drawn += 1
        iteration, name = next(self._draws, (None, ""))
        if iteration is None:
            if self._is_last and self._others is not None:
                raise StepMade
            raise CannotRemakeError(WhyNot(Obstacle.MORE_BATCHES_AGAIN))
        return iteration.take(name)

    def differentiating(self, root: Any) -> None:
        """Notes the loss. After the gradients, a line search looks for another one."""
        if not self._is_last:
            self._num_losses += 1
            self._watcher.num_losses = self._num_losses
            self._watcher.differentiating(root)
        if self._others is not None:
            self._others.differentiating(root)

    def scaled(self, loss: Any, result: Any) -> None:
        """Notes which loss a `GradScaler` has scaled."""
        self._watcher.scaled(loss, result)

    def updating(self, optimizer: torch.optim.Optimizer) -> None:
        """Notes the gradients, or takes them away from an update that is left out."""
        is_own = optimizer is self._optimizer.inner
        if is_own and self._is_last:
            raise StepMade
        if not is_own or self._left_out > 0:
            if is_own:
                self._left_out -= 1
            elif self._others is not None:
                self._others.updating(optimizer, self._watcher)
            for parameter in parameters_of(optimizer):
                parameter.grad = None
            return
        self._is_last = True
        self.at_update()
        self._optimizer.replace_again()
        clip(optimizer, self._clipped)
        weights = zip(parameters_of(optimizer), self._optimizer.weights, strict=True)
        given = [(dense_gradient(parameter), variable) for parameter, variable in weights]
        pairs = [(gradient, variable) for gradient, variable in given if gradient is not None]
        if self._others is None:
            self._watcher.note(self._optimizer, pairs)
        else:
            note(self._watcher, self._optimizer, pairs)
        self.has_bad_gradients = not verdict.all_finite(gradients_of(optimizer))
        self._watcher.before_update()

    def updated(self, optimizer: torch.optim.Optimizer, *, skipped: bool) -> None:
        """Ends the run after the update of the failing step, or the last one of the iteration."""
        if self._is_last and (self._others is None or self._others.are_over):
            raise StepMade

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """The block makes the step. It may raise anything once that is made."""
        try:
            yield
        except StepMade:
            pass
        except NoUpdateError:
            if not self._is_last:
                raise
        except (Exception, SystemExit) as error:
            if not self._is_last or self._others is None:
                raise
            if isinstance(error, SystemExit | CannotRemakeError):
                return
            if is_internal(error):
                caught("the rest of the iteration", error)

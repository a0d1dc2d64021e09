"""The failing step of a loop, made again with everything put back that it changes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step import CannotRemakeError
from stayfinite.frameworks.torch.engine import StepWatcher
from stayfinite.frameworks.torch.plain import private
from stayfinite.frameworks.torch.plain.again import Again, Making, StepMade
from stayfinite.frameworks.torch.plain.alone import alone
from stayfinite.frameworks.torch.plain.carried import CarriedValues
from stayfinite.frameworks.torch.plain.collectives import LeftOut
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.loop_body import LoopBody
from stayfinite.frameworks.torch.plain.optimizer import held, parameters_of
from stayfinite.frameworks.torch.plain.other_updates import OtherUpdates
from stayfinite.frameworks.torch.plain.processes import apart
from stayfinite.frameworks.torch.plain.resuming import TakenStep
from stayfinite.frameworks.torch.plain.steps import StepPlace
from stayfinite.frameworks.torch.plain.trainers.calls import TrainerStep
from stayfinite.frameworks.torch.plain.watching import Watching

if TYPE_CHECKING:
    from stayfinite.frameworks.torch.plain.subject import TorchLoop


# No further run begins after so many seconds of runs; one run is not interrupted.
MAX_SECONDS = 300.0


class RemadeStep:
    """Makes one step again, as often as it is asked.

    Args:
        watching: Has the hooks.
        again: Runs the code of the user.
        num_updates: Updates of the same optimizer, before the step, that are left out.
        optimizers: Every optimizer of the loop.
        scaler: The `GradScaler` of the step; None if it has none.

    Attributes:
        freed: Parameters that are frozen at the update and not where the step begins.
        has_collapsed: Whether the last run was left out by a loss scale that is too small to be
            what its gradients are not finite for.
        left_out: The calls to other processes that the last run has left out.
        carried: The values with which it begins, of places that it binds anew.
    """

    def __init__(
        self,
        watching: Watching,
        again: Again,
        num_updates: int,
        optimizers: Sequence[torch.optim.Optimizer],
        scaler: Any,
    ) -> None:
        self._watching = watching
        self._again = again
        self._num_updates = num_updates
        self._optimizers = list(optimizers)
        self._scaler = scaler
        self._watcher: StepWatcher | None = None
        self._seconds = 0.0
        self._others: OtherUpdates | None = None
        self.freed: Sequence[torch.Tensor] = ()
        self.has_collapsed = False
        self.left_out = LeftOut()
        self.carried = CarriedValues(())

    @property
    def scale(self) -> str | None:
        """The loss scale as text; None without a `GradScaler`."""
        return None if self._scaler is None else str(float(self._scaler.get_scale()))

    def set_scale(self, scale: float) -> None:
        """Set the loss scale, if there is one."""
        if self._scaler is not None:
            private.set_scale(self._scaler, scale)

    @property
    def trainer(self) -> object | None:
        """The trainer of a library that makes the step; None where none with arguments does."""
        return self._again.trainer if isinstance(self._again, TrainerStep) else None

    def make(self, subject: TorchLoop, data: LoopData) -> None:
        """Run the step of `subject` on `data`, with its update.

        Raises:
            CannotRemakeError: it cannot be run.
        """
        if self._seconds > MAX_SECONDS:
            raise CannotRemakeError(WhyNot(Obstacle.TIME_LIMIT, number=MAX_SECONDS))
        watcher = self._watcher or StepWatcher()
        began = time.monotonic()
        others = None if self._others is None else self._others.begin()
        left_out = self._num_updates
        making = Making(subject.optimizer, left_out, watcher, subject.clipped, data, others)
        making.at_update = self.carried.note_ends
        with (
            apart(subject.modules) as calls,
            private.without_scale(self._optimizers),
            self._begun_unfrozen(),
            self.carried.begun(),
            self._watching.replaying(making),
            making.ending(),
            contextlib.ExitStack() as stack,
        ):
            stack.callback(self._count_since, began)
            is_spent = self._scaler is not None and private.is_spent(self._scaler)
            stack.callback(lambda: self._note_collapse(is_spent and making.has_bad_gradients))
            self.left_out = calls
            self._again.make(data)

    def other_updates(self, subject: TorchLoop) -> OtherUpdates:
        """The optimizers beside that of `subject`, with what the runs of its step show of them."""
        own = subject.optimizer.inner
        others = [optimizer for optimizer in self._optimizers if optimizer is not own]
        return OtherUpdates(others, subject.tensor_names)

    @contextlib.contextmanager
    def with_others(self, others: OtherUpdates) -> Iterator[None]:
        """Inside the block a step is made with all of its iteration."""
        outer, self._others = self._others, others
        try:
            yield
        finally:
            self._others = outer

    def _count_since(self, began: float) -> None:
        self._seconds += time.monotonic() - began

    def _note_collapse(self, has_collapsed: bool) -> None:
        self.has_collapsed = has_collapsed

    def take(
        self,
        subject: TorchLoop,
        data: LoopData,
        running: Sequence[FrameType],
        place: StepPlace | None,
    ) -> TakenStep:
        """Run the step up to its update, for the loop to go on with what it gives.

        Buffers and random generators are left as the run leaves them.

        Raises:
            CannotRemakeError: it cannot be run, or it is not finite.
        """
        taken = TakenStep(
            subject.optimizer,
            self._num_updates,
            data,
            self._optimizers,
            self._scaler,
            running,
            place,
        )
        taken.at_update = self.carried.note_ends
        with (
            self.carried.begun_for_good(),
            self.begun(),
            private.without_scale(self._optimizers),
            self._begun_unfrozen(),
            self._watching.replaying(taken),
            self._again.for_good()
            if isinstance(self._again, LoopBody)
            else contextlib.nullcontext(),
        ):
            with contextlib.suppress(StepMade):
                self._again.make(data)
            taken.require_finite()
        return taken

    def drawing(
        self, subject: TorchLoop, data: LoopData, run: Callable[[Callable[[], int]], None]
    ) -> None:
        """Call `run` with the hooks as in a step that is made again, and put all back.

        It is called with a function that returns how many batches of `data` have been drawn.
        """
        making = Making(subject.optimizer, 0, StepWatcher(), {}, data)
        with (
            self.kept(),
            alone(),
            apart(subject.modules),
            self.carried.begun(),
            self._watching.replaying(making),
        ):
            run(lambda: making.num_drawn)

    def parameters(self) -> list[torch.Tensor]:
        """Those of every optimizer of the loop."""
        return [each for optimizer in self._optimizers for each in parameters_of(optimizer)]

    @contextlib.contextmanager
    def _begun_unfrozen(self) -> Iterator[None]:
        """`freed` are not frozen when the block begins; after it all are as before."""
        before = [(each, each.requires_grad) for each in self.parameters()]
        for each in self.freed:
            each.requires_grad_(True)
        try:
            yield
        finally:
            for each, requires_grad in before:
                each.requires_grad_(requires_grad)

    @contextlib.contextmanager
    def observed(self, watcher: StepWatcher) -> Iterator[None]:
        """Inside the block, `watcher` is called for a step that is made."""
        outer, self._watcher = self._watcher, watcher
        try:
            yield
        finally:
            self._watcher = outer

    @contextlib.contextmanager
    def unobserved(self) -> Iterator[None]:
        """Inside the block, an optimizer is applied without a check."""
        self.has_collapsed = False
        with private.without_scale(self._optimizers), self._watching.replaying(_Unheard()):
            yield

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Optimizers, gradients and loss scale are as they were after the block."""
        with contextlib.ExitStack() as stack:
            for optimizer in self._optimizers:
                stack.enter_context(held(optimizer))
            if self._scaler is not None:
                stack.enter_context(private.fresh_scaler(self._scaler))
            yield

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """As `kept`, without effects outside; no parameter has a gradient when the block begins."""
        with self.kept(), alone():
            for optimizer in self._optimizers:
                for parameter in parameters_of(optimizer):
                    parameter.grad = None
            yield


class _Unheard:
    """A `Replayer` that notes nothing."""

    def draw(self) -> Any:
        """No batch is drawn by an optimizer."""
        raise StopIteration

    def differentiating(self, root: Any) -> None:
        """Nothing."""

    def scaled(self, loss: Any, result: Any) -> None:
        """Nothing."""

    def updating(self, optimizer: torch.optim.Optimizer) -> None:
        """Nothing."""

    def updated(self, optimizer: torch.optim.Optimizer, *, skipped: bool) -> None:
        """Nothing."""

"""The hooks in PyTorch by which loops over `torch.optim` are guarded, and what they note.

`Watching` is one for a process. It is told of four things, none of them per module:

- a batch is drawn from a `DataLoader`: an iteration of the user's loop may begin;
- a backward pass begins: its root is the loss, unscaled where a `GradScaler` has scaled it;
- an optimizer is about to be applied, or has been: the gradients are judged before;
- a `GradScaler` leaves an optimizer out.

A bad step is handed to `Listener.bad`, inside the hook, while the weights are those before it. A
trainer of another library needs nothing here: its steps come through `torch.optim` as well. What it
can add is how its step is made again, see `again.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal, Protocol

import torch

from stayfinite.frameworks.torch.plain import creation, private, verdict
from stayfinite.frameworks.torch.plain.again import Again
from stayfinite.frameworks.torch.plain.calls import CallAgain, StepCall
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.loops import SourceLoop
from stayfinite.frameworks.torch.plain.modules import living
from stayfinite.frameworks.torch.plain.optimizer import (
    gradients_of,
    parameters_of,
)
from stayfinite.frameworks.torch.plain.randomness import GeneratorNotes
from stayfinite.frameworks.torch.plain.steps import (
    Applied,
    Draw,
    Events,
    StepPlace,
    drawn,
    is_header_of,
    lines_of,
    place_of,
    readings_of,
)
from stayfinite.frameworks.torch.plain.trained import Trained
from stayfinite.frameworks.torch.plain.trainers import hook_imported
from stayfinite.frameworks.torch.plain.trainers.calls import Closure, TrainerCalls

# Optimizers whose state is copied before an update that is not known to be finite.
MAX_COPIED_BYTES = 64 * 2**20
MAX_LOSSES = 64

What = Literal["gradients", "loss", "update", "scale"]


@dataclass(frozen=True)
class BadStep:
    """A step that is not to be applied, while its frames are still running.

    Attributes:
        what: What is not finite: a gradient, the loss alone, or the state after the update. With
            "scale", gradients that a loss scale of at most 1 did not make finite.
        optimizer: The optimizer that was to be applied.
        loss: The loss; the first one that is not finite where there are several.
        place: The loop around the step; None where there is none with a source.
        frame: The innermost frame of the user.
        began: What was noted when the iteration began.
        num_updates: Updates by the same optimizer since then.
        scaler: The `GradScaler` that applies the optimizer, if one does.
        again: How the step is made again, where it is known without the source of a loop.
        was_made: Whether the listener has been told that the step is finite.
        is_applied_next: Whether the optimizer is applied if the listener returns True; if not, the
            update is over, or a loss scale has left it out.
    """

    what: What
    optimizer: torch.optim.Optimizer
    loss: torch.Tensor | None
    place: StepPlace | None
    frame: FrameType | None
    began: Applied | None
    num_updates: int
    scaler: Any
    again: Again | None = None
    was_made: bool = False
    is_applied_next: bool = True


class Listener(Protocol):
    """What is told of the steps."""

    def made(self, optimizer: torch.optim.Optimizer, place: StepPlace | None, loss: Any) -> None:
        """A step is finite and is about to be applied."""
        ...

    def bad(self, step: BadStep) -> bool:
        """A step is bad; returns whether it is to be applied all the same. May raise."""
        ...

    def applied_in_backward(self) -> None:
        """An optimizer was applied inside a backward pass, which no step can be made of."""
        ...


class Replayer(Protocol):
    """What is told instead while a step is made again."""

    def draw(self) -> Any:
        """The batch that a loader gives."""
        ...

    def differentiating(self, root: Any) -> None:
        """A backward pass begins."""
        ...

    def scaled(self, loss: Any, result: Any) -> None:
        """A `GradScaler` has scaled a loss."""
        ...

    def updating(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to be applied to the gradients that its parameters have."""
        ...

    def updated(self, optimizer: torch.optim.Optimizer, *, skipped: bool) -> None:
        """An optimizer was applied, or left out by a `GradScaler`."""
        ...


class Watching:
    """What the hooks note of the loops of this process.

    Attributes:
        listener: Is told of each step; None while nothing is guarded.
        replayer: Is told instead while a step is made again.
        events: The draws and updates that the next step may need.
        calls: The calls since the last update that are known to make the step.
        on_error: Called with an internal error, after which nothing is guarded.
    """

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.replayer: Replayer | None = None
        self.events = Events()
        self.calls: list[StepCall] = []
        self.on_error: Callable[[Exception], None] = _raise
        self.generators = GeneratorNotes()
        self.trainer = TrainerCalls(
            self.generators, lambda: self._is_watching, lambda: self.events.last_update
        )
        self._closure: Closure | None = None
        self._trained: dict[int, Trained] = {}
        self._losses: list[torch.Tensor] = []
        self._scaled: tuple[Any, Any] | None = None
        self._scaler: Any = None
        self._has_stepped = False
        self._judged_at: StepPlace | None = None
        self._was_made = False
        self._num_backward = 0
        self._looked_at: set[SourceLoop] = set()
        self._unproved: tuple[BadStep, _Copies] | None = None
        self._installed = False

    def install(self) -> None:
        """Put the hooks in place, once a process.

        Raises:
            CannotGuardError: this release of PyTorch lacks a private name.
        """
        if self._installed:
            return
        self._installed = True
        creation.record()
        private.hook_draws(self._drawing)
        private.hook_backward(self._backward)
        private.hook_scaler(self._scaling, self._applying_scaled)
        private.hook_optimizers(self._created, self._before, self._after)

    def trained(self, optimizer: torch.optim.Optimizer) -> Trained:
        """The modules that `optimizer` trains."""
        found = self._trained.get(id(optimizer))
        if found is None or not found.is_of(optimizer):
            found = self._trained[id(optimizer)] = Trained(optimizer)
        return found

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Every live optimizer that was made or applied."""
        found = [trained.optimizer() for trained in self._trained.values()]
        return [optimizer for optimizer in found if optimizer is not None]

    def begin(self) -> None:
        """A loop may begin now, with optimizers that were made before anything was guarded."""
        hook_imported(self.trainer)
        for optimizer in living(torch.optim.Optimizer):
            self._created(optimizer)

    def data_of_calls(self) -> LoopData | None:
        """The data of the step, where it is made of calls; None where it is that of a loop."""
        if self.trainer:
            return self.trainer.data()
        return LoopData(tuple(call.iteration() for call in self.calls)) if self.calls else None

    @contextlib.contextmanager
    def calling(self, call: StepCall) -> Iterator[None]:
        """Inside the block, `call` makes a step or a part of it."""
        if self.replayer is None and self.listener is not None:
            self.calls.append(call)
        yield

    @contextlib.contextmanager
    def replaying(self, replayer: Replayer) -> Iterator[None]:
        """Inside the block the hooks tell `replayer`, and judge nothing."""
        outer, self.replayer = self.replayer, replayer
        try:
            yield
        finally:
            self.replayer = outer

    def _buffers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The buffers of the modules of every optimizer, each with a copy."""
        found = []
        for trained in self._trained.values():
            if trained.optimizer() is not None:
                found += trained.buffers()
        return found

    @property
    def _is_watching(self) -> bool:
        is_heard = self.listener is not None and self.replayer is None
        return is_heard and bool(self._trained)

    def _drawing(self, draw: Callable[[], Any], source: object) -> Any:
        if self.replayer is not None:
            return self.replayer.draw()
        batch = draw()
        if self._is_watching:
            try:
                generators = self.generators.now()
                self.events.drew(drawn(batch, source, generators, sys._getframe(1)))
            except Exception as error:
                self._end_guard(error)
        return batch

    def _end_guard(self, error: Exception) -> None:
        """An error of our own ends the guard, and not the training."""
        self.listener = None
        self.on_error(error)

    def _backward(self, root: Any, run: Callable[[], Any]) -> Any:
        self._differentiating(root)
        self._num_backward += 1
        try:
            return run()
        finally:
            self._num_backward -= 1

    def _differentiating(self, root: Any) -> None:
        if self.replayer is not None:
            self.replayer.differentiating(root)
            return
        if not self._is_watching:
            return
        self.events.has_backward = True
        tensor = root[0] if isinstance(root, Sequence) and root else root
        if self._scaled is not None and self._scaled[1] is tensor:
            tensor = self._scaled[0]
        if isinstance(tensor, torch.Tensor) and len(self._losses) < MAX_LOSSES:
            self._losses.append(tensor.detach())

    def _scaling(self, loss: Any, result: Any) -> None:
        if self.replayer is not None:
            self.replayer.scaled(loss, result)
        else:
            self._scaled = (loss, result)

    def _applying_scaled(
        self, scaler: Any, optimizer: torch.optim.Optimizer, apply: Callable[[], Any]
    ) -> Any:
        outer, self._scaler = self._scaler, scaler
        self._has_stepped = False
        try:
            result = apply()
        finally:
            self._scaler = outer
        if self._has_stepped:
            return result
        if self.replayer is not None:
            self.replayer.updating(optimizer)
            self.replayer.updated(optimizer, skipped=True)
        elif self._is_watching:
            self._left_out(optimizer, scaler, sys._getframe(1))
        return result

    def _left_out(
        self, optimizer: torch.optim.Optimizer, scaler: Any, innermost: FrameType
    ) -> None:
        """A loss scale has left out a step: bad if the scale is not what made it non-finite."""
        loss = self._bad_loss()
        place = self._place(innermost)
        if loss is not None or scaler.get_scale() <= 1.0:
            what: What = "scale" if loss is None else "gradients"
            bad = self._bad(what, optimizer, loss, place, innermost, scaler)
            self._tell(dataclasses.replace(bad, is_applied_next=False))
        else:
            self._made(optimizer, place)
        self._ended(optimizer, place, innermost)

    def _created(self, optimizer: torch.optim.Optimizer) -> None:
        if self.listener is None or self.replayer is not None:
            return
        try:
            hook_imported(self.trainer)
            self.trained(optimizer)
            began = Applied(id(optimizer), self.generators.now(), {}, {}, self._buffers())
            self.events.updated(began, None)
        except Exception as error:
            self._end_guard(error)

    def _before(self, optimizer: torch.optim.Optimizer, closure: Any) -> Any:
        """Judge the gradients; returns a closure to take the place of `closure`, or None."""
        self._has_stepped = True
        if self._num_backward:
            self._applied_in_backward()
            return None
        if self.replayer is not None:
            return self._before_replayed(optimizer, closure)
        if self.listener is None or torch.compiler.is_compiling():
            return None
        self.trained(optimizer)
        self._closure = closure
        self._was_made = False
        innermost = sys._getframe(1)
        if closure is None:
            self._judge(optimizer, innermost)
            return None
        if not verdict.is_bounded(optimizer):
            self._prepare(self._bad("update", optimizer, None, self._place(innermost), innermost))
        # A line search may go anywhere after the first call.
        return _then_once(closure, lambda: self._judge(optimizer, innermost))

    def _applied_in_backward(self) -> None:
        """Forget the present step, of whose gradients there is never more than a part."""
        if self.listener is None or self.replayer is not None:
            return
        self.events = Events()
        self._losses.clear()
        self.calls.clear()
        self.listener.applied_in_backward()

    def _before_replayed(self, optimizer: torch.optim.Optimizer, closure: Any) -> Any:
        replayer = self.replayer
        assert replayer is not None
        if closure is None:
            replayer.updating(optimizer)
            return None
        return _then_once(closure, lambda: replayer.updating(optimizer))

    def _judge(self, optimizer: torch.optim.Optimizer, innermost: FrameType) -> None:
        gradients = gradients_of(optimizer)
        if private.is_left_to_scale(optimizer):
            return
        size = verdict.bound_of(gradients)
        place = self._judged_at = self._place(innermost)
        bad_loss = self._bad_loss()
        if not math.isfinite(size) and not verdict.all_finite(gradients):
            bad = self._bad("gradients", optimizer, bad_loss, place, innermost, self._scaler)
            if not self._tell(bad):
                return
            self._was_made = True
        elif bad_loss is not None:
            bad = self._bad("loss", optimizer, bad_loss, place, innermost, self._scaler)
            if not self._tell(bad):
                return
            self._was_made = True
        else:
            self._made(optimizer, place)
        if self._unproved is None and not verdict.is_proved(optimizer, size):
            self._prepare(self._bad("update", optimizer, None, place, innermost, self._scaler))

    def _made(self, optimizer: torch.optim.Optimizer, place: StepPlace | None) -> None:
        """Tell of a finite step."""
        if self.listener is None:
            return
        try:
            self.listener.made(optimizer, place, self._loss())
            self._was_made = True
        except Exception as error:
            self._end_guard(error)

    def _prepare(self, bad: BadStep) -> None:
        """Keep what the update writes to, as far as there is room."""
        self._unproved = (bad, _Copies(bad.optimizer))

    def _after(self, optimizer: torch.optim.Optimizer) -> None:
        if self._num_backward:
            return
        if self.replayer is not None:
            self.replayer.updated(optimizer, skipped=False)
            return
        if self.listener is None or torch.compiler.is_compiling():
            return
        innermost = sys._getframe(1)
        place = self._judged_at if self._judged_at is not None else self._place(innermost)
        self._judged_at = None
        unproved, self._unproved = self._unproved, None
        if unproved is not None and not verdict.all_finite(verdict.state_of_update(optimizer)):
            bad, copies = unproved
            copies.restore()
            made = self._was_made
            self._tell(dataclasses.replace(bad, was_made=made, is_applied_next=False))
        self._ended(optimizer, place, innermost)

    def _ended(
        self, optimizer: torch.optim.Optimizer, place: StepPlace | None, innermost: FrameType
    ) -> None:
        self._losses.clear()
        self.calls.clear()
        self._scaled = None
        try:
            self._note_end(optimizer, place, innermost)
        except Exception as error:
            self._end_guard(error)

    def _note_end(
        self, optimizer: torch.optim.Optimizer, place: StepPlace | None, innermost: FrameType
    ) -> None:
        self.trainer.updated(optimizer)
        began, draws = self._since(place)
        is_of_loader = place is not None and any([is_header_of(draw, place) for draw in draws])
        if self.generators.is_probing:
            first = draws[0].generators if draws else began.generators if began else None
            first = self.trainer.first_generators or first
            if first is not None:
                self.generators.step_ended(first)
        if place is not None and place.loop not in self._looked_at:
            self._looked_at.add(place.loop)
            self.generators.look(place.values().values())
        self.trained(optimizer).step_ended()
        self.events.updated(
            Applied(
                id(optimizer),
                self.generators.now(),
                # The next iteration of a loop over a loader begins at a draw.
                {} if is_of_loader else readings_of(innermost),
                lines_of(innermost),
                self._buffers(),
            ),
            place,
        )

    def _place(self, innermost: FrameType) -> StepPlace | None:
        try:
            return place_of(innermost, self.events.draws)
        except Exception as error:
            self._end_guard(error)
            return None

    def _since(self, place: StepPlace | None) -> tuple[Applied | None, list[Draw]]:
        return (self.events.last_update, []) if place is None else self.events.step_at(place)

    def _bad(
        self,
        what: What,
        optimizer: torch.optim.Optimizer,
        loss: torch.Tensor | None,
        place: StepPlace | None,
        innermost: FrameType,
        scaler: Any = None,
    ) -> BadStep:
        loss = self._loss() if loss is None else loss
        if self.trainer:
            num = self.trainer.num_updates(optimizer)
            step = self.trainer.step(optimizer, self._closure, innermost)
            began = self.trainer.began
            return BadStep(what, optimizer, loss, place, innermost, began, num, scaler, step)
        began, _ = self._since(place)
        num = 0 if place is None else self.events.num_updates(place, id(optimizer))
        again = CallAgain(self.calls[-1]) if self.calls else None
        return BadStep(what, optimizer, loss, place, innermost, began, num, scaler, again)

    def _tell(self, bad: BadStep) -> bool:
        """Hand a bad step over; returns whether it is applied, and takes its gradients if not."""
        self._unproved = None
        if self.listener is None:
            return True
        try:
            is_applied = self.listener.bad(bad)
        finally:
            self._losses.clear()
            self.calls.clear()
        if not is_applied:
            for parameter in parameters_of(bad.optimizer):
                parameter.grad = None
        return is_applied

    def _loss(self) -> torch.Tensor | None:
        return self._losses[-1] if self._losses else None

    def _bad_loss(self) -> torch.Tensor | None:
        for loss in self._losses:
            if not verdict.is_finite(loss):
                return loss
        return None


class _Copies:
    """What an update writes to, as it was."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        tensors = verdict.state_of_update(optimizer)
        has_room = sum(tensor.nbytes for tensor in tensors) <= MAX_COPIED_BYTES
        self._optimizer = optimizer
        self._old = [(t, t.detach().clone()) for t in tensors] if has_room else []
        self._state = {parameter: dict(own) for parameter, own in optimizer.state.items()}

    def restore(self) -> None:
        """Put it back."""
        with torch.no_grad():
            for tensor, old in self._old:
                tensor.copy_(old)
        self._optimizer.state.clear()
        self._optimizer.state.update(self._state)


def _then_once(closure: Closure, then: Callable[[], None]) -> Closure:
    """`closure`, followed by `then` where it is called first."""
    is_first = True

    def called() -> Any:
        nonlocal is_first
        result = closure()
        if is_first:
            is_first = False
            then()
        return result

    return called


def _raise(error: Exception) -> None:
    raise error


WATCHING = Watching()

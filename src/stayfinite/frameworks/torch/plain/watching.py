"""The hooks in PyTorch by which loops over `torch.optim` are guarded.

A process has one `Watching`. It is called at four events, none of them per module:

- a batch is drawn from a `DataLoader`: an iteration of the user's loop may begin;
- a backward pass begins: its root is the loss, unscaled where a `GradScaler` has scaled it;
- an optimizer is about to be applied, or has been: the gradients are checked before;
- a `GradScaler` leaves an optimizer out.

Beside them, `next_calls.py` notes what the body of a loop takes by `next`.

`notes.py` keeps what is needed to make a step again, and `judging.py` judges it. A trainer of
another library needs nothing here: its steps come through `torch.optim` as well. What it can add is
how its step is made again, see `again.py`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from stayfinite.frameworks.torch.plain import creation, private, private_hooks
from stayfinite.frameworks.torch.plain.calls import StepCall
from stayfinite.frameworks.torch.plain.judging import FineUpdate, Judge
from stayfinite.frameworks.torch.plain.listeners import Listener, Replayer
from stayfinite.frameworks.torch.plain.modules import living
from stayfinite.frameworks.torch.plain.notes import OptimizerCall, StepNotes
from stayfinite.frameworks.torch.plain.positions import positions_of
from stayfinite.frameworks.torch.plain.trainers import hook_imported
from stayfinite.frameworks.torch.plain.trainers.calls import Closure


class Watching:
    """Passes the events of the loops of this process on, to be noted and checked.

    Attributes:
        replayer: Is called instead while a step is made again.
        notes: What was noted of the present step.
        on_error: Called with an internal error, after which nothing is guarded.
    """

    def __init__(self) -> None:
        self.replayer: Replayer | None = None
        self.on_error: Callable[[Exception], None] = _raise
        self.notes = StepNotes(lambda: self._is_watching)
        self._listener: Listener | None = None
        self._judge: Judge | None = None
        self._update: OptimizerCall | None = None
        self._scaler: Any = None
        self._has_stepped = False
        self._passes = private_hooks.RunningPasses()
        self._regular: FineUpdate | None = None
        self._installed = False

    @property
    def listener(self) -> Listener | None:
        """Is called for each step; None while nothing is guarded."""
        return self._listener

    @listener.setter
    def listener(self, listener: Listener | None) -> None:
        self._listener = listener
        self._judge = None if listener is None else Judge(listener, self.notes, self._end_guard)
        if listener is None:
            self.notes.end()

    def install(self) -> None:
        """Put the hooks in place, once a process.

        Raises:
            CannotGuardError: this release of PyTorch lacks a private name.
        """
        if self._installed:
            return
        self._installed = True
        creation.record()
        private_hooks.hook_draws(self._drawing)
        private_hooks.hook_backward(self._passes, self._began_backward, self._ended_backward)
        private_hooks.hook_clipping(self._clipped)
        private_hooks.hook_scaler(self._scaling, self._applying_scaled)
        private_hooks.hook_optimizers(self._created, self._regrouped, self._before, self._after)

    def begin(self) -> None:
        """A loop may begin now, with optimizers that were made before anything was guarded."""
        hook_imported(self.notes.trainer)
        for optimizer in living(torch.optim.Optimizer):
            self._created(optimizer)

    @contextlib.contextmanager
    def calling(self, call: StepCall) -> Iterator[None]:
        """Inside the block, `call` makes a step or a part of it."""
        if self.replayer is None and self._judge is not None:
            self.notes.calls.append(call)
        yield

    @contextlib.contextmanager
    def replaying(self, replayer: Replayer) -> Iterator[None]:
        """Inside the block the hooks call `replayer`, and no step is checked."""
        outer, self.replayer = self.replayer, replayer
        try:
            yield
        finally:
            self.replayer = outer

    @property
    def _is_watching(self) -> bool:
        return (
            self._judge is not None
            and self.replayer is None
            and bool(self.notes.trained.by_identity)
        )

    def _end_guard(self, error: Exception) -> None:
        """An internal error ends the guard, and not the training."""
        self.listener = None
        self.on_error(error)

    def _created(self, optimizer: torch.optim.Optimizer) -> None:
        if self._judge is None or self.replayer is not None:
            return
        try:
            hook_imported(self.notes.trainer)
            self.notes.created(optimizer, sys._getframe(1))
        except Exception as error:
            self._end_guard(error)

    def _regrouped(self, optimizer: torch.optim.Optimizer) -> None:
        if self._judge is None or self.replayer is not None:
            return
        try:
            self.notes.regrouped(optimizer)
        except Exception as error:
            self._end_guard(error)

    def _drawing(self, draw: Callable[[Any], Any], iterator: Any) -> Any:
        if self.replayer is not None:
            return self.replayer.draw()
        batch = draw(iterator)
        if self._judge is None or torch.is_inference_mode_enabled():
            return batch  # no step is made in this mode: it is an evaluation
        if self.notes.trained.by_identity:
            try:
                # The innermost frame calls the hook, which has called this one.
                if not self.notes.regular.drew(batch, iterator, 2):
                    self.notes.drew(batch, iterator, sys._getframe(2))
            except Exception as error:
                self._end_guard(error)
        return batch

    def _began_backward(self, root: Any) -> bool:
        """Note the loss; returns whether the end of the pass is to be noted."""
        if self.replayer is not None:
            self.replayer.differentiating(root)
        elif self._judge is not None:
            notes = self.notes
            try:
                if notes.passes.is_noting:
                    notes.passes.began(positions_of(sys._getframe(1)))
                notes.differentiated(root)
            except Exception as error:
                self._end_guard(error)
            return notes.passes.is_noting
        return False

    def _ended_backward(self) -> None:
        if self.replayer is None and self._judge is not None and self.notes.passes.is_noting:
            self.notes.passes.ended()

    def _clipped(self, gradients: Any, norm: Any, kind: Any, largest: Any) -> None:
        judge = self._judge
        if judge is None or self.replayer is not None:
            return
        try:
            judge.clipped.clipped(gradients, norm, kind, largest, sys._getframe(1))
        except Exception as error:
            self._end_guard(error)

    def _scaling(self, loss: Any, result: Any) -> None:
        if self.replayer is not None:
            self.replayer.scaled(loss, result)
        else:
            self.notes.scaled(loss, result)

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
            self._left_out(optimizer, scaler)
        return result

    def _left_out(self, optimizer: torch.optim.Optimizer, scaler: Any) -> None:
        assert self._judge is not None
        update = self._noted_update(optimizer, scaler)
        if update is not None:
            self._judge.left_out(update)
            self._ended(update)

    def _before(self, optimizer: torch.optim.Optimizer, closure: Closure | None) -> Any:
        """Judge the gradients; returns a closure to take the place of `closure`, or None."""
        self._has_stepped = True
        if self._passes.num:
            self._applied_in_backward()
            return None
        if self.replayer is not None:
            return self._before_replayed(optimizer, closure)
        judge = self._judge
        if judge is None or torch.compiler.is_compiling():
            return None
        is_scaled = self._scaler is not None
        if is_scaled:
            judge.clipped.forget()  # the scale may be taken from the gradients after it
        if closure is None and not (is_scaled and private.overflow_of_scale(optimizer) is not None):
            try:
                # The innermost frame is that of PyTorch which calls the hook.
                self._regular = judge.fine(optimizer, 2)
            except Exception as error:
                self._end_guard(error)
            if self._regular is not None:
                return None
        update = self._update = self._noted_update(optimizer, self._scaler, closure)
        if update is None:
            return None
        if closure is None:
            judge.before(update)
            return None
        judge.before_closure(update)
        return _then_once(closure, lambda: judge.before(update))

    def _before_replayed(self, optimizer: torch.optim.Optimizer, closure: Closure | None) -> Any:
        replayer = self.replayer
        assert replayer is not None
        if closure is None:
            replayer.updating(optimizer)
            return None
        return _then_once(closure, lambda: replayer.updating(optimizer))

    def _applied_in_backward(self) -> None:
        """Forget the present step, of whose gradients there is never more than a part."""
        if self._listener is not None and self.replayer is None:
            self.notes.forget()
            self._listener.applied_in_backward()

    def _after(self, optimizer: torch.optim.Optimizer) -> None:
        if self._passes.num:
            return
        if self.replayer is not None:
            self.replayer.updated(optimizer, skipped=False)
            return
        judge = self._judge
        if judge is None:
            return
        regular, self._regular = self._regular, None
        if regular is not None and regular[0].trained.optimizer() is optimizer:
            try:
                self.notes.regular_ended(regular[0], regular[1])
            except Exception as error:
                self._end_guard(error)
            return
        update, self._update = self._update, None
        if update is None or update.optimizer is not optimizer:
            if torch.compiler.is_compiling():
                return
            # It has applied another one inside its step.
            update = self._noted_update(optimizer, self._scaler)
        if update is not None:
            judge.after(update)
            self._ended(update)

    def _noted_update(
        self,
        optimizer: torch.optim.Optimizer,
        scaler: Any,
        closure: Closure | None = None,
    ) -> OptimizerCall | None:
        """The present update; None after an error of our own."""
        try:
            # The frames inside are this one, those of the two hooks, and that of PyTorch.
            return self.notes.update(optimizer, sys._getframe(3), scaler, closure)
        except Exception as error:
            self._end_guard(error)
            return None

    def _ended(self, update: OptimizerCall) -> None:
        try:
            self.notes.ended(update)
        except Exception as error:
            self._end_guard(error)


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

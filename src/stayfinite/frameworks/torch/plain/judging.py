"""Judges each update: gradients and loss before it, and the state after it if that is not proved.

The listener is called inside the hook, while the weights are those before the bad step.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import FrameType

import torch

from stayfinite.frameworks.torch.plain import private, sharded, verdict
from stayfinite.frameworks.torch.plain.clipped import ClippedNorm
from stayfinite.frameworks.torch.plain.joint_updates import UpdateCopy, discard_gradients
from stayfinite.frameworks.torch.plain.listeners import BadStep, Listener, Loss
from stayfinite.frameworks.torch.plain.notes import OptimizerCall, StepNotes
from stayfinite.frameworks.torch.plain.optimizer import (
    dense_gradient,
    gradients_of,
    parameters_of,
)
from stayfinite.frameworks.torch.plain.processes import are_several
from stayfinite.frameworks.torch.plain.regular_steps import RegularStep

# What is known of the step, the frame of its loop, and the gradients: the optimizer gets at them in
# less time while they are held.
FineUpdate = tuple[RegularStep, FrameType, list[torch.Tensor]]


class Judge:
    """Calls a listener for each step, finite or bad.

    Args:
        listener: Is called for each step.
        notes: What was noted of the step.
        on_error: Called with an internal error; no step is judged after it.

    Attributes:
        clipped: The norm that the gradients were clipped by.
    """

    def __init__(
        self, listener: Listener, notes: StepNotes, on_error: Callable[[Exception], None]
    ) -> None:
        self._listener = listener
        self._notes = notes
        self._on_error = on_error
        self.clipped = ClippedNorm()
        self._unproved: tuple[BadStep, UpdateCopy] | None = None
        self._is_left_out = False

    def before_closure(self, update: OptimizerCall) -> None:
        """An optimizer is about to be applied that calls a closure, maybe several times."""
        if not verdict.is_bounded(update.optimizer):
            # A line search may try any point after the first call.
            self._prepare(update, None)

    def fine(self, optimizer: torch.optim.Optimizer, inside: int) -> FineUpdate | None:
        """Judge the update of a step if it is made as the one before.

        Args:
            optimizer: Is about to be applied.
            inside: How far the caller is inside the innermost frame.

        Returns:
            The update, if it is known to leave all finite. If not, nothing was done.
        """
        notes = self._notes
        found = notes.regular.found(optimizer, inside + 1)
        if found is None or notes.calls or notes.trainer.noted:
            return None
        if self._unproved is not None or self._listener.takes_finite_steps:
            return None
        step, frame = found
        statistics = notes.trained.statistics() if step.has_buffers else ()
        gradients = step.trained.proof.holds_now(optimizer, statistics, self.clipped)
        if gradients is None or notes.bad_loss(optimizer) is not None:
            return None
        noted = step.noted(frame, notes.events.alone())
        self._listener.made(optimizer, step.place(frame), notes.losses.last, noted)
        return step, frame, gradients

    def before(self, update: OptimizerCall) -> None:
        """An optimizer is about to be applied to the gradients that its parameters have."""
        optimizer = update.optimizer
        overflow = private.overflow_of_scale(optimizer)
        if overflow is not None and not overflow.is_cpu:
            # A fused optimizer leaves the step out by itself, and nothing waits for the device.
            self._made(update)
            return
        if overflow is not None and overflow.item():
            if self._judge_overflow(update, is_applied_next=True):
                overflow.zero_()
            return
        self._is_left_out = self._is_left_out and self._notes.events.is_joint
        if self._is_left_out and update.scaler is None:
            # The update before, by gradients of the same backward passes, was left out.
            discard_gradients(optimizer)
            return
        size = _bound_of_gradients(update)
        bad_loss = self._notes.bad_loss(optimizer)
        is_proved = self._unproved is None and update.trained.proof.holds(optimizer, size)
        # Each of several processes has its own, and gets those of the first one.
        is_spoilt = self._notes.spoilt_buffers(update) and not are_several()
        if is_proved and bad_loss is None and not is_spoilt:
            update.is_proved = True
            self._note_joint(update)
            update.was_made = self._made(update)
            return
        if not math.isfinite(size) and not _all_finite(gradients_of(optimizer), update):
            update.was_made = self._tell_undone(self._notes.bad_step(update, "gradients", bad_loss))
        elif is_spoilt:
            update.was_made = self._tell(self._notes.bad_step(update, "buffers", bad_loss))
        elif bad_loss is not None:
            update.was_made = self._tell(self._notes.bad_step(update, "loss", bad_loss))
        else:
            self._note_joint(update)
            update.was_made = self._made(update)
        if update.was_made and not is_proved and self._unproved is None:
            self._prepare(update, bad_loss)
        elif self._unproved is not None:
            # The optimizer may evaluate its closure again before the new state is judged.
            bad, copies = self._unproved
            seen = {
                id(parameter): gradient.clone()
                for parameter in parameters_of(optimizer)
                if (gradient := dense_gradient(parameter)) is not None
            }
            bad = dataclasses.replace(bad, loss=self._notes.losses.last, gradients=seen)
            self._unproved = bad, copies

    def left_out(self, update: OptimizerCall) -> None:
        """A loss scale has left out a step."""
        self._judge_overflow(update, is_applied_next=False)

    def _judge_overflow(self, update: OptimizerCall, *, is_applied_next: bool) -> bool:
        """Judge a step that a loss scale leaves out: bad if the scale is not what made it so.

        Returns:
            Whether the step is to be applied all the same.
        """
        loss, scaler = self._notes.bad_loss(update.optimizer), update.scaler
        if loss is None and (scaler is None or not private.is_spent(scaler)):
            self._made(update)
            return False
        bad = self._notes.bad_step(update, "scale" if loss is None else "gradients", loss)
        return self._tell(dataclasses.replace(bad, is_applied_next=is_applied_next))

    def after(self, update: OptimizerCall) -> None:
        """The optimizer was applied."""
        if self._unproved is None:
            return
        (bad, copies), self._unproved = self._unproved, None
        if not _all_finite(verdict.state_of_update(update.optimizer), update):
            copies.restore()
            made = update.was_made
            self._tell(dataclasses.replace(bad, was_made=made, is_applied_next=False))

    def _made(self, update: OptimizerCall) -> bool:
        """Call the listener for a finite step; returns whether it was called."""
        if self._listener.takes_finite_steps:
            self._listener.bad(self._notes.bad_step(update, "gradients"))
            return True
        loss = self._notes.losses.last
        try:
            self._listener.made(update.optimizer, update.place, loss)
        except Exception as error:
            self._on_error(error)
            return False
        return True

    def _prepare(self, update: OptimizerCall, bad_loss: Loss | None) -> None:
        """Keep what the update writes to, as far as there is room.

        The losses since the last update are forgotten where a bad one was handed on.
        """
        bad = self._notes.bad_step(update, "update", bad_loss)
        self._unproved = bad, UpdateCopy(update.optimizer)

    def _note_joint(self, update: OptimizerCall) -> None:
        """Note an update that a later one of the same gradients may make a part of a bad step."""
        # The gradients of a loss scale may be infinite.
        if update.scaler is None and not update.trained.is_flattened:
            self._notes.joint.before(update.optimizer)

    def _tell_undone(self, bad: BadStep) -> bool:
        """As `_tell`, with the earlier updates by the same gradients undone."""
        undone = self._notes.joint.undo()
        is_applied = self._tell(dataclasses.replace(bad, num_undone=len(undone.made)))
        if is_applied:
            undone.redo()
        else:
            undone.discard()
        return is_applied

    def _tell(self, bad: BadStep) -> bool:
        """Call the listener for a bad step; returns whether the step is applied.

        If it is not, its gradients are taken away.
        """
        self._unproved = None
        try:
            is_applied = self._listener.bad(bad)
        finally:
            self._notes.forget_calls()
        self._is_left_out = not is_applied
        if not is_applied:
            discard_gradients(bad.optimizer)
        return is_applied


def _bound_of_gradients(update: OptimizerCall) -> float:
    """A bound on the magnitude of every element, in all processes where each has a part."""
    optimizer = update.optimizer
    if update.trained.is_flattened:
        return sharded.bound_of(gradients_of(optimizer), parameters_of(optimizer))
    return verdict.bound_of_gradients(optimizer)


def _all_finite(tensors: list[torch.Tensor], update: OptimizerCall) -> bool:
    """Whether every element is finite, in all processes where each has a part."""
    if update.trained.is_flattened:
        return sharded.all_finite(tensors, parameters_of(update.optimizer))
    return verdict.all_finite(tensors)

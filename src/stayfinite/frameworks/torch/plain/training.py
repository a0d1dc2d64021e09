"""The steps of the loops of a program: recorded, and a bad one explained as a `Failure`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Protocol

import torch

from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.recorder import KnownFlag, Recorder
from stayfinite.frameworks.state import RandomState, State
from stayfinite.frameworks.step import CannotRemakeError, Outcome
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain import sharded, verdict
from stayfinite.frameworks.torch.plain.again import Again
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.frames import all_values_of, user_frames
from stayfinite.frameworks.torch.plain.listeners import BadStep, Loss
from stayfinite.frameworks.torch.plain.loop_body import LoopBody
from stayfinite.frameworks.torch.plain.modules import modules_in, named, outermost
from stayfinite.frameworks.torch.plain.optimizer import dense_gradient, gradients_of, parameters_of
from stayfinite.frameworks.torch.plain.processes import ending_together, num_processes
from stayfinite.frameworks.torch.plain.randomness import Generators
from stayfinite.frameworks.torch.plain.recorded_data import (
    is_known,
    measure_lists,
    put_together,
    with_taken_batches,
)
from stayfinite.frameworks.torch.plain.remade import RemadeStep
from stayfinite.frameworks.torch.plain.resuming import CannotResumeError
from stayfinite.frameworks.torch.plain.step_data import NotedStep, note_step
from stayfinite.frameworks.torch.plain.steps import StepPlace
from stayfinite.frameworks.torch.plain.subject import TorchLoop
from stayfinite.frameworks.torch.plain.trainers.calls import TrainerStep
from stayfinite.frameworks.torch.plain.watching import Watching
from stayfinite.frameworks.torch.state import num_bytes_of, random_state, state_of, store
from stayfinite.graph.running_loops import running

# Snapshots are made at growing distances of up to so many steps.
_MAX_BETWEEN_SNAPSHOTS = 1000


class Owner(Protocol):
    """What handles the bad steps."""

    recorder: Recorder
    keep: Path
    script: str | None

    def handle(self, failure: Failure) -> Resumption:
        """Explain a bad step; raises where the training ends."""
        ...

    def bad_loss(self, step: int, loss: float) -> bool:
        """A loss is not finite and every gradient is; returns whether the step is bad."""
        ...

    def applied_in_backward(self) -> None:
        """An optimizer was applied inside a backward pass."""
        ...

    def made_by_repair(self, step: int) -> None:
        """The repaired body of a running loop has made a bad step finite."""
        ...

    def cannot_resume(self, reason: str) -> None:
        """The loop cannot go on as was decided; from now on a bad step ends it."""
        ...


class Training:
    """The `listeners.Listener` that the hooks call.

    Args:
        watching: Has the hooks.
        owner: Handles the bad steps.
        is_of_notebook: Whether a block with its own settings replaces it.
    """

    takes_finite_steps = False

    def __init__(self, watching: Watching, owner: Owner, *, is_of_notebook: bool = False) -> None:
        self._watching = watching
        self._notes = watching.notes
        self._owner = owner
        self.is_of_notebook = is_of_notebook
        self._repaired: set[str] = set()
        self._next_snapshot = 1

    def made(
        self,
        optimizer: torch.optim.Optimizer,
        place: StepPlace | None,
        loss: Loss | None,
    ) -> None:
        """Record a finite step."""
        recorder = self._owner.recorder
        step = recorder.num_steps
        if step >= self._next_snapshot:
            subject = self._subject_for_copies(optimizer, place)
            recorder.snapshots.take(
                step,
                first_of_epoch=True,
                num_bytes=lambda: num_bytes_of(subject()),
                copy=lambda: self._snapshot(step, subject()),
            )
        data = self._data(place)
        recorder.keep(data, data.nbytes)
        if loss is not None:
            recorder.losses.keep(step, None, loss)

    # The update may be inside `torch.no_grad()`; the step that is made again is not.
    @torch.enable_grad()
    def bad(self, step: BadStep) -> bool:
        """Have the owner handle a bad step; returns whether it is to be applied all the same."""
        owner = self._owner
        number = owner.recorder.num_steps - step.was_made
        if step.what == "loss" and step.loss is not None:
            value = _mean(step.loss)
            if not owner.bad_loss(number, value):
                self.made(step.optimizer, step.place, None)
                return True
        if step.began is not None:
            with torch.no_grad():
                for buffer, copy in step.began.buffers:
                    buffer.copy_(copy)
        if not step.was_made:
            noted = self._data(step.place)
            owner.recorder.keep(noted, noted.nbytes)
        bad, healthy = owner.recorder.take(number)
        optimizers = self._notes.trained.optimizers()
        place = step.place
        is_sharded = sharded.is_sharded(parameters_of(step.optimizer))
        is_loop = place is not None and not step.again and not is_sharded
        body = LoopBody(place.frame, place.loop) if is_loop and place is not None else None
        generators = self._notes.generators.everything()
        bad, *healthy = [put_together(each, body) for each in (bad, *healthy)]
        again: Again = _Sharded() if is_sharded else step.again or body or _NoLoop()
        remade = RemadeStep(self._watching, again, step.num_updates, optimizers, step.scaler)
        subject = self._subject(step.optimizer, step.frame, remade)
        state = state_of(subject)
        healthy = [each for each in healthy if is_known(each.data)]
        if body is not None:
            measure_lists(subject, body, bad.data)
            bad, *healthy = with_taken_batches(subject, body, [bad, *healthy])
        data = bad.data
        assert isinstance(data, LoopData)
        if body is not None:
            body.fails_with(data)
        failure = Failure(
            subject=subject,
            state=_with_random(state, data),
            bad=bad,
            healthy=healthy,
            snapshots=owner.recorder.snapshots.all(),
            losses=owner.recorder.losses.before(number),
            rerun=lambda: self._fails_again(subject, data),
            keep=owner.keep,
            script=owner.script,
            seen=_seen(subject, step),
            remade_by=again.described,
            num_processes=num_processes(subject.modules),
            cannot_resume=_why_not_resumed(subject),
        )
        is_applied = False
        try:
            with ending_together(subject.modules), contextlib.ExitStack() as stack:
                if body is not None:
                    stack.enter_context(running(body))
                is_applied = self._goes_on(step, failure, subject, body, generators)
        finally:
            if not is_applied:
                generators.restore()
        return is_applied

    def _goes_on(
        self,
        step: BadStep,
        failure: Failure,
        subject: TorchLoop,
        body: LoopBody | None,
        generators: Generators,
    ) -> bool:
        """Have a bad step handled; whether it was made again and is to be applied."""

        def resume(resumption: Resumption) -> None:
            generators.restore()
            self._resume(step, subject, resumption)

        owner = self._owner
        if body is not None and body.file in self._repaired:
            # The code of a running loop stays as it is, so its repair makes each step that fails.
            try:
                resume(Resumption(failure.bad))
            except CannotRemakeError:
                pass  # a failure of another kind
            else:
                owner.made_by_repair(failure.bad.step)
                return True
        resumption = owner.handle(failure)
        if resumption.again is None:
            return False
        try:
            resume(resumption)
        except CannotRemakeError as error:
            owner.cannot_resume(str(error))
            owner.handle(failure)
            return False
        if body is not None and body.is_patched:
            self._repaired.add(body.file)
        return True

    def _resume(self, step: BadStep, subject: TorchLoop, resumption: Resumption) -> None:
        """Make the step again for good.

        Raises:
            CannotRemakeError: it cannot be made, or it is not finite.
        """
        recorded = resumption.again
        assert recorded is not None and isinstance(recorded.data, LoopData)
        if resumption.state is not None:
            if len(self._notes.trained.optimizers()) > 1:
                raise CannotResumeError("the loop has several optimizers, and one of them is known")
            store(subject, resumption.state)
        if resumption.then is not None:
            resumption.then()
        is_of_trainer = isinstance(step.again, TrainerStep)
        frames = [] if is_of_trainer else list(user_frames(step.frame))
        taken = subject.remade.take(subject, recorded.data, frames, step.place)
        taken.give()
        recorder = self._owner.recorder
        recorder.again(recorded)
        if taken.loss is not None:
            recorder.losses.keep(recorded.step, None, taken.loss)
        recorder.expect(KnownFlag(-1))
        recorder.first_bad(wait=False)
        if not step.is_applied_next:
            with subject.remade.unobserved():
                step.optimizer.step()

    def applied_in_backward(self) -> None:
        """Report an optimizer that is not guarded to the owner."""
        self._owner.applied_in_backward()

    def _data(self, place: StepPlace | None) -> LoopData | NotedStep:
        """What is known of the data of the present step."""
        data = self._notes.data_of_calls()
        if data is not None:
            return data
        if place is None:
            return LoopData((), "no loop of a file with source is around the update")
        return note_step(place, self._notes.events, self._notes.passes.of_step())

    def _subject(
        self, optimizer: torch.optim.Optimizer, frame: FrameType | None, remade: RemadeStep
    ) -> TorchLoop:
        names: dict[str, object] = {}
        for each in reversed(list(user_frames(frame))):
            names.update(all_values_of(each))
        roots = self._notes.trained.of(optimizer).roots
        inside = {id(module) for root in roots for module in root.modules()}
        beside = [m for m in modules_in(names) if id(m) not in inside]
        others = outermost(beside)
        found = named([*roots, *others], names)
        return TorchLoop(optimizer, found[: len(roots)], found[len(roots) :], remade)

    def _subject_for_copies(
        self, optimizer: torch.optim.Optimizer, place: StepPlace | None
    ) -> Callable[[], TorchLoop]:
        def make() -> TorchLoop:
            remade = RemadeStep(self._watching, _NoLoop(), 0, [optimizer], None)
            return self._subject(optimizer, None if place is None else place.frame, remade)

        return make

    def _snapshot(self, step: int, subject: TorchLoop) -> State:
        """A copy of the state. The next one follows when twice as many steps are made."""
        self._next_snapshot = min(2 * step, step + _MAX_BETWEEN_SNAPSHOTS)
        return state_of(subject, device="cpu")

    def _fails_again(self, subject: TorchLoop, data: LoopData) -> bool:
        """Run the step as it is, and say whether a gradient is not finite."""
        with subject.remade.kept():
            for parameter in parameters_of(subject.optimizer.inner):
                parameter.grad = None
            subject.train_step(data)
            return not verdict.all_finite(gradients_of(subject.optimizer.inner))


def _why_not_resumed(subject: TorchLoop) -> str | None:
    """Why the step of a loop cannot be made again for good; None where it can."""
    if num_processes(subject.modules) > 1:
        return "its gradients are a mean over several processes"
    if sharded.is_sharded(parameters_of(subject.optimizer.inner)):
        return "its weights are sharded over several processes"
    if isinstance(subject.optimizer.inner, torch.optim.LBFGS):
        return "the optimizer LBFGS makes several evaluations in one step"
    return None


class _NoLoop:
    """No loop was found around the update."""

    described = "nothing"

    def make(self, data: LoopData) -> None:
        """Never."""
        raise CannotRemakeError(data.missing or "no loop is around the update")


class _Sharded:
    """A step in which each process has a part of the weights."""

    described = "nothing"

    def make(self, data: LoopData) -> None:
        """Never."""
        raise CannotRemakeError(
            "its weights are sharded over several processes, and one process alone has not all "
            "of them; look at the batch that each process has kept"
        )


def _with_random(state: State, data: LoopData) -> State:
    """`state` with the generators at the beginning of the step."""
    random: RandomState = data.iterations[0].generators.torch if data.iterations else random_state()
    return State.of(state.groups, random)


def _seen(subject: TorchLoop, step: BadStep) -> Outcome:
    """Loss and gradients as training had them."""
    loss, seen = step.loss, step.gradients
    gradients = {}
    for variable in subject.optimizer.weights:
        parameter = private.tensor_of(variable)
        found = dense_gradient(parameter) if seen is None else seen.get(id(parameter))
        if found is not None:
            gradients[variable.path] = private.numpy_of(sharded.local(found)).copy()
    value = 0.0 if loss is None else _mean(loss)
    return Outcome(value, gradients, ())


def _mean(loss: Loss) -> float:
    """The mean of a loss in float32, which losses are compared in."""
    return float(torch.as_tensor(loss).float().mean())

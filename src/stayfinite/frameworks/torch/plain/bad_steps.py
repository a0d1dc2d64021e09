"""A bad step of a loop: what is known of it as a `Failure`, and the step made again for good."""

from __future__ import annotations

import contextlib

import torch

from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.frames import user_frames
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.recorder import KnownFlag
from stayfinite.frameworks.state import RandomState, State
from stayfinite.frameworks.step import CannotRemakeError, Outcome
from stayfinite.frameworks.torch.plain import sharded, verdict
from stayfinite.frameworks.torch.plain.again import Again, NoLoop, Sharded
from stayfinite.frameworks.torch.plain.calls import CallAgain
from stayfinite.frameworks.torch.plain.carried import CarriedValues
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.drawn_before import begun_after_draws
from stayfinite.frameworks.torch.plain.found_subject import subject_of
from stayfinite.frameworks.torch.plain.frozen import begin_unfrozen
from stayfinite.frameworks.torch.plain.later_beginnings import (
    begun_carried,
    begun_later,
    gradients_by_path,
    is_made,
)
from stayfinite.frameworks.torch.plain.listeners import BadStep, Loss
from stayfinite.frameworks.torch.plain.loop_body import LoopBody
from stayfinite.frameworks.torch.plain.optimizer import gradients_of, parameters_of
from stayfinite.frameworks.torch.plain.owner import Owner
from stayfinite.frameworks.torch.plain.processes import (
    are_several,
    ending_together,
    num_processes,
)
from stayfinite.frameworks.torch.plain.randomness import Generators
from stayfinite.frameworks.torch.plain.recorded_data import (
    is_known,
    make_once,
    measure_lists,
    put_together,
    with_taken_batches,
)
from stayfinite.frameworks.torch.plain.remade import RemadeStep
from stayfinite.frameworks.torch.plain.resuming import CannotResumeError
from stayfinite.frameworks.torch.plain.step_data import NotedStep
from stayfinite.frameworks.torch.plain.subject import TorchLoop
from stayfinite.frameworks.torch.plain.trainers.calls import TrainerStep
from stayfinite.frameworks.torch.plain.watching import Watching
from stayfinite.frameworks.torch.state import random_state, state_of, store
from stayfinite.graph.running_loops import running


class BadLoopSteps:
    """Has the bad steps of a program handled.

    Args:
        watching: Has the hooks.
        owner: Handles the bad steps.
    """

    def __init__(self, watching: Watching, owner: Owner) -> None:
        self._watching = watching
        self._notes = watching.notes
        self._owner = owner
        self._repaired: set[str] = set()

    # The update may be inside `torch.no_grad()`; the step that is made again is not.
    @torch.enable_grad()
    def handle(self, step: BadStep, number: int, data: LoopData | NotedStep | None) -> bool:
        """Have the owner handle a bad step; returns whether it is to be applied all the same.

        Args:
            step: The step.
            number: Its number.
            data: What is known of its data; None if it is recorded.
        """
        owner = self._owner
        if step.began is not None:
            with torch.no_grad():
                for buffer, copy in step.began.buffers:
                    buffer.copy_(copy)
        if data is not None:
            owner.recorder.keep(data, data.nbytes)
        bad, healthy = owner.recorder.take(number)
        optimizers = self._notes.trained.optimizers()
        place = step.place
        is_sharded = sharded.is_sharded(parameters_of(step.optimizer))
        is_loop = place is not None and not step.again and not is_sharded
        body = LoopBody(place.frame, place.loop) if is_loop and place is not None else None
        if place is not None:
            self._notes.generators.look(place.values().values())
        generators = self._notes.generators.everything()
        bad, *healthy = [put_together(each, body) for each in (bad, *healthy)]
        again: Again = Sharded() if is_sharded else step.again or body or NoLoop()
        remade = RemadeStep(self._watching, again, step.num_updates, optimizers, step.scaler)
        subject = subject_of(self._notes, step.optimizer, step.frame, remade)
        state, seen = state_of(subject), _seen(subject, step)
        healthy = [each for each in healthy if is_known(each.data)]
        begin_unfrozen(subject, bad.data, seen)
        began_with = CarriedValues(() if step.began is None else step.began.carried)
        carried = begun_carried(subject, body, bad, seen, began_with)
        if carried is None and body is not None and body.file not in self._repaired:
            begun = begun_after_draws(subject, bad, generators)
            if begun is not bad and isinstance(begun.data, LoopData):
                carried = begun_carried(subject, body, begun, seen, began_with)
                is_other = carried is None and not is_made(subject, begun.data, seen)
                bad = bad if is_other else begun
        if carried is not None:
            # The items that the steps before have taken from a list are not known.
            healthy = healthy if carried.data is bad.data else []
            bad = carried
        elif body is not None:
            measure_lists(subject, body, bad.data)
            # A repaired body is not the one that training has run.
            if place is not None and body.file not in self._repaired:
                begun = begun_later(subject, body, bad, place, seen)
                # The beginnings of the steps before are not known.
                healthy = healthy if begun is bad else []
                bad = begun
        if body is not None:
            bad, *healthy = with_taken_batches(subject, body, [bad, *healthy])
        known = bad.data
        assert isinstance(known, LoopData)
        if body is not None:
            body.fails_with(known)
        num = 1 if is_sharded else _num_averaging(subject, known)
        failure = Failure(
            subject=subject,
            state=_with_random(state, known),
            bad=bad,
            healthy=healthy,
            snapshots=owner.recorder.snapshots.all(id(step.optimizer)),
            losses=owner.recorder.losses.before(number),
            rerun=lambda: _fails_again(subject, known, self._notes.trained.statistics()),
            keep=owner.keep,
            script=owner.script,
            seen=seen,
            remade_by=again.described,
            num_processes=num,
            num_stopping=torch.distributed.get_world_size() if is_sharded else num,
            cannot_remake=again.cannot_remake if isinstance(again, CallAgain) else None,
            cannot_resume=_why_not_resumed(subject, num),
        )
        is_applied = False
        try:
            with ending_together(failure.num_stopping), contextlib.ExitStack() as stack:
                if body is not None:
                    stack.enter_context(running(body))
                is_applied = self._goes_on(step, failure, subject, body, generators)
        finally:
            if not is_applied:
                generators.restore()
                subject.remade.carried.put_back_buffers()
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
            owner.cannot_resume(error.why)
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
                raise CannotResumeError(WhyNot(Obstacle.SEVERAL_OPTIMIZERS))
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


def _fails_again(subject: TorchLoop, data: LoopData, buffers: list[torch.Tensor]) -> bool:
    """Run the step as it is, and say whether it makes a gradient or a buffer non-finite."""
    copies = [(buffer, buffer.detach().clone()) for buffer in buffers]
    is_bad = False

    def judge() -> None:
        nonlocal is_bad
        is_bad = not verdict.all_finite(gradients_of(subject.optimizer.inner))
        is_bad |= not all(verdict.is_unspoilt(old, new) for new, old in copies)

    make_once(subject, data, then=judge)
    with torch.no_grad():
        for buffer, copy in copies:
            buffer.copy_(copy)
    return is_bad


def _num_averaging(subject: TorchLoop, data: LoopData) -> int:
    """Over how many processes the gradients of a step are a mean.

    A program that takes the mean by itself reduces each gradient, or all of them in one tensor.
    """
    num = num_processes(subject.modules)
    if num > 1 or not are_several():
        return num
    make_once(subject, data)
    sizes = [weight.numel() for weight in parameters_of(subject.optimizer.inner)]
    is_mean = subject.remade.left_out.largest >= max(sizes, default=1)
    return int(torch.distributed.get_world_size()) if is_mean else 1


def _why_not_resumed(subject: TorchLoop, num_averaging: int) -> WhyNot | None:
    """Why the step of a loop cannot be made again for good; None where it can."""
    if num_averaging > 1:
        return WhyNot(Obstacle.GRADIENTS_OVER_PROCESSES)
    if sharded.is_sharded(parameters_of(subject.optimizer.inner)):
        return WhyNot(Obstacle.SHARDED_WEIGHTS)
    if isinstance(subject.optimizer.inner, torch.optim.LBFGS):
        return WhyNot(Obstacle.SEVERAL_EVALUATIONS)
    return None


def _with_random(state: State, data: LoopData) -> State:
    """`state` with the generators at the beginning of the step."""
    random: RandomState = data.iterations[0].generators.torch if data.iterations else random_state()
    return State.of(state.groups, random)


def _seen(subject: TorchLoop, step: BadStep) -> Outcome:
    """Loss and gradients as training had them."""
    value = 0.0 if step.loss is None else mean_of(step.loss)
    return Outcome(value, gradients_by_path(subject, step.gradients), ())


def mean_of(loss: Loss) -> float:
    """The mean of a loss in float32, which losses are compared in."""
    return float(torch.as_tensor(loss).float().mean())

"""A bad step as the guard passes it to the explanation, and how the training goes on after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.state import State
from stayfinite.frameworks.state_log import MadeAgain
from stayfinite.frameworks.step import Outcome
from stayfinite.frameworks.subject import Subject

# The files that one sample of a batch was read from.
Files = tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A bad step, and what was kept from before.

    Attributes:
        subject: The training.
        state: The whole state before the step: weights, moving statistics, optimizer variables,
            random seeds.
        bad: The batch of the step, and where it is in the training.
        keep: Folder for the incident.
        script: The script as the user named it.
        healthy: The batches before it, newest first.
        snapshots: Earlier states, newest first.
        losses: The losses in the logs of the steps before, oldest first.
        rerun: Runs the compiled step that failed on copies of state and batch; returns whether it
            is non-finite again.
        files: The files of each sample of the bad batch; None where they are not known. It may
            raise anything, since it runs code of the user.
        seen: Loss and gradients of the step as training had them, to compare a run of it with.
            None where every run is the step.
        num_processes: Over how many processes the gradients are a mean. With more than one, the
            step is made again in this one alone, and only its loss can be compared.
        num_stopping: How many processes judge the step as this one does, and stop at it.
        cannot_remake: Why the step that failed cannot be made again, where that is known before it
            is tried.
        cannot_resume: Why the training cannot make the step again and go on; None where it can.
        remade_by: What is run to make the step again: `the loop at train.py:36`; set with `seen`.
        num_others: How many steps other hand-written loops made before it.
        is_same_program: Whether the step that is run op by op is the program that failed; None
            where that is not known.
        is_applied: Whether the step was found to be bad after the program had applied its update.
        made_again: Makes the steps before again; returns the state that they lead to, if something
            else has changed it and the bad step is finite on it.
    """

    subject: Subject
    state: State
    bad: RecordedBatch
    keep: Path
    script: str | None
    healthy: list[RecordedBatch] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    losses: tuple[LoggedLoss, ...] = ()
    rerun: Callable[[], bool] = lambda: False
    files: Callable[[], tuple[Files, ...] | None] = lambda: None
    seen: Outcome | None = None
    remade_by: str | None = None
    num_processes: int = 1
    num_stopping: int = 1
    cannot_remake: WhyNot | None = None
    cannot_resume: WhyNot | None = None
    num_others: int = 0
    is_same_program: Callable[[], bool | None] = lambda: None
    is_applied: bool = False
    made_again: Callable[[], MadeAgain | None] = lambda: None


@dataclass(frozen=True)
class Resumption:
    """How a training goes on after a bad step.

    The steps that were made since then are made again, because none of them was applied.

    Attributes:
        again: The step to make in the place of the bad one; None if it is left out.
        state: Another state to go on from; None for that before the bad step.
        then: Called when that state has been set; it may change settings.
        is_whole: Whether the other state has metrics to go on with, too.
    """

    again: RecordedBatch | None = None
    state: State | None = None
    then: Callable[[], None] | None = None
    is_whole: bool = False

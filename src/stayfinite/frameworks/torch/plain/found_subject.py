"""The subject of a step of a loop: found by its optimizer and by the names of the user's frames."""

from __future__ import annotations

from types import FrameType

import torch

from stayfinite.frameworks.frames import all_values_of, user_frames
from stayfinite.frameworks.torch.plain.modules import modules_in, named, outermost
from stayfinite.frameworks.torch.plain.notes import StepNotes
from stayfinite.frameworks.torch.plain.processes import with_parallel
from stayfinite.frameworks.torch.plain.remade import RemadeStep
from stayfinite.frameworks.torch.plain.subject import TorchLoop


def subject_of(
    notes: StepNotes,
    optimizer: torch.optim.Optimizer,
    frame: FrameType | None,
    remade: RemadeStep,
) -> TorchLoop:
    """The modules that take part in a step, with the names that the user's frames have for them.

    Args:
        notes: Knows which modules the optimizer trains.
        optimizer: The optimizer that the step applies.
        frame: The innermost frame of the step; None where it is not known.
        remade: Makes the step again.
    """
    names: dict[str, object] = {}
    for each in reversed(list(user_frames(frame))):
        names.update(all_values_of(each))
    roots = with_parallel(notes.trained.of(optimizer).roots)
    inside = {id(module) for root in roots for module in root.modules()}
    beside = [m for m in modules_in(names) if id(m) not in inside]
    others = outermost(beside)
    found = named([*roots, *others], names)
    return TorchLoop(optimizer, found[: len(roots)], found[len(roots) :], remade)

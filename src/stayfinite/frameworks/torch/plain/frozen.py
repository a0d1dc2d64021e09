"""Parameters that the step freezes after it has used them, as those of a critic for its actor.

At the update they are frozen. The step may have differentiated them before that, so it is tried
with none of them frozen where it begins.
"""

from __future__ import annotations

from stayfinite.frameworks.step import Outcome
from stayfinite.frameworks.torch.plain.data import LoopData
from stayfinite.frameworks.torch.plain.later_beginnings import is_made
from stayfinite.frameworks.torch.plain.subject import TorchLoop


def begin_unfrozen(subject: TorchLoop, data: object, seen: Outcome) -> None:
    """Have the step begin without frozen parameters, if it is that of training only so.

    Args:
        subject: Makes the step.
        data: Of the step.
        seen: Loss and gradients as training had them.
    """
    remade = subject.remade
    frozen = [each for each in remade.parameters() if not each.requires_grad]
    if not frozen or not isinstance(data, LoopData) or data.missing is not None:
        return
    if is_made(subject, data, seen):
        return
    remade.freed = frozen
    if not is_made(subject, data, seen):
        remade.freed = ()

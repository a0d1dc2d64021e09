"""The first steps of the loops of a script, handed over as if they were bad, for a replay."""

from __future__ import annotations

from stayfinite.frameworks.torch.plain.owner import Owner
from stayfinite.frameworks.torch.plain.training import Training
from stayfinite.frameworks.torch.plain.watching import WATCHING


def watch_first_steps(owner: Owner) -> None:
    """Hand each step of `torch.optim` over to `owner.handle` before its update.

    Raises:
        CannotGuardError: this release of PyTorch lacks a name that is needed.
    """
    WATCHING.install()
    WATCHING.listener = _FirstSteps(WATCHING, owner)


class _FirstSteps(Training):
    """A `listeners.Listener` that makes no difference between finite and bad steps."""

    takes_finite_steps = True

"""Why a training is not that of an incident, as far as the names of its variables say it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from stayfinite.frameworks.saved_names import unknown_names
from stayfinite.frameworks.state import Variable
from stayfinite.replay.saved_step import SavedStep


@dataclass(frozen=True)
class Misfit:
    """The reason, in one clause.

    `is_final`: the training has the variables of the incident otherwise, so that no other one of
    the script will fit.
    `is_of_batch`: the variables are those of the incident, and the batch of this step is not. A
    later step of the same training may fit.
    """

    reason: str
    is_final: bool = False
    is_of_batch: bool = False


def missing_variable(groups: Sequence[Sequence[Variable]], saved: SavedStep) -> Misfit | None:
    """A weight or statistic of the training that the incident does not have."""
    unknown = unknown_names([*groups[:2], [], []], saved.state, ())
    missing = [name for name in unknown if name not in saved.state]
    return Misfit(f"the incident has no {missing[0]:.200}") if missing else None


def unknown_variable(
    groups: Sequence[Sequence[Variable]], saved: SavedStep, ignored: Container[str] = ()
) -> str | None:
    """The first variable that only one of both sides has, in words."""
    unknown = unknown_names(groups, saved.state, ignored)
    if not unknown:
        return None
    where = "only in the incident" if unknown[0] in saved.state else "not in the incident"
    return f"{unknown[0]:.200} is {where}"

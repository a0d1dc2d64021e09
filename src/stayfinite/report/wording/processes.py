"""The line of a process at whose step another one prints the report."""

from __future__ import annotations

from stayfinite.incident import Incident
from stayfinite.report.words import sample_list


def order(incident: Incident) -> int:
    """How much a process knows of the failure: 0 where its incident has a cause of its own."""
    again = incident.recurrence
    if again is not None and again.kind == "other-process":
        return 3
    if incident.cause.name not in ("unknown", "not-reproduced"):
        return 0
    if not incident.spread.is_loss_finite:
        return 1
    # Of sharded weights, the bad part may be that of another process.
    return 2 if incident.spread.num_gradients_nonfinite else 3


def elsewhere(incident: Incident, own: int, rank: int, folder: str) -> str:
    """What a process says that does not print the report.

    Args:
        incident: Its incident.
        own: Its rank.
        rank: The rank of the process with the report.
        folder: The folder of that.
    """
    step, samples = incident.where.step, incident.origin.samples
    if order(incident) == 0:
        which = "the batch" if not samples else sample_list(samples, incident.num_rows)
        return (
            f"{which} of rank {own} fails at step {step}, too; the "
            f"report is that of rank {rank}: {folder}"
        )
    done = "stopped" if incident.intervention is None else "left out"
    return (
        f"step {step} was {done} in rank {own}; it failed in rank {rank}, which has the report: "
        f"{folder}"
    )

"""What became of one injected fault."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One injection. None stands for what does not apply to it.

    Attributes:
        kind: The name of the kind of fault.
        has_effect: Whether the same training without a guard became non-finite.
        noticed: Whether the guard ended or left out the first non-finite step, no other one.
        num_late: Steps from the injection to the one that was noticed.
        num_damaged: Files left behind that cannot be read, are not what was written, or have
            values that are not finite although they are those of a checkpoint.
        num_lost: Steps that had to be made again.
        went_on: Whether a new process went on to the end.
        right_exit: Whether the exit codes were those of plain Python, or 3 for a bad step.
        same_bits: Whether weights and optimizer end as in a training without the fault.
        detail: What is not as it should be.
    """

    kind: str
    has_effect: bool | None = None
    noticed: bool | None = None
    num_late: int | None = None
    num_damaged: int | None = None
    num_lost: int | None = None
    went_on: bool | None = None
    right_exit: bool | None = None
    same_bits: bool | None = None
    detail: str = ""
